import pytest

from omnicxr.domain import UserError
from omnicxr.training.presets import PRESETS, get_preset

NANO = get_preset("nano")


def test_values_change_only_what_they_name() -> None:
    values = {
        "prompt_dim": "16",
        "report_autoencoder.latent_tokens": "1",
        "optimization.image-autoencoder.batch_size": "2",
    }
    changed = NANO.with_values(values)
    assert (changed.prompt_dim, changed.report_autoencoder.latent_tokens) == (16, 1)
    assert changed.generator_config().report_tokens == 1
    assert changed.optimization["image-autoencoder"].batch_size == 2
    back = {
        "prompt_dim": "32",
        "report_autoencoder.latent_tokens": "4",
        "optimization.image-autoencoder.batch_size": "4",
    }
    assert changed.with_values(back) == NANO
    assert NANO.with_values({}) is NANO
    assert {(p.image_trunk, p.picture_versions) for p in PRESETS.values()} == {("own", 1)}
    few = NANO.with_values({"image_trunk": "imagenet", "picture_versions": "4"})
    assert (few.image_trunk, few.picture_versions) == ("imagenet", 4)
    both = NANO.with_values({"generator.width": "33", "generator.heads": "3"})  # neither fits what the other was
    assert (both.generator.width, both.generator.heads) == (33, 3)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("prompt_dimm", "0", "no setting 'prompt_dimm': choose from name, image_size"),
        ("optimization.generators.steps", "5", "choose from image-autoencoder"),
        ("prompt_dim.x", "0", r"no setting 'prompt_dim.x'\."),
        ("prompt_dim", "wide", "'wide' does not fit 'prompt_dim', which is 32"),
        ("generator.heads", "5", "width 32 cannot be split into 5 heads"),
        ("generator.depth", "2.5", "does not fit"),
        ("trunk_channels", "16", "not one number or word"),
        ("optimization.generator.steps", "0", "optimization.generator.steps is 0: give a whole number from 1 to"),
        ("optimization.judge.learning_rate", "nan", "learning_rate is nan: give a number from"),
        ("optimization.judge.batch_size", "100000000", "batch_size is 100000000"),
        ("generator.depth", "10000000", "generator.depth is 10000000: give a whole number from 1 to 256"),
        ("generator.local_channels", "12", "give a multiple of 8 from 8 to 4096"),
        ("image_size", "1000000", "image_size is 1000000"),
        ("image_size", "72", "cannot be cut into tokens of 16"),
        ("vocab_size", "258", "vocab_size is 258"),
        ("report_autoencoder.heads", "3", "width 64 cannot be split into 3 heads"),
        ("design", "other", "one of any-to-any, published"),
        ("image_trunk", "photographs", "one of own, imagenet"),
        ("picture_versions", "0", "picture_versions is 0: give a whole number from 1 to 64"),
        ("picture_versions", "65", "picture_versions is 65"),
    ],
)
def test_values_that_do_not_fit(name: str, value: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        NANO.with_values({name: value})


def test_a_setting_has_one_value_in_presets_for_a_reason() -> None:
    """What no preset chooses differently is a constant where it is used, not a setting."""
    settings = {"vocab_size", "max_tokens", "trunk_image_size", "design", "refiner_channels", "prompt_dim", "generator"}
    for name in settings:
        assert len({str(getattr(p, name)) for p in PRESETS.values()}) > 1, name
