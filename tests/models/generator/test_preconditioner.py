"""The linear estimate of the velocity, against closed forms and least squares."""

import math

import numpy as np
import pytest
import torch

from omnicxr.flow.path import add_noise, velocity_target
from omnicxr.flow.samplers import euler, timesteps
from omnicxr.models.generator.preconditioner import Preconditioner
from omnicxr.models.generator.statistics import LatentStatistics, PromptedRows, latent_statistics

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
            mean=mean.view(SHAPE),
            std=covariance.diag().sqrt().view(SHAPE),
            axes=axes[:, :rank],
            axis_std=spread[:rank],
            rest_std=left.diag().sqrt().view(SHAPE),
            regression=torch.randn(PROMPT, rank),
        )
    )
    return part, mean, covariance


def sample(part: Preconditioner, noise: torch.Tensor, prompt: torch.Tensor | None = None) -> torch.Tensor:
    """By 400 steps with a network that says nothing."""

    def velocity(x: torch.Tensor, t: float) -> torch.Tensor:
        times = torch.full((len(x),), t)
        return part.output(x, times, linear=part.linear(x, times, prompt), network=torch.zeros_like(x))

    return euler(velocity, noise, timesteps(400))


def test_alone_it_samples_the_gaussian_of_its_statistics() -> None:
    """The flow is exact for independent Gaussian latents."""
    torch.manual_seed(0)
    part = Preconditioner(SHAPE)
    mean, std = torch.randn(SHAPE), torch.rand(SHAPE) + 0.2
    part.set_statistics(LatentStatistics(mean=mean, std=std))
    x = sample(part, torch.randn(20_000, *SHAPE))
    assert torch.allclose(x.mean(0), mean, atol=0.05)
    assert torch.allclose(x.std(0), std, rtol=0.05)


@pytest.mark.slow
def test_with_all_axes_it_samples_correlated_latents_and_moves_their_mean_with_the_prompt() -> None:
    part, mean, covariance = correlated(SIZE)
    noise, prompt = torch.randn(20_000, *SHAPE), torch.randn(PROMPT)
    plain, prompted = sample(part, noise).flatten(1), sample(part, noise, prompt.expand(20_000, -1)).flatten(1)
    assert torch.allclose(plain.mean(0), mean, atol=0.05)
    assert torch.allclose(plain.T.cov(), covariance, atol=0.12)
    assert torch.allclose(prompted.mean(0), mean + part.axes @ (prompt @ part.regression), atol=0.05)
    assert torch.allclose(prompted.T.cov(), covariance, atol=0.12)


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
    mean, std = torch.tensor([0.0, 1.0, -2.0, 0.5]), torch.tensor([1.0, 0.3, 2.0, 0.1])
    part.set_statistics(LatentStatistics(mean=mean, std=std))
    x_0 = part.mean + part.std * torch.randn(50_000, 4)
    noise = torch.randn(50_000, 4)
    for time in (0.05, 0.4, 0.9):
        t = torch.full((len(x_0),), time)
        x_t = add_noise(x_0, noise, t)
        assert torch.allclose(part.input(x_t, t).std(0), torch.ones(4), atol=0.02)
        linear = part.linear(x_t, t)
        nothing = part.output(x_t, t, linear=linear, network=torch.zeros_like(x_t))
        slope = part.output(x_t, t, linear=linear, network=torch.ones_like(x_t)) - nothing
        assert torch.allclose(((velocity_target(x_0, noise) - nothing) / slope).std(0), torch.ones(4), atol=0.02)


def test_statistics_without_axes_are_refused() -> None:
    with pytest.raises(ValueError, match="principal axes"):
        Preconditioner(SHAPE, 2, PROMPT).set_statistics(
            LatentStatistics(mean=torch.zeros(SHAPE), std=torch.ones(SHAPE))
        )


def test_statistics_of_latents_against_numpy() -> None:
    rng, count, shape, rank = np.random.default_rng(0), 300, (5, 2, 1), 6
    embeds = rng.standard_normal((count, PROMPT)).astype(np.float32)
    mixing = rng.standard_normal((PROMPT, 10)) * 0.5
    values = rng.standard_normal((count, 10)) * np.linspace(0.2, 2, 10) + embeds @ mixing + 3
    latents = torch.from_numpy(values.reshape(count, *shape)).float()
    there = np.arange(count) % 4 > 0
    prompted = [PromptedRows(rows=torch.from_numpy(there), prompts=torch.from_numpy(embeds[there]))]
    found = latent_statistics(latents, rank=rank, prompt_dim=PROMPT, prompted=prompted)
    assert found.axes is not None and found.axis_std is not None and found.rest_std is not None
    centred = values - values.mean(0)
    spread, axes = np.linalg.eigh(np.cov(values.T))
    largest = axes[:, ::-1][:, :rank]
    np.testing.assert_allclose(np.abs(largest.T @ found.axes.numpy()), np.eye(rank), atol=0.02)
    np.testing.assert_allclose(found.axis_std, np.sqrt(spread[::-1][:rank]), rtol=1e-3)
    left = centred - centred @ largest @ largest.T
    np.testing.assert_allclose(found.rest_std.flatten(), left.std(0, ddof=1), rtol=0.02)
    best = np.linalg.lstsq(embeds[there], (centred @ found.axes.numpy())[there], rcond=None)[0]
    assert found.regression is not None
    np.testing.assert_allclose(found.regression, best, rtol=0.1, atol=0.05)


def test_statistics_where_little_is_known() -> None:
    """Fewer studies than axes, nothing that can be given, or no axes at all."""
    few = latent_statistics(torch.randn(4, *SHAPE), rank=5, prompt_dim=PROMPT)
    assert few.axes is not None and few.axes.shape == (SIZE, 5) and not few.axes[:, 4].any()
    assert few.regression is not None and few.regression.shape == (PROMPT, 5) and not few.regression.any()
    assert latent_statistics(torch.randn(4, *SHAPE)).axes is None
