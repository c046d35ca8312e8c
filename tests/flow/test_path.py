import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from omnicxr.flow.path import add_noise, data_from_velocity, noise_from_velocity, sample_times, velocity_target

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
    t = sample_times(20_000, generator=torch.Generator().manual_seed(0))
    assert 0 < t.min() < 0.05 < 0.95 < t.max() < 1
    assert float(t.mean()) == pytest.approx(0.5, abs=0.01)
    logits = torch.logit(sample_times(20_000, generator=torch.Generator().manual_seed(0), shift=0.7, spread=1.4))
    assert (float(logits.mean()), float(logits.std())) == pytest.approx((0.7, 1.4), abs=0.03)
