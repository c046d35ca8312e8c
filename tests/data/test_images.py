import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from omnicxr.data import grey
from omnicxr.data.grey import BLANK, PictureError
from omnicxr.data.images import load_image, read_image, read_radiograph
from omnicxr.domain import UserError
from tests.data.test_dicom import write_dicom

RAMP = np.linspace(0, 255, 64 * 48).reshape(48, 64)
GREY = RAMP.round().astype(np.uint8)
DEEP = GREY.astype(np.uint16) * 257


def expected(size: int) -> np.ndarray:
    padded = np.zeros((64, 64), np.uint8)
    padded[8:56] = RAMP.round()
    return np.asarray(Image.fromarray(padded).resize((size, size), Image.Resampling.LANCZOS)).astype(int)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp", "a.gif", "a.jp2", "a.pgm"])
def test_8_bit(tmp_path: Path, name: str) -> None:
    Image.fromarray(GREY).save(tmp_path / name)
    assert (np.asarray(load_image(tmp_path / name, 32)) == expected(32)).all()


def test_16_bit_png_and_jpeg(tmp_path: Path) -> None:
    Image.fromarray((RAMP * 200).astype(np.uint16)).save(tmp_path / "deep.png")
    Image.fromarray(GREY).save(tmp_path / "a.jpg", quality=98)
    for name in ("deep.png", "a.jpg"):
        assert np.abs(np.asarray(load_image(tmp_path / name, 32)).astype(int) - expected(32)).max() <= 3


def colour(path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(path)


def truncated(path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200), np.uint8)).save(path, format="JPEG")
    path.write_bytes(path.read_bytes()[:3000])


def huge(path: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(path, format="PNG")


def pages(path: Path) -> None:
    Image.fromarray(GREY).save(path, save_all=True, append_images=[Image.fromarray(255 - GREY)])


def not_finite(value: float) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        values = (RAMP / 255).astype(np.float32)
        values[3, 3] = value
        Image.fromarray(values).save(path)

    return make


def words(path: Path) -> None:
    picture = Image.new("L", (256, 256), 20)
    ImageDraw.Draw(picture).multiline_text((30, 40), "NO\nIMAGE\nAVAILABLE", fill=230, font_size=36)
    picture.save(path)


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing.png": (lambda p: None, "No such image"),
    "text.png": (lambda p: p.write_text("hello"), "not an image"),
    "empty.png": (lambda p: p.write_bytes(b""), "not an image"),
    "a.eps": (lambda p: Image.fromarray(GREY).save(p), "not an image"),
    "cut.jpg": (truncated, "damaged"),
    "colour.png": (colour, "colour"),
    "huge.png": (huge, "20000 x 20000"),
    "no-pixels.dcm": (lambda p: write_dicom(p, None), "without pixels"),
    "fake.dcm": (lambda p: p.write_bytes(b"x" * 500), "not a DICOM"),
    "speck.png": (lambda p: Image.new("L", (3, 3)).save(p), "3 x 3"),
    "strip.png": (lambda p: Image.new("L", (9000, 16)).save(p), "9000 x 16"),
    "line.png": (lambda p: Image.new("L", (60_000, 16)).save(p), "60000 x 16"),
    "film.gif": (pages, "2 pages or frames"),
    "film.webp": (pages, "2 pages or frames"),
    "film.png": (pages, "2 pages or frames"),
    "film.tif": (pages, "2 pages or frames"),
    "nan.tif": (not_finite(np.nan), "not finite"),
    "infinite.tif": (not_finite(-np.inf), "not finite"),
    "folder.png": (lambda p: p.mkdir(), "is a folder"),
    "pipe.png": (os.mkfifo, "pipe or a device"),
    "pipe.dcm": (os.mkfifo, "pipe or a device"),
    "device.png": (lambda p: p.symlink_to("/dev/zero"), "pipe or a device"),
    "loop.png": (lambda p: p.symlink_to(p), "cannot be opened"),
    "n" * 300: (lambda p: None, "cannot be opened"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_say_what_is_wrong(tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str) -> None:
    make, said = BAD[name]
    path = tmp_path / name
    make(path)
    with pytest.raises(UserError, match=said) as error:
        load_image(path, 64)
    assert name in str(error.value) and "\n" not in str(error.value)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("kind", ["tiff_lzw", "tiff_deflate"])
def test_damaged_tiffs_are_refused_without_a_word_of_the_decoder(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], kind: str
) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(GREY).save(path, compression=kind)
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    for _ in range(20):
        changed = bytearray(whole)
        for place in rng.integers(8, len(whole), 4):
            changed[place] = rng.integers(256)
        path.write_bytes(changed)
        try:
            read_image(path, 64)
        except PictureError as error:
            assert str(path) in str(error)
    assert capfd.readouterr().err == ""


BLANKS: dict[str, Callable[[Path], object]] = {
    "black.png": lambda p: Image.new("L", (99, 99)).save(p),
    "grey.jpg": lambda p: Image.new("L", (99, 99), 128).save(p),
    "deep.png": lambda p: Image.new("I;16", (99, 99), 700).save(p),
    "bits.png": lambda p: Image.fromarray(GREY).convert("1").save(p),
    "words.png": words,
    "words.jpg": words,
    "blank.dcm": lambda p: write_dicom(p, np.full((64, 64), 900)),
}


@pytest.mark.parametrize("name", BLANKS)
def test_blank_pictures_and_placeholders_are_no_radiographs(tmp_path: Path, name: str) -> None:
    BLANKS[name](tmp_path / name)
    load_image(tmp_path / name, 64)  # what somebody generated may be blank
    with pytest.raises(PictureError, match="is blank") as error:
        read_radiograph(tmp_path / name, 64)
    assert error.value.reason == BLANK


def test_own_limit_is_checked_before_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grey, "MAX_PIXELS", 100)
    Image.new("L", (20, 20)).save(tmp_path / "a.png")
    with pytest.raises(UserError, match="20 x 20"):
        load_image(tmp_path / "a.png", 64)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif"])
@pytest.mark.parametrize("orientation", range(1, 10))
def test_pictures_are_turned_upright(tmp_path: Path, name: str, orientation: int) -> None:
    turn = Image.Transpose
    turns = {
        2: turn.FLIP_LEFT_RIGHT,
        3: turn.ROTATE_180,
        4: turn.FLIP_TOP_BOTTOM,
        5: turn.TRANSPOSE,
        6: turn.ROTATE_90,
        7: turn.TRANSVERSE,
        8: turn.ROTATE_270,
    }
    upright = Image.fromarray(GREY)
    stored = upright.transpose(turns[orientation]) if orientation in turns else upright
    exif = Image.Exif()
    exif[274] = orientation
    stored.save(tmp_path / name, exif=exif, quality=98)
    got = np.asarray(read_image(tmp_path / name, 64)[0]).astype(int)
    assert np.abs(got - GREY).max() <= 3


def tiff(values: np.ndarray, *, white_is_zero: bool) -> bytes:
    """An uncompressed file of one strip."""
    kind = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    tags = {
        256: values.shape[1], 257: values.shape[0], 258: values.dtype.itemsize * 8, 259: 1, 262: int(not white_is_zero),
        273: 8, 277: 1, 278: values.shape[0], 279: values.nbytes, 339: kind,
    }  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    head = b"II*\0" + struct.pack("<I", 8 + values.nbytes)
    return head + values.tobytes() + struct.pack("<H", len(tags)) + entries + b"\0" * 4


@pytest.mark.parametrize("white_is_zero", [True, False])
@pytest.mark.parametrize("kind", ["u1", "<u2", "<f4"])
def test_white_is_zero(tmp_path: Path, kind: str, white_is_zero: bool) -> None:
    top = {"u1": 255, "<u2": 65535, "<f4": 1}[kind]
    values = DEEP / 65535 * top
    (tmp_path / "a.tif").write_bytes(
        tiff((top - values if white_is_zero else values).astype(kind), white_is_zero=white_is_zero)
    )
    assert np.abs(np.asarray(read_image(tmp_path / "a.tif", 64)[0]).astype(int) - GREY).max() <= 1


def test_signed_tiffs(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(tiff((GREY.astype(int) * 16 - 2000).astype("<i2"), white_is_zero=False))
    assert np.abs(np.asarray(read_image(tmp_path / "a.tif", 64)[0]).astype(int) - GREY).max() <= 1
    (tmp_path / "b.tif").write_bytes(tiff((GREY.astype(int) - 128).astype("i1"), white_is_zero=False))
    with pytest.raises(PictureError, match="signed"):
        read_image(tmp_path / "b.tif", 64)


def test_what_is_transparent_is_black(tmp_path: Path) -> None:
    alpha = np.full_like(GREY, 255)
    alpha[:, :20] = 0
    hidden = np.where(alpha == 0, 255, GREY)
    Image.fromarray(np.dstack([hidden] * 3 + [alpha])).save(tmp_path / "rgba.png")
    Image.fromarray(np.dstack([hidden, alpha])).save(tmp_path / "la.png")
    for name in ("rgba.png", "la.png"):
        assert (np.asarray(read_image(tmp_path / name, 64)[0]) == np.where(alpha == 0, 0, GREY)).all()


def test_a_burnt_in_marker_leaves_the_contrast(tmp_path: Path) -> None:
    values = (RAMP * 16).astype(np.uint16)
    values[:6, :6] = 65535
    Image.fromarray(values).save(tmp_path / "a.png")
    got = np.asarray(read_image(tmp_path / "a.png", 64)[0]).astype(int)
    assert np.abs(got - RAMP)[6:].max() <= 1
    assert (got[:6, :6] == 255).all()


def test_8_bits_are_not_stretched(tmp_path: Path) -> None:
    """Whatever they are stored in."""
    values = GREY // 4 + 100
    forms = (
        values,
        values.astype(np.uint16),
        values.astype(np.int32),
        values.astype(np.float32),
        values / np.float32(255),
    )
    for i, form in enumerate(forms):
        Image.fromarray(form).save(tmp_path / f"{i}.tif")
        assert (np.asarray(read_image(tmp_path / f"{i}.tif", 64)[0]) == values).all()
