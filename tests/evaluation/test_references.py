from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from omnicxr.data.centrality import most_central
from omnicxr.data.dataset import PreparedDataset
from omnicxr.domain import Finding, Modality, Task, UserError
from omnicxr.domain.measures import MEASURES
from omnicxr.evaluation.measures.consistency import pair_agreement
from omnicxr.evaluation.measures.metrics import partner_ranks
from omnicxr.evaluation.readers.panel import Reading
from omnicxr.evaluation.references import NAMES, USUAL_OF, References, derangement

TASK = Task.parse("report->frontal+lateral")


@pytest.fixture(scope="module")
def references(prepared: Path) -> References:
    test, training = PreparedDataset(prepared, "test"), PreparedDataset(prepared, "train")

    def embed(modality: Modality, part: object) -> np.ndarray:
        values = np.stack([np.asarray(p, np.float32).ravel()[::37] if modality.is_image else letters(p) for p in part])  # type: ignore[attr-defined]
        return values / np.linalg.norm(values, axis=1, keepdims=True)

    return References(test.parts(test.having(*Modality)), training, embed)


def letters(text: str) -> np.ndarray:
    return np.array([text.lower().count(c) + 1e-3 for c in "abcdefghijklmnopqrstuvwxyz"], np.float32)


def test_every_study_gets_another_ones_parts(references: References) -> None:
    for n in (5, 40):
        orders = [np.arange(n), *(derangement(n, shift=k) for k in (1, 2, 3))]
        assert all(sorted(o) == list(range(n)) for o in orders)
        assert all((a != b).all() for a, b in combinations(orders, 2))
    shuffled = references.predict("shuffled", TASK)
    assert set(shuffled) == {Modality.FRONTAL, Modality.LATERAL}
    same = (shuffled[Modality.FRONTAL] == references.held_out[Modality.FRONTAL]).all((1, 2))
    assert not same.any()


def test_always_normal_is_one_study_without_findings(references: References) -> None:
    predicted = references.predict("always-normal", Task.parse("frontal->report"))[Modality.REPORT]
    assert len(set(predicted)) == 1
    row = references.training.reports.index(predicted[0])
    assert not np.nansum(references.training.labels[row][[f is not Finding.NO_FINDING for f in Finding]] == 1)


def test_nearest_of_a_training_study_is_itself(references: References) -> None:
    rows = references.training.having(*Modality)[3:9]
    own = References(references.training.parts(rows), references.training, references.embed)
    found = own.predict("nearest", Task.parse("frontal->lateral"))[Modality.LATERAL]
    assert (found == own.held_out[Modality.LATERAL]).all()


def test_always_usual_is_the_most_central_training_report(references: References) -> None:
    predicted = references.predict("always-usual", Task.parse("frontal->report"))[Modality.REPORT]
    rows = references.training.having(*Modality)
    assert len(rows) < USUAL_OF, "all of them are candidates"
    reports = [references.training.reports[i] for i in rows]
    assert set(predicted) == {reports[most_central(reports)]}
    pictures = references.predict("always-usual", TASK)[Modality.FRONTAL]
    row = rows[most_central(reports)]
    assert (pictures == references.training.image(int(row), Modality.FRONTAL)).all()


def test_consensus_is_one_of_the_nearest(references: References, monkeypatch: pytest.MonkeyPatch) -> None:
    task, both = Task.parse("frontal+lateral->report"), (Modality.FRONTAL, Modality.LATERAL)
    rows = references.training.having(*Modality)
    reports = [references.training.reports[i] for i in rows]
    similarity = np.zeros((references.count, len(rows)))
    for m in both:
        own, pool = (references.embed(m, p[m]) for p in (references.held_out, references.training.parts(rows, both)))
        similarity += own @ pool.T
    for neighbours in (5, 1):
        monkeypatch.setattr("omnicxr.evaluation.references.NEIGHBOURS", neighbours)
        found = references.predict("consensus", task)[Modality.REPORT]
        for report, row in zip(found, similarity, strict=True):
            near = [reports[i] for i in sorted(range(len(rows)), key=lambda i, row=row: -row[i])[:neighbours]]
            assert report == near[most_central(near)]
    assert found == references.predict("nearest", task)[Modality.REPORT], "of one neighbour it is that one"
    nothing = Task.from_nothing()
    usual = references.predict("always-usual", nothing)[Modality.REPORT]
    assert references.predict("consensus", nothing)[Modality.REPORT] == usual


def test_pictures_come_from_the_study_of_the_report(references: References) -> None:
    """The report alone is given: picture and report that are predicted are of one training study."""
    found = references.predict("consensus", Task.parse("frontal->lateral+report"))
    studies = references.training.parts(references.training.having(*Modality))
    pairs = {(p.tobytes(), r) for p, r in zip(studies[Modality.LATERAL], studies[Modality.REPORT], strict=True)}
    assert {(p.tobytes(), r) for p, r in zip(found[Modality.LATERAL], found[Modality.REPORT], strict=True)} <= pairs


def test_without_reports(references: References) -> None:
    held_out = {m: p for m, p in references.held_out.items() if m.is_image}
    views = References(held_out, references.training, references.embed)
    assert views.names == ("shuffled", "always-normal", "nearest")
    with pytest.raises(UserError, match="choose from shuffled, always-normal, nearest"):
        views.predict("consensus", Task.parse("frontal->lateral"))


def test_names(references: References) -> None:
    for name in NAMES:
        assert len(references.predict(name, TASK)[Modality.LATERAL]) == references.count
    with pytest.raises(UserError, match="Unknown reference"):
        references.predict("best", TASK)


def reading(seed: int, base: np.ndarray, noise: float) -> Reading:
    rng = np.random.default_rng(seed)
    values = base + noise * rng.normal(size=base.shape)
    embeds = values / np.linalg.norm(values, axis=1, keepdims=True)
    return Reading(values[:, :14], values[:, :14] > 0.5, np.tile(values[:, 14:15], len(MEASURES)), embeds)


def test_agreement_falls_from_the_same_study_to_another(monkeypatch: pytest.MonkeyPatch) -> None:
    base = np.random.default_rng(0).normal(size=(200, 20))
    patients = np.arange(200)
    a = reading(1, base, 0.2)
    kinds = [reading(2, base, 0.2), reading(2, base, 1.5), reading(2, base[derangement(200)], 0.2)]
    figures = [pair_agreement(a, b, patients) for b in kinds]
    for name in ("finding_kappa", "score_correlation"):
        values = [getattr(f, name).value for f in figures]
        assert values == sorted(values, reverse=True)
        assert abs(values[-1]) < 0.12
    assert figures[0].partner_recall_at_1 > 0.95
    assert figures[2].partner_recall_at_1 < 0.08
    assert 20 < figures[2].partner_median_rank < 32


def test_partner_ranks() -> None:
    a = np.eye(4)
    assert partner_ranks(a, a, group=2).tolist() == [1, 1, 1, 1]
    assert partner_ranks(a, a[[1, 0, 3, 2]], group=2).tolist() == [2, 2, 2, 2]
    assert len(partner_ranks(a, a, group=5)) == 0
