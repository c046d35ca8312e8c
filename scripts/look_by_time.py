"""Where on the way from noise do pictures stop looking real? python scripts/look_by_time.py PREPARED [MODEL] [STUDIES]

Real views of the validation split are noised to a time t and drawn on from there with their report given, as sampling would: t = 0 is autoencoder
and refiner alone, t = 1 the whole way. Printed for each: the generator's mean square error of the velocity at that time; the Fréchet distance
(EfficientNet-Lite0) from as many training studies, what the means and what the covariances give of it; and how much of the real pictures' power is
left at 24 to 48 cycles a picture, in rims and vessels.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from omnicxr.data.dataset import PreparedDataset
from omnicxr.domain import IMAGE_MODALITIES, Modality
from omnicxr.evaluation.extractors import load_extractor
from omnicxr.evaluation.fidelity import frechet_distance, mean_distance
from omnicxr.flow.path import add_noise, velocity_target
from omnicxr.flow.samplers import solve, timesteps
from omnicxr.models.folder import BUNDLED
from omnicxr.pipeline import AnyToAnyPipeline, study_seed

TIMES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
CHUNK = 20


def main(prepared: Path, model: Path, studies: int) -> None:
    """Print a table of views and times."""
    pipe, extract = AnyToAnyPipeline.from_pretrained(model), load_extractor("efficientnet-lite0")
    data, training = PreparedDataset(prepared, "validate"), PreparedDataset(prepared, "train")
    rows, others = (d.having(*Modality)[:studies] for d in (data, training))
    print("| view | t | velocity error | Fréchet | means | covariances | power |\n|---|---|---|---|---|---|---|")
    for view in IMAGE_MODALITIES:
        real = np.stack(list(data.images(view, rows)))
        real_power, reference = fine_power(real), extract(view, np.stack(list(training.images(view, others))))
        print(f"| {view} | real | | {_parts(reference, extract(view, real))} | 1.00 |", flush=True)
        for t in TIMES:
            drawn = [drawn_on(pipe, data, view, chunk, t) for chunk in np.split(rows, range(CHUNK, len(rows), CHUNK))]
            pictures, error = np.concatenate([p for p, _ in drawn]), float(np.mean([e for _, e in drawn]))
            figures = f"{_parts(reference, extract(view, pictures))} | {fine_power(pictures) / real_power:.2f}"
            print(f"| {view} | {t} | {f'{error:.3f}' if t else ''} | {figures} |", flush=True)


@torch.no_grad()
def drawn_on(pipe: AnyToAnyPipeline, data: PreparedDataset, view: Modality, rows: np.ndarray, t: float) -> tuple[np.ndarray, float]:
    """Pictures drawn on from the real ones at time t, and the error of the unguided velocity there (nan at 0, where there is none)."""
    generators = [torch.Generator().manual_seed(study_seed(0, int(i))) for i in rows]
    x_0 = pipe.encode_given({view: list(data.images(view, rows))})[0][view]
    noise = pipe.noise([view], generators)[view]
    at = torch.full((len(rows),), t)
    x_t, error = add_noise(x_0, noise, at), float("nan")
    if t > 0:
        given, prompt = pipe.encode_given({Modality.REPORT: [data.reports[i] for i in rows]})
        unguided = pipe.guided_velocity(given, prompt, pipe.sampling.changed(guidance_scale=1.0, autoguidance_scale=1.0), len(rows))
        error = float((unguided({view: x_t}, t)[view] - velocity_target(x_0, noise)).square().mean())
        velocity = pipe.guided_velocity(given, prompt, pipe.sampling, len(rows))
        times = [s for s in timesteps(pipe.sampling.num_inference_steps, pipe.sampling.time_shift) if s <= t + 1e-6]
        x_t = solve(pipe.sampling.solver, velocity, {view: x_t}, times, lambda: pipe.noise([view], generators))[view]
    return np.stack([np.asarray(p) for p in getattr(pipe.decode({view: x_t}, generators), view)]), error


def fine_power(pictures: np.ndarray) -> float:
    """Mean power at 24 to 48 cycles a picture, of pictures that fade out towards their edges."""
    size = pictures.shape[-1]
    x = torch.from_numpy(pictures).double()
    fade = torch.hann_window(size, periodic=False, dtype=torch.double)
    power = torch.fft.fft2((x - x.mean((1, 2), keepdim=True)) * fade * fade[:, None]).abs().square().mean(0)
    cycles = torch.fft.fftfreq(size, dtype=torch.double) * size
    radius = torch.hypot(cycles, cycles[:, None])
    return float(power[(radius >= 24) & (radius < 48)].mean())


def _parts(a: np.ndarray, b: np.ndarray) -> str:
    """Fréchet distance | what the means give of it | what the covariances give."""
    whole, means = frechet_distance(a, b), mean_distance(a, b)
    return f"{whole:.1f} | {means:.1f} | {whole - means:.1f}"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else BUNDLED, int(sys.argv[3]) if len(sys.argv) > 3 else 200)
