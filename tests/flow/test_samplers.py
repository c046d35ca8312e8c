import math
from collections.abc import Callable

import pytest
import torch

from omnicxr.flow.path import velocity_target
from omnicxr.flow.samplers import ancestral, euler, heun, timesteps


def test_timesteps() -> None:
    times = timesteps(10)
    assert (times[0], times[-1], len(times)) == (1.0, 0.0, 11)
    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize(("solver", "order"), [(euler, 1), (heun, 2)])
def test_order_on_an_equation_with_a_known_answer(solver: Callable[..., torch.Tensor], order: int) -> None:
    """dx/dt = x from t = 1 to 0 ends in x(1) / e; halving the steps divides the error by 2^order."""

    def error(steps: int) -> float:
        end = solver(lambda x, t: x, torch.ones(1, dtype=torch.float64), timesteps(steps))
        return abs(float(end) - math.exp(-1))

    assert error(32) < 0.01
    assert error(16) / error(32) == pytest.approx(2**order, rel=0.15)


@pytest.mark.parametrize("solver", [euler, heun, ancestral])
def test_gaussian_flow_reaches_the_data_distribution(solver: Callable[..., torch.Tensor]) -> None:
    """Data N(m, s^2): the exact velocity is E[eps - x_0 | x_t]; samples must come out with mean m and deviation s."""
    m, s = 2.0, 0.5
    own = torch.Generator().manual_seed(0)

    def normal() -> torch.Tensor:
        return torch.randn(20_000, generator=own, dtype=torch.float64)

    def velocity(x: torch.Tensor, t: float) -> torch.Tensor:
        variance = (1 - t) ** 2 * s**2 + t**2
        centred = x - (1 - t) * m
        return t * centred / variance - (m + (1 - t) * s**2 * centred / variance)

    more = {"fresh": normal} if solver is ancestral else {}
    out = solver(velocity, normal(), timesteps(100), **more)
    assert float(out.mean()) == pytest.approx(m, abs=0.02)
    assert float(out.std()) == pytest.approx(s, abs=0.02)


def test_fresh_noise_is_that_of_ancestral_sampling() -> None:
    """The noise in x at each step, worked out in the coordinates of diffusion; data is the number 2, so that it is
    known exactly."""
    times, fresh = [1.0, 0.7, 0.5, 0.3, 0.0], iter([-0.4, 0.9])
    seen = []

    def velocity(x: torch.Tensor, t: float) -> torch.Tensor:
        seen.append(float((x - (1 - t) * 2) / t))
        return (x - 2) / t

    start = torch.tensor(1.5, dtype=torch.float64)
    out = ancestral(velocity, start, times, fresh=lambda: torch.tensor(next(fresh)))
    before, after = (
        ((1 - t) ** 2 / ((1 - t) ** 2 + t**2)) for t in (0.5, 0.3)
    )  # alpha squared of the same signal-to-noise ratios
    new = ((1 - after) / (1 - before) * (1 - before / after)) ** 0.5  # Song et al. 2021, eq. 16
    expected = ((1 - after - new**2) ** 0.5 * 1.5 + new * -0.4) / (1 - after) ** 0.5
    assert seen == pytest.approx([1.5, 1.5, 1.5, expected])
    assert float(out) == pytest.approx(2)
    assert list(fresh) == [0.9], "noise is drawn once: the last step ends in the data"


def test_euler_is_exact_on_a_straight_path_in_one_step() -> None:
    x_0, noise = torch.randn(3), torch.randn(3)
    out = euler(lambda x, t: velocity_target(x_0, noise), noise, timesteps(1))
    assert torch.allclose(out, x_0, atol=1e-6)
