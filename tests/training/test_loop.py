"""Training ends where it should: interrupted or not, and better than it began."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from omnicxr.data.dataset import PreparedDataset
from omnicxr.domain import Modality, UserError
from omnicxr.models.judge import Judge
from omnicxr.models.tokenizer import ReportTokenizer
from omnicxr.pipeline import AnyToAnyPipeline
from omnicxr.training.config import OptimizationConfig
from omnicxr.training.loop import LoopConfig, learning_rate
from omnicxr.training.presets import get_preset
from omnicxr.training.run import TrainingRun
from omnicxr.training.stages.judge import finding_loss
from omnicxr.training.stages.table import STAGES
from omnicxr.training.throughput import FIRST, Throughput


def train_arguments(stage: str, data: Path, out: Path, *, steps: int) -> list[str]:
    """What python or a launcher is given to train a stage of the preset nano."""
    command = ["-m", "omnicxr.app.cli", "train", "--preset", "nano"]
    return [*command, stage, "--data", str(data), "--out", str(out), "--steps", str(steps)]


def train_command(data: Path, out: Path, stage: str, steps: int) -> list[str]:
    return [sys.executable, *train_arguments(stage, data, out, steps=steps), "--checkpoint-minutes", "0.001"]


@pytest.mark.slow
@pytest.mark.parametrize(("stage", "steps"), [("image-autoencoder", 60), ("judge", 40)])
def test_killed_and_started_again_gives_the_same_weights(
    prepared: Path, tmp_path: Path, stage: str, steps: int
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    subprocess.run(train_command(prepared, whole, stage, steps), check=True, capture_output=True)
    process = subprocess.Popen(
        train_command(prepared, broken, stage, steps), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    checkpoints = broken / stage
    deadline = time.monotonic() + 120
    while not list(checkpoints.glob("step-*")):
        assert time.monotonic() < deadline, "no checkpoint was written"
        assert process.poll() is None, "training ended before it could be killed"
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    reached = max(int(p.name.removeprefix("step-")) for p in checkpoints.glob("step-*"))
    assert 0 < reached < steps
    subprocess.run(train_command(prepared, broken, stage, steps), check=True, capture_output=True)
    name = stage.replace("-", "_")
    a, b = (load_file(root / "model" / name / "model.safetensors") for root in (whole, broken))
    assert a.keys() == b.keys()
    assert all(torch.equal(a[k], b[k]) for k in a)
    for name in ("metrics", "held-out"):
        logged = [json.loads(line)["step"] for line in (checkpoints / f"{name}.jsonl").read_text().splitlines()]
        assert logged == sorted(set(logged))
        assert logged[-1] == steps
    last, of_whole = ((root / stage / "held-out.jsonl").read_text().splitlines()[-1] for root in (broken, whole))
    assert last == of_whole


@pytest.mark.slow
def test_losses_fall(run_folder: Path, prepared: Path, tmp_path: Path) -> None:
    TrainingRun(preset=get_preset("nano").with_steps(150), loop=LoopConfig(), data=prepared, out=tmp_path).train(
        "image-autoencoder"
    )
    rows = [json.loads(line) for line in (tmp_path / "image-autoencoder" / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["loss"] < 0.5 * rows[0]["loss"]
    assert rows[-1]["psnr"] > rows[0]["psnr"] + 5


def test_run_folder_holds_what_the_docs_say(run_folder: Path) -> None:
    for stage in STAGES:
        trained, held_out = (
            [*map(json.loads, (run_folder / stage / f"{n}.jsonl").read_text().splitlines())]
            for n in ("metrics", "held-out")
        )
        assert held_out[-1]["step"] == trained[-1]["step"]
        assert set(held_out[-1]) <= {name for line in trained for name in line}
        if stage == "generator":  # after so few steps nothing is known by heart
            before = [line["velocity_report"] for line in trained if "velocity_report" in line]
            assert held_out[-1]["velocity_report"] == pytest.approx(before[-1], rel=0.4)
        assert len(list((run_folder / stage).glob("step-*"))) == 1
    assert list((run_folder / "generator").glob("samples-*.png"))
    assert list((run_folder / "image-autoencoder").glob("samples-*.png"))
    config = json.loads((run_folder / "config.json").read_text())
    assert config["preset"]["name"] == "nano"
    assert len(config["data"]) == 64


def test_held_out_losses_are_of_held_out_studies_and_averaged_weights(run_folder: Path, prepared: Path) -> None:
    """Against the trained judge's loss on all of them, by hand: there are fewer than the stage takes."""
    data, judge = PreparedDataset(prepared, "validate"), Judge.load(run_folder / "model" / "judge")
    line = json.loads((run_folder / "judge" / "held-out.jsonl").read_text().splitlines()[-1])
    rows = data.having(*Modality)
    assert len(rows) == len(data) > 0
    tokenizer = ReportTokenizer.load(run_folder / "model" / "tokenizer", max_tokens=judge.config.max_tokens)
    logits, _ = judge(Modality.REPORT, tokenizer.encode([data.reports[i] for i in rows]))
    wanted = finding_loss(logits, torch.from_numpy(data.labels[rows]))
    assert line["findings_report"] == pytest.approx(float(wanted), rel=1e-3)


def test_latents_are_standardised(run_folder: Path) -> None:
    import numpy as np

    for modality in ("frontal", "lateral", "report"):
        values = np.load(run_folder / "latents" / f"train-{modality}-latents.npy").astype(np.float64)
        assert abs(values.mean()) < 0.3
        assert 0.7 < values.std() < 1.3


def test_other_settings_in_the_same_folder(run_folder: Path, prepared: Path) -> None:
    with pytest.raises(UserError, match="another seed"):
        TrainingRun(preset=get_preset("nano"), loop=LoopConfig(seed=5), data=prepared, out=run_folder).train(
            "prompt-encoders"
        )
    with pytest.raises(UserError, match="another steps"):
        TrainingRun(preset=get_preset("nano").with_steps(7), loop=LoopConfig(), data=prepared, out=run_folder).train(
            "prompt-encoders"
        )


@pytest.mark.parametrize(
    ("stage", "preset", "said"),
    [("generator", "nano", "not trained yet"), ("everything", "nano", "Unknown stage"), ("judge", "tiny", "64 px")],
)
def test_wrong_requests(prepared: Path, tmp_path: Path, stage: str, preset: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        TrainingRun(preset=get_preset(preset), loop=LoopConfig(), data=prepared, out=tmp_path).train(stage)


def test_learning_rate_schedule() -> None:
    config = OptimizationConfig(steps=100, batch_size=1, learning_rate=2.0)
    rates = [learning_rate(s, config) for s in range(100)]
    assert rates[0] == pytest.approx(2 / 11)
    assert max(rates) == pytest.approx(2.0) == pytest.approx(rates[10])
    assert rates[55] == pytest.approx(1.0, abs=0.02)
    assert rates[-1] < 0.01


def test_learning_rate_follows_the_budget() -> None:
    """Half of the time spent: half of the rate, however few steps were done; and never above what the steps allow."""
    config = OptimizationConfig(steps=1000, batch_size=1, learning_rate=2.0)
    assert learning_rate(120, config, spent=0.5) == pytest.approx(1.0)
    assert learning_rate(120, config, spent=1.3) == pytest.approx(0.0)
    assert learning_rate(5, config, spent=0.9) == pytest.approx(2 * 6 / config.warmup_steps), "the warm-up stays"
    assert learning_rate(900, config, spent=0.1) == learning_rate(900, config)


@pytest.mark.slow
def test_budget_ends_a_stage_early_and_whole(prepared: Path, tmp_path: Path) -> None:
    """With next to no time every stage ends after one step, and the run is complete; with much, after its steps.
    Finished stages stay finished."""
    TrainingRun(preset=get_preset("nano"), loop=LoopConfig(budget_minutes=1e-6), data=prepared, out=tmp_path).train(
        "all"
    )
    for stage in STAGES:
        assert [p.name for p in (tmp_path / stage).glob("step-*")] == ["step-1"]
    AnyToAnyPipeline.from_pretrained(tmp_path / "model")
    before = load_file(tmp_path / "model" / "prompts" / "model.safetensors")
    TrainingRun(preset=get_preset("nano"), loop=LoopConfig(budget_minutes=1e-6), data=prepared, out=tmp_path).train(
        "prompt-encoders"
    )
    after = load_file(tmp_path / "model" / "prompts" / "model.safetensors")
    assert all(torch.equal(before[k], after[k]) for k in before)
    TrainingRun(
        preset=get_preset("nano"), loop=LoopConfig(budget_minutes=100.0), data=prepared, out=tmp_path / "long"
    ).train("image-autoencoder")
    assert [p.name for p in (tmp_path / "long" / "image-autoencoder").glob("step-*")] == ["step-30"]
    assert sum(spec.budget_share for spec in STAGES.values()) == pytest.approx(1)


def test_operations_are_counted(run_folder: Path) -> None:
    """Against a closed form: a linear layer of n inputs and m outputs needs 2 b n m operations forward and twice that
    backward."""
    layer, x = torch.nn.Linear(8, 5, bias=False), torch.randn(3, 8, requires_grad=True)
    throughput = Throughput(torch.device("cpu"), "no")
    with throughput.step(0):
        layer(x).sum().backward()
    assert throughput.counted == [3 * 2 * 3 * 8 * 5]
    with throughput.step(FIRST):
        layer(x).sum().backward()
    assert len(throughput.counted) == 1, "not in every step"
    assert throughput.figures(10.0)["utilisation"] == pytest.approx(
        throughput.figures(10.0)["tflops"] * 1e12 / throughput.peak
    )
    rows = [json.loads(line) for line in (run_folder / "generator" / "metrics.jsonl").read_text().splitlines()]
    assert all(0 < row["utilisation"] < 1.5 for row in rows)


def test_finding_loss_by_hand() -> None:
    logits = torch.tensor([[0.0, 2.0, -1.0, 5.0]])
    labels = torch.tensor([[1.0, 0.0, float("nan"), -1.0]])
    expected = [
        torch.log(torch.tensor(2.0)),
        torch.log1p(torch.exp(torch.tensor(2.0))),
        torch.log1p(torch.exp(torch.tensor(-1.0))),
        0.0,
    ]
    assert float(finding_loss(logits, labels)) == pytest.approx(float(sum(expected)) / 4, abs=1e-6)


def test_latent_channels_are_scaled_by_their_effect_on_the_picture(prepared: Path) -> None:
    from omnicxr.data.dataset import PreparedDataset
    from omnicxr.models.image_autoencoder import pixels_from_uint8
    from omnicxr.training.stages.context import StageContext
    from omnicxr.training.stages.image_autoencoder import ImageAutoencoderStage

    data = PreparedDataset(prepared, "train")
    stage = ImageAutoencoderStage(StageContext(preset=get_preset("nano"), data=data, held_out=data))
    with torch.no_grad():
        stage.model.decoder[0].weight[:, 1] *= 4  # type: ignore[union-attr, index]
        stage.finish()
        pictures = [data.image(*item) for item in stage.pictures.items]
        z = stage.model.encode(pixels_from_uint8(torch.from_numpy(np.stack(pictures))))
        effects = stage._effects([stage.model.moments(pixels_from_uint8(torch.from_numpy(np.stack(pictures[:32]))))[0]])
    assert abs(float(z.mean())) < 1e-3
    assert float(z.std()) == pytest.approx(1, abs=1e-2)
    assert effects.argmax() == 1
    scaled = stage.model.latent_std * effects.sqrt()
    assert torch.allclose(scaled, scaled.mean().expand(4), rtol=0.1)
