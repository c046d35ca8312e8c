"""DICOM files => 8-bit grey pictures: look-up tables, windows, padding, palettes, and what is no chest radiograph."""

from __future__ import annotations

import io
import logging
import re
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, UnidentifiedImageError

from omnicxr.data.dicom_values import displayed, eight_bit_colour, number, padding, text, through_palette
from omnicxr.data.grey import BLANK, MAX_PIXELS, PictureError, brief, check_size, grey_picture
from omnicxr.data.quiet import no_error_stream

if TYPE_CHECKING:  # reading other pictures does not wait for it
    from pydicom import Dataset
    from pydicom.uid import UID

MODALITIES = ("CR", "DX", "DR", "RG", "XR", "OT", "SC")
"""Values of Modality that can be a radiograph: computed, digital and film, and what says no more than "other"."""
BODY_PARTS = re.compile(r"CHEST|CXR|THORA(?!CO|CIC.?[SV])|TORA[CX]|LUNG|PULMO|POUMON|PECHO|BRUST|UNKNOWN|OTHER|胸")
"""In BodyPartExamined: the chest in the languages met, and what says nothing."""


def is_dicom(path: Path) -> bool:
    """By its name, its mark, or the first element of a file that was written without one."""
    with path.open("rb") as file:
        head = file.read(132)
    return path.suffix.lower() in (".dcm", ".dicom") or head[128:] == b"DICM" or head[:2] in (b"\2\0", b"\x08\0")


def read_dicom(path: Path) -> tuple[Image.Image, str]:
    """DICOM => mode "L" (VOI window applied, air dark, padding black, more than 8 bits stretched) and its ViewPosition.
    No other field is kept.

    Raises PictureError for whatever cannot be read as one grey picture, and for what says that it is no chest
    radiograph.
    """
    with _quiet():
        dataset = _opened(path)
        try:
            if not dataset.get("PixelData"):
                raise PictureError(f"{path} is a DICOM file without pixels: give an image object.")
            _check_subject(dataset, path)
            return _grey(dataset, path), text(dataset, "ViewPosition")
        except PictureError:
            raise
        except Exception as error:  # whatever pydicom or a decoder raises means that this one file cannot be read
            raise PictureError(_remedy(dataset, path, error)) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what pydicom says on standard error of the files that it reads or refuses."""
    logger = logging.getLogger("pydicom")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logger.setLevel(level)


def _opened(path: Path) -> Dataset:
    """With or without a preamble, and with a transfer syntax."""
    from pydicom import dcmread, uid
    from pydicom.errors import InvalidDicomError

    try:
        _check_inflated(path)
        try:
            dataset = dcmread(path)
        except InvalidDicomError:
            dataset = dcmread(path, force=True)
            if "Rows" not in dataset:
                raise
        if "TransferSyntaxUID" not in dataset.file_meta:
            implicit, little = dataset.original_encoding
            native = uid.ExplicitVRLittleEndian if little else uid.ExplicitVRBigEndian
            dataset.file_meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian if implicit else native
    except PictureError:
        raise
    except InvalidDicomError:
        raise PictureError(f"{path} is not a DICOM file: check what it is, or give a PNG or JPEG.") from None
    except Exception as error:  # whatever pydicom raises means that this one file cannot be read
        raise PictureError(f"{path} is a damaged DICOM file ({brief(error)}): get the file again.") from error
    return dataset


def _check_inflated(path: Path) -> None:
    """Raises PictureError for a deflated file that is too large to be unpacked; pydicom unpacks it whole."""
    from pydicom.filereader import read_file_meta_info
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    with path.open("rb") as file:
        if file.read(132)[128:] != b"DICM":
            return
        meta = read_file_meta_info(path)
        length = meta.get("FileMetaInformationGroupLength")
        if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian or length is None:
            return
        file.seek(132 + 12 + length)
        unpacking, size, rest = zlib.decompressobj(-zlib.MAX_WBITS), 0, file.read()
    while rest and not unpacking.eof:
        size += len(unpacking.decompress(rest, 2**24))
        rest = unpacking.unconsumed_tail
        if size > 4 * MAX_PIXELS:
            raise PictureError(f"{path} unpacks to more than {4 * MAX_PIXELS // 10**6} MB: export it again, smaller.")


def _decompressed(dataset: Dataset, path: Path) -> np.ndarray:
    """Raises PictureError for pixels of another size than the header says, which may be any."""
    from pydicom.encaps import get_frame

    with suppress(UnidentifiedImageError), Image.open(io.BytesIO(get_frame(dataset.PixelData, 0))) as frame:
        if frame.size != (dataset.Columns, dataset.Rows):
            raise PictureError(
                f"{path} has {frame.width} x {frame.height} pixels and a header that says {dataset.Columns} x"
                f" {dataset.Rows}: export it again."
            )
    with no_error_stream():
        return dataset.pixel_array


def _remedy(dataset: Dataset, path: Path, error: Exception) -> str:
    from pydicom.pixels.decoders import gdcm

    if not (syntax := _compression(dataset)):
        return f"{path} cannot be decoded ({brief(error)}): it is damaged or not as DICOM wants it; export it again."
    if syntax in gdcm.DECODER_DEPENDENCIES and not gdcm.is_available(syntax):
        return f"{path} is compressed ({syntax.name}): install omnicxr[dicom], or export it uncompressed."
    return (
        f"{path} is compressed ({syntax.name}) and damaged, or of a kind that cannot be read: export it uncompressed."
    )


def _compression(dataset: Dataset) -> UID | None:
    """The transfer syntax of compressed pixels."""
    from pydicom.uid import UID, AllTransferSyntaxes

    syntax = UID(str(dataset.file_meta.TransferSyntaxUID))
    return syntax if syntax in AllTransferSyntaxes and syntax.is_encapsulated else None


def _check_subject(dataset: Dataset, path: Path) -> None:
    if (kind := text(dataset, "Modality")) and kind not in MODALITIES:
        raise PictureError(
            f"{path} is no radiograph (Modality {kind}): give a chest X-ray ({', '.join(MODALITIES[:4])}).",
            reason=f"modality {kind}",
        )
    if (part := text(dataset, "BodyPartExamined")) and not BODY_PARTS.search(part):
        raise PictureError(
            f"{path} does not show the chest (BodyPartExamined {part}): give a chest X-ray.", reason=f"body part {part}"
        )


def _grey(dataset: Dataset, path: Path) -> Image.Image:
    check_size(path, int(number(dataset, "Columns", 0)), int(number(dataset, "Rows", 0)))
    if (frames := number(dataset, "NumberOfFrames", 1)) > 1:
        raise PictureError(f"{path} has {frames:.0f} frames: give a single one.")
    if (samples := int(number(dataset, "SamplesPerPixel", 1))) not in (1, 3):
        raise PictureError(f"{path} has {samples} values for each pixel: export it with 1 (grey).")
    dataset.SamplesPerPixel = samples
    stored = _decompressed(dataset, path) if _compression(dataset) else dataset.pixel_array
    if samples == 3:
        return grey_picture(Image.fromarray(eight_bit_colour(stored)), path)
    if stored.ndim != 2:
        raise PictureError(f"{path} has more than one frame: give a single frame.")
    interpretation = text(dataset, "PhotometricInterpretation")
    if interpretation == "PALETTE COLOR":
        return grey_picture(Image.fromarray(eight_bit_colour(through_palette(stored, dataset))), path)
    if interpretation not in ("MONOCHROME1", "MONOCHROME2"):
        raise PictureError(f"{path} has the PhotometricInterpretation '{interpretation}': export it as MONOCHROME2.")
    padded = padding(stored, dataset)
    if padded.all():
        raise PictureError(f"{path} has nothing but padding: give a radiograph.", reason=BLANK)
    grey = displayed(stored, dataset, kept=~padded if padded.any() else None, path=path)
    if interpretation == "MONOCHROME1" or text(dataset, "PresentationLUTShape") == "INVERSE":
        grey = 255 - grey
    grey[padded] = 0
    return Image.fromarray(grey)
