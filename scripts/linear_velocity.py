"""How much of the velocity is linear? python scripts/linear_velocity.py PREPARED LATENTS [MODEL] [STUDIES]

LATENTS is the folder `latents` of a training run on PREPARED, whose autoencoders and prompt encoders are those of MODEL. Printed, for
validation studies and times from noise to data: mean square error of the velocity by the linear estimate from the statistics of training latents,
each element by itself or along principal axes, and by the model's generator.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from omnicxr.data.dataset import PreparedDataset
from omnicxr.domain import Modality
from omnicxr.evaluation.references import parts_of
from omnicxr.flow.path import add_noise, velocity_target
from omnicxr.models.folder import BUNDLED
from omnicxr.models.generator import Generator
from omnicxr.models.preconditioner import Preconditioner
from omnicxr.pipeline import AnyToAnyPipeline
from omnicxr.training.latents import load_latents
from omnicxr.training.statistics import latent_statistics

PAIRS = ((Modality.REPORT, Modality.FRONTAL), (Modality.FRONTAL, Modality.LATERAL))
TIMES, AXES, BATCH = (1.0, 0.97, 0.9, 0.8, 0.65, 0.5, 0.35, 0.2), (0, 64, 256, 1024), 50


@torch.no_grad()
def main(prepared: Path, latents_folder: Path, model: Path, studies: int) -> None:
    """Print a table for each pair of what is given and what is made."""
    pipe, train, held_out = AnyToAnyPipeline.from_pretrained(model), PreparedDataset(prepared, "train"), PreparedDataset(prepared, "validate")
    latents, rows = load_latents(train, latents_folder), held_out.having(*Modality)[:studies]
    network = pipe.generator
    encoded = {m: pipe.encode_given({m: list(part)}) for m, part in parts_of(held_out, rows).items()}
    for given, target in PAIRS:
        linear: dict[int, Preconditioner] = {}
        for axes in AXES:
            told = Generator(replace(network.config, preconditioned=True, principal_axes=axes))
            part = told.stream(target).preconditioner
            assert part is not None
            part.set_statistics(latent_statistics(latents, train, target, told))
            linear[axes] = part
        names = ["each element by itself", *(f"{n} axes" for n in AXES[1:]), "generator"]
        print(f"\n{given} -> {target}\n\n| t | {' | '.join(names)} |\n|{'---|' * (len(names) + 1)}")
        x_0 = encoded[target][0][target]
        noise = torch.randn(x_0.shape, generator=torch.Generator().manual_seed(0))
        prompt = encoded[given][1]
        assert prompt is not None
        for time in TIMES:
            t = torch.full((len(x_0),), time)
            x_t, wanted = add_noise(x_0, noise, t), velocity_target(x_0, noise)
            found: list[Tensor] = [part.linear(x_t, t, network.prompts_or_null(prompt, len(t))) for part in linear.values()]
            tokens = encoded[given][0][given]
            chunks = [slice(i, i + BATCH) for i in range(0, len(t), BATCH)]
            made = [network({given: tokens[i]}, {target: x_t[i]}, {target: t[i]}, prompt[i]).velocity[target] for i in chunks]
            errors = [float(((v - wanted) ** 2).mean()) for v in (*found, torch.cat(made))]
            print(f"| {time} | {' | '.join(f'{e:.3f}' for e in errors)} |", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else BUNDLED, int(sys.argv[4]) if len(sys.argv) > 4 else 200)
