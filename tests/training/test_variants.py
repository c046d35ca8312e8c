"""Generators of other designs, which the presets can be set to for comparison: trained from the other stages of a run,
then used."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from omnicxr.pipeline import AnyToAnyPipeline
from omnicxr.training.config import get_preset
from omnicxr.training.loop import LoopConfig
from omnicxr.training.run import TrainingRun

DESIGNS = [
    {"coupling": "pooled"},
    {"given_sees_generated": "true"},
    {"prompted": "false"},
    {"principal_axes": "16"},
    {"preconditioned": "false", "prediction": "noise"},
]


@pytest.mark.parametrize("settings", DESIGNS, ids=lambda s: list(s)[-1])
def test_other_designs_are_trained_saved_and_sampled(
    run_folder: Path, prepared: Path, tmp_path: Path, settings: dict[str, str]
) -> None:
    shutil.copytree(
        run_folder / "model",
        tmp_path / "model",
        ignore=shutil.ignore_patterns("generator", "guide", "judge", "model_index.json"),
    )
    preset = get_preset("nano").with_values(settings).with_steps(60)
    TrainingRun(preset, LoopConfig(log_every=10), prepared, tmp_path).train("generator")
    rows = [json.loads(line) for line in (tmp_path / "generator" / "metrics.jsonl").read_text().splitlines()]
    errors = [row[f"{preset.prediction}_report"] for row in rows if f"{preset.prediction}_report" in row]
    assert np.mean(errors[-3:]) < errors[0]
    pipe = AnyToAnyPipeline.from_pretrained(tmp_path / "model")
    for name, value in settings.items():
        assert str(getattr(pipe.generator.config, name)).lower() == value
    steps = {"num_inference_steps": 3, "guidance_scale": 2}
    views = [pipe(report=r, generate=["frontal"], **steps).frontal for r in ("Large right effusion.", "Clear lungs.")]  # type: ignore[arg-type]
    pictures = [np.asarray(v[0], dtype=float) for v in views if v]
    assert len(pictures) == 2 and min(p.std() for p in pictures) > 5
    assert np.abs(pictures[0] - pictures[1]).max() > 0, "the report that is given makes no difference"


def test_error_of_the_noise_is_one_where_nothing_is_predicted(run_folder: Path, prepared: Path, tmp_path: Path) -> None:
    """Heads begin at zero, and standard normal noise has a mean square of 1: the loss is in units of the noise."""
    shutil.copytree(
        run_folder / "model",
        tmp_path / "model",
        ignore=shutil.ignore_patterns("generator", "guide", "judge", "model_index.json"),
    )
    settings = {**DESIGNS[-1], "contrastive_weight": "0", "optimization.generator.batch_size": "64"}
    preset = get_preset("nano").with_values(settings).with_steps(1)
    TrainingRun(preset, LoopConfig(log_every=1), prepared, tmp_path).train("generator")
    first = json.loads((tmp_path / "generator" / "metrics.jsonl").read_text().splitlines()[0])
    assert first["loss"] == pytest.approx(1, abs=0.1)
