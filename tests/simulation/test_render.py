"""Each finding must show where it is, in both views, and nowhere else."""

from dataclasses import replace

import pytest
import torch

from omnicxr.simulation.population import sample_truth
from omnicxr.simulation.render import Rendering, render
from omnicxr.simulation.truth import (
    Consolidation,
    Device,
    Edema,
    Effusion,
    Lesion,
    Nodule,
    Pneumothorax,
    RibFracture,
    Truth,
)

SIZE = 64


def plain(*lesions: Lesion, heart: float = 0.9, mediastinum: float = 1.0) -> Truth:
    """One fixed person without any random pose, with the given lesions."""
    base = sample_truth(3, 0)
    anatomy = replace(
        base.anatomy,
        scale=(1.0, 1.0, 1.0),
        heart_scale=heart,
        mediastinum_scale=mediastinum,
        scoliosis_mm=0.0,
        breast_mm=0.0,
        fat_mm=4.0,
        warp_mm=2.0,
        diaphragm_mm=0.0,
        kyphosis_mm=0.0,
    )
    still = {"rotation_deg": (0.0, 0.0, 0.0), "field_mm": 296.0, "shift_mm": (0.0, -8.0)}
    return replace(
        base,
        anatomy=anatomy,
        frontal=replace(base.frontal, **still),
        lateral=replace(base.lateral, **still),
        lesions=lesions,
    )


@pytest.fixture(scope="module")
def normal() -> Rendering:
    return render([plain()], SIZE)[0]


def difference(normal: Rendering, *lesions: Lesion) -> tuple[torch.Tensor, torch.Tensor]:
    changed = render([plain(*lesions)], SIZE)[0]
    return changed.frontal.float() - normal.frontal.float(), changed.lateral.float() - normal.lateral.float()


HALF = SIZE // 2
LEFT, RIGHT = slice(HALF + 6, SIZE - 6), slice(6, HALF - 6)  # the patient's left is on the right of the picture
PLACE = (0.5, 0.5, 0.5)


@pytest.mark.parametrize(("side", "here", "there"), [("left", LEFT, RIGHT), ("right", RIGHT, LEFT)])
def test_effusion_whitens_its_own_base(normal: Rendering, side: str, here: slice, there: slice) -> None:
    small, _ = difference(normal, Effusion(side=side, level=0.2))
    frontal, lateral = difference(normal, Effusion(side=side, level=0.5))
    lower = slice(SIZE // 2 - 4, SIZE // 2 + 12)
    assert frontal[lower, here].mean() > 25
    assert frontal[lower, there].mean().abs() < 0.35 * frontal[lower, here].mean()
    assert frontal[lower, here].mean() > small[lower, here].mean() + 5
    assert lateral[lower, 12:-12].mean() > 4


@pytest.mark.parametrize(("side", "here", "there"), [("left", LEFT, RIGHT), ("right", RIGHT, LEFT)])
def test_pneumothorax_darkens_its_own_side(normal: Rendering, side: str, here: slice, there: slice) -> None:
    frontal, _ = difference(normal, Pneumothorax(side=side, collapse=0.55))
    outer = slice(SIZE - 14, SIZE - 8) if side == "left" else slice(8, 14)
    assert frontal[16:36, outer].mean() < frontal[16:36, there].mean() - 2
    assert frontal[8:44, here].abs().mean() > 1.5 * frontal[8:44, there].abs().mean()


@pytest.mark.parametrize(
    "lobe", ["left upper lobe", "left lower lobe", "right upper lobe", "right middle lobe", "right lower lobe"]
)
def test_consolidation_is_in_its_lobe(normal: Rendering, lobe: str) -> None:
    frontal, lateral = difference(normal, Consolidation(lobe=lobe, centre=PLACE, radius_mm=45, density=0.95))
    here, there = (LEFT, RIGHT) if lobe.startswith("left") else (RIGHT, LEFT)
    assert frontal[:, here].mean() > frontal[:, there].abs().mean() + 1.5
    assert lateral.clamp(min=0).mean() > 0.5
    rows = (frontal[:48, here].clamp(min=0).sum(1) * torch.arange(48)).sum() / frontal[:48, here].clamp(min=0).sum()
    if "upper" in lobe:
        assert rows < 27
    if "lower" in lobe:
        assert rows > 22


def test_nodule_is_small_and_bright(normal: Rendering) -> None:
    frontal, lateral = difference(normal, Nodule(lobe="right upper lobe", centre=PLACE, diameter_mm=40))
    assert frontal[:40, RIGHT].max() > 20
    assert lateral.max() > 10
    assert (frontal > 12).float().mean() < 0.1


def test_edema_whitens_both_lungs(normal: Rendering) -> None:
    frontal, lateral = difference(normal, Edema(severity=0.9))
    mild, _ = difference(normal, Edema(severity=0.4))
    for side in (LEFT, RIGHT):
        assert frontal[14:40, side].mean() > mild[14:40, side].mean() > 0
    assert lateral[16:40, 16:-16].mean() > 0


@pytest.mark.parametrize("kind", ["pacemaker", "central line", "endotracheal tube", "nasogastric tube", "chest tube"])
def test_devices_are_thin_and_white(normal: Rendering, kind: str) -> None:
    for view in difference(normal, Device(kind=kind, side="left")):
        assert view.max() > 4
        assert (view > 4).float().mean() < 0.15


def test_fracture_changes_few_pixels_on_its_side(normal: Rendering) -> None:
    frontal, _ = difference(normal, RibFracture(side="right", first_rib=5, count=3))
    assert frontal[:, :HALF].abs().max() > 3 * max(float(frontal[:, HALF + 4 :].abs().max()), 1.0)


def test_cardiothoracic_ratio_grows_with_the_heart_only() -> None:
    ratios = [render([plain(heart=h)], SIZE)[0].truth.measures["cardiothoracic_ratio"] for h in (0.8, 1.0, 1.3, 1.6)]
    assert ratios == sorted(ratios)
    assert ratios[0] < 0.5 < ratios[-1]
    fluid = render([plain(Effusion(side="left", level=0.5))], SIZE)[0].truth.measures
    assert fluid["cardiothoracic_ratio"] == render([plain()], SIZE)[0].truth.measures["cardiothoracic_ratio"]
    assert (fluid["effusion_left"], fluid["effusion_right"]) == (0.5, 0.0)


def test_wide_mediastinum_widens_the_upper_middle(normal: Rendering) -> None:
    changed = render([plain(mediastinum=1.9)], SIZE)[0]
    gain = changed.frontal.float() - normal.frontal.float()
    assert gain[8:24, HALF - 9 : HALF + 9].mean() > gain[8:24, [*range(6, 16), *range(SIZE - 16, SIZE - 6)]].mean() + 2


def test_same_truth_same_picture_whatever_is_rendered_with_it() -> None:
    truths = [sample_truth(5, i) for i in range(3)]
    together, alone = render(truths, SIZE)[2], render(truths[2:], SIZE)[0]
    assert torch.equal(together.frontal, alone.frontal)
    assert torch.equal(together.lateral, alone.lateral)


def test_batches_do_not_mix_studies() -> None:
    truths = [sample_truth(5, i) for i in range(3)]
    for alone, together in zip(render(truths, SIZE), render(truths, SIZE, batch=3), strict=True):
        assert alone.truth == together.truth
        for a, b in ((alone.frontal, together.frontal), (alone.lateral, together.lateral)):
            assert (a.int() - b.int()).abs().max() <= 1
