"""What users give from Python => squared uint8 pictures and report texts, one for each study."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from omnicxr.data.grey import PictureError, brief, check_content, check_frames, check_size, eight_bit, grey_picture
from omnicxr.data.images import read_radiograph, to_square
from omnicxr.domain import Modality, UserError

CHANNELS = (1, 3, 4)


def read_given(modality: Modality, value: Any, size: int, *, prepared: bool = False) -> list[Any]:
    """One part of one study or of several => uint8 [size, size] pictures, or texts, one for each study.

    Pictures: a path, PIL image, array or tensor, or a list or tuple of these. Arrays: [h, w], with channels [h, w, c],
    several [n, h, w], [n, h, w, c] or [n, c, h, w], where c is 1, 3 or 4; a tensor [3, h, w] of three equal planes is
    one picture. Their values are as `eight_bit` takes them. prepared: uint8 [h, w] of prepared data, which have been
    looked at. Raises TypeError for another type, UserError for what is empty, in colour, no radiograph or not finite.
    """
    read = _text if modality is Modality.REPORT else _picture if prepared else _pictures
    if isinstance(value, list | tuple):
        return [_only(f"{modality}[{i}]", v, size, read=read) for i, v in enumerate(value)]
    return read(str(modality), value, size)


def _only(name: str, value: Any, size: int, *, read: Callable[[str, Any, int], list[Any]]) -> Any:
    found = read(name, value, size)
    if len(found) != 1:
        raise UserError(f"{name} holds {len(found)} pictures: give one for each study.")
    return found[0]


def _text(name: str, value: Any, size: int) -> list[str]:
    if not isinstance(value, str):
        raise TypeError(f"{name} is of type {type(value).__name__}: give text.")
    if not value.strip():
        raise UserError(f"The {name} is empty: write at least one sentence.")
    return [value.strip()]


def _picture(name: str, value: Any, size: int) -> list[np.ndarray]:
    return [np.asarray(to_square(Image.fromarray(np.asarray(value)), size))]


def _pictures(name: str, value: Any, size: int) -> list[np.ndarray]:
    if isinstance(value, str | os.PathLike):
        return [np.asarray(to_square(read_radiograph(Path(value), size)[0], size))]
    if isinstance(value, Image.Image):
        return [_squared(name, value, size)]
    if isinstance(value, torch.Tensor):
        value = _array(name, value)
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name} is of type {type(value).__name__}: give a path, a PIL image, an array or a tensor.")
    if value.dtype.kind not in "buif":
        raise TypeError(f"{name} is an array of {value.dtype}: give one of numbers (uint8, uint16, float).")
    pictures = _separated(name, value)
    names = [name] if len(pictures) == 1 else [f"{name}[{i}]" for i in range(len(pictures))]
    return [_squared(n, _image(n, picture), size) for n, picture in zip(names, pictures, strict=True)]


def _array(name: str, tensor: torch.Tensor) -> np.ndarray:
    if tensor.is_meta or tensor.layout is not torch.strided or tensor.is_quantized:
        raise TypeError(f"{name} is a tensor that holds no plain values ({tensor.layout} on {tensor.device}).")
    tensor = tensor.detach().cpu()
    if tensor.ndim == 3 and len(tensor) == 3 and (tensor == tensor[:1]).all():
        tensor = tensor[0]
    return (tensor.float() if tensor.is_floating_point() else tensor).numpy()


def _separated(name: str, values: np.ndarray) -> list[np.ndarray]:
    """Each picture of an array, [h, w] or [h, w, c]."""
    if values.ndim == 2 or (values.ndim == 3 and values.shape[-1] in CHANNELS):
        return [values]
    if values.ndim == 4 and values.shape[-1] not in CHANNELS and values.shape[1] in CHANNELS:
        values = np.moveaxis(values, 1, -1)
    if values.ndim == 3 or (values.ndim == 4 and values.shape[-1] in CHANNELS):
        return list(values)
    raise UserError(f"{name} has the shape {values.shape}: give [h, w], or [n, h, w] for several studies.")


def _image(name: str, values: np.ndarray) -> Image.Image:
    check_size(name, values.shape[1], values.shape[0])
    values = values[..., 0] if values.shape[2:] == (1,) else values
    grey = values if values.dtype == np.uint8 else eight_bit(values, name)
    return Image.fromarray(np.ascontiguousarray(grey))


def _squared(name: str, picture: Image.Image, size: int) -> np.ndarray:
    check_size(name, *picture.size)
    check_frames(name, picture)
    try:
        grey = grey_picture(picture, name)
    except PictureError:
        raise
    except Exception as error:  # it may be read only now, from a file that is damaged or closed, or be of an odd mode
        raise PictureError(f"{name} cannot be read ({brief(error)}): give a grey picture.") from error
    check_content(grey, name)
    return np.asarray(to_square(grey, size))


def named_parts(generate: Any) -> tuple[Any, ...]:
    """Names of parts, given as a string of them with commas, one of them or several. Raises TypeError for others."""
    names = generate.split(",") if isinstance(generate, str) else generate
    names = list(names) if isinstance(names, Iterable) else [names]
    if not all(isinstance(name, str) for name in names):
        raise TypeError(f"generate is {generate!r}: give names, such as ('frontal', 'report').")
    return tuple(names)


def check_counts(**values: Any) -> None:
    """Whole numbers from 1. Raises TypeError or UserError naming the argument."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise TypeError(f"{name} is {value!r}: give a whole number.")
        if value < 1:
            raise UserError(f"{name} is {value}: ask for at least 1.")


def number_of_studies(listed: dict[Modality, list[Any]]) -> int:
    """How many studies are given, 1 where nothing is. Raises UserError for parts of different numbers, or none."""
    lengths = {m: len(v) for m, v in listed.items()}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{n} of {m}" for m, n in lengths.items())
        raise UserError(f"Different numbers of inputs ({counts}): give one of each for every study.")
    if empty := [m for m, n in lengths.items() if n == 0]:
        raise UserError(f"An empty list was given as {empty[0]}: give at least one study.")
    return next(iter(lengths.values()), 1)
