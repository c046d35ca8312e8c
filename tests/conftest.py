"""Shared fixtures: a small simulated data set and a model trained on it for a few steps, made once for the whole
run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from jaxtyping import install_import_hook

install_import_hook([f"omnicxr.{name}" for name in ("models", "flow", "baselines", "training")], "beartype.beartype")

import omnicxr.evaluation.measures.metrics as metrics
import omnicxr.evaluation.measures.uncertainty as uncertainty
from omnicxr.data.prepare import PrepareConfig, prepare
from omnicxr.pipeline import AnyToAnyPipeline
from omnicxr.simulation.simulate import SimulationConfig, simulate
from omnicxr.training.loop import LoopConfig
from omnicxr.training.presets import get_preset
from omnicxr.training.run import TrainingRun

torch.set_num_threads(1)  # one for each process that runs tests
STUDIES = 80


@pytest.fixture
def few_studies(monkeypatch: pytest.MonkeyPatch) -> None:
    """As few studies as the tests have are enough to measure on, and few resamples for an interval."""
    monkeypatch.setattr(metrics, "MIN_CASES", 1)
    monkeypatch.setattr(uncertainty, "RESAMPLES", 5)


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("simulated")
    simulate(SimulationConfig(studies=STUDIES, seed=1, image_size=64), root)
    return root


@pytest.fixture(scope="session")
def prepared(simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("prepared")
    prepare(PrepareConfig(kind="mimic-cxr-jpg", image_size=64, shard_size=32), simulated, out)
    return out


@pytest.fixture(scope="session")
def run_folder(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run")
    TrainingRun(preset=get_preset("nano"), loop=LoopConfig(), data=prepared, out=out).train("all")
    return out


@pytest.fixture(scope="session")
def model_folder(run_folder: Path) -> Path:
    return run_folder / "model"


@pytest.fixture(scope="session")
def pipe(model_folder: Path) -> AnyToAnyPipeline:
    return AnyToAnyPipeline.from_pretrained(model_folder)
