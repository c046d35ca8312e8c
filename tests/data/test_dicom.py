import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.encaps import encapsulate
from pydicom.tag import Tag
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from omnicxr.data.grey import BLANK, PictureError
from omnicxr.data.images import load_image, read_image

RAMP = np.linspace(0, 255, 64 * 48).reshape(48, 64)
DEEP = (RAMP * 16).astype(np.uint16)
GREY = RAMP.round().astype(np.uint8)
Change = Callable[[Dataset], object]


def write_dicom(path: Path, values: np.ndarray | None = DEEP, *changes: Change, **fields: Any) -> Path:
    """Grey values of 12 bits, unless `fields` say otherwise; raw elements by `changes`."""
    meta = pydicom.dataset.FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    meta.TransferSyntaxUID = fields.pop("syntax", ExplicitVRLittleEndian)
    dataset = pydicom.dataset.FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = SecondaryCaptureImageStorage, meta.MediaStorageSOPInstanceUID
    if values is not None:
        values = values if values.dtype in (np.uint8, np.int16) else values.astype(np.uint16)
        dataset.Rows, dataset.Columns = values.shape[:2]
        bits = values.dtype.itemsize * 8
        stored = fields.pop("bits", 12 if bits == 16 else bits)
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, fields.pop("photometric", "MONOCHROME2")
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, stored, stored - 1
        dataset.PixelRepresentation = int(values.dtype.kind == "i")
        dataset.PixelData = values.tobytes()
    for name, value in fields.items():
        if name.startswith("PixelPadding"):
            dataset.add_new(name, "SS" if value < 0 else "US", value)
        else:
            setattr(dataset, name, value)
    for change in changes:
        change(dataset)
    dataset.save_as(path, enforce_file_format=False)
    return path


def raw(tag: int, vr: str, value: bytes) -> Change:
    """An element whose bytes no library would write."""

    def change(dataset: Dataset) -> None:
        dataset._dict[Tag(tag)] = RawDataElement(Tag(tag), vr, len(value), value, 0, False, True)

    return change


def table(name: str, descriptor: list[int], data: list[int]) -> Change:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", descriptor)
    item.add_new("LUTData", "US", data)
    return lambda dataset: setattr(dataset, name, pydicom.Sequence([item]))


def palette(descriptor: list[int], data: bytes) -> Change:
    def change(dataset: Dataset) -> None:
        dataset.PhotometricInterpretation = "PALETTE COLOR"
        for colour in ("Red", "Green", "Blue"):
            dataset.add_new(f"{colour}PaletteColorLookupTableDescriptor", "US", descriptor)
            dataset.add_new(f"{colour}PaletteColorLookupTableData", "OW", data)

    return change


def compressed(data: bytes, syntax: str) -> Change:
    def change(dataset: Dataset) -> None:
        dataset.PixelData = encapsulate([data])
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = syntax

    return change


def jpeg(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=98)
    return buffer.getvalue()


def read(path: Path) -> np.ndarray:
    return np.asarray(read_image(path, 64)[0]).astype(int)


def worst(path: Path, wanted: np.ndarray) -> int:
    """The largest difference."""
    return int(np.abs(read(path) - wanted.round()).max())


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_bits_and_directions(tmp_path: Path, photometric: str, bits: int) -> None:
    values = RAMP / 255 * (2**bits - 1)
    stored = (values if photometric == "MONOCHROME2" else 2**bits - 1 - values).round()
    path = write_dicom(tmp_path / "x.dcm", stored.astype(np.uint16), bits=bits, PhotometricInterpretation=photometric)
    assert worst(path, RAMP) <= 1


IDENTITY = list(range(0, 65536, 16))
AS_PLAIN: dict[str, tuple[np.ndarray, list[Change], dict[str, Any]]] = {
    "no slope": (DEEP, [raw(0x00281053, "DS", b""), raw(0x00281052, "DS", b"")], {}),
    "huge slope": (DEEP, [], {"RescaleSlope": "1e300", "RescaleIntercept": "-1e300"}),
    "empty samples": (DEEP, [raw(0x00280002, "US", b"")], {}),
    "signed": ((DEEP.astype(np.int16) - 2048), [], {"bits": 16}),
    "width 0": (DEEP, [], {"WindowCenter": "0", "WindowWidth": "0"}),
    "width below 0": (DEEP, [], {"WindowCenter": "2048", "WindowWidth": "-5"}),
    "width NaN": (DEEP, [raw(0x00281051, "DS", b"NaN ")], {"WindowCenter": "2048"}),
    "width in words": (DEEP, [raw(0x00281051, "DS", b"wide")], {"WindowCenter": "2048"}),
    "window elsewhere": (DEEP, [], {"WindowCenter": "-20000", "WindowWidth": "100"}),
    "second window": (DEEP, [], {"WindowCenter": ["0", "2048"], "WindowWidth": ["0", "4096"]}),
    "made-up function": (DEEP, [], {"WindowCenter": "2048", "WindowWidth": "4096", "VOILUTFunction": "MADEUP"}),
    "VOI table": (DEEP, [table("VOILUTSequence", [4096, 0, 16], IDENTITY)], {}),
    "short VOI table": (DEEP, [table("VOILUTSequence", [4096, 0, 16], IDENTITY[:9])], {}),
    "VOI table of two": (DEEP, [table("VOILUTSequence", [4096, 0], IDENTITY)], {}),
    "VOI table to 8 bits": (DEEP, [table("VOILUTSequence", [4096, 0, 8], [v // 16 for v in range(4096)])], {}),
    "VOI table of one value": (DEEP, [table("VOILUTSequence", [4096, 0, 16], [7] * 4096)], {}),
    "12-bit modality table": (DEEP, [table("ModalityLUTSequence", [4096, 0, 12], list(range(4096)))], {}),
    "12-bit modality table of 8": (GREY, [table("ModalityLUTSequence", [256, 0, 12], list(range(0, 4096, 16)))], {}),
    "palette": (GREY, [palette([256, 0, 8], bytes(range(256)))], {}),
    "16-bit palette": (GREY, [palette([256, 0, 16], (np.arange(256, dtype="<u2") * 257).tobytes())], {}),
    "RGB": (np.stack([GREY] * 3, -1), [], {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB",
                                           "PlanarConfiguration": 0}),
    "bits above": (DEEP | 0xF000, [], {}),
    "chest": (DEEP, [], {"Modality": "DX", "BodyPartExamined": "PORT CHEST"}),
    "empty": (DEEP, [], {"Modality": "", "BodyPartExamined": ""}),
    "deflated": (DEEP, [], {"syntax": DeflatedExplicitVRLittleEndian}),
    "too long": (DEEP, [], {"PixelData": DEEP.tobytes() + b"\0" * 1000}),
    "no transfer syntax": (DEEP, [lambda dataset: delattr(dataset.file_meta, "TransferSyntaxUID")], {}),
}  # fmt: skip


@pytest.mark.parametrize("kind", AS_PLAIN)
def test_odd_headers_give_the_plain_picture(tmp_path: Path, kind: str) -> None:
    values, changes, fields = AS_PLAIN[kind]
    assert worst(write_dicom(tmp_path / "x.dcm", values, *changes, **fields), RAMP) <= 1


def test_without_a_preamble(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "x.dcm")
    for name in ("headless.dcm", "headless"):
        (tmp_path / name).write_bytes(path.read_bytes()[132:])
        assert worst(tmp_path / name, RAMP) <= 1


@pytest.mark.parametrize(
    "fields",
    [
        {"PresentationLUTShape": "INVERSE"},
        {"PresentationLUTShape": "INVERSE", "PhotometricInterpretation": "MONOCHROME1"},
        {"RescaleSlope": "-1", "RescaleIntercept": "4095"},
        {"RescaleSlope": "-1", "RescaleIntercept": "4095", "WindowCenter": "2048", "WindowWidth": "4096"},
    ],
    ids=str,
)
def test_turned_round_once(tmp_path: Path, fields: dict[str, Any]) -> None:
    assert worst(write_dicom(tmp_path / "x.dcm", **fields), 255 - RAMP) <= 1


@pytest.mark.parametrize(
    ("strip", "fields"),
    [
        (4095, {"PixelPaddingValue": 4095}),
        (0, {"PixelPaddingValue": 0, "PhotometricInterpretation": "MONOCHROME1"}),
        (4000, {"PixelPaddingValue": 4095, "PixelPaddingRangeLimit": 3950}),
        (4095, {"PixelPaddingValue": 4095, "WindowCenter": "2048", "WindowWidth": "4096"}),
        (-32768, {"PixelPaddingValue": -32768}),
        (-32768, {"PixelPaddingValue": 32768}),
    ],
    ids=str,
)
def test_padding_is_black_and_decides_nothing(tmp_path: Path, strip: int, fields: dict[str, Any]) -> None:
    inside = (RAMP / 255 * 2900 + 500).astype(int)
    values = inside.copy()
    values[:, :8] = strip
    stored = values.astype(np.int16 if strip < 0 else np.uint16)
    got = read(write_dicom(tmp_path / "x.dcm", stored, bits=16 if strip < 0 else 12, **fields))
    wanted = RAMP if "PhotometricInterpretation" not in fields else 255 - RAMP
    assert (got[:, :8] == 0).all()
    assert np.abs(got[:, 8:] - wanted[:, 8:]).max() <= 3


def test_a_burnt_in_marker_leaves_the_contrast(tmp_path: Path) -> None:
    values = DEEP.copy()
    values[:5, :5] = 65535
    got = read(write_dicom(tmp_path / "x.dcm", values, bits=16))
    assert np.abs(got[:, 5:] - RAMP[:, 5:]).max() <= 1
    assert (got[:5, :5] == 255).all()


def test_window_of_the_header_is_applied(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", WindowCenter="512", WindowWidth="256")
    picture = read(path)
    low, high = DEEP < 512 - 128, DEEP > 512 + 128
    assert picture[low].max() == 0
    assert picture[high].min() == 255
    assert 0 < picture[~low & ~high].mean() < 255
    sigmoid = read(write_dicom(tmp_path / "b.dcm", WindowCenter="512", WindowWidth="256", VOILUTFunction="SIGMOID"))
    assert (
        np.abs(sigmoid - 255 / (1 + np.exp(-4 * (DEEP - 512.0) / 256))).max() <= 30
    )  # stretched from what it starts at


REFUSED: dict[str, tuple[str, np.ndarray | None, list[Change], dict[str, Any]]] = {
    "no pixels": ("without pixels", None, [], {}),
    "empty pixels": ("without pixels", DEEP, [], {"PixelData": b""}),
    "short pixels": ("less than expected", DEEP, [], {"PixelData": b"\0" * 100}),
    "two frames": ("2 frames", DEEP, [], {"NumberOfFrames": "2"}),
    "frames that are not counted": ("more than one frame", DEEP, [], {"PixelData": DEEP.tobytes() * 2}),
    "many rows": (r"Rows is \[48, 48\]", DEEP, [raw(0x00280010, "US", b"\x30\0\x30\0")], {}),
    "no rows": ("64 x 0 pixels", DEEP, [raw(0x00280010, "US", b"")], {}),
    "too large": ("60000 x 60000 pixels", DEEP, [], {"Rows": 60000, "Columns": 60000}),
    "slope in words": ("RescaleSlope is 'abc'", DEEP, [raw(0x00281053, "DS", b"abc ")], {}),
    "slope NaN": ("RescaleSlope nan", DEEP, [raw(0x00281053, "DS", b"NaN ")], {}),
    "slope 0": ("RescaleSlope 0", DEEP, [], {"RescaleSlope": "0", "RescaleIntercept": "0"}),
    "short modality table": ("9 of 4096", DEEP, [table("ModalityLUTSequence", [4096, 0, 16], IDENTITY[:9])], {}),
    "too many bits": ("Bits Stored", DEEP, [], {"BitsStored": 17}),
    "no interpretation": ("Photometric", DEEP, [], {"PhotometricInterpretation": ""}),
    "no palette": ("Palette", GREY, [], {"PhotometricInterpretation": "PALETTE COLOR"}),
    "nothing but padding": ("nothing but padding", DEEP, [],
                            {"PixelPaddingValue": 0, "PixelPaddingRangeLimit": 65535}),
    "CT": ("Modality CT", DEEP, [], {"Modality": "CT"}),
    "hand": ("BodyPartExamined HAND", DEEP, [], {"Modality": "DX", "BodyPartExamined": "HAND"}),
    "spine": ("BodyPartExamined THORACIC SPINE", DEEP, [], {"BodyPartExamined": "THORACIC SPINE"}),
    "nonsense": ("compressed .* and damaged", GREY, [compressed(b"nonsense" * 99, JPEGBaseline8Bit)], {}),
    "nonsense in JPEG 2000": ("compressed .* and damaged", GREY, [compressed(b"nonsense" * 99, JPEG2000Lossless)], {}),
    "another size": ("500 x 400 pixels", GREY,
                     [compressed(jpeg(Image.new("L", (500, 400))), JPEGBaseline8Bit)], {}),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_refused_in_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str], kind: str) -> None:
    said, values, changes, fields = REFUSED[kind]
    path = write_dicom(tmp_path / "bad.dcm", values, *changes, **fields)
    capfd.readouterr()
    with pytest.raises(PictureError, match=said) as error:
        read_image(path, 64)
    assert str(path) in str(error.value) and "\n" not in str(error.value) and "omnicxr[dicom]" not in str(error.value)
    assert capfd.readouterr().err == ""


def test_what_it_is_counted_under(tmp_path: Path) -> None:
    reasons = {"Modality": "modality MR", "BodyPartExamined": "body part MR", "NumberOfFrames": "unreadable"}
    for field, reason in reasons.items():
        with pytest.raises(PictureError) as error:
            read_image(write_dicom(tmp_path / "x.dcm", **{field: "3" if reason == "unreadable" else "MR"}), 64)
        assert error.value.reason == reason
    with pytest.raises(PictureError) as error:
        read_image(write_dicom(tmp_path / "x.dcm", PixelPaddingValue=0, PixelPaddingRangeLimit=65535), 64)
    assert error.value.reason == BLANK


def test_bytes_changed_anywhere_are_refused_or_read(tmp_path: Path) -> None:
    whole, rng = write_dicom(tmp_path / "x.dcm", Modality="DX").read_bytes(), np.random.default_rng(0)
    header = len(whole) - DEEP.nbytes
    for _ in range(150):
        changed = bytearray(whole)
        for place in rng.integers(128, header, 4):
            changed[place] = rng.integers(256)
        (tmp_path / "y.dcm").write_bytes(changed)
        try:
            read_image(tmp_path / "y.dcm", 64)
        except PictureError as error:
            assert "y.dcm" in str(error)


def write_compressed(path: Path, values: np.ndarray, syntax: str) -> Path:
    """Write 16-bit values, then change the transfer syntax with GDCM's command-line twin, its Python binding."""
    import gdcm

    write_dicom(path, values)
    if syntax == "RLELossless":
        dataset = pydicom.dcmread(path)
        dataset.compress(pydicom.uid.RLELossless)
        dataset.save_as(path)
        return path
    reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
    reader.SetFileName(str(path))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, syntax)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    return path


@pytest.mark.parametrize("syntax", ["RLELossless", "JPEGLosslessProcess14_1", "JPEGLSLossless", "JPEG2000Lossless"])
def test_compressed_dicom_gives_the_same_pixels(tmp_path: Path, syntax: str) -> None:
    plain = load_image(write_dicom(tmp_path / "plain.dcm"), 32)
    packed = write_compressed(tmp_path / "packed.dcm", DEEP, syntax)
    assert pydicom.dcmread(packed).file_meta.TransferSyntaxUID.is_compressed
    assert (np.asarray(load_image(packed, 32)) == np.asarray(plain)).all()


def test_baseline_jpeg_dicom(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", GREY, compressed(jpeg(Image.fromarray(GREY)), JPEGBaseline8Bit))
    assert worst(path, RAMP) <= 4


def test_a_missing_decoder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pydicom.pixels.decoders import gdcm

    path = write_dicom(tmp_path / "a.dcm", GREY, compressed(b"\xff\xd8" * 99, JPEGLSLossless))
    monkeypatch.setattr(gdcm, "is_available", lambda syntax: False)
    with pytest.raises(PictureError, match=r"install omnicxr\[dicom\]"):
        read_image(path, 64)


def test_view_position_is_read_and_nothing_else(tmp_path: Path) -> None:
    picture, view = read_image(write_dicom(tmp_path / "a.dcm", ViewPosition="LL", PatientName="Doe^Jane"), 64)
    assert view == "LL"
    assert "Doe" not in str(picture.info)
