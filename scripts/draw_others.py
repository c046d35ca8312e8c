"""Pictures that are no chest radiographs, for `make_radiograph_rule.py`: slices of CTs, rays along the body, drawn
limbs and hands, pages of text, patterns and noise. All functions return uint8 [SIZE, SIZE]."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps
from project_ct import Body, read_body, read_nifti

SIZE = 256
WINDOWS = ((-600, 1500), (40, 400), (300, 2000), (-200, 2000))
"""Level and width, HU: lung, soft tissue, bone, all."""
PLANES = ("axial", "coronal", "sagittal")
WORDS = ("the", "of", "lung", "report", "picture", "finding", "heart", "no", "is", "study", "normal", "clear", "small")
Point = tuple[float, float]


def squared(picture: Image.Image) -> np.ndarray:
    """Any picture => padded with black."""
    side = max(picture.size)
    padded = ImageOps.pad(picture.convert("L"), (side, side))
    return np.asarray(padded.resize((SIZE, SIZE), Image.Resampling.LANCZOS))


def grey_of(values: np.ndarray) -> np.ndarray:
    """Any range => 0..255."""
    return ((values - values.min()) / max(float(np.ptp(values)), 1e-6) * 255).astype(np.uint8)


def ct_slices(path: Path, each: int, rng: np.random.Generator) -> dict[str, list[np.ndarray]]:
    """Kind => `each` slices of one CT in one of `WINDOWS`."""
    hu, spacing = read_nifti(path)
    found: dict[str, list[np.ndarray]] = {f"CT slice, {name}": [] for name in PLANES}
    for plane, name in enumerate(PLANES):
        across = np.delete(spacing, plane)
        for position in rng.uniform(0.06, 0.94, each) * hu.shape[plane]:
            cut = np.take(hu, int(position), plane).astype(np.float32)
            level, width = WINDOWS[rng.integers(len(WINDOWS))]
            shown = (np.clip((cut - level) / width + 0.5, 0, 1) * 255).astype(np.uint8)[:: -1 if plane else 1]
            size = (int(cut.shape[1] * across[1]), int(cut.shape[0] * across[0]))
            if shown.std() > 2:
                found[f"CT slice, {name}"].append(squared(Image.fromarray(shown).resize(size)))
    return found


def along_the_body(path: Path, count: int, rng: np.random.Generator) -> dict[str, list[np.ndarray]]:
    """Rays from the head through a part of the chest, and films of the abdomen alone where the CT goes that far."""
    body: Body = read_body(path, 2.0)
    density = body.density.numpy()
    head, abdomen = [], []
    for i in range(count):
        low, high = sorted(rng.integers(0, density.shape[1], 2))
        head.append(_film(density[:, low : max(high, low + 8)].sum(1), rng))
        bottom = int(body.lungs[0][0])
        if bottom > 20:
            abdomen.append(squared(Image.fromarray(_film(density[:, :bottom].sum(2 + i % 2)[:, ::-1], rng))))
    heads = [squared(Image.fromarray(picture)) for picture in head]
    return {"rays along the body": heads} | ({"abdomen": abdomen} if abdomen else {})


def _film(sums: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """[2, h, w] of soft tissue and bone, voxels of 2 mm => uint8 [h, w]."""
    return grey_of(1 - np.exp(-rng.uniform(0.004, 0.03) * (sums[0] + rng.uniform(0.3, 2) * sums[1])))


def chord(start: Point, end: Point, radius: float, at_ends: float) -> np.ndarray:
    """Length of rays through a rod, wider or narrower at its ends; coordinates -1..1, (column, row)."""
    rows, columns = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j]
    along = np.subtract(end, start)
    length = np.hypot(*along)
    u, v = along / length
    s, d = (columns - start[0]) * u + (rows - start[1]) * v, (rows - start[1]) * u - (columns - start[0]) * v
    width = radius + (at_ends - radius) * np.abs(np.clip(s / length, 0, 1) * 2 - 1) ** 4
    beyond = np.maximum(np.abs(s - length / 2) - length / 2, 0)
    return 2 * np.sqrt(np.maximum(width**2 - d**2 - beyond**2, 0))


def bone(start: Point, end: Point, radius: float) -> np.ndarray:
    """A long bone: a rod that is hollow in its middle."""
    return 1.6 * (chord(start, end, radius, radius * 1.6) - 0.6 * chord(start, end, radius * 0.6, radius * 1.4))


def drawn_limb(rng: np.random.Generator) -> np.ndarray:
    """An arm or leg of one bone or two, in one piece or with a joint."""
    x, lean = rng.normal(0, 0.15), rng.normal(0, 0.2)
    sums = rng.uniform(0.2, 0.7) * chord(
        (x - lean, -1.6), (x + lean, 1.6), rng.uniform(0.2, 0.6), rng.uniform(0.2, 0.5)
    )
    joint, place, apart = rng.random() < 0.5, rng.uniform(-0.6, 0.6), rng.uniform(0.08, 0.18)
    for aside in (-apart, apart) if rng.random() < 0.6 else (0.0,):
        top, bottom, radius = (x - lean + aside, -1.5), (x + lean + aside, 1.5), rng.uniform(0.04, 0.13)
        if joint:
            sums += bone(top, (x + aside, place), radius) + bone((x + aside, place + 0.15), bottom, radius)
        else:
            sums += bone(top, bottom, radius)
    return _exposed(sums, rng)


def drawn_hand(rng: np.random.Generator) -> np.ndarray:
    """A palm, five fingers of four bones, and the forearm."""
    sums = 0.4 * chord((0, 0.2), (0, 0.8), 0.45, 0.4) + 0.4 * chord((0, 0.6), (0, 1.5), 0.25, 0.25)
    for side in np.linspace(-0.8, 0.8, 5):
        length, x = (1.3 if abs(side) < 0.6 else 0.95), side * 0.45
        tip = np.array([np.sin(side * 0.5), -np.cos(side * 0.5)]) * length
        place = [(float(x + tip[0] * f), float(0.4 + tip[1] * f)) for f in (0, 0.4, 0.43, 0.68, 0.7, 0.86, 0.88, 1)]
        sums += 0.3 * chord(place[0], place[-1], 0.12, 0.1)
        for start, end in zip(place[::2], place[1::2], strict=True):
            sums += bone(start, end, 0.045)
    return _exposed(sums + bone((-0.12, 0.85), (-0.12, 1.6), 0.09) + bone((0.12, 0.85), (0.12, 1.6), 0.09), rng)


def drawn_head(rng: np.random.Generator) -> np.ndarray:
    """A skull with a few shadows in it."""
    sums = 0.5 * chord((0, -0.3), (0, 0.2), rng.uniform(0.6, 0.9), 0.7)
    sums += 1.2 * (chord((0, -0.25), (0, 0.15), 0.7, 0.65) - chord((0, -0.25), (0, 0.15), 0.62, 0.58))
    for _ in range(4):
        x, y = rng.uniform(-0.4, 0.4, 2)
        sums += rng.uniform(-0.3, 0.6) * chord((x, y), (x + 0.1, y + rng.normal(0, 0.1)), rng.uniform(0.05, 0.2), 0.1)
    return _exposed(sums, rng)


def _exposed(sums: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lengths of rays => a film, turned, shifted, magnified, with noise, and often a collimator or a white border."""
    film = grey_of(1 - np.exp(-rng.uniform(0.5, 3) * sums) + rng.uniform(0, 0.4) * (sums > 0))
    film = film + rng.normal(0, rng.uniform(0, 8), sums.shape)
    angle, scale = float(rng.normal(0, 20)), rng.uniform(0.7, 1.3)
    matrix = (scale, 0, SIZE * (1 - scale) * rng.random(), 0, scale, SIZE * (1 - scale) * rng.random())
    turned = Image.fromarray(np.uint8(film.clip(0, 255))).rotate(angle)
    picture = np.array(turned.transform((SIZE, SIZE), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR))
    if rng.random() < 0.5:
        left, right = (int(v) for v in rng.uniform(0, 0.35, 2) * SIZE)
        picture[:, :left] = picture[:, SIZE - right :] = rng.choice([0, 255, 255, 200])
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(float(rng.uniform(0, 1.2)))))


def text_page(rng: np.random.Generator) -> np.ndarray:
    """Lines of words, dark on light or light on dark."""
    paper = int(rng.choice([255, 255, 0, 240]))
    page, y = Image.new("L", (512, 640), paper), 20
    while y < 620:
        size = int(rng.integers(12, 30))
        line = " ".join(rng.choice(WORDS, 12))
        ImageDraw.Draw(page).text((20, y), line, fill=255 - paper, font=ImageFont.load_default(size))
        y += size + 6 + 40 * (rng.random() < 0.1)
    return squared(page)


def noise(rng: np.random.Generator) -> np.ndarray:
    """Normal noise, of one grain or another."""
    grains = np.uint8(rng.normal(128, rng.uniform(10, 90), (SIZE, SIZE)).clip(0, 255))
    blurred = Image.fromarray(grains).filter(ImageFilter.GaussianBlur(float(rng.choice([0, 1, 3, 8, 20]))))
    return np.asarray(ImageOps.autocontrast(blurred))


def shapes(rng: np.random.Generator) -> np.ndarray:
    """A few ellipses, rectangles and lines."""
    picture = Image.new("L", (SIZE, SIZE), int(rng.integers(0, 80)))
    for _ in range(rng.integers(2, 12)):
        x, y, w, h = (int(v) for v in rng.integers(0, SIZE, 4))
        box = (min(x, w), min(y, h), max(x, w) + 1, max(y, h) + 1)
        getattr(ImageDraw.Draw(picture), str(rng.choice(["ellipse", "rectangle", "line"])))(
            box, fill=int(rng.integers(100, 255))
        )
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(float(rng.choice([0, 0, 2, 6])))))


def pattern(rng: np.random.Generator) -> np.ndarray:
    """A gradient, stripes or checks."""
    rows, columns = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j]
    t, kind = rng.uniform(0, 2 * np.pi), rng.integers(3)
    ramp, across = columns * np.cos(t) + rows * np.sin(t), columns * np.sin(t) - rows * np.cos(t)
    if kind == 0:
        return grey_of(ramp)
    stripes = np.sin(ramp * rng.uniform(2, 60))
    return grey_of(stripes if kind == 1 else stripes * np.sin(across * rng.uniform(2, 40)))


DRAWN: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "drawn limb": drawn_limb,
    "drawn hand": drawn_hand,
    "drawn head": drawn_head,
    "page of text": text_page,
    "noise": noise,
    "shapes": shapes,
    "pattern": pattern,
}
