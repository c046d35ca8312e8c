"""Image trunks that are not trained: what they see, keep and leave alone."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from omnicxr.domain import IMAGE_MODALITIES, Modality, UserError
from omnicxr.models.efficientnet import GRID, grid_features, reader
from omnicxr.models.folder import BUNDLED, component_folder
from omnicxr.models.judge import Judge, JudgeConfig
from omnicxr.models.layers import ImageTrunk
from omnicxr.models.prompt_encoders import PromptEncoders, PromptEncodersConfig
from omnicxr.models.trunks import DROPOUT, SCALE, SMALLEST_STD, ImageNetTrunk

SIZES = {"vocab_size": 320, "max_tokens": 8, "text_width": 8, "text_depth": 1, "text_heads": 2}
FRONTAL = Modality.FRONTAL


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    """[3, 1, 64, 64] in -1..1"""
    return 2 * torch.rand(3, 1, 64, 64, generator=torch.Generator().manual_seed(0)) - 1


@pytest.fixture(scope="module")
def features(pictures: torch.Tensor) -> torch.Tensor:
    """[3, GRID]"""
    return grid_features(pictures)


def networks() -> tuple[PromptEncoders, Judge]:
    torch.manual_seed(0)
    return (
        PromptEncoders(PromptEncodersConfig(dim=6, image_trunk="imagenet", **SIZES)),
        Judge(JudgeConfig(image_trunk="imagenet", **SIZES)),
    )


def test_features_are_standardised_by_what_was_seen(pictures: torch.Tensor, features: torch.Tensor) -> None:
    trunk, seen = ImageNetTrunk().eval(), features.numpy()
    trunk.set_statistics(features)
    wanted = SCALE * (seen - seen.mean(0)) / (seen.std(0) + SMALLEST_STD)
    assert np.abs(trunk(features).numpy() - wanted).max() < 1e-3
    assert torch.allclose(trunk(pictures), trunk(features), atol=1e-3), "pictures or their features: the same"
    trunk.set_statistics(features[:1])
    assert trunk(features).isfinite().all() and not trunk(features[:1]).any(), "one picture has no spread"


def test_most_features_are_left_out_in_training_alone(features: torch.Tensor) -> None:
    trunk = ImageNetTrunk()
    trunk.set_statistics(features)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        seen = trunk.train()(features)
    there = seen != 0
    assert float(there.float().mean()) == pytest.approx(1 - DROPOUT, abs=0.02)
    assert torch.allclose(seen[there], trunk.eval()(features)[there] / (1 - DROPOUT), rtol=1e-4)


def test_only_what_is_trained_has_gradients(pictures: torch.Tensor) -> None:
    prompts, judge = networks()
    ids = torch.randint(5, 300, (3, 8))
    embeds = prompts.train()({FRONTAL: pictures, Modality.LATERAL: pictures, Modality.REPORT: ids})
    sum(e[:, 0].sum() for e in embeds.values()).backward()  # type: ignore[union-attr]
    for m in Modality:
        sum(out.sum() for out in judge.train()(m, pictures if m.is_image else ids)).backward()  # type: ignore[union-attr]
    for network in (prompts, judge):
        assert set(network.pretrained) == set(IMAGE_MODALITIES)
        names = {name for name, _ in network.named_parameters()}
        assert not [name for name in names if name.startswith("images.")], "so no optimiser or process waits for them"
        without = {name for name, p in network.named_parameters() if p.grad is None}
        assert without <= {"logit_scale"}, "which is the loss's"
    assert all(not p.requires_grad and p.grad is None for p in reader(torch.device("cpu")).parameters())


@pytest.mark.parametrize("half", [False, True])
def test_saved_and_read_again(half: bool, pictures: torch.Tensor, features: torch.Tensor, tmp_path: Path) -> None:
    for network in networks():
        for trunk in network.pretrained.values():
            trunk.set_statistics(features)
        network.save(tmp_path, half=half)
        again = type(network).load(tmp_path)
        assert again.config.image_trunk == "imagenet"
        with torch.no_grad():
            wanted, found = network.eval().features(FRONTAL, features), again.features(FRONTAL, pictures)
        assert torch.allclose(found, wanted, atol=0.05 if half else 1e-3)
        assert not torch.equal(found, ImageNetTrunk().eval()(features)), "statistics are part of what is saved"


def test_networks_from_before_there_was_a_choice(tmp_path: Path) -> None:
    """Their settings don't name it; the bundled model is one of them."""
    own = Judge(JudgeConfig(image_channels=(8,), **SIZES))
    own.save(tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text())
    assert settings.pop("image_trunk") == "own"
    (tmp_path / "config.json").write_text(json.dumps(settings))
    for judge in (Judge.load(tmp_path), Judge.load(component_folder(BUNDLED, "judge"))):
        assert judge.pretrained == {} and isinstance(judge.images[FRONTAL], ImageTrunk)
    settings["image_trunk"] = "photographs"
    (tmp_path / "config.json").write_text(json.dumps(settings))
    with pytest.raises(UserError, match="image_trunk"):
        Judge.load(tmp_path)


def test_what_two_kinds_of_trunk_do_not_share() -> None:
    prompts, _ = networks()
    assert prompts.apart_from({"image_trunk": "imagenet"}) == set()
    reads_pictures = {f"project.{m}.{kind}" for m in IMAGE_MODALITIES for kind in ("weight", "bias")}
    assert prompts.apart_from({}) == prompts.apart_from({"image_trunk": "own"}) == reads_pictures
    own = PromptEncoders(PromptEncodersConfig(dim=6, image_channels=(8,), **SIZES))
    assert own.apart_from({}) == set()
    trunks = {n for n, _ in own.named_parameters() if n.startswith("images.")}
    assert trunks and own.apart_from({"image_trunk": "imagenet"}) == reads_pictures | trunks
    assert own.config.width(FRONTAL) == 8 and prompts.config.width(FRONTAL) == GRID
