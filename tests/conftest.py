"""Shared fixtures: a small simulated data set and a model trained on it for a few steps, made once for the whole run.

Shapes are checked: what the packages named below say of their tensors is compared with what they are given.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from filelock import FileLock
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
Once = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture
def few_studies(monkeypatch: pytest.MonkeyPatch) -> None:
    """As few studies as the tests have are enough to measure on, and few resamples for an interval."""
    monkeypatch.setattr(metrics, "MIN_CASES", 1)
    monkeypatch.setattr(uncertainty, "RESAMPLES", 5)


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Once:
    """(Name, what builds it in a folder) => the folder: built by the first process that asks, while others wait."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if hasattr(request.config, "workerinput") else own

    def folder(name: str, build: Callable[[Path], object]) -> Path:
        path, unfinished = shared / name, shared / f"{name}-unfinished"
        with FileLock(shared / f"{name}.lock"):
            if not path.exists():
                build(unfinished)
                unfinished.rename(path)
        return path

    return folder


@pytest.fixture(scope="session")
def simulated(once: Once) -> Path:
    return once("simulated", lambda out: simulate(SimulationConfig(studies=STUDIES, seed=1, image_size=64), out))


@pytest.fixture(scope="session")
def prepared(simulated: Path, once: Once) -> Path:
    config = PrepareConfig(kind="mimic-cxr-jpg", image_size=64, shard_size=32)
    return once("prepared", lambda out: prepare(config, simulated, out))


@pytest.fixture(scope="session")
def run_folder(prepared: Path, once: Once) -> Path:
    def train(out: Path) -> None:
        TrainingRun(preset=get_preset("nano"), loop=LoopConfig(), data=prepared, out=out).train("all")

    return once("run", train)


@pytest.fixture(scope="session")
def model_folder(run_folder: Path) -> Path:
    return run_folder / "model"


@pytest.fixture(scope="session")
def pipe(model_folder: Path) -> AnyToAnyPipeline:
    return AnyToAnyPipeline.from_pretrained(model_folder)
