import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from omnicxr.data.dataset import PreparedDataset
from omnicxr.domain import Modality, UserError
from omnicxr.domain.measures import MEASURES
from omnicxr.evaluation.readers.judges import JudgeReader, measures_missing
from omnicxr.evaluation.readers.panel import Panel
from omnicxr.models.folder import BUNDLED
from omnicxr.models.judge import Judge
from omnicxr.pipeline import AnyToAnyPipeline

SIZE = 64


@pytest.fixture
def without_measures(model_folder: Path, tmp_path: Path) -> Path:
    """A model whose judge was trained where there is no continuous truth."""
    folder = tmp_path / "model"
    shutil.copytree(model_folder, folder)
    path = folder / "judge" / "config.json"
    config = json.loads(path.read_text())
    config |= {"measure_mean": [0.0] * len(MEASURES), "measure_std": [1.0] * len(MEASURES)}
    path.write_text(json.dumps(config))
    return folder


def test_what_cannot_read(model_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a model folder"):
        JudgeReader.load(tmp_path, image_size=SIZE)
    without = tmp_path / "without"
    shutil.copytree(model_folder, without, ignore=shutil.ignore_patterns("judge"))
    with pytest.raises(UserError, match=r"without has no judge.*--judge"):
        JudgeReader.load(without, image_size=SIZE)
    side = Judge.load(model_folder / "judge").config.image_size
    with pytest.raises(UserError, match=f"sees pictures at {side} px, which {side + 4} is no multiple of"):
        JudgeReader.load(model_folder, image_size=side + 4)


def test_measures_that_were_never_learned_are_not_read(
    model_folder: Path, without_measures: Path, pipe: AnyToAnyPipeline, prepared: Path, few_studies: None
) -> None:
    validate = PreparedDataset(prepared, "validate")
    panels = [Panel(pipe, JudgeReader.load(f, image_size=SIZE), validate) for f in (model_folder, without_measures)]
    assert [bool(p.measures_missing) for p in panels] == [False, True]
    assert "trained on studies without continuous truth" in panels[1].measures_missing
    knows, does_not = (p.read(Modality.FRONTAL, validate.images(Modality.FRONTAL)) for p in panels)
    assert np.isfinite(knows.measures).all() and np.isnan(does_not.measures).all()
    assert (knows.scores == does_not.scores).all()


def test_judge_of_another_model_reads_by_its_own_words(
    pipe: AnyToAnyPipeline, model_folder: Path, prepared: Path, few_studies: None
) -> None:
    """The bundled model's tokenizer is another one; it is not said to be wrong, and its judge reads as at home."""
    validate = PreparedDataset(prepared, "validate")
    other = JudgeReader.load(BUNDLED, image_size=128)
    assert other.tokenizer.fingerprint != pipe.tokenizer.fingerprint
    assert measures_missing(other.judge) == ""
    reports = validate.reports[:4]
    panel = Panel(pipe, other, validate, modalities=(Modality.REPORT,))
    logits, _ = other.judge(Modality.REPORT, other.tokenizer.encode(reports))
    assert panel.read(Modality.REPORT, reports).scores == pytest.approx(logits.sigmoid().detach().numpy(), abs=2e-5)
