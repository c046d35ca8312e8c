"""Data without lateral views, the commonest kind: everything from training to the page works, and is about what there
is."""

from pathlib import Path

import pytest

from omnicxr.app.evaluation_page import write_page, write_tables
from omnicxr.data.prepare import PrepareConfig, prepare
from omnicxr.data.selection import Selection
from omnicxr.domain import Modality, View
from omnicxr.evaluation.config import EvaluationConfig
from omnicxr.evaluation.evaluate import evaluate
from omnicxr.training.loop import LoopConfig
from omnicxr.training.presets import get_preset
from omnicxr.training.run import TrainingRun


@pytest.mark.slow
@pytest.mark.usefixtures("few_studies")
def test_train_and_evaluate(simulated: Path, tmp_path: Path) -> None:
    data, run, out = tmp_path / "data", tmp_path / "run", tmp_path / "evaluation"
    frontal = tuple(v for v in View if v.modality == "frontal")
    manifest = prepare(
        PrepareConfig(kind="mimic-cxr-jpg", image_size=64, selection=Selection(views=frontal)), simulated, data
    )
    assert set(manifest.modalities) == {"frontal+report"}
    TrainingRun(preset=get_preset("nano").with_steps(2), loop=LoopConfig(), data=data, out=run).train("all")
    result = evaluate(EvaluationConfig(num=8, steps=2), run / "model", data, out=out)
    assert {str(t) for t in result.tasks} == {"frontal->report", "report->frontal", "nothing->frontal+report"}
    assert Modality.LATERAL not in result.held_out.views and result.held_out_both_views is None
    assert set(result.references) >= {"nearest", "unconditional"}
    write_tables(result, out)
    assert "report-&gt;frontal" in write_page(result, out, data).read_text()
    assert "lateral" not in (out / "tables.md").read_text()
