"""What is stored in a DICOM file => what is displayed: modality and VOI transformations, padding, palettes."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from omnicxr.data.grey import stretched

if TYPE_CHECKING:  # reading other pictures does not wait for it
    from pydicom import Dataset

LEAST_SHOWN = 0.01
"""Share of pixels that a window or look-up table must leave between its darkest and brightest."""


def displayed(stored: np.ndarray, dataset: Dataset, *, kept: np.ndarray | None, path: Path) -> np.ndarray:
    """Stored values => uint8, through modality and VOI transformations. kept: what is no padding; None if all is."""
    values = _rescaled(stored, dataset)
    shown = _through_voi(values, dataset, kept)
    final = values if shown is None else shown
    if int(dataset.BitsStored) == 8 and final.min() >= 0 and final.max() <= 255:
        return np.round(final).astype(np.uint8)
    return stretched(final, path, kept=kept, outliers=shown is None)


def _rescaled(stored: np.ndarray, dataset: Dataset) -> np.ndarray:
    """Through the modality look-up table, else slope and intercept, which may be empty. Raises ValueError where they
    leave nothing."""
    for item in dataset.get("ModalityLUTSequence") or ():
        return _looked_up(stored, item, dataset=dataset)
    slope, intercept = number(dataset, "RescaleSlope", 1), number(dataset, "RescaleIntercept", 0)
    if slope == 0 or not math.isfinite(slope + intercept):
        raise ValueError(f"RescaleSlope {slope:g} and RescaleIntercept {intercept:g} leave nothing")
    if (slope, intercept) == (1, 0):
        return stored
    values = stored.astype(np.float64)
    values *= slope
    values += intercept
    return values


def _through_voi(values: np.ndarray, dataset: Dataset, kept: np.ndarray | None) -> np.ndarray | None:
    """Through the first VOI look-up table, else window, that is whole and leaves something to see; None if there is
    none."""
    ways: list[Callable[[np.ndarray], np.ndarray]] = [
        partial(_looked_up, item=item, dataset=dataset) for item in dataset.get("VOILUTSequence") or ()
    ]
    centers, widths = _numbers(dataset, "WindowCenter"), _numbers(dataset, "WindowWidth")
    top, function = 2.0 ** int(dataset.BitsStored) - 1, text(dataset, "VOILUTFunction")
    for center, width in zip(centers, widths, strict=False):
        ways.append(partial(_windowed, center=center, width=width, function=function, top=top))
    step = max(1, max(values.shape) // 2048)
    for way in ways:
        try:
            shown = way(values)
        except Exception:  # whatever is wrong with a table or window: it counts as absent
            continue
        seen = shown[::step, ::step] if kept is None else shown[kept]
        if np.isfinite(seen).all() and ((seen > seen.min()) & (seen < seen.max())).mean() >= LEAST_SHOWN:
            return shown
    return None


def _windowed(values: np.ndarray, *, center: float, width: float, function: str, top: float) -> np.ndarray:
    """Values => 0..`top`, by DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3. Raises ValueError for a width that is none."""
    linear = function not in ("LINEAR_EXACT", "SIGMOID")
    if not (width > 1 if linear else width > 0):
        raise ValueError("no width")
    if linear:
        center, width = center - 0.5, width - 1
    shown = values.astype(np.float64)
    shown -= center
    shown /= width
    if function == "SIGMOID":
        with np.errstate(over="ignore"):
            return top / (1 + np.exp(-4 * shown))
    shown += 0.5
    shown *= top
    return np.clip(shown, 0, top, out=shown)


def _looked_up(values: np.ndarray, item: Dataset, *, dataset: Dataset, name: str = "LUT") -> np.ndarray:
    """Values through the table `name` of `item`, by DICOM PS3.3 C.11.1.1. Raises ValueError for a table that is shorter
    than it says."""
    entries, first, _ = (int(v) for v in item[f"{name}Descriptor"].value)
    entries = entries or 2**16
    if first >= 2**15 and values.min() < 0:  # signed, and read as unsigned
        first -= 2**16
    data: Any = item[f"{name}Data"].value
    if isinstance(data, bytes):
        little = dataset.file_meta.TransferSyntaxUID.is_little_endian
        data = np.frombuffer(data, ("<u2" if little else ">u2") if len(data) >= 2 * entries else np.uint8)
    table = np.atleast_1d(np.asarray(data))
    if len(table) < entries:
        raise ValueError(f"{name} has {len(table)} of {entries} entries")
    return table[np.clip(np.rint(values).astype(np.int64) - first, 0, entries - 1)]


def through_palette(stored: np.ndarray, dataset: Dataset) -> np.ndarray:
    """Indices => [h, w, 3]."""
    from pydicom.pixels.processing import apply_color_lut

    names = [f"{colour}PaletteColorLookupTable" for colour in ("Red", "Green", "Blue")]
    if f"{names[0]}Data" not in dataset:  # in segments
        return apply_color_lut(stored, dataset)[..., :3]
    return np.stack([_looked_up(stored, dataset, dataset=dataset, name=name) for name in names], axis=-1)


def eight_bit_colour(values: np.ndarray) -> np.ndarray:
    """uint8 or uint16 => uint8."""
    top = int(values.max())
    return (values >> max(0, top.bit_length() - 8)).astype(np.uint8)


def padding(stored: np.ndarray, dataset: Dataset) -> np.ndarray:
    """bool [h, w]: PixelPaddingValue, and on to PixelPaddingRangeLimit."""
    ends = _numbers(dataset, "PixelPaddingValue")[:1]
    if not ends:
        return np.zeros(stored.shape, bool)
    ends += _numbers(dataset, "PixelPaddingRangeLimit")[:1]
    kind = np.iinfo(stored.dtype)
    around = 2**kind.bits  # a signed number that was written as an unsigned one, or the other way round
    ends = [end - around if end > kind.max else end + around if end < kind.min else end for end in ends]
    return (stored >= min(ends)) & (stored <= max(ends))


def _numbers(dataset: Dataset, keyword: str) -> list[float]:
    """The values of an element; none where it is absent, empty or not a number."""
    try:
        value: Any = dataset.get(keyword)
        return [float(v) for v in ([value] if isinstance(value, str | int | float) else value or ())]
    except Exception:  # of whatever kind the value is that stands there
        return []


def number(dataset: Dataset, keyword: str, default: float) -> float:
    """The value of an element that is absent or empty by default. Raises ValueError for one that is no number."""
    value: Any = dataset.get(keyword)
    try:
        return default if value is None or value == "" else float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{keyword} is {value!r}") from None


def text(dataset: Dataset, keyword: str) -> str:
    """In capitals, no longer than the standard allows by far; "" where absent."""
    value: Any = dataset.get(keyword)
    text = "" if value is None else value if isinstance(value, str) else "\\".join(map(str, value))
    return " ".join("".join(c for c in text if c.isprintable()).upper().split())[:32]
