"""Any chest X-ray file => a square 8-bit grey picture, or one sentence that says why not."""

from __future__ import annotations

import io
import stat
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from omnicxr.data.dicom import is_dicom, read_dicom
from omnicxr.data.grey import PictureError, brief, check_content, check_frames, check_size, grey_picture
from omnicxr.data.quiet import no_error_stream

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "JPEG2000", "PPM")
"""As Pillow names them; no others are opened."""
JPEG_QUALITY = 95

Image.MAX_IMAGE_PIXELS = None  # our own limit, checked on the header before decoding


def load_image(path: Path | str, size: int) -> Image.Image:
    """Read PNG, JPEG, TIFF or DICOM of any size, 8 or 16 bit => mode "L", `size` x `size`, air dark.

    Raises PictureError naming the file and the remedy for whatever cannot be read as a picture.
    """
    return to_square(read_image(path, size)[0], size)


def read_radiograph(path: Path | str, size: int) -> tuple[Image.Image, str]:
    """As `read_image`; raises PictureError for a blank picture and a placeholder, too."""
    grey, view = read_image(path, size)
    check_content(grey, path)
    return grey, view


def read_image(path: Path | str, size: int) -> tuple[Image.Image, str]:
    """Read PNG, JPEG, TIFF or DICOM => mode "L", and the ViewPosition of a DICOM header ("" elsewhere). Raises as
    `load_image`.

    A JPEG more than four times as large as `size` is decoded at a half, a quarter or an eighth, still at least twice as
    large as `size`.
    """
    path = Path(path)
    _check_file(path)
    return read_dicom(path) if is_dicom(path) else (_read_picture(path, size), "")


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


def _check_file(path: Path) -> None:
    """Nothing but a regular file is opened: a pipe or a device would never end."""
    try:
        mode = path.stat().st_mode
        with path.open("rb") if stat.S_ISREG(mode) else io.BytesIO():
            pass
    except FileNotFoundError:
        raise PictureError(f"No such image file: {path}. Check the path.") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise PictureError(f"The image file {path} cannot be opened ({why}): check the path.") from None
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"
        raise PictureError(f"{path} is {what}, not an image file: check the path.")


def _read_picture(path: Path, size: int) -> Image.Image:
    try:
        with (
            warnings.catch_warnings(action="ignore"),
            path.open("rb") as file,  # given the path, Pillow 13 garbles raw TIFFs that are to be turned
            Image.open(file, formats=FORMATS) as picture,
        ):
            check_size(path, *picture.size)
            check_frames(path, picture)
            if picture.format == "JPEG":
                picture.draft(None, (2 * size, 2 * size))  # scales in the DCT domain
            with no_error_stream() if picture.format == "TIFF" else nullcontext():
                picture.load()
            return grey_picture(picture, path)
    except PictureError:
        raise
    except UnidentifiedImageError:
        raise PictureError(
            f"{path} is not an image, or of a kind that is not read: give a PNG, JPEG or DICOM file."
        ) from None
    except Exception as error:  # whatever a decoder raises means that this one file is damaged
        raise PictureError(f"{path} is damaged or incomplete ({brief(error)}): get the file again.") from error
