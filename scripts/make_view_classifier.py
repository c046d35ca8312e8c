"""Train the network of `omnicxr.data.views` and write its weights.

    python scripts/make_view_classifier.py SIMULATED NIH CT

SIMULATED is a folder that `omnicxr simulate` wrote, NIH a folder of ChestX-ray14 (frontal pictures only; Wang et al.
2017, no restriction on use), CT a folder of chest CTs (see `project_ct.py`), of which PROJECTED films are made. All
real pictures that it learns from are frontal, so that nothing that makes a picture look real may tell the views apart:
grey levels count by their rank alone, tone, sharpness, framing, borders and markers are varied more than films vary,
and the fine texture of real films is laid over others. Pictures of the patients in the splits validate and test are
held out; the accuracy on those is printed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from project_ct import CT_FILES, project, read_body
from torch import Tensor, nn

from omnicxr.data.files import whole_file
from omnicxr.data.images import load_image
from omnicxr.data.sources import open_source
from omnicxr.data.splits import hashed_split
from omnicxr.data.views import SIDE, STRIDES, WEIGHTS_FILE, equalised
from omnicxr.domain import Modality, View

LARGE, PROJECTED, CHANNELS, HIDDEN = 64, 2800, (16, 32, 64, 64), 32
STEPS, BATCH, RATE, SMOOTHING = 1000, 128, 3e-3, 0.02
SHARES = {"frontal": (0.45, 0.25, 0.3), "lateral": (0.0, 0.4, 0.6)}
"""Of a batch: real, simulated, projected from CTs."""
FLAGGED = ("images/00003490_011.jpg", "images/00017625_000.jpg")
"""Of ChestX-ray14: upside down and inverted."""


def read(kind: str, folder: str) -> dict[tuple[str, bool], np.ndarray]:
    """(split, lateral) => pictures, uint8 [n, 256, 256]."""
    found: dict[tuple[str, bool], list[np.ndarray]] = {}
    for study in open_source(kind, folder).studies():
        split = "train" if hashed_split(study.subject_id) == "train" else "held out"
        for ref in study.images:
            if not str(ref.path).endswith(FLAGGED):
                lateral = (ref.view or View.PA).modality is Modality.LATERAL
                found.setdefault((split, lateral), []).append(np.asarray(load_image(ref.path, 256)))
    return {key: np.stack(pictures) for key, pictures in found.items()}


def thumbnails(pictures: np.ndarray, side: int) -> np.ndarray:
    """uint8 [n, s, s] => uint8 [n, side, side]."""
    return np.stack([np.asarray(Image.fromarray(p).resize((side, side), Image.Resampling.BOX)) for p in pictures])


def films_of(folder: Path, rng: np.random.Generator) -> dict[bool, Tensor]:
    """Lateral or not => films projected from the CTs, float32 [n, LARGE, LARGE] in 0..1."""
    bodies = [read_body(path, 3.0) for path in sorted(folder.glob(CT_FILES))]
    films: dict[bool, list[np.ndarray]] = {False: [], True: []}
    for i in range(PROJECTED):
        body, lateral = bodies[i // 2 % len(bodies)], bool(i % 2)
        films[lateral].append(project(body, lateral=lateral, size=LARGE, rng=rng))
    return {lateral: torch.from_numpy(np.stack(found)) for lateral, found in films.items()}


def uniform(x: Tensor, low: float, high: float) -> Tensor:
    """One number for each picture, [b, 1, 1, 1]."""
    return torch.rand(len(x), 1, 1, 1) * (high - low) + low


def some(x: Tensor, share: float) -> Tensor:
    """Bool [b, 1, 1, 1]: which pictures something is done to."""
    return torch.rand(len(x), 1, 1, 1) < share


def smooth(x: Tensor, size: int) -> Tensor:
    """[b, 1, s, s] without what is finer than `size` pixels."""
    return F.interpolate(F.avg_pool2d(x, size), size=x.shape[-1], mode="bilinear")


def retouched(x: Tensor, real: Tensor) -> Tensor:
    """Films [b, 1, LARGE, LARGE] => of another exposure, local contrast and texture, with arms or a chin."""
    x = x.clamp(0, 1) ** torch.exp(torch.randn(len(x), 1, 1, 1) * 0.5)
    x = (x - x.mean((1, 2, 3), True)) / x.std((1, 2, 3), keepdim=True).clamp_min(1e-3)
    sharper = torch.where(some(x, 0.5), uniform(x, -0.3, 0.3), uniform(x, 0, 2.5))
    x = x + sharper * (x - smooth(x, 8))
    texture = real - smooth(real, 4)
    texture = texture / texture.std((1, 2, 3), keepdim=True)
    x = x + some(x, 0.35) * uniform(x, 0, 0.35) * texture
    x = x + F.interpolate(torch.randn(len(x), 1, 4, 4) * uniform(x, 0, 0.6), size=LARGE, mode="bilinear")
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, LARGE), torch.linspace(-1, 1, LARGE), indexing="ij")
    for _ in range(2):
        angle, column, row = uniform(x, -1.6, 1.6), uniform(x, -1, 1), uniform(x, -1.2, -0.6)
        away = (columns - column) * angle.sin() + (rows - row) * angle.cos()
        outwards = ((columns - column) * angle.cos() - (rows - row) * angle.sin()) * (some(x, 0.5) * 2 - 1) > 0
        bar = (1 - (away / uniform(x, 0.05, 0.35)) ** 2).clamp_min(0).sqrt()
        x = x + some(x, 0.35) * outwards * uniform(x, 0.3, 2) * bar
    return x


def framed(x: Tensor) -> Tensor:
    """[b, 1, LARGE, LARGE] => another framing and tilt, [b, 1, SIDE, SIDE] in 0..1, with noise and clipped greys."""
    angle, scale = torch.deg2rad(torch.randn(len(x)) * 6), torch.rand(len(x)) * 0.5 + 0.7
    ratio = torch.exp(torch.randn(len(x)) * 0.08)
    shift = torch.rand(2, len(x)) * 0.3 - 0.15
    first = torch.stack([scale * ratio * angle.cos(), -scale * ratio * angle.sin(), shift[0]], -1)
    second = torch.stack([scale / ratio * angle.sin(), scale / ratio * angle.cos(), shift[1]], -1)
    grid = F.affine_grid(torch.stack([first, second], 1), [len(x), 1, SIDE, SIDE], align_corners=False)
    x = x - x.amin((1, 2, 3), True)
    outside = [F.grid_sample(x, grid, align_corners=False, padding_mode=mode) for mode in ("zeros", "border")]
    x = torch.where(some(x, 0.5), *outside)
    x = torch.where(some(x, 0.3), smooth(x, 2), x)
    x = x + torch.randn_like(x) * uniform(x, 0, 0.15)
    low, high = (torch.quantile(x.flatten(1), q, 1)[:, None, None, None] for q in (0.02, 0.98))
    black = torch.where(some(x, 0.4), low + uniform(x, 0, 0.2) * (high - low), x.amin((1, 2, 3), True))
    white = torch.where(some(x, 0.4), high - uniform(x, 0, 0.25) * (high - low), x.amax((1, 2, 3), True))
    return ((x - black) / (white - black).clamp_min(1e-3)).clamp(0, 1)


def marked(x: Tensor) -> Tensor:
    """[b, 1, SIDE, SIDE] with markers: up to two small rectangles."""
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    for _ in range(2):
        near = (columns - uniform(x, 0, SIDE)).abs() < uniform(x, 1, 6)
        near = near & ((rows - uniform(x, 0, SIDE)).abs() < uniform(x, 1, 4))
        x = torch.where(near & some(x, 0.35), some(x, 0.7).float(), x)
    return x


def bordered(x: Tensor, share: float, value: Tensor) -> Tensor:
    """[b, 1, SIDE, SIDE] with borders of one grey on some of its sides."""
    width = torch.where(torch.rand(4, len(x), 1, 1, 1) < 0.5, torch.rand(4, len(x), 1, 1, 1) * 0.18, 0.0) * SIDE
    even = some(x, 0.5)
    left, top = width[0], width[2]
    right, bottom = torch.where(even, left, width[1]), torch.where(even, top, width[3])
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    outside = (columns < left) | (columns >= SIDE - right) | (rows < top) | (rows >= SIDE - bottom)
    return torch.where(outside & some(x, share), value, x)


def vary(x: Tensor, real: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Films [b, LARGE, LARGE] => what the network sees [b, 1, SIDE, SIDE], which are inverted, and by how many quarter
    turns they are turned. Texture is taken from the real films [b, LARGE, LARGE]."""
    x = x[:, None]
    x = torch.where(some(x, 0.5), x.flip(-1), x)
    x = marked(framed(retouched(x, real[:, None])))
    x = bordered(x, 0.3, some(x, 0.15).float())
    inverted = some(x, 0.3)
    x = bordered(torch.where(inverted, 1 - x, x), 0.4, torch.zeros(()))
    turns = torch.where(torch.rand(len(x)) < 0.5, 0, torch.randint(1, 4, (len(x),)))
    x = torch.stack([torch.rot90(picture, int(k), (-2, -1)) for picture, k in zip(x, turns, strict=True)])
    return seen((x[:, 0] * 255).round().to(torch.uint8).numpy()), inverted.flatten(), turns


def seen(pictures: np.ndarray) -> Tensor:
    """uint8 [n, SIDE, SIDE] => [n, 1, SIDE, SIDE], as `view_features`."""
    return torch.from_numpy(np.stack([equalised(p) for p in pictures]))[:, None]


def new_network() -> nn.Sequential:
    """[b, 1, SIDE, SIDE] => [b, 6]: logits of lateral, inverted, and the four turns."""
    layers, inputs = list[nn.Module](), 1
    for outputs, stride in zip(CHANNELS, STRIDES, strict=True):
        layers += [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
        inputs = outputs
    side = SIDE // int(np.prod(STRIDES))
    head = [nn.Flatten(), nn.Dropout(0.3), nn.Linear(inputs * side * side, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 6)]
    return nn.Sequential(*layers, *head)


def train(pools: dict[str, tuple[Tensor, ...]]) -> nn.Sequential:
    """pools: "frontal" and "lateral" => films that are real, simulated, projected."""
    network = new_network()
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=2e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, STEPS)
    lateral = torch.arange(BATCH) >= BATCH // 2
    for step in range(STEPS):
        films = [
            pool[torch.randint(len(pool), (round(BATCH / 2 * share),))]
            for view, shares in SHARES.items()
            for pool, share in zip(pools[view], shares, strict=True)
            if share
        ]
        texture = pools["frontal"][0][torch.randint(len(pools["frontal"][0]), (BATCH,))]
        x, inverted, turns = vary(torch.cat(films), texture)
        logits = network(x)
        targets = torch.stack([lateral, inverted], -1) * (1 - 2 * SMOOTHING) + SMOOTHING
        loss = 2 * F.binary_cross_entropy_with_logits(logits[:, :2], targets)
        loss = loss + F.cross_entropy(logits[:, 2:], turns, label_smoothing=SMOOTHING)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 99:
            print(f"step {step + 1}: loss {loss.item():.3f}", flush=True)
    return network.eval()


def convolutions_of(network: nn.Sequential, count: int) -> dict[str, Tensor]:
    """The first layers, three modules each, as `omnicxr.data.views.convolved` takes them: every normalisation in the
    convolution before it, channels last."""
    arrays = dict[str, Tensor]()
    for i in range(count):
        conv, norm = network[3 * i], network[3 * i + 1]
        fused = nn.utils.fuse_conv_bn_eval(conv, norm)  # type: ignore[arg-type]
        arrays[f"conv{i}"] = fused.weight.permute(2, 3, 1, 0).flatten(0, 2)
        arrays[f"conv{i}_bias"] = fused.bias  # type: ignore[assignment]
    return arrays


def weights_of(network: nn.Sequential) -> dict[str, np.ndarray]:
    """As `omnicxr.data.views` reads them."""
    arrays = convolutions_of(network, len(STRIDES))
    hidden, out = network[-3], network[-1]
    assert isinstance(hidden, nn.Linear)
    assert isinstance(out, nn.Linear)
    side = SIDE // int(np.prod(STRIDES))
    arrays["hidden"] = hidden.weight.unflatten(1, (CHANNELS[-1], side, side)).permute(2, 3, 1, 0).flatten(0, 2)
    arrays |= {"hidden_bias": hidden.bias, "out": out.weight.T, "out_bias": out.bias}
    return {name: array.detach().numpy().astype(np.float16) for name, array in arrays.items()}


@torch.no_grad()
def report(name: str, network: nn.Sequential, pictures: np.ndarray, *, lateral: bool) -> None:
    """Print how many held-out pictures are seen right, and how many of those turned and inverted here."""
    small = thumbnails(pictures, SIDE)
    logits = network(seen(small))
    right = ((logits[:, 0] > 0) == lateral).float().mean()
    upright = ((logits[:, 2:].argmax(1) == 0) & (logits[:, 1] < 0)).float().mean()
    turned = [(network(seen(np.rot90(small, k, (1, 2))))[:, 2:].argmax(1) == k).float().mean() for k in (1, 2, 3)]
    inverted = (network(seen(255 - small))[:, 1] > 0).float().mean()
    print(
        f"{name} {'lateral' if lateral else 'frontal'}, {len(pictures)} held out: view right {right:.4f}, seen as it is"
        f" {upright:.4f}; turned by 90, 180, 270 degrees seen {', '.join(f'{t:.4f}' for t in turned)},"
        f" inverted {inverted:.4f}"
    )


def main(simulated: str, nih: str, ct: str) -> None:
    """Read, train, write, measure."""
    torch.manual_seed(0)
    sets = {"simulated": read("mimic-cxr-jpg", simulated), "nih": read("nih", nih)}
    films = films_of(Path(ct), np.random.default_rng(0))
    small = {
        (name, lateral): torch.from_numpy(thumbnails(pictures, LARGE).astype(np.float32) / 255)
        for name, found in sets.items()
        for (split, lateral), pictures in found.items()
        if split == "train"
    }
    pools = {
        "frontal": (small["nih", False], small["simulated", False], films[False]),
        "lateral": (torch.zeros(0, LARGE, LARGE), small["simulated", True], films[True]),
    }
    network = train(pools)
    with whole_file(WEIGHTS_FILE) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **weights_of(network))  # type: ignore[arg-type]
    print(f"{WEIGHTS_FILE.stat().st_size} bytes")
    for name, found in sets.items():
        for (split, lateral), pictures in found.items():
            if split != "train":
                report(name, network, pictures, lateral=lateral)


if __name__ == "__main__":
    main(*sys.argv[1:4])
