"""Compiled blocks do what plain ones do. The backend here stops before machine code, which takes minutes to make."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend

from omnicxr.domain import Modality, UserError
from omnicxr.models.generator.network import Generator
from omnicxr.training import compiling
from omnicxr.training.compiling import compile_blocks, uncompiled


@pytest.fixture
def step(model_folder: Path) -> Callable[[Generator], dict[str, torch.Tensor]]:
    """Forward and backward from a report to a frontal view: the gradients."""
    random = torch.Generator().manual_seed(0)
    config = Generator.load(model_folder / "generator").config
    report, frontal = (
        torch.randn(3, *config.latent_shape(m), generator=random) for m in (Modality.REPORT, Modality.FRONTAL)
    )
    prompt = torch.randn(3, config.prompt_dim, generator=random)

    def gradients(model: Generator) -> dict[str, torch.Tensor]:
        model.zero_grad()
        t = torch.tensor([0.2, 0.5, 0.9])
        velocity = model(Modality.FRONTAL, frontal, t, given={Modality.REPORT: report}, prompt_embeds=prompt)
        (velocity**2).mean().backward()
        return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}

    return gradients


@pytest.mark.slow
def test_compiled_blocks_give_the_same_gradients_and_share_what_was_compiled(
    model_folder: Path, step: Callable[[Generator], dict[str, torch.Tensor]]
) -> None:
    plain = Generator.load(model_folder / "generator").train().requires_grad_(True)
    compiled = deepcopy(plain)
    torch._dynamo.reset()
    counter = CompileCounterWithBackend("aot_eager")
    blocks = compile_blocks(compiled, backend=counter)
    with uncompiled(True):
        step(compiled)
    assert counter.frame_count == 0
    wanted, found = step(plain), step(compiled)
    assert found.keys() == wanted.keys()
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-6)
    once = counter.frame_count
    assert 0 < once < blocks  # checks of shapes, which only tests have, split what is compiled
    step(compiled)
    assert counter.frame_count == once
    assert compiled.state_dict().keys() == plain.state_dict().keys()


def test_without_a_compiler(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling.shutil, "which", lambda _: None)
    with pytest.raises(UserError, match=r"needs a C\+\+ compiler"):
        compile_blocks(Generator.load(model_folder / "generator"))
