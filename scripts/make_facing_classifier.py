"""Train the network of `omnicxr.data.facing` and write its weights.

    python scripts/make_facing_classifier.py SIMULATED CT

SIMULATED is a folder that `omnicxr simulate` wrote, CT a folder of chest CTs (see `project_ct.py`), of which PROJECTED
laterals are made. All of these face left; their mirror images, which face right, have the same score with the other
sign, so that learning from the one is learning from both. Exposure, texture, framing, borders, arms and markers are
varied as for the view classifier. Simulated laterals of the patients in the splits validate and test are held out; what
is right of those is printed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from make_view_classifier import (
    LARGE,
    bordered,
    convolutions_of,
    framed,
    marked,
    read,
    retouched,
    seen,
    some,
    thumbnails,
)
from project_ct import CT_FILES, project, read_body
from torch import Tensor, nn

from omnicxr.data.facing import STRIDES, WEIGHTS_FILE
from omnicxr.data.files import whole_file
from omnicxr.data.views import SIDE

PROJECTED, CHANNELS = 1200, (16, 32, 32)
STEPS, BATCH, RATE, SIMULATED_SHARE = 1500, 96, 3e-3, 0.35


def films_of(folder: Path, rng: np.random.Generator) -> Tensor:
    """Laterals projected from the CTs, facing left, float32 [n, LARGE, LARGE] in 0..1."""
    bodies = [read_body(path, 3.0) for path in sorted(folder.glob(CT_FILES))]
    films = [project(bodies[i % len(bodies)], lateral=True, size=LARGE, rng=rng) for i in range(PROJECTED)]
    return torch.from_numpy(np.stack(films))


def vary(x: Tensor, texture: Tensor) -> Tensor:
    """Films [b, LARGE, LARGE] => what the network sees [b, 1, SIDE, SIDE], facing as they did."""
    x = marked(framed(retouched(x[:, None], texture[:, None])))
    x = bordered(x, 0.3, some(x, 0.15).float())
    x = bordered(x, 0.4, torch.zeros(()))
    return seen((x[:, 0] * 255).round().to(torch.uint8).numpy())


def new_network() -> nn.Sequential:
    """[b, 1, SIDE, SIDE] => [b, 1]."""
    layers, inputs = list[nn.Module](), 1
    for outputs, stride in zip(CHANNELS, STRIDES, strict=True):
        layers += [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
        inputs = outputs
    side = SIDE // int(np.prod(STRIDES))
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.3), nn.Linear(inputs * side * side, 1, bias=False))


def scores(network: nn.Sequential, x: Tensor) -> Tensor:
    """[b, 1, SIDE, SIDE] => [b]: log odds of facing left; both ways round in one batch, for its normalisation."""
    one, other = network(torch.cat([x, x.flip(-1)])).flatten().chunk(2)
    return one - other


def train(simulated: Tensor, projected: Tensor) -> nn.Sequential:
    """On films [n, LARGE, LARGE] that face left."""
    network = new_network()
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=2e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, STEPS)
    count = round(BATCH * SIMULATED_SHARE)
    for step in range(STEPS):
        chosen = [pool[torch.randint(len(pool), (n,))] for pool, n in ((simulated, count), (projected, BATCH - count))]
        films = torch.cat(chosen)
        x = vary(films, films[torch.randperm(BATCH)])
        loss = F.softplus(-scores(network, x)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 99:
            print(f"step {step + 1}: loss {loss.item():.4f}", flush=True)
    return network.eval()


def weights_of(network: nn.Sequential) -> dict[str, np.ndarray]:
    """As `omnicxr.data.facing` reads them."""
    arrays = convolutions_of(network, len(STRIDES))
    out = network[-1]
    assert isinstance(out, nn.Linear)
    side = SIDE // int(np.prod(STRIDES))
    arrays["out"] = out.weight[0].unflatten(0, (CHANNELS[-1], side, side)).permute(1, 2, 0).flatten()
    return {name: array.detach().numpy().astype(np.float16) for name, array in arrays.items()}


def main(simulated: str, ct: str) -> None:
    """Read, train, write, measure."""
    torch.manual_seed(0)
    found = read("mimic-cxr-jpg", simulated)
    films = torch.from_numpy(thumbnails(found["train", True], LARGE).astype(np.float32) / 255)
    network = train(films, films_of(Path(ct), np.random.default_rng(0)))
    with whole_file(WEIGHTS_FILE) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **weights_of(network))  # type: ignore[arg-type]
    held_out = seen(thumbnails(found["held out", True], SIDE))
    with torch.no_grad():
        right = (scores(network, held_out) > 0).float().mean()
    print(f"{WEIGHTS_FILE.stat().st_size} bytes; simulated, {len(held_out)} held out: {right:.4f} right")


if __name__ == "__main__":
    main(*sys.argv[1:3])
