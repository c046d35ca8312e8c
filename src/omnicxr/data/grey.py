"""Values of any kind => 8-bit grey, and whether a picture can be a radiograph at all."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageOps

from omnicxr.domain import UserError

MAX_PIXELS = 64_000_000
"""Larger pictures are refused before they are decoded."""
MIN_SIDE = 16
MAX_SIDE = 20_000
"""Of the square that a picture is padded to, pixels."""
MAX_ASPECT = 8
"""Longer side over shorter side."""
COLOUR_LIMIT = 24
"""Mean difference between colour channels (0..255) above which a picture is not a radiograph."""
FLAT = 16
"""Grey levels from darkest to brightest below which a picture is blank."""
LEAST_TONES = 0.08
"""Least share of pixels outside the two commonest of 16 bands of grey: 0.28 and more in 4,700 real films, 0.07 and less
where words stand on a plain ground."""
ROWS = 256
"""That are worked out at a time, so that memory stays small."""
UNREADABLE = "unreadable"
BLANK = "blank or placeholder"


class PictureError(UserError):
    """This one picture cannot be used; always a single line."""

    def __init__(self, message: str, *, reason: str = UNREADABLE) -> None:
        """`reason`: what it is counted under."""
        super().__init__(" ".join(message.split()))
        self.reason = reason


def brief(error: Exception) -> str:
    """What a library said, fit to stand in a sentence."""
    said = " ".join(str(error).split())
    return f"{said[:150]} ..." if len(said) > 150 else said or type(error).__name__


def check_size(name: object, width: int, height: int) -> None:
    """Raises PictureError for a picture too large to decode safely, too small or too narrow to be one."""
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise PictureError(
            f"{name} has {width} x {height} pixels, more than {MAX_PIXELS // 10**6} million or {MAX_SIDE} on a side:"
            " scale it down first."
        )
    if min(width, height) < MIN_SIDE:
        raise PictureError(
            f"{name} has only {width} x {height} pixels: give a picture of at least {MIN_SIDE} x {MIN_SIDE}."
        )
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise PictureError(
            f"{name} has {width} x {height} pixels, more than {MAX_ASPECT} times as long as wide: cut out the"
            " radiograph."
        )


def check_frames(name: object, picture: Image.Image) -> None:
    """Raises PictureError for an animation or a file of several pages."""
    if (frames := getattr(picture, "n_frames", 1)) > 1:
        raise PictureError(f"{name} has {frames} pages or frames: save the one that is meant as a file of its own.")


def check_content(grey: Image.Image, name: object) -> None:
    """Raises PictureError for a picture of one tone, or of a plain ground with nothing but words or lines on it."""
    step = max(1, max(grey.size) // 512)
    levels = np.asarray(grey)[::step, ::step].astype(np.float32)
    low, high = float(levels.min()), float(levels.max())
    bands = np.bincount(((levels - low) / max(high - low, 1) * 15.99).astype(np.intp).ravel(), minlength=16)
    if high - low < FLAT or np.sort(bands)[:-2].sum() < LEAST_TONES * levels.size:
        raise PictureError(
            f"{name} is blank, or has nothing but words or lines on it: give a radiograph.", reason=BLANK
        )


def grey_picture(picture: Image.Image, name: object) -> Image.Image:
    """Picture of any mode => mode "L", upright, what is transparent black. Raises PictureError for a picture in
    colour."""
    tags = getattr(picture, "tag_v2", {})  # of a TIFF
    white_is_zero = tags.get(262) == 0
    if picture.mode == "L" and 2 in tags.get(339, ()):
        raise PictureError(f"{name} has signed 8-bit values: export it with unsigned ones.")
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith(("I", "F")):
        grey = Image.fromarray(eight_bit(np.asarray(picture), name))
        return ImageOps.invert(grey) if white_is_zero else grey  # Pillow turns the other modes round itself
    grey = picture.convert("L")
    if picture.has_transparency_data:
        black = Image.new("L", grey.size)
        grey = Image.composite(grey, black, picture.convert("RGBA").getchannel("A"))
    if picture.mode not in ("L", "1", "LA"):
        colour = np.asarray(picture.convert("RGB")).astype(np.int16)
        if float((colour.max(-1) - colour.min(-1)).mean()) > COLOUR_LIMIT:
            raise PictureError(f"{name} is a colour picture, not a radiograph: give a grey-scale chest X-ray.")
    return grey


def eight_bit(values: np.ndarray, name: object) -> np.ndarray:
    """Numbers of any range => uint8 of the same shape.

    Whole numbers of 0..255, and these over 255, are 8-bit values already; all others are stretched. Raises PictureError
    for NaN and infinity.
    """
    low, high = _ends(values, name)
    for unit in (1, 255) if values.dtype.kind == "f" else (1,):
        if low >= 0 and 127 < high * unit < 255.5:
            levels = np.rint(values * unit)
            if np.abs(values * unit - levels).max() < 0.1:
                return levels.astype(np.uint8)
    return stretched(values, name)


def stretched(values: np.ndarray, name: object, *, kept: np.ndarray | None = None, outliers: bool = True) -> np.ndarray:
    """Numbers of any range => uint8 of the same shape, the lowest 0, the highest 255.

    kept: bool, as `values`: what decides the range (all, if None). outliers: leave markers and the like, far outside of
    what the rest has, out of that. Raises PictureError for NaN and infinity.
    """
    deciding = values if kept is None else values[kept]
    low, high = _ends(deciding, name)
    if outliers:
        low, high = _without_outliers(deciding, low, high)
    out = np.empty(values.shape, np.uint8)
    for i in range(0, len(values), ROWS):
        scaled = values[i : i + ROWS].astype(np.float64 if values.dtype == np.float64 else np.float32)
        np.clip(scaled, low, high, out=scaled)
        out[i : i + ROWS] = np.round((scaled - low) / ((high - low) or 1.0) * 255)
    return out


def _ends(values: np.ndarray, name: object) -> tuple[float, float]:
    """Lowest and highest."""
    low, high = float(values.min()), float(values.max())
    if not math.isfinite(high - low):
        raise PictureError(f"{name} has values that are not finite numbers (NaN or infinity): export it again.")
    return low, high


def _without_outliers(values: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """The ends of what lies within the 5th and 95th percentile, widened by their distance to either side. The lowest
    and the highest value, often ground or burnt in, do not count for percentiles."""
    some = values.ravel()[:: 1 + values.size // 10**6]
    inner = some[(some > low) & (some < high)]
    if not inner.size:
        return low, high
    first, last = (float(p) for p in np.percentile(inner, (5, 95)))
    if first == last:
        return low, high
    usual = values[(values >= first - (last - first)) & (values <= last + (last - first))]
    return float(usual.min()), float(usual.max())
