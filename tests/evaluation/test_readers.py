"""Classifiers, labelers and scorers of others: loading, order of findings, what is missing."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from omnicxr.domain import Finding, UserError
from omnicxr.evaluation.measures.clinical import finding_scores, view_findings
from omnicxr.evaluation.readers.chexbert import HEADS, CheXbert, CheXbertLabeler
from omnicxr.evaluation.readers.panel import Reading
from omnicxr.evaluation.readers.radgraph import MODEL, RadGraphScorer
from omnicxr.evaluation.readers.xrv import XrvClassifier

TINY = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32, "vocab_size": 8}
WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "large", "heart", "effusion")
PATHOLOGIES = [
    "Atelectasis",
    "Consolidation",
    "Infiltration",
    "Pneumothorax",
    "Edema",
    "Emphysema",
    "Fibrosis",
    "Effusion",
    "Pneumonia",
    "Pleural_Thickening",
    "Cardiomegaly",
    "Nodule",
    "Mass",
    "Hernia",
    "Lung Lesion",
    "Fracture",
    "Lung Opacity",
    "Enlarged Cardiomediastinum",
]
INDEX = {f: i for i, f in enumerate(Finding)}


@pytest.fixture
def chexbert(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CheXbert:
    """A small network saved as the authors save theirs."""
    torch.manual_seed(0)
    network = CheXbert(BertModel(BertConfig(**TINY)), 16).eval()
    state = {f"module.{k}": v for k, v in network.state_dict().items()}
    save_file(
        state | {"module.bert.embeddings.position_ids": torch.arange(512)[None]}, tmp_path / "chexbert.safetensors"
    )
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    monkeypatch.setenv("OMNICXR_CHEXBERT", str(tmp_path))
    return network


def test_chexbert_reads_as_the_network_does(chexbert: CheXbert) -> None:
    found = CheXbertLabeler("cpu", **TINY)(["Large heart\n effusion", "HEART", "large zebra effusion heart heart"])
    ids = [[2, 5, 6, 7, 3], [2, 6, 3], [2, 5, 1, 7, 6, 6, 3]]
    assert found.shape == (3, 14)
    for row, tokens in zip(found, ids, strict=True):
        with torch.no_grad():
            logits = chexbert(torch.tensor([tokens]), torch.ones(1, len(tokens)))
        assert [bool(row[INDEX[f]]) for f in HEADS] == [int(v.argmax()) == 1 for v in logits]
    assert found.any() and not found.all()


def test_chexbert_that_is_not_there_or_broken(
    chexbert: CheXbert, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "vocab.txt").unlink()
    with pytest.raises(UserError, match=r"vocab\.txt is missing"):
        CheXbertLabeler("cpu", **TINY)
    save_file({"weight": torch.zeros(2)}, tmp_path / "chexbert.safetensors")
    with pytest.raises(UserError, match="does not hold the weights of CheXbert"):
        CheXbertLabeler("cpu", **TINY)
    (tmp_path / "chexbert.safetensors").write_bytes(b"broken")
    with pytest.raises(UserError, match="is not a safetensors file"):
        CheXbertLabeler("cpu", **TINY)
    monkeypatch.delenv("OMNICXR_CHEXBERT")
    with pytest.raises(UserError, match="OMNICXR_CHEXBERT"):
        CheXbertLabeler("cpu", **TINY)


class Mean(nn.Module):
    """Stands in for the DenseNet: the first output grows with the brightness of the picture."""

    def __init__(self, weights: None) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(18))

    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[1:] == (1, 224, 224)
        assert x.abs().max() <= 1024
        return self.bias + x.mean((1, 2, 3))[:, None] / 1024 * (torch.arange(18) == PATHOLOGIES.index("Effusion"))


def test_xrv_findings_in_our_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchxrayvision", SimpleNamespace(models=SimpleNamespace(DenseNet=Mean)))  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "torchxrayvision.datasets", SimpleNamespace(default_pathologies=PATHOLOGIES))  # type: ignore[arg-type]
    save_file({"bias": torch.full((18,), -1.0), "op_threshs": torch.zeros(18)}, tmp_path / "xrv.safetensors")
    monkeypatch.setenv("OMNICXR_XRV", str(tmp_path / "xrv.safetensors"))
    pictures = np.array([0, 127, 255], np.uint8)[:, None, None] * np.ones((1, 64, 64), np.uint8)
    scores = XrvClassifier("cpu")(pictures)
    effusion, none, devices = (
        scores[:, INDEX[f]] for f in (Finding.PLEURAL_EFFUSION, Finding.NO_FINDING, Finding.SUPPORT_DEVICES)
    )
    assert (np.diff(effusion) > 0.1).all()
    assert none == pytest.approx(1 - np.maximum(effusion, 1 / (1 + np.e)))
    assert np.isnan(devices).all()
    assert np.isnan(scores).sum() == 3
    save_file({"weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    monkeypatch.setenv("OMNICXR_XRV", str(tmp_path / "other.safetensors"))
    with pytest.raises(UserError, match="does not hold the weights"):
        XrvClassifier("cpu")


def test_findings_that_a_classifier_does_not_know_are_left_out() -> None:
    rng = np.random.default_rng(0)
    labels = rng.random((60, 14)) < 0.4
    scores = labels + 0.1 * rng.random((60, 14))
    scores[:, 3] = np.nan
    reading = Reading(scores, scores > 0.5, np.zeros((60, 15)), np.zeros((60, 2)))
    auroc, findings = view_findings(reading, labels, np.arange(60))
    name = list(Finding)[3]
    assert np.isnan(findings.f1_by_finding[name])
    assert np.isnan(auroc.by_finding[name])
    assert auroc.macro.value == findings.all.micro.value == findings.all.macro.value == 1
    assert finding_scores(labels, scores > 0.5, np.arange(60)).all.micro.value < 1


class EqualWords:
    """Stands in for the library's F1RadGraph: the three levels of a pair are the share of equal words and its
    halves."""

    def __init__(self, *, reward_level: str, model_type: str, model_cache_dir: str, cuda: int) -> None:
        assert (reward_level, model_type, cuda) == ("all", MODEL, -1)
        if not (Path(model_cache_dir) / MODEL / "weights.th").is_file():
            raise IndexError("pop from empty list")

    def __call__(self, *, hyps: list[str], refs: list[str]) -> tuple[Any, ...]:
        assert all(hyps) and all(refs)
        shares = [len({*h.split()} & {*r.split()}) / len({*r.split()}) for h, r in zip(hyps, refs, strict=True)]
        return None, tuple([s / d for s in shares] for d in (1, 2, 4)), [], []


def test_radgraph_scores_each_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "radgraph", SimpleNamespace(F1RadGraph=EqualWords))  # type: ignore[arg-type]
    monkeypatch.setenv("OMNICXR_RADGRAPH", str(tmp_path))
    with pytest.raises(UserError, match=r"config\.json is missing: run"):
        RadGraphScorer()
    (tmp_path / MODEL).mkdir()
    (tmp_path / MODEL / "config.json").write_text("{}")
    with pytest.raises(UserError, match=r"cannot be set up from .*pop from empty list"):
        RadGraphScorer()
    (tmp_path / MODEL / "weights.th").write_bytes(b"")
    scores = RadGraphScorer()(["large heart", "", "heart", "x"], ["large heart", "heart", "large heart", " "])
    assert scores == pytest.approx(np.array([[1, 0.5, 0.25], [0, 0, 0], [0.5, 0.25, 0.125], [0, 0, 0]]))
    monkeypatch.delenv("OMNICXR_RADGRAPH")
    with pytest.raises(UserError, match="OMNICXR_RADGRAPH"):
        RadGraphScorer()
