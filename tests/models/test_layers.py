"""Layers that torch has too, but not quite."""

import pytest
import torch

from omnicxr.models.layers import RMSNorm


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rms_norm_in_any_precision(dtype: torch.dtype) -> None:
    """x / sqrt(mean(x^2) + epsilon) times the weight, in the precision of the input.

    Epsilon is float32's, so that small inputs are not shrunk in bfloat16.
    """
    norm = RMSNorm(16)
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(0.5, 2, 16))
    x = (0.01 * torch.randn(4, 3, 16, generator=torch.Generator().manual_seed(0))).to(dtype)
    expected = x.double() / (x.double().square().mean(-1, keepdim=True) + torch.finfo(torch.float32).eps).sqrt() * norm.weight.double()
    found = norm(x)
    assert found.dtype == dtype
    torch.testing.assert_close(found.double(), expected, rtol=0.02 if dtype == torch.bfloat16 else 1e-5, atol=1e-6)
