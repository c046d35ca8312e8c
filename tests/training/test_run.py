"""A whole run for a data set of few studies."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from omnicxr.data.dataset import PreparedDataset
from omnicxr.data.files import output_folder
from omnicxr.domain import IMAGE_MODALITIES, UserError
from omnicxr.models.component import read_weights
from omnicxr.models.folder import component_folder
from omnicxr.models.judge import Judge
from omnicxr.pipeline import AnyToAnyPipeline
from omnicxr.training.loop import LoopConfig
from omnicxr.training.origin import Origin
from omnicxr.training.presets import get_preset
from omnicxr.training.run import TrainingRun


@pytest.mark.slow
def test_imagenet_trunks_versions_and_best_weights_together(prepared: Path, model_folder: Path, tmp_path: Path) -> None:
    """From a model with trunks of its own: every stage is trained, the folder generates and is judged, and the same
    command again changes nothing."""
    run = TrainingRun(
        preset=get_preset("nano").with_values({"image_trunk": "imagenet", "picture_versions": "2"}).with_steps(3),
        loop=LoopConfig(keep_best=True),
        data=prepared,
        out=tmp_path,
        origin=Origin(model_folder),
    )
    run.train("all")
    names = sorted(p.name for p in (tmp_path / "latents").glob("*-version*-latents.npy"))
    assert names == ["train-frontal-version1-latents.npy", "train-lateral-version1-latents.npy"]
    for stage in ("prompt-encoders", "judge"):
        begun = json.loads((tmp_path / stage / "from.json").read_text())["from_chance"]
        assert begun and all(set(name.split(".")) & set(IMAGE_MODALITIES) for name in begun)
        assert len((tmp_path / stage / "held-out.jsonl").read_text().splitlines()) == 3
    data, pipe = PreparedDataset(prepared, "test"), AnyToAnyPipeline.from_pretrained(tmp_path / "model")
    assert pipe.prompt_encoders.pretrained.keys() == set(IMAGE_MODALITIES)
    out = pipe(report="The heart is large.", generate=("frontal",), seed=0)
    assert out.frontal is not None
    judge = Judge.load(component_folder(tmp_path / "model", "judge"))
    for m, trunk in judge.pretrained.items():
        logits, _ = judge(m, pipe.network_input(m, data.images(m)[:2]))
        assert logits.isfinite().all() and float(trunk.std.min()) > 0 and float(trunk.mean.abs().max()) > 0
    before = read_weights(component_folder(tmp_path / "model", "judge") / "model.safetensors")
    run.train("judge")
    after = read_weights(component_folder(tmp_path / "model", "judge") / "model.safetensors")
    assert all(torch.equal(before[name], value) for name, value in after.items())
    with pytest.raises(UserError, match="another keep_best"):
        replace(run, loop=LoopConfig()).train("judge")


def test_stages_side_by_side_but_not_the_same_one_twice(prepared: Path, tmp_path: Path) -> None:
    def run(stage: str) -> None:
        preset = get_preset("nano").with_steps(1)
        TrainingRun(preset=preset, loop=LoopConfig(), data=prepared, out=tmp_path / "run").train(stage)

    with output_folder(tmp_path / "run" / "judge", results=()):
        run("report-autoencoder")
        with pytest.raises(UserError, match=r"Another command is writing to .*judge"):
            run("judge")
    run("judge")
    assert (tmp_path / "run" / "model" / "judge" / "model.safetensors").is_file()


def test_a_stage_that_cannot_begin_leaves_nothing(prepared: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not trained yet"):
        TrainingRun(preset=get_preset("nano"), loop=LoopConfig(), data=prepared, out=tmp_path / "run").train("refiner")
    assert not (tmp_path / "run").exists()
