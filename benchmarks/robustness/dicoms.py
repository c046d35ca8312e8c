"""DICOM: every tag that decides how pixels are read, with odd values, nonsense, and damaged files."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRBigEndian, ImplicitVRLittleEndian, RLELossless

from benchmarks.robustness.cases import Case, Folders, draw_flips, flipped
from benchmarks.robustness.dicom_files import (
    Change,
    dicom,
    dump,
    empty,
    in_syntax,
    other_vr,
    raw,
    raw_pixels,
    rle,
    set_pixels,
    stored,
    values,
    with_tags,
    with_value,
    without,
    written,
)
from benchmarks.robustness.films import film, generate, refused, same, whichever
from benchmarks.robustness.pictures import overwrite

FLIPS, CUTS = 40, 16
LOOSE = 16.0
"""With and without a window, contrast differs a little."""
NUMBERS = (b"", b"abc", b"0", b"-1", b"1\\2", b"1e400", b"nan", b"inf", b"1e-300", b" 1 ", b"\xff\xfe", b"1,5")
BINARY = (b"", b"\0\0", b"\xff\xff", b"\1\0\2\0\3\0", b"\1")
CODES = (b"", b"NONSENSE", b"A\\B\\C", b"\xff\xff", b"x" * 900)
NUMERIC_TAGS = ("RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth", "NumberOfFrames", "PixelSpacing")
BINARY_TAGS = ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel",
               "PlanarConfiguration", "PixelPaddingValue", "PixelPaddingRangeLimit",
               "RedPaletteColorLookupTableDescriptor",
               "SmallestImagePixelValue", "LargestImagePixelValue")  # fmt: skip
CODE_TAGS = ("PhotometricInterpretation", "VOILUTFunction", "PresentationLUTShape", "ViewPosition", "Modality",
             "BodyPartExamined", "SpecificCharacterSet", "LossyImageCompression", "ImageType")  # fmt: skip


def cases(rng: random.Random) -> Iterator[Case]:
    """All of them."""
    yield from readable()
    yield from pixels()
    yield from padded()
    yield from refusable()
    yield from nonsense()
    yield from encapsulated()
    yield from syntaxes()
    yield from damaged(rng)


def readable() -> Iterator[Case]:
    """Headers that say nothing, or the same in other words."""
    changes: dict[str, Change] = {
        "plain": values(),
        "no rescale": without("RescaleSlope", "RescaleIntercept"),
        "empty rescale": empty("RescaleSlope", "RescaleIntercept"),
        "no window": without("WindowCenter", "WindowWidth"),
        "empty window": empty("WindowCenter", "WindowWidth"),
        "window of no centre": empty("WindowCenter"),
        "window of no width": without("WindowWidth"),
        "window width 0": values(WindowWidth=0),
        "window width -5": values(WindowWidth=-5),
        "two windows": values(WindowCenter=[2048, 100], WindowWidth=[4096, 7]),
        "window function nonsense": values(VOILUTFunction="NONSENSE"),
        "window function empty": empty("VOILUTFunction"),
        "window function exact": values(VOILUTFunction="LINEAR_EXACT"),
        "slope 2, wider window": values(RescaleSlope=2, WindowCenter=4096, WindowWidth=8192),
        "intercept -1024": values(RescaleIntercept=-1024, WindowCenter=1024),
        "no modality, no body part": without("Modality", "BodyPartExamined"),
        "empty modality, empty body part": empty("Modality", "BodyPartExamined"),
        "thorax": values(BodyPartExamined="THORAX"),
        "computed radiography": values(Modality="CR"),
        "one frame said": values(NumberOfFrames=1),
        "frames empty": empty("NumberOfFrames"),
        "shape identity": values(PresentationLUTShape="IDENTITY"),
        "short voi table": lambda data: short_table(data, "VOILUTSequence"),
        "private tags": lambda data: data.add_new(0x00091001, "UN", b"\xff" * 500),
    }
    for name, change in changes.items():
        yield same(name, with_tags(change), tolerance=LOOSE)
    sigmoid = values(VOILUTFunction="SIGMOID")
    yield whichever("window function sigmoid", with_tags(sigmoid), by_prepare=True)


def short_table(data: Dataset, keyword: str) -> None:
    """A look-up table with fewer values than it says."""
    item = Dataset()
    item.LUTDescriptor = [4096, 0, 12]
    raw(item, "LUTData", np.arange(100, dtype=np.uint16).tobytes())
    setattr(data, keyword, Sequence([item]))


def pixels() -> Iterator[Case]:
    """The film as other depths, signs and photometric interpretations."""
    for bits in (8, 10, 12, 14, 16):
        yield same(f"{bits} bits", with_tags(values(), bits=bits), tolerance=LOOSE)

    def signed(data: Dataset) -> None:
        shifted = stored(data).astype(np.int16) - 2048
        set_pixels(data, shifted, 16)
        data.WindowCenter, data.RescaleIntercept = 2048, 2048

    yield same("signed", with_tags(signed), tolerance=LOOSE)

    def white_low(data: Dataset) -> None:
        set_pixels(data, 4095 - stored(data), 12)
        data.PhotometricInterpretation = "MONOCHROME1"

    yield same("MONOCHROME1", with_tags(white_low), tolerance=LOOSE)

    def inverse_shape(data: Dataset) -> None:
        set_pixels(data, 4095 - stored(data), 12)
        data.PresentationLUTShape = "INVERSE"

    yield same("presentation shape inverse", with_tags(inverse_shape), tolerance=LOOSE)
    yield same("palette of greys", with_tags(grey_palette, bits=8), tolerance=LOOSE)
    yield same("modality table of 12 bits", with_tags(modality_table), tolerance=LOOSE)


def grey_palette(data: Dataset) -> None:
    """The indices run backwards; the palette turns them round."""
    set_pixels(data, 255 - stored(data), 8)
    data.PhotometricInterpretation = "PALETTE COLOR"
    table = (np.arange(255, -1, -1, dtype=np.uint16) * 257).tobytes()
    for colour in ("Red", "Green", "Blue"):
        setattr(data, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
        raw(data, f"{colour}PaletteColorLookupTableData", table)
    del data.WindowCenter, data.WindowWidth


def modality_table(data: Dataset) -> None:
    """Turns the pixels round, which were turned round before."""
    set_pixels(data, 4095 - stored(data), 12)
    item = Dataset()
    item.LUTDescriptor, item.ModalityLUTType = [4096, 0, 16], "US"
    raw(item, "LUTData", np.arange(4095, -1, -1, dtype=np.uint16).tobytes())
    data.ModalityLUTSequence = Sequence([item])
    del data.RescaleSlope, data.RescaleIntercept


def padded() -> Iterator[Case]:
    """Strips beside the film, whatever their value, are black and take no contrast from it."""
    for name, value, low_is_white in (("65535", 65535, False), ("4095 in 12 bits", 4095, False), ("0", 0, False),
                                      ("0, MONOCHROME1", 0, True), ("65535, MONOCHROME1", 65535, True)):  # fmt: skip
        yield same(
            f"padding value {name}",
            lambda f, v=value, w=low_is_white: strips(f, v, low_is_white=w),
            tolerance=LOOSE,
            reference=lambda f: strips(f, None, low_is_white=False, name="plain.dcm"),
        )


def strips(folders: Folders, value: int | None, *, low_is_white: bool, name: str = "x.dcm") -> Path:
    """The film, without its own ends of the range, between two strips of padding (black, where there is none)."""
    inside = (film(folders, bits=12).astype(np.int32) * 3600 // 4095 + 100).astype(np.uint16)
    if low_is_white:
        inside = 4095 - inside
    framed = np.pad(inside, ((0, 0), (40, 40)), constant_values=value or 0)
    data = dicom(framed, bits=16 if value == 65535 else 12)
    del data.WindowCenter, data.WindowWidth
    data.PhotometricInterpretation = "MONOCHROME1" if low_is_white else "MONOCHROME2"
    if value is not None:
        raw(data, "PixelPaddingValue", struct.pack("<H", value))
    return written(data, name)


def refusable() -> Iterator[Case]:
    """What is no single grey chest radiograph, or has no usable pixels."""
    changes: dict[str, Change] = {
        "no pixels": without("PixelData"),
        "empty pixels": lambda data: raw_pixels(data, b""),
        "half of the pixels": lambda data: raw_pixels(data, data.get_item("PixelData").value[: 240 * 200]),
        "one byte of pixels": lambda data: raw_pixels(data, b"\0"),
        "no rows": without("Rows"),
        "rows 0": values(Rows=0),
        "columns 0": values(Columns=0),
        "rows 65535, columns 65535": values(Rows=65535, Columns=65535),
        "three samples": values(SamplesPerPixel=3),
        "30 frames": values(NumberOfFrames=30),
        "bits allocated 0": values(BitsAllocated=0),
        "bits allocated 7": values(BitsAllocated=7),
        "slope 0": values(RescaleSlope=0),
        "blank": lambda data: set_pixels(data, np.full((240, 200), 900, np.uint16), 12),
    }
    changes |= {f"modality {m}": values(Modality=m) for m in ("CT", "MR", "US", "NM", "PT", "MG", "XA", "SR", "ECG")}
    changes |= {f"body part {p}": values(BodyPartExamined=p) for p in ("EXTREMITY", "SKULL", "HAND", "ABDOMEN", "KNEE")}
    for name, change in changes.items():
        yield from refused(name, with_tags(change), says="x.dcm")
    yield from refused("no DICOM behind the preamble", lambda f: dump(bytes(128) + b"DICM"), says="x.dcm")
    yield from refused("noise behind the preamble", lambda f: dump(bytes(128) + b"DICM" + bytes(range(256)) * 9))


def nonsense() -> Iterator[Case]:
    """Every tag with values that no modality writes, and without it."""
    number = 0
    for tags, odd in ((NUMERIC_TAGS, NUMBERS), (BINARY_TAGS, BINARY), (CODE_TAGS, CODES)):
        for tag in tags:
            for value in odd:
                number += 1
                shown = value[:12].decode("latin-1").encode("unicode_escape").decode()
                yield whichever(f"{tag} '{shown}' of {len(value)}", with_value(tag, value), by_prepare=bool(number % 2))
            yield whichever(f"{tag} missing", with_tags(without(tag)), by_prepare=True)
    for tag in ("VOILUTSequence", "ModalityLUTSequence"):
        for name, descriptor, table in odd_tables():
            change = lambda data, t=tag, d=descriptor, b=table: odd_table(data, t, d, b)  # noqa: E731
            yield whichever(f"{tag} {name}", with_tags(change), by_prepare=True)
        yield whichever(f"{tag} empty", with_tags(values(**{tag: Sequence([])})), by_prepare=True)
        yield whichever(f"{tag} of nothing", with_tags(values(**{tag: Sequence([Dataset()])})), by_prepare=True)
    for vr in ("FL", "UL", "SQ", "OB", "AT", "ZZ"):
        yield whichever(f"RescaleSlope as {vr}", lambda f, v=vr: other_vr(f, v), by_prepare=True)


def odd_tables() -> Iterator[tuple[str, bytes, bytes]]:
    whole = np.arange(4096, dtype=np.uint16).tobytes()
    yield "descriptor of two", struct.pack("<2H", 4096, 0), whole
    yield "descriptor empty", b"", whole
    yield "descriptor of no bits", struct.pack("<3H", 4096, 0, 0), whole
    yield "descriptor of 99 bits", struct.pack("<3H", 4096, 0, 99), whole
    yield "table empty", struct.pack("<3H", 4096, 0, 12), b""
    yield "table of 49", struct.pack("<3H", 4096, 0, 12), whole[:98]
    yield "table long", struct.pack("<3H", 16, 0, 12), whole
    yield "begins high", struct.pack("<3H", 4096, 60000, 12), whole


def odd_table(data: Dataset, keyword: str, descriptor: bytes, table: bytes) -> None:
    item = Dataset()
    raw(item, "LUTDescriptor", descriptor)
    raw(item, "LUTData", table)
    setattr(data, keyword, Sequence([item]))


def encapsulated() -> Iterator[Case]:
    """Compressed pixels that are none."""
    syntaxes_ = {"RLE": RLELossless, "JPEG 2000": UID("1.2.840.10008.1.2.4.90"), "JPEG": UID("1.2.840.10008.1.2.4.50"),
                 "JPEG lossless": UID("1.2.840.10008.1.2.4.70"), "JPEG-LS": UID("1.2.840.10008.1.2.4.80"),
                 "unknown": UID("1.2.3.4.5.6"), "HTJ2K": UID("1.2.840.10008.1.2.4.201")}  # fmt: skip
    for name, syntax in syntaxes_.items():
        for kind, frame in {
            "nonsense": b"nonsense" * 50,
            "zeros": bytes(500),
            "start only": b"\xff\xd8\xff\xe0",
        }.items():

            def make(folders: Folders, syntax: UID = syntax, frame: bytes = frame) -> Path:
                data = dicom(film(folders, bits=12))
                data.file_meta.TransferSyntaxUID = syntax
                data.PixelData = encapsulate([frame])
                data["PixelData"].is_undefined_length = True
                data["PixelData"].VR = "OB"
                return written(data)

            yield from refused(f"{name} of {kind}", make, says="x.dcm")


def syntaxes() -> Iterator[Case]:
    """The same film in other transfer syntaxes."""

    yield same("implicit VR", in_syntax(ImplicitVRLittleEndian), tolerance=LOOSE)
    yield same("big endian", in_syntax(ExplicitVRBigEndian), tolerance=LOOSE)
    yield same("RLE", rle, tolerance=LOOSE)
    yield whichever("no preamble", lambda f: dump(written(dicom(film(f, bits=12))).read_bytes()[132:]), by_prepare=True)
    yield same("another suffix", with_tags(values(), name="x.IMA"), tolerance=LOOSE)
    yield same("no suffix", with_tags(values(), name="IM000001"), tolerance=LOOSE)


def damaged(rng: random.Random) -> Iterator[Case]:
    """Bytes changed and files cut, at random."""
    for i in range(FLIPS):
        flips = [(share * (0.012 if i % 4 else 1), bits) for share, bits in draw_flips(rng, 2 ** (i % 4))]
        whole = lambda f, fl=flips: overwrite(with_tags(values())(f), lambda data: flipped(data, fl))  # noqa: E731
        yield whichever(f"flip {i}", whole, by_prepare=bool(i % 2))
    for i in range(CUTS):
        share = rng.random() ** 3
        cut = lambda f, s=share: overwrite(with_tags(values())(f), lambda data: data[: int(s * len(data))])  # noqa: E731
        yield whichever(f"cut {i}", cut, by_prepare=bool(i % 2))
    long = lambda f: overwrite(with_tags(values())(f), lambda data: data + bytes(999))  # noqa: E731
    yield Case(name="more behind [generate]", run=lambda f: generate(f, long(f)), expect="either")
