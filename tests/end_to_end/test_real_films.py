"""The benchmark on real radiographs, without any: its counting, its choice of films, and what it says where films are
absent."""

from pathlib import Path

import numpy as np
import pytest

import omnicxr.evaluation.measures.metrics as metrics
from benchmarks.real_films import Door, Films, Labels, RealFilms, figures_of, gold_labels, read_films, subsets, tables
from benchmarks.real_films import prepared as prepare_films
from omnicxr.data.dataset import PreparedDataset
from omnicxr.domain import Finding, Modality, Task
from omnicxr.domain.notes import Fit
from omnicxr.evaluation.noticed import Noticed, StudyNoticed

FRONTAL = Modality.FRONTAL
TASK = Task.parse("frontal->report")
NORMAL, EFFUSION, DEVICE = (
    list(Finding).index(f) for f in (Finding.NO_FINDING, Finding.PLEURAL_EFFUSION, Finding.SUPPORT_DEVICES)
)


def findings(*positive: tuple[int, ...]) -> np.ndarray:
    found = np.zeros((len(positive), len(Finding)), bool)
    for row, columns in enumerate(positive):
        found[row, list(columns)] = True
    return found


TRUTH = findings((NORMAL,), (NORMAL, DEVICE), (EFFUSION,), (EFFUSION,))
FILMS = Films(
    source="here",
    parts={},
    patients=np.array(["a", "b", "c", "d"]),
    views=np.array(["PA", "AP", "PA", "PA"]),
    splits={"test": 4},
    labels=(Labels(source="known", positive=TRUTH, known=np.ones(len(Finding), bool), rows=np.arange(4)),),
)


def test_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two normal films one gets an effusion; of two effusions one is found; a tube is no illness."""
    monkeypatch.setattr(metrics, "MIN_CASES", 1)
    stated = findings((NORMAL, DEVICE), (EFFUSION, DEVICE), (EFFUSION,), (NORMAL,))
    scores = {FRONTAL: TRUTH.astype(float)}
    (labels,) = FILMS.labels
    found = figures_of(FILMS, np.arange(4), "all", task=TASK, labels=labels, stated=stated, scores=scores)
    assert (found.n, found.normal) == (4, 2)
    assert (found.stated_of_normal.value, found.stated_of_others.value) == (0.5, 0.5)
    assert found.f1.value == pytest.approx(2 * 2 / (3 + 4)), "an effusion and a tube of three, four stated"
    assert found.f1_with_normal.value == pytest.approx(2 * 3 / (5 + 6))
    assert found.f1_with_normal_always_normal.value == pytest.approx(2 * 2 / (5 + 4))
    assert found.auroc[FRONTAL].value == 1.0
    perfect = figures_of(FILMS, np.arange(4), "all", task=TASK, labels=labels, stated=TRUTH, scores={})
    assert perfect.f1.value == perfect.f1_with_normal.value == 1.0 > perfect.f1_shuffled.value


def test_each_view_alone() -> None:
    assert {name: rows.tolist() for name, rows in subsets(FILMS)} == {"all": [0, 1, 2, 3], "AP": [1], "PA": [0, 2, 3]}


def test_gold_labels(tmp_path: Path) -> None:
    path = tmp_path / "gold.csv"
    path.write_text("filename,Effusion,Mass,Nodule,Hernia,normal\nCXR7,1,0,1,1,0\nCXR9,0,0,0,0,1\n")
    found = gold_labels(path, ["9", "8", "7"])
    assert found.rows.tolist() == [0, 2]
    stated = [{f for f, has in zip(Finding, row, strict=True) if has} for row in found.positive]
    assert stated == [{Finding.NO_FINDING}, set(), {Finding.PLEURAL_EFFUSION, Finding.LUNG_LESION}]
    assert not found.known[DEVICE] and found.known[EFFUSION]


def test_what_is_absent_is_skipped_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prepare_films("nih", tmp_path / "none", tmp_path / "out", image_size=64) is None
    assert "nih is skipped: No such data folder" in capsys.readouterr().out


def test_the_same_films_for_every_model(prepared: Path) -> None:
    """Test studies first; fewer are the beginning of more."""
    few, more = (read_films("simulated", prepared, (FRONTAL,), num=n, gold=None) for n in (3, 60))
    assert (few.parts[FRONTAL] == more.parts[FRONTAL][:3]).all() and list(few.patients) == list(more.patients[:3])
    assert few.splits == {"test": 3} and list(more.splits) == ["test", "validate", "train"]
    assert more.splits["test"] == len(PreparedDataset(prepared, "test").having(FRONTAL))


def test_table_of_the_door_only_where_it_said_something() -> None:
    studies = [StudyNoticed(pictures={FRONTAL: fit}) for fit in (Fit.AS_KNOWN, Fit.UNLIKE, Fit.UNLIKE, Fit.NOT_USABLE)]
    door = Door(source="here", films="all", task=TASK, noticed=Noticed.of(studies, reports=True))
    none, some = (tables(RealFilms(model_hash="", films={}, figures=[], door=d)) for d in ([], [door]))
    assert none == [] and [t.title for t in some] == ["What the door says"]
    assert some[0].rows == [("here", "all", str(TASK), "4", "0.250", "0.500", "0.250", "-", "-", "-", "0.000")]
