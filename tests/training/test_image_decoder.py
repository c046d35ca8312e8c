"""A sharper decoder: the encoder stays, losses mean what they say, the critic and the decoder do not learn from each other's loss."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from omnicxr.data.dataset import PreparedDataset
from omnicxr.domain import Modality
from omnicxr.models.image_autoencoder import ImageAutoencoder
from omnicxr.models.prompts import PromptEncoders
from omnicxr.training.config import get_preset
from omnicxr.training.loop import LoopConfig
from omnicxr.training.run import TrainingRun
from omnicxr.training.stages.image_decoder import ImageDecoderStage, feature_distance


@pytest.fixture
def stage(run_folder: Path, prepared: Path) -> ImageDecoderStage:
    data = PreparedDataset(prepared, "train")
    autoencoder, prompts = ImageAutoencoder.load(run_folder / "model" / "image_autoencoder"), PromptEncoders.load(run_folder / "model" / "prompts")
    made = ImageDecoderStage(get_preset("nano"), data, data, autoencoder, prompts, seed=0, world_size=1)
    made.model.train().requires_grad_(True)
    return made


def test_only_the_decoder_changes(prepared: Path, tmp_path: Path) -> None:
    for name in ("image-autoencoder", "report-autoencoder", "prompts"):
        TrainingRun(get_preset("nano").with_steps(5), LoopConfig(), prepared, tmp_path).train(name)
    path = tmp_path / "model" / "image_autoencoder" / "model.safetensors"
    before = load_file(path)
    TrainingRun(get_preset("nano").with_steps(5), LoopConfig(), prepared, tmp_path).train("image-decoder")
    after = load_file(path)
    assert before.keys() == after.keys()
    changed = {k for k in before if not torch.equal(before[k], after[k])}
    assert changed and all(k.startswith("decoder.") for k in changed)
    assert (tmp_path / "image-decoder" / "samples-000005.png").is_file()


def test_distance_of_features(stage: ImageDecoderStage) -> None:
    trunk = stage.prompts.images[Modality.FRONTAL]
    x = torch.rand(2, 1, 64, 64) * 2 - 1
    distances = [float(feature_distance(trunk, x, (x + noise * torch.randn_like(x)).clamp(-1, 1))) for noise in (0, 0.1, 0.5)]  # type: ignore[arg-type]
    assert distances[0] == pytest.approx(0, abs=1e-6)
    assert distances[0] < distances[1] < distances[2]


def test_each_learns_from_its_own_loss(stage: ImageDecoderStage) -> None:
    """The critic gets no gradient from the decoder's loss, the decoder none from the critic's."""
    x = torch.rand(2, 1, 64, 64, requires_grad=True)
    stage.model.judge(x).mean().backward()
    assert x.grad is not None and float(x.grad.abs().sum()) > 0
    assert all(p.grad is None for p in stage.model.critic.parameters())
    stage.losses(stage.model, 10, 0)["loss"].backward()
    assert all(p.grad is not None for p in (*stage.model.decoder.parameters(), *stage.model.critic.parameters()))
    assert all(p.grad is None for p in stage.autoencoder.encoder.parameters())


def test_critic_learns_alone_at_first(stage: ImageDecoderStage) -> None:
    torch.manual_seed(0)
    assert float(stage.losses(stage.model, 0, 0)["fooling"]) == 0
    assert float(stage.losses(stage.model, 2, 0)["fooling"]) != 0
