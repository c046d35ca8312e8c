"""The model that comes with the package does what it is for."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from omnicxr import AnyToAnyPipeline
from omnicxr.app.demo import SENTENCES, run_demo
from omnicxr.domain import Finding, Modality, Task
from omnicxr.models.folder import BUNDLED
from omnicxr.models.judge import Judge
from omnicxr.simulation.population import sample_truth
from omnicxr.simulation.render import render
from omnicxr.simulation.report import write_report
from omnicxr.synthesis.prompts import composed

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bundled() -> AnyToAnyPipeline:
    return AnyToAnyPipeline.from_pretrained()


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge.load(BUNDLED / "judge")


@pytest.fixture(scope="module")
def study(bundled: AnyToAnyPipeline) -> dict[Modality, Any]:
    rendering = render([sample_truth(1, 2)], bundled.image_size)[0]
    return {
        Modality.FRONTAL: rendering.frontal.numpy(),
        Modality.LATERAL: rendering.lateral.numpy(),
        Modality.REPORT: write_report(rendering.truth).impression,
    }


@torch.no_grad()
def probability(judge: Judge, pipe: AnyToAnyPipeline, modality: Modality, part: list, finding: Finding) -> np.ndarray:  # type: ignore[type-arg]
    x = pipe.network_input(modality, [np.asarray(p) if modality.is_image else p for p in part])
    return judge(modality, x)[0].sigmoid()[:, list(Finding).index(finding)].numpy()


@pytest.mark.parametrize("task", Task.all(), ids=str)
def test_all_tasks(bundled: AnyToAnyPipeline, study: dict[Modality, Any], task: Task) -> None:
    out = bundled(**{str(m): study[m] for m in task.given}, generate=task.generate, num_inference_steps=4)
    for m in task.generate:
        value = getattr(out, m)[0]
        assert np.asarray(value).std() > 20 if m.is_image else len(value) > 5


@pytest.mark.parametrize(
    ("sentence", "finding"),
    [("Large left pleural effusion.", Finding.PLEURAL_EFFUSION), ("Severe cardiomegaly.", Finding.CARDIOMEGALY)],
)
def test_pictures_show_what_the_sentence_said(
    bundled: AnyToAnyPipeline, judge: Judge, sentence: str, finding: Finding
) -> None:
    views = (Modality.FRONTAL, Modality.LATERAL)
    told, plain = (
        bundled(report=r, generate=views, num=6, num_inference_steps=10)
        for r in (sentence, "No acute cardiopulmonary process.")
    )
    for m in views:
        with_it, without = (probability(judge, bundled, m, getattr(o, m), finding) for o in (told, plain))
        assert with_it.mean() > without.mean() + 0.3


def test_side_of_an_effusion(bundled: AnyToAnyPipeline) -> None:
    """Fluid whitens the lower outer lung of its own side; the patient's left is on the right of the picture."""
    left, right = (
        np.stack(
            bundled(report=f"Large {s} pleural effusion.", generate=("frontal",), num=6, num_inference_steps=10).frontal
            or []
        )
        for s in ("left", "right")
    )
    n = left.shape[-1]
    difference = left.astype(float).mean(0) - right.astype(float).mean(0)
    rows = slice(n // 3, n // 2)
    assert difference[rows, int(0.62 * n) : int(0.85 * n)].mean() > 15
    assert difference[rows, int(0.15 * n) : int(0.38 * n)].mean() < -15


def test_demo(tmp_path: Path) -> None:
    page = run_demo(tmp_path)
    assert page.stat().st_size > 100_000
    record = json.loads((tmp_path / "demo.json").read_text())
    assert [entry["noticed"] for entry in record["sentences"]] == [[]] * 6


def test_own_prompts_are_taken_as_they_stand(bundled: AnyToAnyPipeline) -> None:
    """What `synthesize` composes where it is given no prompts, and the sentences of the demo."""
    reports = [*SENTENCES, *composed(200, 0).reports]
    notes = bundled.doorkeeper.notice({Modality.REPORT: reports})
    assert [(report, n.sentences()) for report, n in zip(reports, notes, strict=True) if n.sentences()] == []
