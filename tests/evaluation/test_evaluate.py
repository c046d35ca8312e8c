import json
from pathlib import Path

import pytest

from omnicxr.domain import Task, UserError
from omnicxr.evaluation.evaluate import EvaluationConfig, evaluate

TASKS = (Task.parse("report->frontal+lateral"), Task.parse("frontal+lateral->report"), Task.from_nothing())


def test_metrics_file(model_folder: Path, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import omnicxr.evaluation.metrics as metrics
    import omnicxr.evaluation.uncertainty as uncertainty

    monkeypatch.setattr(metrics, "MIN_CASES", 1)
    monkeypatch.setattr(uncertainty, "RESAMPLES", 5)
    config = EvaluationConfig(tasks=TASKS, num=8, steps=2)
    first = evaluate(config, model_folder, prepared, tmp_path / "a")
    assert set(first["tasks"]) == {str(t) for t in TASKS}
    assert {"frontal", "lateral", "views_agree"} == set(first["tasks"]["report->frontal+lateral"])
    report = first["tasks"]["frontal+lateral->report"]["report"]
    assert set(report) == {"f1_micro", "f1_macro", "by_rules", "bleu4", "distinct_share"}
    assert first["real"]["report"]["bleu4"] == 1.0
    assert first["about"]["studies"] <= 8
    assert set(first["autoencoders"]) == {"frontal", "lateral", "report"}
    text = (tmp_path / "a" / "metrics.json").read_text()
    assert json.loads(text) == first
    evaluate(config, model_folder, prepared, tmp_path / "b")
    assert (tmp_path / "b" / "metrics.json").read_text() == text
    (tmp_path / "a" / "metrics.json").unlink()
    evaluate(config, model_folder, prepared, tmp_path / "a")  # scoring alone, from the saved outputs
    assert (tmp_path / "a" / "metrics.json").read_text() == text
    with pytest.raises(UserError, match="other settings"):
        evaluate(EvaluationConfig(tasks=TASKS, num=8, steps=3), model_folder, prepared, tmp_path / "a")


def test_split_to_choose_settings_on(model_folder: Path, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import omnicxr.evaluation.metrics as metrics

    monkeypatch.setattr(metrics, "MIN_CASES", 1)
    result = evaluate(EvaluationConfig(tasks=(), num=2, split="validate"), model_folder, prepared, tmp_path)
    assert result["about"]["split"] == "validate"
    with pytest.raises(UserError, match="other settings"):
        evaluate(EvaluationConfig(tasks=(), num=2), model_folder, prepared, tmp_path)


def test_too_few_studies(model_folder: Path, prepared: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="at least 10"):
        evaluate(EvaluationConfig(num=4), model_folder, prepared, tmp_path / "out")
    assert not (tmp_path / "out").exists()
