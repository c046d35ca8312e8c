import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from omnicxr.flow.guidance import guidance, is_guided
from omnicxr.flow.path import (
    add_noise,
    coarse_to_fine_error,
    data_from_velocity,
    diffusion_times,
    noise_from_velocity,
    sample_diffusion_times,
    sample_times,
    velocity_target,
)
from omnicxr.flow.samplers import SOLVERS, begin, diffusion_timesteps, euler, solve, timesteps

FLOATS = st.floats(-5, 5)


@given(FLOATS, FLOATS, st.floats(0, 1))
def test_conversions_round_trip(x: float, n: float, t: float) -> None:
    x_0, noise, time = (torch.tensor([[v]], dtype=torch.float64) for v in (x, n, t))
    x_t, v = add_noise(x_0, noise, time[0]), velocity_target(x_0, noise)
    assert torch.allclose(data_from_velocity(x_t, v, time[0]), x_0)
    assert torch.allclose(noise_from_velocity(x_t, v, time[0]), noise)


def test_ends_of_the_path() -> None:
    x_0, noise = torch.randn(2, 4, 3, 3), torch.randn(2, 4, 3, 3)
    assert torch.equal(add_noise(x_0, noise, torch.zeros(2)), x_0)
    assert torch.equal(add_noise(x_0, noise, torch.ones(2)), noise)


def test_times_are_inside_and_centred() -> None:
    t = sample_times(20_000, torch.Generator().manual_seed(0))
    assert 0 < t.min() < 0.05 < 0.95 < t.max() < 1
    assert float(t.mean()) == pytest.approx(0.5, abs=0.01)
    logits = torch.logit(sample_times(20_000, torch.Generator().manual_seed(0), shift=0.7, spread=1.4))
    assert (float(logits.mean()), float(logits.std())) == pytest.approx((0.7, 1.4), abs=0.03)


def test_coarse_errors_count_more_than_white_ones() -> None:
    white = torch.randn(64, 2, 16, 16, generator=torch.Generator().manual_seed(0))
    assert float(coarse_to_fine_error(white, 0)) == pytest.approx(float((white**2).mean()))
    assert float(coarse_to_fine_error(white, 2)) == pytest.approx(1, abs=0.05)
    flat = torch.full((1, 1, 8, 8), 2.0)
    assert float(coarse_to_fine_error(flat, 2)) == pytest.approx(4 * (1 + 4 + 16) / 3)
    checkerboard = torch.ones(8, 8)
    checkerboard[::2, ::2] = checkerboard[1::2, 1::2] = -1
    assert float(coarse_to_fine_error(checkerboard[None, None], 2)) == pytest.approx(1 / 3)


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_timesteps(shift: float) -> None:
    times = timesteps(10, shift)
    assert (times[0], times[-1], len(times)) == (1.0, 0.0, 11)
    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("heun", 2)])
def test_order_on_an_equation_with_a_known_answer(solver: str, order: int) -> None:
    """dx/dt = x from t = 1 to 0 ends in x(1) / e; halving the steps divides the error by 2^order."""

    def error(steps: int) -> float:
        start = torch.ones(1, dtype=torch.float64)
        end = solve(solver, lambda x, t: x, {"x": start}, timesteps(steps), lambda: {})["x"]
        return abs(float(end) - math.exp(-1))

    assert error(32) < 0.01
    assert error(16) / error(32) == pytest.approx(2**order, rel=0.15)


@pytest.mark.parametrize("solver", SOLVERS)
def test_gaussian_flow_reaches_the_data_distribution(solver: str) -> None:
    """Data N(m, s^2): the exact velocity is E[eps - x_0 | x_t]; samples must come out with mean m and deviation s."""
    m, s = 2.0, 0.5

    def velocity(x: dict[str, torch.Tensor], t: float) -> dict[str, torch.Tensor]:
        variance = (1 - t) ** 2 * s**2 + t**2
        centred = x["x"] - (1 - t) * m
        return {"x": t * centred / variance - (m + (1 - t) * s**2 * centred / variance)}

    own = torch.Generator().manual_seed(0)
    noise = torch.randn(20_000, generator=own, dtype=torch.float64)
    out = solve(
        solver,
        velocity,
        {"x": noise},
        timesteps(100),
        lambda: {"x": torch.randn(20_000, generator=own, dtype=torch.float64)},
    )["x"]
    assert float(out.mean()) == pytest.approx(m, abs=0.02)
    assert float(out.std()) == pytest.approx(s, abs=0.02)


def test_fresh_noise_is_that_of_ancestral_sampling() -> None:
    """The noise in x at each step, worked out in the coordinates of diffusion; data is the number 2, so that it is
    known exactly."""
    times, fresh = [1.0, 0.7, 0.5, 0.3, 0.0], iter([-0.4, 0.9])
    seen = []

    def velocity(x: dict[str, torch.Tensor], t: float) -> dict[str, torch.Tensor]:
        seen.append(float((x["x"] - (1 - t) * 2) / t))
        return {"x": (x["x"] - 2) / t}

    out = solve(
        "ancestral",
        velocity,
        {"x": torch.tensor(1.5, dtype=torch.float64)},
        times,
        lambda: {"x": torch.tensor(next(fresh))},
    )
    before, after = (
        ((1 - t) ** 2 / ((1 - t) ** 2 + t**2)) for t in (0.5, 0.3)
    )  # alpha squared of the same signal-to-noise ratios
    new = ((1 - after) / (1 - before) * (1 - before / after)) ** 0.5  # Song et al. 2021, eq. 16
    expected = ((1 - after - new**2) ** 0.5 * 1.5 + new * -0.4) / (1 - after) ** 0.5
    assert seen == pytest.approx([1.5, 1.5, 1.5, expected])
    assert float(out["x"]) == pytest.approx(2)
    assert list(fresh) == [0.9], "noise is drawn once: the last step ends in the data"


def test_euler_is_exact_on_a_straight_path_in_one_step() -> None:
    x_0, noise = torch.randn(3), torch.randn(3)
    out = euler(lambda x, t: {"x": velocity_target(x_0, noise)}, {"x": noise}, timesteps(1))
    assert torch.allclose(out["x"], x_0, atol=1e-6)


@pytest.mark.parametrize("steps", [10, 50])
def test_diffusion_times_with_euler_are_ddim(steps: int) -> None:
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
    ours = euler(lambda x, t: {"x": (predicted(x["x"], t) - x["x"]) / (1 - t)}, begin({"x": noise}, times[0]), times)[
        "x"
    ]
    assert torch.allclose(ours, x, atol=1e-5)


def test_diffusion_times_of_training() -> None:
    t = sample_diffusion_times(5_000, torch.Generator().manual_seed(0))
    assert set(t.tolist()) <= set(diffusion_times().tolist())
    assert float(diffusion_times().max()) == pytest.approx(0.936, abs=1e-3)
    assert float(t.mean()) == pytest.approx(float(diffusion_times().mean()), abs=0.02)
    assert 0 < float(t.min()) < 0.05


def test_beginning_at_the_noise_changes_nothing() -> None:
    noise = torch.randn(8)
    assert torch.equal(begin({"x": noise}, 1.0)["x"], noise)


def test_guidance_without_what_is_parallel_to_the_data() -> None:
    """x_0 = (1, 1) - 0.5 (2, 0) = (0, 1): of the difference (2, 2) the part along it is (0, 2). Each study by itself,
    and of any shape."""
    x, t = torch.ones(2, 2), 0.5
    c, u = torch.tensor([[2.0, 0.0], [0.0, 2.0]]), torch.tensor([[0.0, -2.0], [3.0, 2.0]])

    def added(parallel: float) -> torch.Tensor:
        flat = guidance({"x": x}, t, {"x": c}, {"x": u}, 3.0, parallel)["x"]
        shaped = guidance({"x": x.view(2, 1, 2)}, t, {"x": c.view(2, 1, 2)}, {"x": u.view(2, 1, 2)}, 3.0, parallel)["x"]
        assert torch.equal(flat, shaped.flatten(1))
        return flat

    assert torch.allclose(added(0.0)[0], torch.tensor([4.0, 0.0]))
    assert torch.allclose(added(0.25)[0], torch.tensor([4.0, 1.0]))
    assert torch.allclose(added(1.0)[0], torch.tensor([4.0, 4.0]))
    assert torch.allclose(added(0.0)[1], torch.tensor([0.0, 0.0])), "x_0 is (1, 0), and so is what would be added"


def test_guidance() -> None:
    x, t, c, u = {"x": torch.tensor([[0.3]])}, 0.5, {"x": torch.tensor([[3.0]])}, {"x": torch.tensor([[1.0]])}
    assert float(guidance(x, t, c, u, 1.0)["x"]) == 0
    assert float(guidance(x, t, c, u, 0.0)["x"]) == -2, "what was the other's"
    assert float(guidance(x, t, c, u, 2.5)["x"]) == 3
    assert is_guided(0.5, 2.0, (0.2, 0.5))
    assert not is_guided(0.6, 2.0, (0.2, 0.5))
    assert not is_guided(0.4, 1.0, (0.0, 1.0))
