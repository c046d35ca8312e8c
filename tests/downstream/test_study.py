"""A small study end to end, and its figures on scores whose AUROC is known."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.metrics import f1_score, roc_auc_score

from omnicxr.app.console import progress_bar
from omnicxr.app.downstream import run_study
from omnicxr.data.dataset import PreparedDataset
from omnicxr.data.typed_json import to_json
from omnicxr.domain import Finding, Modality, Task, UserError
from omnicxr.downstream.classifier import (
    GreyNetwork,
    TrainingSet,
    make_network,
    scores_of,
    train_classifier,
    uncertain_as,
)
from omnicxr.downstream.results import CellResult, Results, summary
from omnicxr.downstream.spec import (
    BOTH,
    CUT,
    FILLED,
    PRETRAINED,
    REAL,
    SYNTHETIC,
    Cell,
    ClassifierSpec,
    ImbalanceSpec,
    StudySpec,
)
from omnicxr.downstream.study import DownstreamStudy
from omnicxr.evaluation.measures import metrics, uncertainty
from omnicxr.synthesis.prompts import Wish
from omnicxr.synthesis.synthesize import SynthesisConfig, synthesize

EFFUSION = list(Finding).index(Finding.PLEURAL_EFFUSION)
SPEC = StudySpec(
    real_shares=(0.5, 1.0),
    seeds=(0,),
    classifier=ClassifierSpec(steps=3, finetune_steps=2, batch_size=8),
    imbalance=ImbalanceSpec(findings=(Finding.PLEURAL_EFFUSION,), keep=(2,)),
)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "MIN_CASES", 1)
    monkeypatch.setattr(uncertainty, "RESAMPLES", 20)


@pytest.fixture(scope="module")
def synthetic(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("synthetic")
    synthesize(
        SynthesisConfig(task=Task.parse("report->frontal+lateral"), wish=Wish(num=24, balance=True), steps=1),
        model_folder,
        out,
    )
    return out


@pytest.fixture
def study(prepared: Path, synthetic: Path, tmp_path: Path) -> DownstreamStudy:
    return DownstreamStudy(SPEC, prepared, synthetic, out=tmp_path / "study")


def test_study_runs_and_resumes(study: DownstreamStudy, prepared: Path, synthetic: Path) -> None:
    with progress_bar("") as bar:
        result = run_study(study, bar)
    assert {p.name for p in study.out.iterdir()} == {
        "cells",
        "study.json",
        "metrics.json",
        "tables.md",
        "tables.tex",
        "report.html",
    }
    assert json.loads((study.out / "metrics.json").read_text()) == to_json(result)
    rows = [(f.regime, f.real_share) for f in result.views[Modality.FRONTAL].scarcity]
    assert rows == [
        (REAL, 0.5),
        (REAL, 1.0),
        (SYNTHETIC, None),
        (BOTH, 0.5),
        (BOTH, 1.0),
        (PRETRAINED, 0.5),
        (PRETRAINED, 1.0),
    ]
    (rare,) = result.views[Modality.FRONTAL].imbalance
    assert (rare.finding, rare.keep) == (Finding.PLEURAL_EFFUSION, 2)
    text = (study.out / "tables.md").read_text()
    assert "Rare findings" in text and "| real+synthetic | 50 % |" in text
    before = {p: p.read_bytes() for p in (study.out / "cells").iterdir()}
    gone = study.path(Cell(view=Modality.FRONTAL, seed=0, regime=PRETRAINED, share=0.5))
    gone.unlink()
    DownstreamStudy(SPEC, prepared, synthetic, out=study.out).run()
    assert {p: p.read_bytes() for p in (study.out / "cells").iterdir()} == before, (
        "the same cell again has the same bytes"
    )


def test_what_each_regime_learns_from(study: DownstreamStudy, prepared: Path, synthetic: Path) -> None:
    real, generated = PreparedDataset(prepared, "train"), PreparedDataset(synthetic, "train")
    patients = np.array(real.table.column("subject_id").to_pylist())

    def groups(**setting: object) -> list[tuple[Path, set[int]]]:
        chosen = study.training_set(Cell(view=Modality.FRONTAL, seed=0, **setting))  # type: ignore[arg-type]
        return [(data.root, set(rows.tolist())) for data, rows in chosen.groups]

    ((where, half),) = groups(regime=REAL, share=0.5)
    ((_, tenth),) = groups(regime=REAL, share=0.1)
    assert where == prepared and tenth < half
    assert len(set(patients[sorted(half)])) == round(0.5 * len(set(patients)))
    assert not {patients[i] for i in half} & {patients[i] for i in set(range(len(real))) - half}, "patients stay whole"
    assert groups(regime=PRETRAINED, share=0.5) == [(prepared, half)]
    assert groups(regime=SYNTHETIC) == [(synthetic, set(range(len(generated))))]
    assert groups(regime=BOTH, share=0.5) == [(prepared, half), (synthetic, set(range(len(generated))))]
    ((_, whole),) = groups(regime=REAL)
    ((_, cut),) = groups(regime=CUT, finding=Finding.PLEURAL_EFFUSION, keep=2)
    positive = {i for i in whole if real.labels[i, EFFUSION] == 1}
    assert len(cut & positive) == 2 and cut | positive == whole
    (_, left), (_, filling) = groups(regime=FILLED, finding=Finding.PLEURAL_EFFUSION, keep=2)
    assert left == cut
    assert all(generated.labels[i, EFFUSION] == 1 for i in filling)
    assert len(filling) == min(len(positive) - 2, int((generated.labels[:, EFFUSION] == 1).sum()))


def test_a_classifier_learns(prepared: Path) -> None:
    """Pictures whose brightness is the label: told apart after some steps, not before."""
    data = PreparedDataset(prepared, "train")
    data.__dict__["labels"] = np.zeros((len(data), 14), np.float32)
    data.labels[::2, EFFUSION] = 1
    images = np.full((len(data), 64, 64), 60, np.uint8)
    images[::2] = 180
    data.images = lambda view, rows: images[rows]  # type: ignore[method-assign]
    spec = ClassifierSpec(steps=25, batch_size=16)
    torch.manual_seed(0)
    network, rows = make_network(spec), np.arange(len(data))
    train_classifier(
        network,
        TrainingSet(((data, rows),)),
        spec,
        view=Modality.FRONTAL,
        steps=25,
        peak=1e-3,
        uncertain="ignore",
        seed=0,
    )
    scores = scores_of(network, data, rows, view=Modality.FRONTAL)[:, EFFUSION]
    assert scores[::2].min() > scores[1::2].max()


def test_batches_are_half_and_half_or_alike(prepared: Path) -> None:
    data = PreparedDataset(prepared, "train")
    few, many = np.array([0, 1]), np.arange(2, len(data))
    shown = {i: data.image(int(i), Modality.FRONTAL).tobytes() for i in range(len(data))}
    share = {}
    for together in (False, True):
        x, labels = TrainingSet(((data, few), (data, many)), together=together).batch(
            Modality.FRONTAL, 400, np.random.default_rng(0)
        )
        assert x.shape == (400, 1, 64, 64) and labels.shape == (400, 14) and float(x.abs().max()) <= 1
        pixels = ((x[:, 0] + 1) * 127.5).round().to(torch.uint8).numpy()
        share[together] = np.mean([p.tobytes() in (shown[0], shown[1]) for p in pixels])
    assert share[False] == 0.5
    assert share[True] == pytest.approx(2 / len(data), abs=0.05)


def test_uncertain_labels() -> None:
    labels = torch.tensor([1.0, 0.0, -1.0, float("nan")])
    for rule, value in (("ignore", -1), ("positive", 1), ("negative", 0)):
        assert uncertain_as(labels, rule)[:3].tolist() == [1, 0, value]


def test_figures_against_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    labels = rng.random((120, 14)) < 0.3
    spec = StudySpec(regimes=(REAL, SYNTHETIC), real_shares=(0.1, 1.0), seeds=(0, 1))
    cells = {}
    for cell in spec.cells():
        scores = labels * (0.5 if cell.regime == REAL else 0.1) + rng.random((120, 14))
        cells[cell] = CellResult(scores, scores > 0.6, 7)
    figures = summary(spec, Results(labels, np.arange(120), cells)).scarcity
    for row in figures:
        same = [r for c, r in cells.items() if c.regime == row.regime and c.share == (row.real_share or 1.0)]
        assert row.auroc_macro.value == pytest.approx(
            np.mean([roc_auc_score(labels, r.scores, average="macro") for r in same])
        )
        for kind in ("macro", "micro", "weighted"):
            assert getattr(row, f"f1_{kind}").value == pytest.approx(
                np.mean([f1_score(labels, r.found, average=kind) for r in same])
            )
        assert row.auroc[Finding.PLEURAL_EFFUSION] == pytest.approx(
            np.mean([roc_auc_score(labels[:, EFFUSION], r.scores[:, EFFUSION]) for r in same])
        )
    whole, synthetic = figures[1], figures[2]
    assert synthetic.minus_real
    assert synthetic.minus_real.value == pytest.approx(synthetic.auroc_macro.value - whole.auroc_macro.value)
    assert synthetic.minus_real.high < 0 and synthetic.minus_real.p_value < 0.1


def test_a_study_without_a_defined_figure_has_a_page(prepared: Path, tmp_path: Path) -> None:
    """No finding has test studies with it and without it."""
    spec = replace(SPEC, imbalance=ImbalanceSpec(findings=(Finding.EDEMA,), keep=(2,)))
    none, scores = np.zeros((6, 14), bool), np.random.default_rng(0).random((6, 14))
    cells = {cell: CellResult(scores, scores > 0.5, 9) for cell in spec.cells()}
    study = SimpleNamespace(
        spec=spec,
        out=tmp_path,
        run=lambda progress: None,
        real={"test": PreparedDataset(prepared, "test")},
        results=lambda view: Results(none, np.arange(6), cells),
    )
    with progress_bar("") as bar:
        run_study(study, bar)  # pyright: ignore[reportArgumentType]
    assert "no finding has enough held-out simulated test studies" in (tmp_path / "report.html").read_text()
    assert json.loads((tmp_path / "metrics.json").read_text())["views"]["frontal"]["scarcity"]


def test_networks_of_torchvision(tmp_path: Path) -> None:
    network = make_network(ClassifierSpec(network="resnet18")).eval()
    assert isinstance(network, GreyNetwork)
    assert network(torch.zeros(2, 1, 64, 64)).shape == (2, 14)
    state = {k: torch.full_like(v, 0.25) for k, v in network.network.state_dict().items() if not k.startswith("fc.")}
    save_file(state, tmp_path / "resnet.safetensors")
    loaded = make_network(ClassifierSpec(network="resnet18", weights=tmp_path / "resnet.safetensors"))
    assert float(loaded.state_dict()["network.conv1.weight"].mean()) == 0.25
    with pytest.raises(UserError, match="do not fit the network"):
        make_network(ClassifierSpec(network="resnet34", weights=tmp_path / "resnet.safetensors"))
    with pytest.raises(UserError, match="missing or damaged"):
        make_network(ClassifierSpec(network="resnet18", weights=tmp_path / "none.safetensors"))
    with pytest.raises(UserError, match="Unknown network 'gpt'"):
        make_network(ClassifierSpec(network="gpt"))


def test_studies_that_cannot_be_run(study: DownstreamStudy, prepared: Path, synthetic: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="another spec"):
        DownstreamStudy(replace(SPEC, seeds=(5,)), prepared, synthetic, out=study.out)
    with pytest.raises(UserError, match="not a finished synthetic data set"):
        DownstreamStudy(SPEC, prepared, prepared, out=tmp_path / "other")
    with pytest.raises(UserError, match="more than 5000 are needed"):
        DownstreamStudy(
            replace(SPEC, imbalance=ImbalanceSpec(findings=(Finding.EDEMA,), keep=(5000,))),
            prepared,
            synthetic,
            out=tmp_path / "other",
        )
    assert not (tmp_path / "other").exists()
