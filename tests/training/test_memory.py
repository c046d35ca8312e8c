"""What training needs is told from the settings."""

from omnicxr.models.efficientnet import GRID
from omnicxr.models.prompt_encoders import PromptEncoders, PromptEncodersConfig
from omnicxr.training.memory import parameters
from omnicxr.training.presets import get_preset


def test_projections_of_imagenet_features_count() -> None:
    """Of a wide shared space they are the largest network; counted with as wide a one that can be built here."""
    wide = get_preset("nano").with_values({"image_trunk": "imagenet", "prompt_dim": "8192"})
    assert parameters(wide) >= 2 * GRID * 8192 > 10 * parameters(wide.with_values({"image_trunk": "own"}))
    built = PromptEncoders(PromptEncodersConfig(vocab_size=320, max_tokens=8, dim=64, image_trunk="imagenet"))
    projections = sum(p.numel() for name, p in built.project.named_parameters() if "report" not in name)
    assert projections == 2 * (GRID + 1) * 64
