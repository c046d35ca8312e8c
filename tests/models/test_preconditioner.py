"""The linear estimate of the velocity, against closed forms and least squares."""

import math
from typing import Any, cast

import numpy as np
import pytest
import torch

from omnicxr.data.dataset import PreparedDataset
from omnicxr.domain import Modality
from omnicxr.flow.path import add_noise, velocity_target
from omnicxr.flow.samplers import euler, timesteps
from omnicxr.models.generator.network import Generator, GeneratorConfig
from omnicxr.models.generator.preconditioner import LatentStatistics, Preconditioner
from omnicxr.training.latents import Latents
from omnicxr.training.statistics import latent_statistics

SHAPE, PROMPT = (2, 3), 4
SIZE = math.prod(SHAPE)


def correlated(rank: int) -> tuple[Preconditioner, torch.Tensor, torch.Tensor]:
    """A preconditioner of a Gaussian with that many principal axes, its mean [6] and covariance [6, 6]."""
    torch.manual_seed(0)
    axes = torch.linalg.qr(torch.randn(SIZE, SIZE))[0]
    spread = torch.tensor([2.0, 1.5, 1.0, 0.7, 0.5, 0.3])
    covariance, mean = (axes * spread**2) @ axes.T, torch.randn(SIZE)
    left = (axes[:, rank:] * spread[rank:] ** 2) @ axes[:, rank:].T
    part = Preconditioner(SHAPE, rank, PROMPT)
    part.set_statistics(
        LatentStatistics(
            mean.view(SHAPE),
            covariance.diag().sqrt().view(SHAPE),
            axes[:, :rank],
            spread[:rank],
            left.diag().sqrt().view(SHAPE),
            torch.randn(PROMPT, rank),
        )
    )
    return part, mean, covariance


def sample(part: Preconditioner, noise: torch.Tensor, prompt: torch.Tensor | None = None) -> torch.Tensor:
    """By 400 steps with a network that says nothing."""

    def velocity(x: dict[str, torch.Tensor], t: float) -> dict[str, torch.Tensor]:
        times = torch.full((len(x["a"]),), t)
        return {"a": part.output(x["a"], times, part.linear(x["a"], times, prompt), torch.zeros_like(x["a"]))}

    return euler(velocity, {"a": noise}, timesteps(400))["a"]


def test_alone_it_samples_the_gaussian_of_its_statistics() -> None:
    """The flow is exact for independent Gaussian latents."""
    torch.manual_seed(0)
    part = Preconditioner(SHAPE)
    mean, std = torch.randn(SHAPE), torch.rand(SHAPE) + 0.2
    part.set_statistics(LatentStatistics(mean, std))
    x = sample(part, torch.randn(20_000, *SHAPE))
    assert torch.allclose(x.mean(0), mean, atol=0.05)
    assert torch.allclose(x.std(0), std, rtol=0.05)


def test_with_all_axes_it_samples_correlated_latents_and_moves_their_mean_with_the_prompt() -> None:
    part, mean, covariance = correlated(SIZE)
    noise, prompt = torch.randn(20_000, *SHAPE), torch.randn(PROMPT)
    plain, told = sample(part, noise).flatten(1), sample(part, noise, prompt.expand(20_000, -1)).flatten(1)
    assert torch.allclose(plain.mean(0), mean, atol=0.05)
    assert torch.allclose(plain.T.cov(), covariance, atol=0.12)
    assert torch.allclose(told.mean(0), mean + part.axes @ (prompt @ part.regression), atol=0.05)
    assert torch.allclose(told.T.cov(), covariance, atol=0.12)


@pytest.mark.parametrize("time", [0.05, 0.4, 0.9, 1.0])
def test_with_all_axes_no_linear_estimate_is_better(time: float) -> None:
    """Against least squares on the same draws; and x_0 against the closed form of the posterior mean."""
    part, mean, covariance = correlated(SIZE)
    x_0, noise = mean + torch.randn(50_000, SIZE) @ torch.linalg.cholesky(covariance).T, torch.randn(50_000, SIZE)
    t = torch.full((len(x_0),), time)
    x_t, target = add_noise(x_0, noise, t), velocity_target(x_0, noise)
    linear = part.linear(x_t.view(-1, *SHAPE), t)
    inputs = np.c_[x_t.numpy(), np.ones(len(x_t))]
    best = inputs @ np.linalg.lstsq(inputs, target.numpy(), rcond=None)[0]
    assert float(((linear.flatten(1) - target) ** 2).mean()) == pytest.approx(
        ((best - target.numpy()) ** 2).mean(), rel=0.002
    )
    gain = (1 - time) * covariance @ torch.linalg.inv((1 - time) ** 2 * covariance + time**2 * torch.eye(SIZE))
    posterior = mean + (x_t - (1 - time) * mean) @ gain.T
    found = part.estimate(x_t.view(-1, *SHAPE), t, linear) * part.std + part.mean
    assert torch.allclose(found.flatten(1), posterior, atol=1e-4)


def test_some_axes_tell_more_than_none_and_less_than_all() -> None:
    errors = []
    for rank in (0, 2, SIZE):
        part, mean, covariance = correlated(rank)
        torch.manual_seed(1)
        x_0, noise = mean + torch.randn(20_000, SIZE) @ torch.linalg.cholesky(covariance).T, torch.randn(20_000, SIZE)
        t = torch.rand(len(x_0))
        linear = part.linear(add_noise(x_0, noise, t).view(-1, *SHAPE), t).flatten(1)
        errors.append(float(((linear - velocity_target(x_0, noise)) ** 2).mean()))
    assert errors[0] > 1.02 * errors[1] and errors[1] > 1.02 * errors[2]


def test_target_of_the_network_has_unit_variance() -> None:
    torch.manual_seed(0)
    part = Preconditioner((4,))
    part.set_statistics(LatentStatistics(torch.tensor([0.0, 1.0, -2.0, 0.5]), torch.tensor([1.0, 0.3, 2.0, 0.1])))
    x_0 = part.mean + part.std * torch.randn(50_000, 4)
    noise = torch.randn(50_000, 4)
    for time in (0.05, 0.4, 0.9):
        t = torch.full((len(x_0),), time)
        x_t = add_noise(x_0, noise, t)
        assert torch.allclose(part.input(x_t, t).std(0), torch.ones(4), atol=0.02)
        linear = part.linear(x_t, t)
        nothing = part.output(x_t, t, linear, torch.zeros(4))
        slope = part.output(x_t, t, linear, torch.ones(4)) - nothing
        assert torch.allclose(((velocity_target(x_0, noise) - nothing) / slope).std(0), torch.ones(4), atol=0.02)


def test_statistics_without_axes_are_refused() -> None:
    with pytest.raises(ValueError, match="principal axes"):
        Preconditioner(SHAPE, 2, PROMPT).set_statistics(LatentStatistics(torch.zeros(SHAPE), torch.ones(SHAPE)))


class Present:
    """Stands for a data set of which only who has what is asked."""

    def __init__(self, there: dict[Modality, np.ndarray]) -> None:
        self.there = there

    def having(self, *modalities: Modality) -> np.ndarray:
        return np.flatnonzero(np.all([self.there[m] for m in modalities], axis=0))


def test_statistics_of_latents_against_numpy() -> None:
    frontal, lateral, report = Modality
    rng, count, shape = np.random.default_rng(0), 400, (5, 2, 1)
    embeds = {m: rng.standard_normal((count, PROMPT)).astype(np.float32) for m in Modality}
    mixing = rng.standard_normal((PROMPT, 10)) * 0.5
    values = rng.standard_normal((count, 10)) * np.linspace(0.2, 2, 10) + embeds[report] @ mixing + 3
    frontals = torch.from_numpy(values.reshape(count, *shape)).float()
    latents = Latents(dict.fromkeys(Modality, frontals), {m: torch.from_numpy(e) for m, e in embeds.items()})
    there = {report: np.ones(count, bool), lateral: np.arange(count) < 0, frontal: np.arange(count) % 4 > 0}
    network = Generator(
        GeneratorConfig(
            latent_size=2, patch=1, prompt_dim=PROMPT, width=8, depth=1, heads=1, preconditioned=True, principal_axes=6
        )
    )
    data = cast(PreparedDataset, cast(Any, Present(there)))
    found = latent_statistics(latents, data, frontal, network)
    assert (
        found.axes is not None
        and found.axis_std is not None
        and found.rest_std is not None
        and found.regression is not None
    )
    seen = values[there[frontal]]
    centred = seen - seen.mean(0)
    spread, axes = np.linalg.eigh(np.cov(seen.T))
    np.testing.assert_allclose(np.abs(axes[:, ::-1][:, :6].T @ found.axes.numpy()), np.eye(6), atol=0.02)
    np.testing.assert_allclose(found.axis_std, np.sqrt(spread[::-1][:6]), rtol=1e-3)
    left = centred - centred @ axes[:, ::-1][:, :6] @ axes[:, ::-1][:, :6].T
    np.testing.assert_allclose(found.rest_std.flatten(), left.std(0, ddof=1), rtol=0.02)
    prompts = embeds[report][there[frontal]] * PROMPT**0.5
    best = np.linalg.lstsq(prompts, centred @ found.axes.numpy(), rcond=None)[0]
    np.testing.assert_allclose(found.regression, best, rtol=0.1, atol=0.05)
    assert latent_statistics(latents, data, report, network).axes is None
