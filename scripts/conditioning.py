"""How much the generator knows of a part from the parts that it is given: python scripts/conditioning.py PREPARED [MODEL]

For simulated data, whose continuous truth is known; regressions are fitted on training studies and scored on validation studies. Three tables:

1. where the side of a one-sided lesion can be read by a straight line, and how often the prompt embedding of a view is nearer to that of its own
   report than to that of the report with left and right exchanged (chance is 0.5): what a stream gets to see of it; rare lesions are left out;
2. mean square error of the velocity by time, given nothing / the tokens / tokens and prompt embedding, on training and on validation studies;
3. share of the variance of the data that is known from pure noise (t = 1) and what is given: by the generator, and by a ridge regression on
   the prompt embeddings of the same parts, which a trained generator should beat.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression, Ridge

from omnicxr.data.dataset import PreparedDataset
from omnicxr.domain import IMAGE_MODALITIES, Modality, Task
from omnicxr.domain.measures import PLACES, by_side
from omnicxr.evaluation.metrics import MIN_CASES
from omnicxr.flow.path import add_noise, data_from_velocity, velocity_target
from omnicxr.pipeline import AnyToAnyPipeline
from omnicxr.training.latents import Latents, encode_share, join_shares, load_latents
from omnicxr.training.stages.prompts import mirrored

TASKS = [t for t in Task.all() if len(t.generate) == 1]
TIMES = (0.2, 0.4, 0.6, 0.8, 0.9, 1.0)
GIVEN = ("nothing", "tokens", "tokens and prompt")
ERROR_ROWS, CHUNK, RIDGE = 380, 64, 1.0


@dataclass(frozen=True)
class Split:
    """Some studies that have all three parts."""

    known: Latents
    rows: np.ndarray
    mirrored: torch.Tensor
    """Prompt embeddings of the reports with left and right exchanged."""
    changed: np.ndarray
    """bool [n]: where that changed the report."""
    measures: np.ndarray

    @classmethod
    @torch.no_grad()
    def encode(cls, pipe: AnyToAnyPipeline, root: Path, split: str, folder: Path) -> Split:
        data = PreparedDataset(root, split)
        rows = data.having(*Modality)
        if data.measures is None:
            raise SystemExit(f"{root} has no continuous truth: prepare simulated studies.")
        encode_share(data, pipe.image_autoencoder, pipe.report_autoencoder, pipe.prompts, pipe.tokenizer, folder, 0, 1)
        join_shares(data, folder, 1)
        reports = [data.reports[i] for i in rows]
        others = [mirrored(r) for r in reports]
        chunks = [pipe.tokenizer.encode(others[i : i + CHUNK]) for i in range(0, len(rows), CHUNK)]
        exchanged = torch.cat([pipe.prompts.embed(Modality.REPORT, x) for x in chunks])
        changed = np.array([a != b for a, b in zip(reports, others, strict=True)])
        return cls(load_latents(data, folder), rows, exchanged, changed, data.measures[rows])

    def latents(self, modality: Modality, count: int | None = None) -> torch.Tensor:
        """Those of the first `count` studies."""
        return self.known.rows(modality, self.rows[:count])

    def prompt(self, *given: Modality, count: int | None = None) -> torch.Tensor:
        """Mean prompt embeddings of the first `count` studies."""
        prompt = self.known.prompt(given, self.rows[:count])
        assert prompt is not None
        return prompt


def sides(train: Split, held_out: Split) -> None:
    """Print the first table."""
    sources = [("latents", Modality.REPORT), *(("prompt", m) for m in (Modality.REPORT, Modality.FRONTAL, Modality.LATERAL))]
    names = [f"{kind} of the {m}" for kind, m in sources]
    names += [f"{m} nearer to its report" for m in IMAGE_MODALITIES]
    print("| lesion on one side | validation studies | " + " | ".join(names) + " |\n|---|---|" + "---|" * len(names))
    for kind in PLACES:
        (known, left), (asked, answer) = (one_sided(s.measures, kind) for s in (train, held_out))
        if asked.sum() < MIN_CASES:
            continue
        scores = []
        for source, m in sources:
            x, y = ((s.prompt(m) if source == "prompt" else s.latents(m).flatten(1)).numpy() for s in (train, held_out))
            strength = 100.0 if source == "prompt" else 0.01  # embeddings have length 1, latents unit variance
            scores.append(LogisticRegression(C=strength, max_iter=1000).fit(x[known], left[known]).score(y[asked], answer[asked]))
        rows = torch.from_numpy(asked & held_out.changed)
        apart = (held_out.prompt(Modality.REPORT) - held_out.mirrored)[rows]
        scores += [float(((apart * held_out.prompt(m)[rows]).sum(1) > 0).float().mean()) for m in IMAGE_MODALITIES]
        print(f"| {kind} | {asked.sum()} | " + " | ".join(f"{s:.2f}" for s in scores) + " |", flush=True)


def one_sided(measures: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """bool [n] each: the lesion is on one side only, it is on the left."""
    left, right = (by_side(kind, measures) > 0).T
    return left ^ right, left


@torch.no_grad()
def predict(pipe: AnyToAnyPipeline, split: Split, task: Task, given: str, time: float) -> tuple[float, float]:
    """Mean square error of the velocity, and of the data that it points to."""
    (m,) = task.generate
    x_0 = split.latents(m, ERROR_ROWS)
    noise = torch.randn(x_0.shape, generator=torch.Generator().manual_seed(0))
    t = torch.full((len(x_0),), time)
    parts = {} if given == "nothing" else {g: split.latents(g, ERROR_ROWS) for g in task.given}
    prompt = split.prompt(*task.given, count=ERROR_ROWS) if given == "tokens and prompt" else None
    x_t = add_noise(x_0, noise, t)
    velocity = torch.cat([
        pipe.generator({g: x[i : i + CHUNK] for g, x in parts.items()}, {m: x_t[i : i + CHUNK]}, {m: t[i : i + CHUNK]},
                       None if prompt is None else prompt[i : i + CHUNK]).velocity[m] for i in range(0, len(x_t), CHUNK)
    ])  # fmt: skip
    return (float(((velocity - velocity_target(x_0, noise)) ** 2).mean()), float(((data_from_velocity(x_t, velocity, t) - x_0) ** 2).mean()))


def errors(pipe: AnyToAnyPipeline, train: Split, held_out: Split) -> None:
    """Print the second table, training / validation in each cell."""
    print("\n| task | given | " + " | ".join(f"t = {t:g}" for t in TIMES) + " |\n|---|---|" + "---|" * len(TIMES))
    for task in TASKS:
        for given in GIVEN:
            cells = [" / ".join(f"{predict(pipe, s, task, given, t)[0]:.3f}" for s in (train, held_out)) for t in TIMES]
            print(f"| {task} | {given} | " + " | ".join(cells) + " |", flush=True)


def known_from_noise(pipe: AnyToAnyPipeline, train: Split, held_out: Split) -> None:
    """Print the third table."""
    print("\n| task | generator, training / validation | ridge, training / validation |\n|---|---|---|")
    for task in TASKS:
        (m,) = task.generate
        y = train.latents(m).flatten(1)
        ridge = Ridge(alpha=RIDGE).fit(train.prompt(*task.given).numpy(), y.numpy())
        shares: tuple[list[float], list[float]] = [], []
        for split in (train, held_out):
            real = split.latents(m, ERROR_ROWS).flatten(1)
            variance = ((real - y.mean(0)) ** 2).mean()
            guess = torch.from_numpy(ridge.predict(split.prompt(*task.given, count=ERROR_ROWS).numpy()))
            shares[0].append(1 - predict(pipe, split, task, GIVEN[-1], 1.0)[1] / float(variance))
            shares[1].append(1 - float(((guess - real) ** 2).mean() / variance))
        print(f"| {task} | " + " | ".join(" / ".join(f"{s:.3f}" for s in pair) for pair in shares) + " |", flush=True)


def main(prepared: Path, model: Path | None) -> None:
    """Print all three tables."""
    pipe = AnyToAnyPipeline.from_pretrained(model)
    with TemporaryDirectory() as folder:
        train, held_out = (Split.encode(pipe, prepared, s, Path(folder)) for s in ("train", "validate"))
        sides(train, held_out)
        errors(pipe, train, held_out)
        known_from_noise(pipe, train, held_out)


if __name__ == "__main__":
    torch.manual_seed(0)
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
