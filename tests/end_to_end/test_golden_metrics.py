"""Values that the metrics gave when they agreed with their independent implementations: they must not drift with new
versions of libraries."""

import numpy as np
import pytest

from omnicxr.evaluation.measures import metrics
from omnicxr.evaluation.measures.diversity import similarity
from omnicxr.evaluation.measures.fidelity import distances
from omnicxr.evaluation.measures.privacy import copy_embedding, nearness
from omnicxr.evaluation.measures.protocols import protocol_scores
from omnicxr.evaluation.measures.text import text_scores

GOLDEN_DISTANCES = {
    "frechet": 2.02064,
    "kernel": 0.0496515,
    "precision": 0.175,
    "recall": 1.0,
    "density": 0.1075,
    "coverage": 0.3875,
}
GOLDEN_TEXT = {
    "bleu1": 0.610094,
    "bleu2": 0.496520,
    "bleu3": 0.348328,
    "bleu4": 0.223395,
    "rouge_l": 0.595688,
    "cider": 2.602004,
}

GOLDEN_PROTOCOL = {"bleu1": 0.821986, "bleu2": 0.575271, "rouge_l": 0.786117, "cider": 3.464652}
GOLDEN_PUBLISHED = {"bleu1": 0.8807, "bleu2": 0.68758, "rouge_l": 0.853595, "cider": 4.934761}


def pattern(n: int, size: int, phase: float) -> np.ndarray:
    """Stripes that no random generator had a part in: uint8 [n, size, size]."""
    i, y, x = np.meshgrid(np.arange(n), np.arange(size), np.arange(size), indexing="ij")
    return (
        127.5 + 60 * np.sin(0.11 * (i + 1) * x / 4 + phase) + 60 * np.cos(0.07 * (i + 2) * y / 4 + phase * i)
    ).astype(np.uint8)


def features(phase: float) -> np.ndarray:
    return pattern(80, 8, phase).reshape(80, 64).astype(np.float64) / 255


def test_distances() -> None:
    found = distances(features(0.0), features(0.4))
    assert {k: getattr(found, k) for k in GOLDEN_DISTANCES} == pytest.approx(GOLDEN_DISTANCES, rel=1e-4)


def test_diversity() -> None:
    assert float(similarity(pattern(4, 128, 0.3)[None])[0]) == pytest.approx(0.03131, abs=1e-4)


def test_text() -> None:
    generated = ["Small left pleural effusion. No pneumothorax.", "The heart is enlarged.", "Normal chest radiograph."]
    references = [
        "Moderate left pleural effusion without pneumothorax.",
        "The heart is mildly enlarged.",
        "No acute cardiopulmonary process.",
    ]
    found = text_scores(generated, references, meteor=False)
    assert {k: getattr(found, k) for k in GOLDEN_TEXT} == pytest.approx(GOLDEN_TEXT, rel=1e-4)


def test_text_by_the_protocol_of_open_i() -> None:
    generated = ["Small left pleural effusion. No pneumothorax.", "1. The heart is enlarged. 2. Clear lungs."]
    references = [
        "Small left-sided pleural effusion, no pneumothorax.",
        "The heart is mildly enlarged. Lungs are clear.",
    ]
    found = protocol_scores("iu-xray", generated, references, training=generated * 2 + references, meteor=False)
    for scores, golden in ((found.text, GOLDEN_PROTOCOL), (found.as_published, GOLDEN_PUBLISHED)):
        assert {k: getattr(scores, k) for k in golden} == pytest.approx(golden, rel=1e-4)


def test_findings_and_copies() -> None:
    scores = features(0.2)[:, :6]
    labels = features(0.7)[:, 1:7] > 0.55
    assert metrics.auroc(labels, scores) == pytest.approx(
        [0.50335, 0.41365, 0.55545, 0.53596, 0.45671, 0.39620], abs=1e-4
    )
    assert metrics.macro_f1(labels, scores > 0.5) == pytest.approx(0.51532, abs=1e-4)
    assert metrics.kappa(labels, scores > 0.5) == pytest.approx(
        [-0.04167, -0.02029, 0.13410, 0.07846, -0.15385, 0.01106], abs=1e-4
    )
    found = nearness(*(copy_embedding(pattern(n, 64, phase)) for n, phase in ((20, 0.0), (20, 0.5), (30, 0.1))))
    assert found.nearer_share == pytest.approx(0.6425, abs=1e-4)
