"""PNG, JPEG, TIFF, GIF, WebP, BMP and JPEG 2000: modes, depths, orientations, shapes, several frames, damage."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.robustness.cases import SPECIAL, Case, Folders, draw_flips, flipped, special
from benchmarks.robustness.films import Make, film, generate, plain, refused, same, whichever

Draw = Callable[[Folders], Image.Image]
DAMAGED = 14
"""Random changes of bytes of every kind of file, and half as many truncations."""
ORIENTATION = 0x0112
UNDO = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
"""EXIF orientation => the transposition that turns an upright picture into what such a camera stores."""


def grey(folders: Folders) -> Image.Image:
    return Image.fromarray(film(folders))


def deep(folders: Folders) -> Image.Image:
    return Image.fromarray(film(folders, bits=16))


def saved(name: str, draw: Draw, **options: Any) -> Make:
    """How to make the file of a drawing."""

    def make(folders: Folders) -> Path:
        draw(folders).save(name, **options)
        return Path(name)

    return make


def of_bytes(name: str, data: Callable[[Folders], bytes]) -> Make:
    """How to make a file of bytes."""

    def make(folders: Folders) -> Path:
        Path(name).write_bytes(data(folders))
        return Path(name)

    return make


def cases(rng: random.Random) -> Iterator[Case]:
    """All of them."""
    yield from readable()
    yield from deeper()
    yield from refusable()
    yield from shapes()
    yield from places()
    yield from damaged(rng)


def mode(name: str) -> Draw:
    return lambda f: grey(f).convert(name)


def readable() -> Iterator[Case]:
    """Eight bits, however they are written, are read as the plain film."""
    for name in ("L", "LA", "RGB", "RGBA", "P"):
        yield same(f"png {name}", saved("x.png", mode(name)))
    for name in ("L", "RGB", "CMYK", "YCbCr"):
        yield same(f"jpeg {name}", saved("x.jpg", mode(name), quality=95))
    yield same("jpeg progressive", saved("x.jpg", grey, quality=95, progressive=True))
    yield same("png interlaced name", saved("x.PNG", grey))
    for compression in (None, "tiff_lzw", "tiff_deflate", "packbits", "tiff_adobe_deflate"):
        yield same(f"tiff {compression}", saved("x.tif", grey, compression=compression))
    for suffix, options in {"gif": {}, "bmp": {}, "webp": {"quality": 95}}.items():
        yield same(f"{suffix} one frame", saved(f"x.{suffix}", grey, **options))
    yield same("tiff white is zero", saved("x.tif", grey, tiffinfo={262: 0}))  # Pillow turns it round
    for orientation, back in UNDO.items():
        yield same(f"jpeg orientation {orientation}", turned("x.jpg", orientation, back))
    yield same("jpeg orientation 9", turned("x.jpg", 9, None))
    yield same("png with the suffix jpg", saved("x.jpg", grey, format="PNG"))
    yield same("jpeg without a suffix", saved("picture", grey, format="JPEG", quality=95))
    for name in ("with space.png", "ünï.png", "a'b\"c.png", "#1%20.png", "-x.png", "x.PnG", "[a]*.png", "~x.png"):
        yield same(f"named {name}", saved(name, grey))


def inverted(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(np.iinfo(pixels.dtype).max - pixels)


def turned(name: str, orientation: int, back: int | None) -> Make:
    def make(folders: Folders) -> Path:
        image = grey(folders)
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        (image if back is None else image.transpose(Image.Transpose(back))).save(name, quality=95, exif=exif)
        return Path(name)

    return make


def deeper() -> Iterator[Case]:
    """More than eight bits are scaled, with their contrast."""
    loose = 16.0  # scaling by percentiles is not scaling by the ends
    yield same("png 16 bit", saved("x.png", deep), tolerance=loose)
    yield same("png 12 of 16 bit", saved("x.png", lambda f: Image.fromarray(film(f, bits=12))), tolerance=loose)
    yield same("tiff 16 bit", saved("x.tif", deep), tolerance=loose)
    yield same(
        "tiff 16 bit big endian", of_bytes("x.tif", lambda f: big_endian_tiff(film(f, bits=16))), tolerance=loose
    )
    yield same("tiff 16 bit white is zero", saved("x.tif", white_is_zero, tiffinfo={262: 0}), tolerance=loose)
    for low, high in ((0, 1), (0, 255), (-1, 1), (0, 65535), (-1000, 1000)):
        scaled = saved("x.tif", lambda f, a=low, b=high: Image.fromarray(as_float(f, a, b)))
        yield same(f"tiff float {low}..{high}", scaled, tolerance=loose)
    yield same(
        "tiff int32", saved("x.tif", lambda f: Image.fromarray(film(f, bits=16).astype(np.int32))), tolerance=loose
    )
    for size in ((20, 8), (4, 4), (1, 1)):
        marked = saved("x.png", lambda f, s=size: Image.fromarray(hot_marker(f, s)))
        yield same(f"png 16 bit, marker of {size[0]} x {size[1]}", marked, tolerance=loose)


def as_float(folders: Folders, low: float, high: float) -> np.ndarray:
    return (film(folders).astype(np.float32) / 255 * (high - low) + low).astype(np.float32)


def white_is_zero(folders: Folders) -> Image.Image:
    return inverted(film(folders, bits=16))


def hot_marker(folders: Folders, size: tuple[int, int]) -> np.ndarray:
    """Twelve bits, with a lead letter far above."""
    pixels = film(folders, bits=12)
    pixels[2 : 2 + size[1], 2 : 2 + size[0]] = 65535
    return pixels


def big_endian_tiff(pixels: np.ndarray) -> bytes:
    """An uncompressed 16-bit TIFF in the byte order of old workstations."""
    height, width = pixels.shape
    data = pixels.astype(">u2").tobytes()
    tags = [(256, 4, width), (257, 4, height), (258, 3, 16 << 16), (259, 3, 1 << 16), (262, 3, 1 << 16)]
    tags += [(273, 4, 8), (277, 3, 1 << 16), (278, 4, height), (279, 4, len(data))]
    entries = b"".join(struct.pack(">HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return b"MM\0*" + struct.pack(">I", 8 + len(data)) + data + struct.pack(">H", len(tags)) + entries + b"\0\0\0\0"


def refusable() -> Iterator[Case]:
    """What is no radiograph, or several."""
    several = {"x.gif": "GIF", "x.webp": "WebP", "x.tif": "TIFF", "x.png": "APNG"}
    for name, kind in several.items():
        yield from refused(f"{kind} of three frames", frames(name), says=name)
    yield from refused(
        "float with nan", saved("x.tif", lambda f: Image.fromarray(with_value(f, np.nan, 1))), says="x.tif"
    )
    yield from refused(
        "float with inf", saved("x.tif", lambda f: Image.fromarray(with_value(f, np.inf, 1))), says="x.tif"
    )
    yield from refused("float all nan", saved("x.tif", lambda f: Image.fromarray(with_value(f, np.nan, 10**6))))
    for value in (0, 1, 128, 255):
        yield from refused(f"blank {value}", saved("x.png", lambda f, v=value: Image.new("L", (200, 240), v)))
    for value in (0, 4000, 65535):
        level = np.full((240, 200), value, np.uint16)
        yield from refused(f"blank 16 bit {value}", saved("x.png", lambda f, p=level: Image.fromarray(p)))
    yield from refused("placeholder", saved("x.png", lambda f: placeholder(0)))
    yield from refused("placeholder, white", saved("x.png", lambda f: placeholder(255)))
    yield from refused("colour", saved("x.png", lambda f: colours()))
    yield from refused("colour jpeg", saved("x.jpg", lambda f: colours()))
    yield from refused("transparent", saved("x.png", lambda f: Image.new("RGBA", (200, 240), (0, 0, 0, 0))))
    texts = {"empty": b"", "text": b"PA chest\n", "html": b"<html>not found</html>", "zeros": bytes(5000)}
    texts |= {"zip": b"PK\3\4" + bytes(400), "pdf": b"%PDF-1.7\n" + bytes(400), "svg": b"<svg xmlns='x'/>"}
    for name, data in texts.items():
        for suffix in ("png", "jpg", "tif", "dcm"):
            yield from refused(f"{name}.{suffix}", of_bytes(f"x.{suffix}", lambda f, d=data: d), says="x.")


def frames(name: str) -> Make:
    def make(folders: Folders) -> Path:
        images = [Image.fromarray(np.roll(film(folders), 7 * i, 1)) for i in range(3)]
        images[0].save(name, save_all=True, append_images=images[1:])
        return Path(name)

    return make


def with_value(folders: Folders, value: float, count: int) -> np.ndarray:
    pixels = as_float(folders, 0, 1)
    pixels.reshape(-1)[5000 : 5000 + count] = value
    if count > pixels.size:
        pixels[:] = value
    return pixels


def placeholder(background: int) -> Image.Image:
    image = Image.new("L", (400, 300), background)
    ImageDraw.Draw(image).text((120, 140), "IMAGE NOT AVAILABLE", fill=255 - background)
    return image


def colours() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (240, 200, 3)).astype(np.uint8))


def shapes() -> Iterator[Case]:
    """Extreme sizes, and files that say they are larger than they are."""
    sizes = (
        (1, 1),
        (2, 2000),
        (15, 300),
        (300, 15),
        (60_000, 16),
        (16, 60_000),
        (20, 90_000),
        (120_000, 20),
        (3000, 17),
    )
    for width, height in sizes:
        noise = saved("x.png", lambda f, s=(height, width): Image.fromarray(ramp(*s)))
        yield from refused(f"{width} x {height}", noise, says="x.png")
    for width, height in ((16, 16), (17, 40), (40, 17), (500, 120), (31, 31)):
        small = saved("x.png", lambda f, s=(width, height): grey(f).resize(s))
        yield whichever(f"{width} x {height}", small, by_prepare=True)
    yield from refused(
        "bomb of 20000 x 20000", saved("x.png", lambda f: Image.new("1", (20_000, 20_000))), says="x.png"
    )
    for width, height in ((2**31 - 1, 2**31 - 1), (65_535, 65_535), (0, 100), (100, 0), (2**32 - 1, 1)):
        lying = of_bytes("x.png", lambda f, s=(width, height): lying_png(*s))
        yield from refused(f"header of {width} x {height}", lying, says="x.png")
    for kind in ("zTXt", "iTXt", "iCCP", "tEXt"):
        yield whichever(
            f"png with 64 MB in {kind}", of_bytes("x.png", lambda f, k=kind: stuffed_png(f, k)), by_prepare=False
        )


def ramp(height: int, width: int) -> np.ndarray:
    return (np.add.outer(np.arange(height), np.arange(width)) * 7 % 256).astype(np.uint8)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def lying_png(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(999))) + chunk(b"IEND", b"")
    )


def stuffed_png(folders: Folders, kind: str) -> bytes:
    """A chunk of text or profile that is small packed and large unpacked."""
    data = plain(folders, "stuffing.png").read_bytes()
    packed = zlib.compress(bytes(64_000_000))
    body = {"zTXt": b"a\0\0", "iTXt": b"a\0\1\0\0\0", "iCCP": b"a\0\0", "tEXt": b"a\0"}[kind]
    return data[:33] + chunk(kind.encode(), body + (packed if kind != "tEXt" else b"x" * 3_000_000)) + data[33:]


def places() -> Iterator[Case]:
    """What is at the path is no file, or is reached by a link."""
    for kind in SPECIAL:
        yield from refused(f"a {kind} at the path", lambda f, k=kind: special(Path("x.png"), k), says="x.png")
    yield Case(name="a NUL in the path [generate]", run=lambda f: generate(f, "x\0.png"), expect="refused")
    yield Case(name="a path of 5000 [generate]", run=lambda f: generate(f, "x" * 5000 + ".png"), expect="refused")
    yield Case(name="an empty path [generate]", run=lambda f: generate(f, ""), expect="refused")
    yield Case(name="a link to a file [generate]", run=lambda f: generate(f, linked(f)), expect="handled")
    yield same("a link to a file", linked)


def linked(folders: Folders) -> Path:
    Path("link.png").symlink_to(plain(folders, "target.png").absolute())
    return Path("link.png")


def damaged(rng: random.Random) -> Iterator[Case]:
    """Bytes changed and files cut, at random."""
    bases: dict[str, Make] = {
        "png": saved("base.png", grey),
        "png16": saved("base.png", deep),
        "jpeg": saved("base.jpg", grey),
        "tiff": saved("base.tif", deep),
        "tiff lzw": saved("base.tif", grey, compression="tiff_lzw"),
        "gif": saved("base.gif", grey),
        "webp": saved("base.webp", grey),
        "bmp": saved("base.bmp", grey),
        "jpeg2000": saved("base.jp2", grey),
    }
    for name, base in bases.items():
        for i in range(DAMAGED):
            flips = draw_flips(rng, 2 ** (i % 5))
            head = rng.random() < 0.5
            made = flipped_file(base, [(share * (0.02 if head else 1), bits) for share, bits in flips])
            yield whichever(f"{name} flip {i}", made, by_prepare=bool(i % 2))
        for i in range(DAMAGED // 2):
            yield whichever(f"{name} cut {i}", cut_file(base, rng.random() ** 2), by_prepare=bool(i % 2))
        yield whichever(f"{name} with more behind", longer(base), by_prepare=True)


def flipped_file(base: Make, flips: list[tuple[float, int]]) -> Make:
    return lambda f: overwrite(base(f), lambda data: flipped(data, flips))


def cut_file(base: Make, share: float) -> Make:
    return lambda f: overwrite(base(f), lambda data: data[: int(share * len(data))])


def longer(base: Make) -> Make:
    return lambda f: overwrite(base(f), lambda data: data + bytes(range(256)) * 8)


def overwrite(path: Path, change: Callable[[bytes], bytes]) -> Path:
    path.write_bytes(change(path.read_bytes()))
    return path
