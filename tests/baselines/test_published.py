"""The published design: its schedule against its own coordinates, what its streams see, and a model trained with it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from omnicxr.baselines.published import PublishedGenerator, diffusion_times, diffusion_timesteps, losses
from omnicxr.domain import Modality, UserError
from omnicxr.flow.samplers import euler
from omnicxr.models.generator.config import GeneratorConfig
from omnicxr.pipeline import AnyToAnyPipeline
from omnicxr.training.loop import LoopConfig
from omnicxr.training.presets import get_preset
from omnicxr.training.run import TrainingRun

F, L, R = Modality
CONFIG = GeneratorConfig(
    image_channels=4,
    latent_size=8,
    report_tokens=1,
    report_channels=5,
    prompt_dim=12,
    width=32,
    depth=3,
    heads=4,
    local_channels=8,
)
PUBLISHED_NANO = replace(get_preset("nano"), name="published-nano", design="published")


@pytest.mark.parametrize("steps", [10, 50])
def test_euler_at_diffusion_times_is_ddim(steps: int) -> None:
    """Against the update in the coordinates of diffusion (Song et al. 2021, eq. 12 with sigma 0), for one function that
    predicts noise."""
    beta = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    products = [1.0, *torch.cumprod(1 - beta, 0).tolist()]  # before any noise, then after each of 1000 steps
    noise = torch.randn(64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def predicted(x: torch.Tensor, t: float) -> torch.Tensor:
        """From x in the coordinates of the flow: the noise in data of mean 2 and deviation 0.5."""
        return t * (x - (1 - t) * 2) / ((1 - t) ** 2 * 0.25 + t**2)

    x = noise
    for i in range(1000, 0, -1000 // steps):
        alpha, sigma = products[i] ** 0.5, (1 - products[i]) ** 0.5
        eps = predicted(x / (alpha + sigma), sigma / (alpha + sigma))
        following = products[i - 1000 // steps]
        x = following**0.5 * (x - sigma * eps) / alpha + (1 - following) ** 0.5 * eps
    times = diffusion_timesteps(steps)
    start = noise * ((1 - times[0]) ** 2 + times[0] ** 2) ** 0.5
    ours = euler(lambda x, t: (predicted(x, t) - x) / (1 - t), start, times)
    assert torch.allclose(ours, x, atol=1e-5)
    assert float(diffusion_times().max()) == pytest.approx(0.936, abs=1e-3)


def make() -> tuple[PublishedGenerator, dict[Modality, torch.Tensor]]:
    torch.manual_seed(0)
    model = PublishedGenerator(CONFIG)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.05 * torch.randn(p.shape))
    return model.eval(), {m: torch.randn(3, *CONFIG.latent_shape(m)) for m in Modality}


@torch.no_grad()
def test_parts_see_each_other_by_one_mean_token() -> None:
    """Another content of one part changes the other; studies do not mix; the prompt counts."""
    model, x = make()
    t = torch.full((3,), 0.4)
    base = model(x, t, None)
    other = model(x | {L: -x[L]}, t, None).noise[F]
    assert not torch.allclose(base.noise[F], other, atol=1e-5)
    alone = model({F: x[F]}, t, None).noise[F]
    assert not torch.allclose(base.noise[F], alone, atol=1e-5)
    one = model({m: torch.cat([v[:1], -v[1:]]) for m, v in x.items()}, t, None).noise
    assert all(torch.allclose(one[m][0], base.noise[m][0], atol=1e-5) for m in x)
    assert all(torch.allclose(f.norm(dim=-1), torch.ones(3)) for f in base.features.values())
    prompted = model(x, t, torch.nn.functional.normalize(torch.ones(3, 12), dim=-1)).noise[F]
    assert not torch.allclose(base.noise[F], prompted, atol=1e-5)


def test_loss_is_one_where_nothing_is_predicted() -> None:
    """Heads begin at zero, and standard normal noise has a mean square of 1."""
    torch.manual_seed(0)
    x = {m: torch.randn(256, *CONFIG.latent_shape(m)) for m in (F, R)}
    found = losses(PublishedGenerator(CONFIG), x, None)
    assert all(float(found[f"noise_{m}"]) == pytest.approx(1, abs=0.1) for m in x)
    assert float(found["loss"].detach()) > 1, "the contrastive term"


@pytest.mark.slow
def test_it_is_trained_saved_and_sampled(run_folder: Path, prepared: Path, tmp_path: Path) -> None:
    ignored = shutil.ignore_patterns("generator", "guide", "judge", "model_index.json")
    shutil.copytree(run_folder / "model", tmp_path / "model", ignore=ignored)
    run = TrainingRun(preset=PUBLISHED_NANO.with_steps(60), loop=LoopConfig(), data=prepared, out=tmp_path)
    run.train("generator")
    rows = [json.loads(line) for line in (tmp_path / "generator" / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["noise_frontal"] < rows[0]["noise_frontal"]
    pipe = AnyToAnyPipeline.from_pretrained(tmp_path / "model")
    assert isinstance(pipe.generator, PublishedGenerator) and not pipe.in_turn
    assert (pipe.sampling.num_inference_steps, pipe.sampling.guidance_scale) == (50, 7.5)
    sentences = ("Large right effusion.", "Clear lungs.")
    out = [pipe(report=r, generate=(F, L), num_inference_steps=3) for r in sentences]
    pictures = [np.asarray((o.frontal or [])[0], float) for o in out]
    assert min(p.std() for p in pictures) > 2
    assert np.abs(pictures[0] - pictures[1]).max() > 0, "the report that is given makes no difference"
    with pytest.raises(UserError, match="has no stage 'guide'"):
        run.train("guide")
