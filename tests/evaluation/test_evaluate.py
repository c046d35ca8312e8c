import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import omnicxr.evaluation.measures.metrics as metrics
import omnicxr.evaluation.measures.uncertainty as uncertainty
from omnicxr.data.dataset import PreparedDataset
from omnicxr.domain import Modality, Task, UserError
from omnicxr.evaluation.comparison import compare_evaluations
from omnicxr.evaluation.evaluate import EvaluationConfig, evaluate
from omnicxr.evaluation.generation import GenerationJob, generate_with_processes, load_parts, task_name
from omnicxr.evaluation.references import NAMES
from omnicxr.evaluation.tables import latex, markdown, tables
from omnicxr.flow.sampling import SamplingConfig

BOTH, WRITE = Task.parse("report->frontal+lateral"), Task.parse("frontal+lateral->report")
TASKS = (BOTH, WRITE, Task.from_nothing())
ONE_STEP, TWO_STEPS = {"num_inference_steps": 1}, {"num_inference_steps": 2}
CONFIG = EvaluationConfig(tasks=TASKS, num=8, sampling=TWO_STEPS, extractors=("prompts",))
pytestmark = pytest.mark.usefixtures("few_studies")


@pytest.fixture(scope="module")
def finished(model_folder: Path, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("evaluation")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics, "MIN_CASES", 1)
        patch.setattr(uncertainty, "RESAMPLES", 5)
        evaluate(CONFIG, model_folder, prepared, out)
    return out


def read(out: Path) -> dict[str, Any]:
    return json.loads((out / "metrics.json").read_text())


def test_metrics_file(finished: Path) -> None:
    result = read(finished)
    assert set(result["tasks"]) == {str(t) for t in TASKS}
    both = result["tasks"][str(BOTH)]
    assert set(both) == {"frontal", "lateral", "consistency"}
    assert set(both["consistency"]) == {"frontal+lateral", "frontal+report", "lateral+report"}
    assert set(result["tasks"][str(WRITE)]["consistency"]) == {"frontal+report", "lateral+report"}
    assert set(both["frontal"]) >= {"auroc_macro", "f1_micro", "usual_five", "truth", "look", "variety", "privacy"}
    assert set(result["references"]) == {*NAMES, "unconditional"}
    assert result["about"]["studies"] <= 8
    assert set(result["autoencoders"]) == {"frontal", "lateral", "report"}


def test_reports_for_other_measures(finished: Path) -> None:
    rows = list(csv.DictReader((finished / "reports" / f"{task_name(WRITE)}.csv").open(encoding="utf-8", newline="")))
    assert [r["generated"] for r in rows] == load_parts(finished / "generated" / f"{task_name(WRITE)}.npz")[
        Modality.REPORT
    ]
    assert all(r["reference"] and r["study_id"] for r in rows)


def test_real_data_is_the_bound(finished: Path) -> None:
    result = read(finished)
    assert result["real"]["report"]["text"]["bleu4"] == 1.0
    assert result["references"]["real"][str(BOTH)]["frontal"]["auroc_macro"] == result["real"]["frontal"]["auroc_macro"]
    assert result["references"]["always-normal"][str(BOTH)]["frontal"]["auroc_macro"]["value"] == 0.5
    assert result["references"]["always-normal"][str(WRITE)]["report"]["distinct_share"] < 0.2


def test_too_few_for_a_distance_is_said(finished: Path) -> None:
    """8 studies give no distance between sets: the reason stands where the figures would."""
    look = read(finished)["tasks"][str(BOTH)]["frontal"]["look"]["prompts"]
    assert "at least 50 are needed" in look["refused"]
    assert "frechet" not in look


def test_same_bytes_twice_and_scoring_alone(finished: Path, model_folder: Path, prepared: Path, tmp_path: Path) -> None:
    text = (finished / "metrics.json").read_text()
    evaluate(CONFIG, model_folder, prepared, tmp_path)
    assert (tmp_path / "metrics.json").read_text() == text
    kept = tmp_path / "generated" / f"{task_name(WRITE)}.npz"
    written = kept.stat().st_mtime_ns
    (tmp_path / "metrics.json").unlink()
    evaluate(CONFIG, model_folder, prepared, tmp_path)
    assert (tmp_path / "metrics.json").read_text() == text
    assert kept.stat().st_mtime_ns == written


def test_worker_processes_generate_the_same(finished: Path, model_folder: Path, prepared: Path, tmp_path: Path) -> None:
    """Up to roundings: workers have one thread each, this process has several."""
    told: list[str] = []
    evaluate(CONFIG, model_folder, prepared, tmp_path, workers=2, progress=lambda done, total, what: told.append(what))
    assert {f"generated {t}" for t in TASKS} <= set(told)
    for path in (finished / "generated").rglob("*.npz"):
        ours, theirs = load_parts(tmp_path / path.relative_to(finished)), load_parts(path)
        assert ours.keys() == theirs.keys()
        for m, part in theirs.items():
            assert np.abs(ours[m].astype(int) - part).max() <= 1 if m.is_image else ours[m] == part
    with pytest.raises(UserError, match="at least 1"):
        evaluate(CONFIG, model_folder, prepared, tmp_path, workers=0)


def test_a_worker_that_dies_is_told(prepared: Path, tmp_path: Path) -> None:
    job = GenerationJob(
        tmp_path / "nowhere",
        SamplingConfig(),
        prepared,
        "test",
        np.arange(4),
        tuple(Modality),
        tmp_path / "made",
        0,
        2,
        2,
    )
    with pytest.raises(UserError, match="A worker died"):
        list(generate_with_processes(job, TASKS, 2, ("cpu",)))


def test_folder_with_other_settings(finished: Path, model_folder: Path, prepared: Path) -> None:
    before = (finished / "metrics.json").read_text()
    with pytest.raises(UserError, match="other settings"):
        evaluate(
            EvaluationConfig(tasks=TASKS, num=8, sampling={"num_inference_steps": 3}), model_folder, prepared, finished
        )
    assert (finished / "metrics.json").read_text() == before


def test_what_another_system_generated(finished: Path, model_folder: Path, prepared: Path, tmp_path: Path) -> None:
    """The same pictures out of a folder get the same scores as out of the model."""
    from PIL import Image

    made, test = load_parts(finished / "generated" / f"{task_name(BOTH)}.npz"), PreparedDataset(prepared, "test")
    for i, row in enumerate(test.having(*Modality)[:8]):
        place = tmp_path / "made" / task_name(BOTH) / test.table.column("study_id")[int(row)].as_py()
        place.mkdir(parents=True)
        for m, pictures in made.items():
            Image.fromarray(pictures[i]).save(place / f"{m}.png")
    result = evaluate(CONFIG, model_folder, prepared, tmp_path / "out", generated=tmp_path / "made")
    expected = read(finished)["tasks"][str(BOTH)]
    assert list(result["tasks"]) == [str(BOTH)]
    for m in ("frontal", "lateral"):
        del expected[m]["variety"]
        assert result["tasks"][str(BOTH)][m] == expected[m]
    assert result["autoencoders"] is None
    assert "num_inference_steps" not in result["about"]


def test_comparison_with_itself_and_with_others(
    finished: Path, model_folder: Path, prepared: Path, tmp_path: Path
) -> None:
    same = compare_evaluations(finished, finished)
    assert set(same["tasks"]) == {str(t) for t in TASKS}
    assert all(
        r["difference"]["value"] == 0 and r["difference"]["p_value"] == 1
        for rows in same["tasks"].values()
        for r in rows
        if np.isfinite(r["a"])
    )
    evaluate(
        EvaluationConfig(tasks=(BOTH,), num=3, sampling=TWO_STEPS, extractors=("prompts",)),
        model_folder,
        prepared,
        tmp_path / "fewer",
    )
    with pytest.raises(UserError, match="their studies differ"):
        compare_evaluations(finished, tmp_path / "fewer")
    with pytest.raises(UserError, match=r"metrics\.json is missing"):
        compare_evaluations(finished, tmp_path)


def test_split_to_choose_settings_on(model_folder: Path, prepared: Path, tmp_path: Path) -> None:
    chosen = EvaluationConfig(tasks=(BOTH,), sampling=ONE_STEP, num=2, split="validate", extractors=("prompts",))
    result = evaluate(chosen, model_folder, prepared, tmp_path)
    assert result["about"]["split"] == "validate"
    with pytest.raises(UserError, match="other settings"):
        evaluate(
            EvaluationConfig(tasks=(BOTH,), sampling=ONE_STEP, num=2, extractors=("prompts",)),
            model_folder,
            prepared,
            tmp_path,
        )


def test_too_few_studies(model_folder: Path, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "MIN_CASES", 5)
    with pytest.raises(UserError, match="at least 10"):
        evaluate(EvaluationConfig(num=4), model_folder, prepared, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_wrong_names(model_folder: Path, prepared: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Unknown extractor 'vgg'"):
        evaluate(EvaluationConfig(num=8, extractors=("vgg",)), model_folder, prepared, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match="Unknown suite"):
        EvaluationConfig(suite="huge")


def test_tables(finished: Path) -> None:
    made = tables(read(finished))
    assert all(len(row) == len(t.columns) for t in made for row in t.rows)
    text = markdown(made)
    assert "at least 50 are needed" in text
    assert f"| {BOTH} |" in text
    written = latex(made)
    assert written.count("\\begin{tabular}") == written.count("\\end{tabular}") == len(made)
    assert r"report$\to$frontal+lateral" in written
    assert "%" not in written.replace(r"\%", "")
