"""Layers that torch has too, but not quite."""

import pytest
import torch

from omnicxr.models.layers import ImageTrunk, RMSNorm


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rms_norm_in_any_precision(dtype: torch.dtype) -> None:
    """x / sqrt(mean(x^2) + epsilon) times the weight, in the precision of the input.

    Epsilon is float32's, so that small inputs are not shrunk in bfloat16.
    """
    norm = RMSNorm(16)
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(0.5, 2, 16))
    x = (0.01 * torch.randn(4, 3, 16, generator=torch.Generator().manual_seed(0))).to(dtype)
    expected = (
        x.double()
        / (x.double().square().mean(-1, keepdim=True) + torch.finfo(torch.float32).eps).sqrt()
        * norm.weight.double()
    )
    found = norm(x)
    assert found.dtype == dtype
    torch.testing.assert_close(found.double(), expected, rtol=0.02 if dtype == torch.bfloat16 else 1e-5, atol=1e-6)


def test_pictures_of_a_multiple_of_the_size_are_averaged_down() -> None:
    """Those of twice or three times the size tell the same as their averages; smaller and slightly larger ones are seen
    as they are."""
    trunk, whole = ImageTrunk((8, 16), 32), ImageTrunk((8, 16))
    whole.load_state_dict(trunk.state_dict())
    x = torch.rand(2, 1, 32, 32)
    with torch.no_grad():
        for times in (2, 3):
            blocks = x.repeat_interleave(times, 2).repeat_interleave(times, 3)
            checked = (
                0.5 * (torch.arange(32 * times) % 2 - 0.5) if times == 2 else torch.zeros(32 * times)
            )  # which averages to nothing
            torch.testing.assert_close(trunk(blocks + checked), trunk(x))
        assert (whole(blocks) - trunk(blocks)).abs().max() > 0, "or the test above says nothing"
        for size in (16, 48):
            y = torch.rand(2, 1, size, size)
            torch.testing.assert_close(trunk(y), whole(y))
