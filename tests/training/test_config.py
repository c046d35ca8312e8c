import pytest

from omnicxr.domain import UserError
from omnicxr.training.config import get_preset

NANO = get_preset("nano")


def test_values_change_only_what_they_name() -> None:
    values = {
        "drop_prompt": "0",
        "preconditioned": "false",
        "coupling": "pooled",
        "report_autoencoder.latent_tokens": "1",
        "optimization.image-autoencoder.batch_size": "2",
    }
    changed = NANO.with_values(values)
    assert (
        changed.drop_prompt,
        changed.preconditioned,
        changed.coupling,
        changed.report_autoencoder.latent_tokens,
    ) == (0, False, "pooled", 1)
    assert changed.generator_config().report_tokens == 1
    assert changed.optimization["image-autoencoder"].batch_size == 2
    back = {
        "drop_prompt": "0.3",
        "preconditioned": "true",
        "coupling": "joint",
        "report_autoencoder.latent_tokens": "4",
        "optimization.image-autoencoder.batch_size": "4",
    }
    assert changed.with_values(back) == NANO
    assert NANO.with_values({}) is NANO
    together = NANO.with_values(
        {"generator_width": "33", "generator_heads": "3"}
    )  # neither goes with what the other was
    assert (together.generator_width, together.generator_heads) == (33, 3)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("drop_promt", "0", "no setting 'drop_promt': choose from name, image_size"),
        ("optimization.generators.steps", "5", "choose from image-autoencoder"),
        ("drop_prompt.x", "0", r"no setting 'drop_prompt.x'\."),
        ("drop_prompt", "often", "'often' does not fit 'drop_prompt', which is 0.3"),
        ("preconditioned", "1", "'1' does not fit 'preconditioned', which is True"),
        ("coupling", "loose", "Unknown coupling 'loose'"),
        ("generator_heads", "5", "width is 32, which cannot be split by 5"),
        ("patch", "3", "latents is 8, which cannot be split by 3"),
        ("generator_depth", "2.5", "does not fit"),
        ("image_channels", "16", "not one number or word"),
        ("optimization.generator.steps", "0", "at least 1"),
        ("together_share", "30", "together_share is 30.0: choose a share from 0 to 1"),
        ("report_share", "-1", "report_share is -1.0: choose a share from 0 to 1"),
    ],
)
def test_values_that_do_not_fit(name: str, value: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        NANO.with_values({name: value})
