import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from document_evaluation import overview

import omnicxr.evaluation.measures.metrics as metrics
import omnicxr.evaluation.measures.uncertainty as uncertainty
from omnicxr.data.dataset import PreparedDataset
from omnicxr.data.files import sha256
from omnicxr.data.measures import by_side
from omnicxr.data.typed_json import to_json
from omnicxr.domain import Modality, Task, UserError
from omnicxr.domain.measures import MEASURES
from omnicxr.domain.notes import Fit, Notes, PictureNote, ReportNote
from omnicxr.evaluation.comparison import compare_evaluations
from omnicxr.evaluation.config import EvaluationConfig
from omnicxr.evaluation.evaluate import evaluate
from omnicxr.evaluation.generation import GenerationJob, generate_with_processes, load_parts, task_name
from omnicxr.evaluation.layout import Struck, latex, markdown
from omnicxr.evaluation.measures.protocols import clean_iu_xray, coco_scores
from omnicxr.evaluation.published import IU_XRAY
from omnicxr.evaluation.readers.panel import held_out_noun
from omnicxr.evaluation.references import NAMES
from omnicxr.evaluation.report_tables import TEXT_TITLE
from omnicxr.evaluation.results import METRICS, Evaluation, LikeHeldOut, Refused, read_metrics
from omnicxr.evaluation.sides import one_sided
from omnicxr.evaluation.tables import tables
from omnicxr.evaluation.text_results import TextScores
from omnicxr.flow.sampling import SamplingConfig
from omnicxr.pipeline import AnyToAnyPipeline

BOTH, WRITE = Task.parse("report->frontal+lateral"), Task.parse("frontal+lateral->report")
TASKS = (BOTH, WRITE, Task.from_nothing())
CONFIG = EvaluationConfig(tasks=TASKS, num=8, steps=2, extractors=("prompts",))
pytestmark = pytest.mark.usefixtures("few_studies")


@pytest.fixture(scope="module")
def finished(model_folder: Path, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("evaluation")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics, "MIN_CASES", 1)
        patch.setattr(uncertainty, "RESAMPLES", 5)
        evaluate(CONFIG, model_folder, prepared, out=out)
    return out


def test_metrics_file(finished: Path) -> None:
    result = read_metrics(finished)
    assert set(result.tasks) == set(TASKS)
    both, write = result.tasks[BOTH], result.tasks[WRITE]
    assert set(both.views) == {"frontal", "lateral"} and both.report is None
    assert set(both.agreement) == {"frontal+lateral", "frontal+report", "lateral+report"}
    assert set(write.agreement) == {"frontal+report", "lateral+report"} and not write.views
    frontal = both.views[Modality.FRONTAL]
    assert frontal.truth and frontal.look and frontal.variety and frontal.privacy
    assert set(result.references) == {*NAMES, "unconditional"}
    assert result.about.studies <= 8
    assert result.about.held_out == "held-out simulated"
    assert result.autoencoders and set(result.autoencoders.views) == {"frontal", "lateral"}
    assert result.sides is None
    assert to_json(result) == json.loads((finished / "metrics.json").read_text())


def test_reports_for_other_measures(finished: Path) -> None:
    rows = list(csv.DictReader((finished / "reports" / f"{task_name(WRITE)}.csv").open(encoding="utf-8", newline="")))
    assert [r["generated"] for r in rows] == load_parts(finished / "generated" / f"{task_name(WRITE)}.npz")[
        Modality.REPORT
    ]
    assert all(r["reference"] and r["study_id"] for r in rows)


def test_metrics_of_another_version(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"metrics\.json is missing"):
        read_metrics(tmp_path)
    old = json.loads((finished / "metrics.json").read_text())
    old["about"]["model"] = old["about"].pop("model_hash")
    (tmp_path / "metrics.json").write_text(json.dumps(old))
    with pytest.raises(UserError, match=r"not of this version of omnicxr \(model in About\): evaluate again"):
        read_metrics(tmp_path)


def test_held_out_studies_are_the_bound(finished: Path) -> None:
    result = read_metrics(finished)
    assert result.held_out.report and isinstance(result.held_out.report.text, TextScores)
    assert result.held_out.report.text.bleu4 == 1.0
    normal = result.references["always-normal"]
    assert normal[BOTH].views[Modality.FRONTAL].auroc.macro.value == 0.5
    report = normal[WRITE].report
    assert report and report.distinct_share < 0.2


def test_too_few_for_a_distance_is_said(finished: Path) -> None:
    """8 studies give no distance between sets: the reason stands where the figures would."""
    look = read_metrics(finished).tasks[BOTH].views[Modality.FRONTAL].look["prompts"]
    assert isinstance(look, Refused) and "at least 50 are needed" in look.refused


@pytest.mark.slow
def test_same_bytes_twice_and_scoring_alone(finished: Path, model_folder: Path, prepared: Path, tmp_path: Path) -> None:
    text = (finished / "metrics.json").read_text()
    evaluate(CONFIG, model_folder, prepared, out=tmp_path)
    assert (tmp_path / "metrics.json").read_text() == text
    kept = tmp_path / "generated" / f"{task_name(WRITE)}.npz"
    written = kept.stat().st_mtime_ns
    (tmp_path / "metrics.json").unlink()
    evaluate(CONFIG, model_folder, prepared, out=tmp_path)
    assert (tmp_path / "metrics.json").read_text() == text
    assert kept.stat().st_mtime_ns == written


@pytest.mark.slow
def test_worker_processes_generate_the_same(finished: Path, model_folder: Path, prepared: Path, tmp_path: Path) -> None:
    """Up to roundings: workers have one thread each, this process has several."""
    said: list[str] = []
    evaluate(CONFIG, model_folder, prepared, out=tmp_path, workers=2, progress=lambda _, total, what: said.append(what))
    assert {f"generated {t}" for t in TASKS} <= set(said)
    for path in (finished / "generated").rglob("*.npz"):
        ours, theirs = load_parts(tmp_path / path.relative_to(finished)), load_parts(path)
        assert ours.keys() == theirs.keys()
        for m, part in theirs.items():
            assert np.abs(ours[m].astype(int) - part).max() <= 1 if m.is_image else ours[m] == part
    with pytest.raises(UserError, match="at least 1"):
        evaluate(CONFIG, model_folder, prepared, out=tmp_path, workers=0)


def test_workers_that_cannot_begin(prepared: Path, tmp_path: Path) -> None:
    job = GenerationJob(
        model=tmp_path / "nowhere",
        sampling=SamplingConfig(),
        data=prepared,
        split="test",
        rows=np.arange(4),
        modalities=tuple(Modality),
        folder=tmp_path / "generated",
        seed=0,
        prompts=2,
        samples=2,
    )
    with pytest.raises(UserError, match="nowhere is not a model folder"):
        list(generate_with_processes(job, TASKS, workers=2, devices=("cpu",)))


def test_folder_with_other_settings(finished: Path, model_folder: Path, prepared: Path) -> None:
    before = (finished / "metrics.json").read_text()
    with pytest.raises(UserError, match="an evaluation with another sampling"):
        evaluate(replace(CONFIG, steps=3), model_folder, prepared, out=finished)
    assert (finished / "metrics.json").read_text() == before


def test_what_another_system_generated(finished: Path, model_folder: Path, prepared: Path, tmp_path: Path) -> None:
    """The same pictures out of a folder get the same scores as out of the model."""
    from PIL import Image

    generated, test = load_parts(finished / "generated" / f"{task_name(BOTH)}.npz"), PreparedDataset(prepared, "test")
    for i, row in enumerate(test.having(*Modality)[:8]):
        place = tmp_path / "other" / task_name(BOTH) / test.table.column("study_id")[int(row)].as_py()
        place.mkdir(parents=True)
        for m, pictures in generated.items():
            Image.fromarray(pictures[i]).save(place / f"{m}.png")
    result = evaluate(CONFIG, model_folder, prepared, out=tmp_path / "out", generated=tmp_path / "other")
    assert list(result.tasks) == [BOTH]
    for view, expected in read_metrics(finished).tasks[BOTH].views.items():
        assert to_json(result.tasks[BOTH].views[view]) == to_json(replace(expected, variety=None))
    assert result.autoencoders is None
    assert result.about.sampling is None and result.about.generated == str(tmp_path / "other")


def test_comparison_with_itself_and_with_others(
    finished: Path, model_folder: Path, prepared: Path, tmp_path: Path
) -> None:
    same = compare_evaluations(finished, finished)
    assert set(same.tasks) == set(TASKS)
    assert all(
        f.difference.value == 0 and f.difference.p_value == 1
        for figures in same.tasks.values()
        for f in figures
        if np.isfinite(f.a)
    )
    evaluate(replace(CONFIG, tasks=(BOTH,), num=3), model_folder, prepared, out=tmp_path / "fewer")
    with pytest.raises(UserError, match="their studies differ"):
        compare_evaluations(finished, tmp_path / "fewer")
    with pytest.raises(UserError, match=r"metrics\.json is missing"):
        compare_evaluations(finished, tmp_path)


def test_split_to_choose_settings_on(model_folder: Path, prepared: Path, tmp_path: Path) -> None:
    chosen = replace(CONFIG, tasks=(BOTH,), steps=1, num=2, split="validate")
    result = evaluate(chosen, model_folder, prepared, out=tmp_path)
    assert result.about.split == "validate"
    with pytest.raises(UserError, match="an evaluation with another split"):
        evaluate(replace(chosen, split="test"), model_folder, prepared, out=tmp_path)


def as_open_i(prepared: Path, out: Path) -> Path:
    """The same studies, said to be of Open-I."""
    shutil.copytree(prepared, out)
    manifest = json.loads((out / "manifest.json").read_text())
    for name in manifest["shards"]:
        table = pq.read_table(out / name)
        sources = pa.array(["openi"] * len(table))
        pq.write_table(table.set_column(table.schema.get_field_index("source"), "source", sources), out / name)
        manifest["shards"][name] = sha256(out / name)
    (out / "manifest.json").write_text(json.dumps(manifest))
    return out


def test_protocol_and_judge_of_another_model(
    finished: Path, model_folder: Path, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reports of another system, scored by the protocol of Open-I beside published figures, read by a judge without
    continuous truth."""
    monkeypatch.setattr(shutil, "which", lambda name: None)  # no Java
    other = tmp_path / "judge"
    shutil.copytree(model_folder, other)
    config = json.loads((other / "judge" / "config.json").read_text())
    config |= {"measure_mean": [0.0] * len(MEASURES), "measure_std": [1.0] * len(MEASURES)}
    (other / "judge" / "config.json").write_text(json.dumps(config))
    data, wanted = as_open_i(prepared, tmp_path / "openi"), replace(CONFIG, protocol="iu-xray", num=4, steps=1)
    with pytest.raises(UserError, match=r"estimates none.*leave out --sides"):
        evaluate(replace(wanted, sides=True), model_folder, data, out=tmp_path / "none", judge=other)
    result = evaluate(wanted, model_folder, data, out=tmp_path / "out", judge=other)
    about, write, both = result.about, result.tasks[WRITE], result.tasks[BOTH]
    assert (about.protocol, about.judge) == ("iu-xray", str(other)) and "pycocoevalcap" in about.text
    assert result.published == list(IU_XRAY) and write.report and write.report.text_as_published
    reports = load_parts(tmp_path / "out" / "generated" / f"{task_name(WRITE)}.npz")[Modality.REPORT]
    truths = [r["reference"] for r in csv.DictReader((tmp_path / "out" / "reports" / f"{task_name(WRITE)}.csv").open())]
    cleaned = [[clean_iu_xray(r) for r in some] for some in (reports, truths)]
    assert to_json(write.report.text) == to_json(coco_scores(*cleaned, meteor=False))
    view = both.views[Modality.FRONTAL]
    assert isinstance(view.truth, Refused) and isinstance(view.as_held_out, Refused)
    assert np.isnan(both.agreement["frontal+lateral"].cardiothoracic_ratio_correlation.value)
    text = next(t for t in tables(result) if t.title == TEXT_TITLE)
    names = [row[0] for row in text.rows]
    assert f"{WRITE}, as published" in names and f"consensus, {WRITE}" in names and "R2Gen (2020), published" in names
    assert "read them beside the F1" in text.note
    usual = read_metrics(finished)
    own = usual.tasks[BOTH].views[Modality.FRONTAL].as_held_out
    assert isinstance(own, LikeHeldOut) and np.isfinite(own.cardiothoracic_ratio_correlation.value)
    assert usual.held_out.views[Modality.FRONTAL].as_held_out is None
    assert usual.published == [] and usual.about.judge is None and usual.about.judge_measures == ""


def test_too_few_studies(model_folder: Path, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "MIN_CASES", 5)
    with pytest.raises(UserError, match="at least 10"):
        evaluate(EvaluationConfig(num=4), model_folder, prepared, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_wrong_names(model_folder: Path, prepared: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Unknown extractor 'vgg'"):
        evaluate(EvaluationConfig(num=8, extractors=("vgg",)), model_folder, prepared, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match="suite is 'huge': give one of quick, full"):
        EvaluationConfig(suite="huge")  # type: ignore[arg-type]


def test_sides(model_folder: Path, prepared: Path, tmp_path: Path) -> None:
    """Of every study of the split with a lesion on one side, not only of those that the tasks are measured on."""
    test = PreparedDataset(prepared, "test")
    rows, truth = one_sided(test)
    wanted = replace(CONFIG, tasks=(WRITE,), num=2, steps=1, sides=True)
    found = evaluate(wanted, model_folder, prepared, out=tmp_path)
    assert found.sides and list(found.sides) == ["effusion", "pneumothorax", "consolidation"]
    for kind, share in found.sides.items():
        assert share.studies == ((by_side(kind, truth) > 0).sum(1) == 1).sum()
    kept = load_parts(tmp_path / "generated" / "sides" / "report_to_frontal.npz")[Modality.FRONTAL]
    assert len(kept) == len(rows) > 2
    (shown,) = (t for t in tables(found) if t.title == "Sides of lesions")
    assert [row[1] for row in shown.rows] == [str(share.studies) for share in found.sides.values()]
    test.__dict__["measures"] = None
    with pytest.raises(UserError, match="does not know the sides of lesions"):
        one_sided(test)


def test_beginnings_are_marked(model_folder: Path, prepared: Path, tmp_path: Path) -> None:
    """report->frontal is not generated twice: its figures are those of the longer task, and say so."""
    alone = Task.parse("report->frontal")
    result = evaluate(replace(CONFIG, tasks=(alone, BOTH), num=4, steps=1), model_folder, prepared, out=tmp_path)
    assert (result.tasks[alone].part_of, result.tasks[BOTH].part_of) == (BOTH, None)
    view = Modality.FRONTAL
    assert to_json(result.tasks[alone].views[view]) == to_json(result.tasks[BOTH].views[view])
    bounds = tables(result)[-1]
    assert [row[0] for row in bounds.rows] == [f"{alone} *", str(BOTH), str(BOTH)]
    assert bounds.note.endswith("the same outputs.")


def test_what_studies_are_called(prepared: Path) -> None:
    data = PreparedDataset(prepared, "test")
    rows = np.arange(len(data))
    assert held_out_noun(data, rows) == "held-out simulated"
    assert data.measures is not None
    data.__dict__["measures"] = np.where(rows[:, None] < 2, np.nan, data.measures)
    assert [held_out_noun(data, some) for some in (rows, rows[:2], rows[2:])] == [
        "held-out",
        "real",
        "held-out simulated",
    ]
    data.__dict__["measures"] = None
    assert held_out_noun(data, rows) == "real"


def test_tables(finished: Path) -> None:
    found = tables(read_metrics(finished))
    assert all(len(row) == len(t.columns) for t in found for row in t.rows)
    text = markdown(found)
    assert "at least 50 are needed" in text
    assert f"| {BOTH} |" in text
    assert "real" not in text.lower()
    written = latex(found)
    assert written.count("\\begin{tabular}") == written.count("\\end{tabular}") == len(found)
    assert r"report$\to$frontal+lateral" in written
    assert "%" not in written.replace(r"\%", "")


def judged(result: Evaluation, why: str) -> Evaluation:
    """The same result, its reader of frontal views no better than chance where there is a reason."""
    views = {m: replace(s, not_valid=why * (m is Modality.FRONTAL)) for m, s in result.held_out.views.items()}
    return replace(result, held_out=replace(result.held_out, views=views))


def rescored(result: Evaluation, why: str) -> Evaluation:
    """As `judged`, and the same of what was generated."""
    tasks = {
        t: replace(s, views={m: replace(v, not_valid=why * (m is Modality.FRONTAL)) for m, v in s.views.items()})
        for t, s in result.tasks.items()
    }
    return replace(judged(result, why), tasks=tasks)


def test_figures_of_a_judge_at_chance_are_struck_out(finished: Path, tmp_path: Path) -> None:
    """Those of frontal views and of pairs with one, but never the held-out views' own, which show it."""
    result = rescored(read_metrics(finished), "It is at chance.")
    found = {t.title: t for t in tables(result)}
    assert not [c for row in found["Findings on generated lateral views"].rows for c in row if isinstance(c, Struck)]
    for title in ("Findings on generated frontal views", "Bounds", "Agreement of the parts"):
        assert found[title].note.count("It is at chance.") == 1, title
    *generated, own = found["Findings on generated frontal views"].rows
    assert all(isinstance(row[1], Struck) for row in generated) and not isinstance(own[1], Struck)
    own_column = found["Bounds"].columns.index(result.about.held_out)
    for row in found["Bounds"].rows:
        others = [c for i, c in enumerate(row) if i > 2 and i != own_column and c != "-"]
        assert all(isinstance(c, Struck) is (row[1] == "frontal") for c in others) and not isinstance(
            row[own_column], Struck
        )
    pairs = {row[1]: row[2] for row in found["Agreement of the parts"].rows}
    struck = {pair for pair, kappa in pairs.items() if isinstance(kappa, Struck)}
    assert struck <= {"frontal+lateral", "frontal+report"} and struck
    held_out, *tasks = overview(result).rows
    assert not [c for c in held_out if isinstance(c, Struck)] and isinstance(tasks[0][1], Struck)
    plain = tables(rescored(read_metrics(finished), ""))
    assert not [c for t in plain for row in t.rows for c in row if isinstance(c, Struck)]
    shutil.copytree(finished, tmp_path / "copy")
    (tmp_path / "copy" / METRICS).write_text(json.dumps(to_json(result)))
    for a, b in ((finished, tmp_path / "copy"), (tmp_path / "copy", finished)):
        figures = compare_evaluations(a, b).tasks[BOTH]
        assert all(f.not_valid for f in figures if f.figure in ("frontal: AUROC, macro", "frontal: F1, micro"))
        assert not [f for f in figures if f.figure.startswith("frontal: error") and f.not_valid]


def test_what_the_door_noticed(
    model_folder: Path, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every third report contradicted itself, every frontal view is unlike."""
    generate = AnyToAnyPipeline.__call__
    notes = Notes(pictures=(PictureNote(modality=Modality.FRONTAL, fit=Fit.UNLIKE, reason="it is dark"),))

    def with_notes(self: AnyToAnyPipeline, **given: Any) -> Any:
        output = generate(self, **given)
        said = {"removed": ("Clear.",), "contradicted": True}, {"repeated": ("Clear.",)}
        corrected = [ReportNote(**said[i % 3 > 0]) for i in range(len(output.report))]
        object.__setattr__(output, "notes", [replace(notes, report=note) for note in corrected])
        return output

    monkeypatch.setattr(AnyToAnyPipeline, "__call__", with_notes)
    wanted = replace(CONFIG, tasks=(WRITE,), num=4, steps=1)
    result = evaluate(wanted, model_folder, prepared, out=tmp_path)
    noticed = result.tasks[WRITE].noticed
    assert noticed and (noticed.studies, noticed.contradicted, noticed.repeated) == (4, 2, 2)
    assert noticed.pictures == {Modality.FRONTAL: {Fit.UNLIKE: 4}}
    (shown,) = (t for t in tables(result) if t.title == "What the door noticed")
    cells = dict(zip(shown.columns, shown.rows[0], strict=True))
    assert (cells["frontal, not as known"], cells["lateral, not as known"], cells["prompts cut"]) == ("1.000", "-", "-")
    text = (tmp_path / METRICS).read_text()
    monkeypatch.setattr(AnyToAnyPipeline, "__call__", None)  # what is there is not generated again
    evaluate(wanted, model_folder, prepared, out=tmp_path)
    assert (tmp_path / METRICS).read_text() == text
    without = replace(result, tasks={task: replace(scores, noticed=None) for task, scores in result.tasks.items()})
    assert not any(t.title == "What the door noticed" for t in tables(without))
