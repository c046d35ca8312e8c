"""The suite, on pictures that are spoilt on purpose: what is worse must score worse, what is shuffled must score like
chance."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from omnicxr.data.dataset import PreparedDataset
from omnicxr.data.prepare import PrepareConfig, prepare
from omnicxr.domain import Finding, Modality, Task
from omnicxr.domain.measures import MEASURES
from omnicxr.evaluation.config import SUITES
from omnicxr.evaluation.measures.clinical import truth_errors, view_findings
from omnicxr.evaluation.readers.panel import Panel, Reading
from omnicxr.evaluation.references import References, derangement
from omnicxr.evaluation.results import Fidelity, Refused, Variety
from omnicxr.evaluation.suite import Suite
from omnicxr.models.folder import BUNDLED
from omnicxr.models.judge import Judge
from omnicxr.pipeline import AnyToAnyPipeline
from omnicxr.simulation.population import Prevalence
from omnicxr.simulation.simulate import SimulationConfig, simulate

WHOLE = Task.from_nothing()
STUDIES = 140
EFFUSION = list(Finding).index(Finding.PLEURAL_EFFUSION)


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def suite(once: Callable[[str, Callable[[Path], object]], Path]) -> Suite:
    """Simulated studies at the size at which the judge sees them, every other one with an effusion: the first 100 to
    score, the rest for training."""
    config = SimulationConfig(studies=STUDIES, seed=11, image_size=128, prevalence=Prevalence(normal=0.3, effusion=0.6))
    simulated = once("many-effusions", lambda out: simulate(config, out))
    prepared = once(
        "many-effusions-prepared",
        lambda out: prepare(PrepareConfig(kind="mimic-cxr-jpg", image_size=128), simulated, out),
    )
    pipe = AnyToAnyPipeline.from_pretrained()
    every = PreparedDataset(prepared, "train")
    panel = Panel(pipe, Judge.load(BUNDLED / "judge"), every)
    rows = every.having(*Modality)
    suite = Suite(panel, every, rows[:100], modalities=tuple(Modality), training=every, size=SUITES["quick"])
    suite.training_rows = rows[100:]
    return suite


def read(suite: Suite, view: Modality, pictures: np.ndarray) -> Reading:
    return suite.panel.read(view, pictures)


def blurred(pictures: np.ndarray, radius: float) -> np.ndarray:
    return np.stack([np.asarray(Image.fromarray(p).filter(ImageFilter.GaussianBlur(radius))) for p in pictures])


def noised(pictures: np.ndarray, spread: float) -> np.ndarray:
    return (pictures + np.random.default_rng(0).normal(0, spread, pictures.shape)).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("spoil", [blurred, noised])
def test_the_farther_the_more_is_spoilt(suite: Suite, spoil) -> None:
    pictures = suite.held_out[Modality.FRONTAL][:60]
    extract = suite.extractors["efficientnet-lite0"]
    from omnicxr.evaluation.measures.fidelity import frechet_distance, kernel_distance

    own = extract(Modality.FRONTAL, pictures)
    sets = [extract(Modality.FRONTAL, spoil(pictures, level)) for level in (1, 2, 4)]
    frechet = [frechet_distance(own, s) for s in (own, *sets)]
    kernel = [kernel_distance(own, s).mean for s in sets]
    assert frechet[0] == pytest.approx(0, abs=1e-3)
    assert frechet == sorted(frechet)
    assert kernel == sorted(kernel)


def test_findings_are_lost_as_pictures_are_swapped(suite: Suite) -> None:
    """A growing share of the studies gets the picture of another one."""
    scores = suite.readings[Modality.FRONTAL].scores
    order, values = derangement(len(scores)), []
    for share in (0, 0.3, 0.6, 1):
        moved = np.arange(len(scores)) < share * len(scores)
        mixed = np.where(moved[:, None], scores[order], scores)
        reading = replace(suite.readings[Modality.FRONTAL], scores=mixed)
        auroc, _ = view_findings(reading, suite.labels, suite.patients)
        values.append(auroc.by_finding[Finding.PLEURAL_EFFUSION])
    assert values == sorted(values, reverse=True)
    assert values[0] > 0.8
    assert values[-1] == pytest.approx(0.5, abs=0.15)


def test_shuffled_pairs_give_chance_and_held_out_ones_do_not(suite: Suite) -> None:
    references = References(suite.held_out, suite.training, suite.panel.embed)
    own, shuffled = (
        suite.score(WHOLE, parts, suite.panel.read_all(parts), slow=False)
        for parts in (suite.held_out, references.predict("shuffled", WHOLE))
    )
    for pair in ("frontal+lateral", "frontal+report"):
        assert own.agreement[pair].finding_kappa.value > 0.2
        assert abs(shuffled.agreement[pair].finding_kappa.value) < 0.1
        assert own.agreement[pair].partner_recall_at_5 > 0.3
        assert shuffled.agreement[pair].partner_recall_at_5 < 0.25
    assert own.views[Modality.FRONTAL].auroc.macro.value > 0.75
    assert shuffled.views[Modality.FRONTAL].auroc.macro.value == pytest.approx(0.5, abs=0.1)


def test_a_model_that_ignores_its_input_scores_like_shuffled_pairs(suite: Suite) -> None:
    """Held-out reports given, pictures drawn without looking at them: agreement of given and generated is that of
    strangers."""
    task = Task.parse("report->frontal")
    drawn = {Modality.FRONTAL: suite.held_out[Modality.FRONTAL][np.random.default_rng(3).permutation(100)]}
    agreement = suite.score(task, drawn, suite.panel.read_all(drawn)).agreement["frontal+report"]
    assert agreement.finding_kappa.low < 0.05 and agreement.finding_kappa.high > -0.05
    assert agreement.partner_recall_at_5 < 0.25


def test_wrong_side_is_noticed(suite: Suite) -> None:
    """Mirrored pictures have every finding, on the other side."""
    assert suite.truth is not None
    mirrored = suite.panel.read(Modality.FRONTAL, np.ascontiguousarray(suite.held_out[Modality.FRONTAL][:, :, ::-1]))
    own, other = (
        truth_errors(r.measures, suite.truth, suite.patients) for r in (suite.readings[Modality.FRONTAL], mirrored)
    )
    assert own.side["effusion"].value > 0.75
    assert other.side["effusion"].value < 0.35
    left = MEASURES.index("effusion_left")
    assert own.measures["effusion_left"].correlation > 0.5 > other.measures["effusion_left"].correlation
    report = suite.readings[Modality.REPORT]
    agree, differ = (
        np.corrcoef(r.measures[:, left], report.measures[:, left])[0, 1]
        for r in (suite.readings[Modality.FRONTAL], mirrored)
    )
    assert agree > differ + 0.3
    assert suite.labels[:, EFFUSION].sum() > 30


def test_copies_of_training_pictures_are_listed(suite: Suite) -> None:
    view = Modality.FRONTAL
    copied = suite.training.images(view, suite.training_rows[:10])
    found = suite.picture_copies(view, copied)
    assert found.near_copies == 10
    assert {p.training_row for p in found.nearest} == set(suite.training_rows[:10].tolist())


def test_degenerate_outputs_do_not_break_the_suite(suite: Suite) -> None:
    """Constant pictures and empty reports: figures or reasons, no crash."""
    flat = np.full((100, 128, 128), 90, np.uint8)
    parts = {Modality.FRONTAL: flat, Modality.LATERAL: flat, Modality.REPORT: [""] * 100}
    figures = suite.score(WHOLE, parts, suite.panel.read_all(parts))
    assert figures.views[Modality.FRONTAL].auroc.macro.value == 0.5
    assert figures.report and isinstance(figures.report.text, Refused) and "empty" in figures.report.text.refused
    assert figures.report.by_labeler.all.micro.value == 0
    look = suite.look(Modality.FRONTAL, flat)["efficientnet-lite0"]
    assert isinstance(look, Fidelity) and look.recall == 0
    assert look.frechet_over_floor > 2 or np.isnan(look.frechet_over_floor)
    variety = suite.variety(Modality.FRONTAL, flat[:6], each=3)
    assert isinstance(variety, Variety) and variety.ms_ssim == pytest.approx(1, abs=1e-3)
