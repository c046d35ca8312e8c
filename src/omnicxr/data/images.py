"""Any chest X-ray file => a square 8-bit grey picture, or one sentence that says why not."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from omnicxr.domain import UserError

MAX_PIXELS = 100_000_000
"""Larger files are refused before they are decoded."""
COLOUR_LIMIT = 24
"""Mean difference between colour channels (0..255) above which a picture is not a radiograph."""
JPEG_QUALITY = 95

Image.MAX_IMAGE_PIXELS = None  # our own limit, checked on the header before decoding


def load_image(path: Path | str, size: int) -> Image.Image:
    """Read PNG, JPEG, TIFF or DICOM of any size, 8 or 16 bit => mode "L", `size` x `size`, air dark.

    Raises UserError naming the file and the remedy for whatever cannot be read as a radiograph.
    """
    return to_square(read_image(path, size)[0], size)


def read_image(path: Path | str, size: int) -> tuple[Image.Image, str]:
    """Read PNG, JPEG, TIFF or DICOM => mode "L", and the ViewPosition of a DICOM header ("" elsewhere). Raises as
    `load_image`.

    A JPEG more than four times as large as `size` is decoded at a half, a quarter or an eighth, still at least twice as
    large as `size`.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"No such image file: {path}. Check the path.")
    return read_dicom(path) if _is_dicom(path) else (_read_picture(path, size), "")


def to_square(grey: Image.Image, size: int) -> Image.Image:
    """Pad with black to a square, then resize with antialiasing (Lanczos): the preprocessing of every image."""
    if grey.size == (size, size):
        return grey
    side = max(grey.size)
    padded = ImageOps.pad(grey, (side, side), color=0) if grey.width != grey.height else grey
    return padded.resize((size, size), Image.Resampling.LANCZOS)


def encode_png(grey: Image.Image, info: PngInfo | None = None) -> bytes:
    """Picture, and text chunks => bytes of a PNG file."""
    buffer = io.BytesIO()
    grey.save(buffer, format="PNG", pnginfo=info)
    return buffer.getvalue()


def encode_jpeg(grey: Image.Image, **metadata: Any) -> bytes:
    """Picture, and metadata as Pillow names them => bytes of a JPEG file."""
    buffer = io.BytesIO()
    grey.save(buffer, format="JPEG", quality=JPEG_QUALITY, **metadata)
    return buffer.getvalue()


def decode_image(data: bytes) -> np.ndarray:
    """Bytes of a prepared image => uint8 [size, size]."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("L"))


def check_pixels(path: Path, width: int, height: int) -> None:
    """Raises UserError for a picture too large to decode safely, or too small to be one."""
    if width * height > MAX_PIXELS:
        raise UserError(
            f"{path} has {width} x {height} pixels, more than {MAX_PIXELS // 10**6} million: scale it down first."
        )
    if min(width, height) < 16:
        raise UserError(f"{path} has only {width} x {height} pixels: give a picture of at least 16 x 16.")


def scale_to_8bit(values: np.ndarray) -> Image.Image:
    """Any numeric array => mode "L", lowest value black, highest white."""
    values = values.astype(np.float32)
    low, high = float(values.min()), float(values.max())
    return Image.fromarray(np.round((values - low) / max(high - low, 1e-6) * 255).astype(np.uint8))


def _is_dicom(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(132)
    return path.suffix.lower() in (".dcm", ".dicom") or head[128:] == b"DICM"


def _read_picture(path: Path, size: int) -> Image.Image:
    try:
        with warnings.catch_warnings(), Image.open(path) as picture:
            warnings.simplefilter("ignore")
            check_pixels(path, *picture.size)
            if picture.format == "JPEG":
                picture.draft(None, (2 * size, 2 * size))  # scales in the DCT domain
            picture.load()
            return _to_grey(picture, path)
    except UnidentifiedImageError:
        raise UserError(f"{path} is not an image: give a PNG, JPEG, TIFF or DICOM file.") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(f"{path} is damaged or incomplete ({error}): get the file again.") from error


def _to_grey(picture: Image.Image, path: Path) -> Image.Image:
    if picture.mode in ("L", "1", "LA"):
        return picture.convert("L")
    if picture.mode.startswith(("I", "F")):
        return scale_to_8bit(np.asarray(picture))
    colour = np.asarray(picture.convert("RGB")).astype(np.int16)
    spread = float((colour.max(-1) - colour.min(-1)).mean())
    if spread > COLOUR_LIMIT:
        raise UserError(f"{path} is a colour picture, not a radiograph: give a grey-scale chest X-ray.")
    return picture.convert("L")


def read_dicom(path: Path) -> tuple[Image.Image, str]:
    """DICOM => mode "L" (VOI window applied, MONOCHROME1 turned round, more than 8 bits stretched) and its
    ViewPosition. No other field is kept."""
    import pydicom
    from pydicom.errors import InvalidDicomError
    from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

    try:
        dataset = pydicom.dcmread(path)
        if "PixelData" not in dataset:
            raise UserError(f"{path} is a DICOM file without pixels: give an image object.")
        check_pixels(path, int(dataset.Columns), int(dataset.Rows))
        if int(dataset.get("NumberOfFrames", 1) or 1) > 1 or int(dataset.get("SamplesPerPixel", 1)) > 1:
            raise UserError(f"{path} has several frames or colour channels: give a single grey frame.")
        values = apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset)
    except InvalidDicomError:
        raise UserError(f"{path} is not a DICOM file: check what it is, or give a PNG or JPEG.") from None
    except (AttributeError, ValueError, RuntimeError, NotImplementedError, EOFError, OSError) as error:
        raise UserError(
            f"{path} cannot be decoded ({error}): install omnicxr[dicom] for compressed files, or export it"
            " uncompressed."
        ) from error
    already_8bit = int(dataset.BitsStored) == 8 and values.min() >= 0 and values.max() <= 255
    grey = Image.fromarray(np.round(values).astype(np.uint8)) if already_8bit else scale_to_8bit(values)
    grey = ImageOps.invert(grey) if dataset.get("PhotometricInterpretation") == "MONOCHROME1" else grey
    return grey, str(dataset.get("ViewPosition", "") or "").strip().upper()
