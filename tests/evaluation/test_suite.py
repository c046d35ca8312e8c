from pathlib import Path

import numpy as np
import pytest

import omnicxr.evaluation.measures.uncertainty as uncertainty
from omnicxr.data.dataset import PreparedDataset
from omnicxr.domain import Modality, Task
from omnicxr.evaluation.config import SuiteSize
from omnicxr.evaluation.readers.panel import Panel
from omnicxr.evaluation.suite import Suite
from omnicxr.models.folder import load_judge
from omnicxr.pipeline import AnyToAnyPipeline

FRONTAL = Modality.FRONTAL
TASK = Task.parse("report->frontal")
SIZE = SuiteSize(studies=100, extractors=(), training=10, prompts=2, samples=2)


@pytest.fixture
def studies(prepared: Path) -> PreparedDataset:
    """The training studies: as many as there are, enough for an interval."""
    return PreparedDataset(prepared, "train")


def suite_read_by(
    right: float, studies: PreparedDataset, pipe: AnyToAnyPipeline, *, model: Path, parts: tuple[Modality, ...]
) -> Suite:
    """Frontal views are read by somebody who knows the truth and says it with that weight, beside noise."""
    validate = PreparedDataset(studies.root, "validate")
    truth = {
        p.tobytes(): row == 1 for d in (studies, validate) for p, row in zip(d.images(FRONTAL), d.labels, strict=True)
    }

    def read(pictures: np.ndarray) -> np.ndarray:
        noise = np.random.default_rng(0).random((len(pictures), 14))
        return right * np.array([truth[p.tobytes()] for p in pictures]) + noise

    panel = Panel(pipe, load_judge(model, pipe.tokenizer), validate, modalities=parts, frontal_classifier=read)
    return Suite(panel, studies, studies.having(*Modality), modalities=parts, training=studies, size=SIZE)


@pytest.mark.parametrize(("right", "counts"), [(0.0, False), (2.0, True)], ids=["at chance", "knows"])
def test_figures_of_a_reader_at_chance_are_not_valid(
    studies: PreparedDataset,
    pipe: AnyToAnyPipeline,
    model_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    right: float,
    counts: bool,
) -> None:
    monkeypatch.setattr(uncertainty, "RESAMPLES", 20)
    suite = suite_read_by(right, studies, pipe, model=model_folder, parts=TASK.modalities)
    found = suite.score(TASK, suite.held_out, suite.readings).views[FRONTAL]
    assert found.auroc.macro.value == pytest.approx(1.0 if counts else 0.5, abs=0.1), "the value is kept"
    if counts:
        assert found.not_valid == ""
    else:
        assert "no better than chance on the held-out simulated ones" in found.not_valid
        assert f"n {len(suite.rows)}." in found.not_valid
