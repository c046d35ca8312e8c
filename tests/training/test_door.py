"""The door is made from a model's own studies."""

from pathlib import Path

import pytest
import torch

from omnicxr.data.dataset import PreparedDataset
from omnicxr.domain import Fit, Modality
from omnicxr.models.door import FALSE_ALARMS, Door
from omnicxr.pipeline import AnyToAnyPipeline
from omnicxr.training.door import joint_limits


@pytest.mark.parametrize("together", [True, False])
def test_so_many_are_beyond_one_of_the_limits(together: bool) -> None:
    rng = torch.Generator().manual_seed(0)
    first = torch.randn(2000, generator=rng)
    second = first * 3 + 1 if together else torch.randn(2000, generator=rng)
    values = {"texture": first, "redrawing": second}
    limits = joint_limits(values)
    beyond = torch.stack([limits[name].off(v) > 1 for name, v in values.items()])
    assert beyond.any(0).double().mean() == pytest.approx(FALSE_ALARMS, abs=1e-3)
    assert beyond[0].double().mean() > beyond[1].double().mean() > 0.1 * FALSE_ALARMS, "each counts for its part"


def test_a_trained_model_has_a_door_that_its_own_validation_studies_pass(model_folder: Path, prepared: Path) -> None:
    door = Door.load(model_folder)
    assert door is not None and set(door.views) == {Modality.FRONTAL, Modality.LATERAL} == set(door.agreement)
    assert door.vocabulary.knows("effusion") and not door.vocabulary.knows("wombat")
    pipe = AnyToAnyPipeline.from_pretrained(model_folder)
    held_out = PreparedDataset(prepared, "validate")
    for view in door.views:
        notes = pipe.doorkeeper.pictures(view, held_out.images(view))
        known = [n.measured for n in notes if max(n.measured.values()) <= 1]
        assert len(known) >= len(notes) - 1, "the limit lies between the farthest two"
        strange = pipe.doorkeeper.pictures(view, (255 * torch.rand(1, 64, 64)).to(torch.uint8).numpy())
        assert strange[0].fit is not Fit.AS_KNOWN
