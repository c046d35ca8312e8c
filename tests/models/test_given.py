from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from omnicxr.domain import Modality, UserError
from omnicxr.models.given import read_given

U8 = np.random.default_rng(0).integers(10, 200, (80, 60)).astype(np.uint8)
U16 = U8.astype(np.uint16) * 20
SIZE = 32


def given(value: Any) -> list[np.ndarray]:
    return read_given(Modality.FRONTAL, value, SIZE)


def file(folder: Path, values: np.ndarray) -> np.ndarray:
    Image.fromarray(values).save(folder / "a.png")
    (picture,) = given(str(folder / "a.png"))
    assert picture.shape == (SIZE, SIZE) and picture.dtype == np.uint8
    return picture


@pytest.mark.parametrize("mode", ["L", "P", "LA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "I", "I;16", "F"])
def test_pil_pictures_of_every_mode(tmp_path: Path, mode: str) -> None:
    (got,) = given(Image.fromarray(U8).convert(mode))
    assert (got == file(tmp_path, U8)).all()


EIGHT: dict[str, Any] = {
    "array": U8,
    "not contiguous": np.asfortranarray(U8),
    "int64": U8.astype(np.int64),
    "0..255": U8.astype(np.float32),
    "0..1": U8 / 255,
    "float16": (U8 / 255).astype(np.float16),
    "channel last": U8[..., None],
    "grey RGB": np.stack([U8] * 3, -1),
    "grey RGBA": np.dstack([U8] * 3 + [np.full_like(U8, 255)]),
    "tensor": torch.from_numpy(U8),
    "tensor 0..1": torch.from_numpy(U8 / 255).float()[None],
    "tensor RGB": torch.from_numpy(U8 / 255).float().repeat(3, 1, 1),
    "tensor with gradient": torch.from_numpy(U8 / 255).requires_grad_(),
    "list": [U8],
    "tuple": (Image.fromarray(U8),),
}
SIXTEEN: dict[str, Any] = {
    "array": U16,
    "big-endian": U16.astype(">u2"),
    "PIL": Image.fromarray(U16),
    "int32": U16.astype(np.int32),
    "float": U16.astype(float),
    "tensor": torch.from_numpy(U16.astype(np.int32)),
}


@pytest.mark.parametrize(
    ("stored", "value"),
    [pytest.param(U8, v, id=k) for k, v in EIGHT.items()] + [pytest.param(U16, v, id=k) for k, v in SIXTEEN.items()],
)
def test_everything_is_as_the_file(tmp_path: Path, stored: np.ndarray, value: Any) -> None:
    (got,) = given(value)
    assert (got == file(tmp_path, stored)).all()


@pytest.mark.parametrize("values", [U8 / 127.5 - 1, U8 * 1e-12, torch.from_numpy(U8 / 255).bfloat16()], ids=str)
def test_floats_of_other_ranges_are_stretched(values: Any) -> None:
    (got,), (wanted,) = given(values), given(U16)
    assert np.abs(got.astype(int) - wanted).max() <= 1


OTHER = 255 - U8


@pytest.mark.parametrize(
    "value",
    [
        np.stack([U8, OTHER, U8]),
        np.stack([U8, OTHER, U8])[:, None],
        np.stack([U8, OTHER, U8])[..., None],
        np.stack([np.stack([p] * 3) for p in (U8, OTHER, U8)]),
        torch.from_numpy(np.stack([U8, OTHER, U8])),
        [U8, Image.fromarray(OTHER), torch.from_numpy(U8)],
    ],
)
def test_several_studies(value: Any) -> None:
    got = given(value)
    assert len(got) == 3
    for picture, single in zip(got, (U8, OTHER, U8), strict=True):
        assert (picture == given(single)[0]).all()


@pytest.mark.parametrize(
    ("value", "kind", "said"),
    [
        (3, TypeError, "frontal is of type int"),
        (b"x", TypeError, "frontal is of type bytes"),
        ({"a": U8}, TypeError, "frontal is of type dict"),
        ([U8, None], TypeError, r"frontal\[1\] is of type NoneType"),
        (U8.astype(object), TypeError, "frontal is an array of object"),
        (U8.astype(complex), TypeError, "frontal is an array of complex"),
        (np.array(["a.png"]), TypeError, "frontal is an array of <U5"),
        (torch.zeros(64, 64, device="meta"), TypeError, "frontal is a tensor that holds no plain values"),
        (torch.zeros(64, 64).to_sparse(), TypeError, "frontal is a tensor that holds no plain values"),
        (U8[0], UserError, "frontal has the shape"),
        (np.zeros((2, 2, 2, 64, 64)), UserError, "frontal has the shape"),
        (np.zeros((2, 2, 64, 64)), UserError, "frontal has the shape"),
        (np.zeros((0, 0)), UserError, "frontal has only 0 x 0"),
        (np.zeros((1, 1)), UserError, "frontal has only 1 x 1"),
        (Image.new("L", (1, 1)), UserError, "frontal has only 1 x 1"),
        (np.zeros((16, 900)), UserError, "frontal has 900 x 16"),
        (np.where(U8 > 150, np.nan, U8), UserError, "frontal has values that are not finite"),
        (np.where(U8 > 150, np.inf, U8), UserError, "frontal has values that are not finite"),
        (np.zeros((64, 64), np.uint8), UserError, "frontal is blank"),
        (np.ones((2, 64, 64)), UserError, r"frontal\[0\] is blank"),
        (U8 > 100, UserError, "frontal is blank"),
        (np.dstack([U8, OTHER, np.roll(U8, 9)]), UserError, "frontal is a colour picture"),
        (Image.fromarray(np.dstack([U8, OTHER, np.roll(U8, 9)])), UserError, "frontal is a colour picture"),
        (Image.fromarray(U8).convert("LAB"), UserError, "frontal cannot be read"),
        ([np.stack([U8, U8])], UserError, r"frontal\[0\] holds 2 pictures"),
        ("nowhere.png", UserError, "No such image file: nowhere.png"),
    ],
)
def test_what_cannot_be_used_is_named(value: Any, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        given(value)


def test_pictures_of_prepared_data_are_used_unseen() -> None:
    blank = np.zeros((SIZE, SIZE), np.uint8)
    for value in (blank, [blank]):
        assert (read_given(Modality.LATERAL, value, SIZE, prepared=True)[0] == blank).all()


@pytest.mark.parametrize(
    ("text", "kind"), [(b"Clear.", TypeError), (None, TypeError), (3, TypeError), (" ", UserError)]
)
def test_reports_are_texts(text: Any, kind: type[Exception]) -> None:
    assert read_given(Modality.REPORT, [" Clear. ", "Wide."], SIZE) == ["Clear.", "Wide."]
    with pytest.raises(kind, match=r"report\[1\]"):
        read_given(Modality.REPORT, ["Clear.", text], SIZE)
