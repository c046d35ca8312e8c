"""Training ends where it should: interrupted or not, and better than it began."""

import json
import os
import signal
import subprocess
import sys
import time
from math import inf
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from omnicxr.data.dataset import PreparedDataset
from omnicxr.data.seeds import derived_seed
from omnicxr.domain import Modality, UserError
from omnicxr.models.component import Component
from omnicxr.models.judge import Judge
from omnicxr.models.tokenizer import ReportTokenizer
from omnicxr.pipeline import AnyToAnyPipeline
from omnicxr.training import loop as training_loop
from omnicxr.training.config import OptimizationConfig
from omnicxr.training.loop import EMA_DECAY, GRADIENT_CLIP, LoopConfig, learning_rate, train_stage
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


LINE = OptimizationConfig(steps=24, batch_size=1, learning_rate=0.06)


class Line(Component):
    """One number; `finished_at`, a statistic that is worked out when training is over."""

    finished_at: torch.Tensor

    def __init__(self) -> None:
        super().__init__(None)
        self.place = torch.nn.Parameter(torch.zeros(()))
        self.register_buffer("finished_at", torch.full((), -1.0))


class LineStage:
    """Training moves the number from 0 towards 2; held-out studies like it best at `best_at`."""

    name = "line"

    def __init__(self, best_at: float | None = 0.3, *, killed_at: int | None = None) -> None:
        self.model, self.best_at, self.killed_at = Line(), best_at, killed_at
        self.measured, self.steps = list[float](), 0

    def losses(self, model: Line, step: int, rank: int) -> dict[str, torch.Tensor]:
        if step == self.killed_at:
            raise InterruptedError("killed")
        self.steps += 1
        return {"loss": (model.place - 2 - 0.1 * torch.randn(())).square()}

    def held_out_losses(self, model: Line) -> list[dict[str, torch.Tensor]]:
        if self.best_at is None:
            return []
        self.measured.append(float(model.place))
        if self.best_at == inf:
            return [{"loss": -model.place}]
        return [{"loss": (model.place - self.best_at).square()}, {"loss": (model.place - self.best_at).abs()}]

    def finish(self) -> None:
        self.model.finished_at.copy_(self.model.place)

    def sample_sheet(self, path: Path) -> None:
        path.write_text(str(float(self.model.place)))


def averages() -> list[float]:
    """The averaged number after each step, written out."""
    place, out = torch.nn.Parameter(torch.zeros(())), [0.0]
    optimizer = torch.optim.AdamW([place], betas=(0.9, 0.98), weight_decay=0.01)
    for step in range(LINE.steps):
        torch.manual_seed(derived_seed(0, step, 0))
        optimizer.param_groups[0]["lr"] = learning_rate(step, LINE)
        optimizer.zero_grad()
        (place - 2 - 0.1 * torch.randn(())).square().backward()
        torch.nn.utils.clip_grad_norm_([place], GRADIENT_CLIP)
        optimizer.step()
        decay = min(EMA_DECAY, (1 + step) / (10 + step))
        out.append(decay * out[-1] + (1 - decay) * float(place.detach()))
    return out[1:]


def held_out_lines(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "held-out.jsonl").read_text().splitlines()]


def test_the_best_averaged_weights_are_kept(tmp_path: Path) -> None:
    """Of the averages after every second of 24 steps, the one nearest to 0.3, which is none of the last; statistics and
    sample sheet are of it, too."""
    after = averages()
    measured = after[1::2]
    wanted = min(measured, key=lambda place: abs(place - 0.3))
    assert after[-1] > wanted + 0.2 > after[0] + 0.2
    stage = LineStage()
    model = train_stage(stage, LINE, LoopConfig(keep_best=True), folder=tmp_path)
    assert float(model.place) == pytest.approx(wanted, abs=1e-5)
    assert float(model.finished_at) == float((tmp_path / "samples-000024.png").read_text()) == float(model.place)
    assert stage.measured == pytest.approx(measured, abs=1e-5)
    lines = held_out_lines(tmp_path)
    assert [line["step"] for line in lines] == list(range(2, 25, 2))
    best = min(lines, key=lambda line: line["loss"])
    assert measured[best["step"] // 2 - 1] == wanted
    plain = train_stage(LineStage(), LINE, LoopConfig(), folder=tmp_path / "plain")
    assert float(plain.place) == float(plain.finished_at) == pytest.approx(after[-1], abs=1e-5)
    assert [line["step"] for line in held_out_lines(tmp_path / "plain")] == [24]


@pytest.mark.parametrize(
    "killed_at",
    [
        pytest.param(5, id="before", marks=pytest.mark.slow),
        pytest.param(15, id="after"),
        pytest.param(23, id="at the end", marks=pytest.mark.slow),
    ],
)
def test_the_best_weights_outlive_an_interruption(killed_at: int, tmp_path: Path) -> None:
    config, often = LoopConfig(keep_best=True), LoopConfig(keep_best=True, checkpoint_minutes=0.0)
    whole = train_stage(LineStage(), LINE, config, folder=tmp_path / "whole")
    with pytest.raises(InterruptedError):
        train_stage(LineStage(killed_at=killed_at), LINE, often, folder=tmp_path / "broken")
    again = LineStage()
    model = train_stage(again, LINE, config, folder=tmp_path / "broken")
    assert again.steps == LINE.steps - killed_at, "or it began anew"
    assert torch.equal(model.place, whole.place) and torch.equal(model.finished_at, whole.finished_at)
    assert held_out_lines(tmp_path / "broken") == held_out_lines(tmp_path / "whole")
    finished = LineStage()
    model = train_stage(finished, LINE, config, folder=tmp_path / "broken")
    assert finished.steps == 0 and torch.equal(model.place, whole.place) and float(model.finished_at) > 0


def test_the_best_weights_by_shares_of_a_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 12 seconds with a step every half second: a measurement every second, at the end too."""
    stage = LineStage(best_at=0.05)
    monkeypatch.setattr(training_loop, "time", SimpleNamespace(monotonic=lambda: stage.steps / 2))
    many = OptimizationConfig(steps=1000, batch_size=1, learning_rate=0.06)
    model = train_stage(stage, many, LoopConfig(keep_best=True, budget_minutes=12 / 60), folder=tmp_path)
    assert stage.steps == 25 and len(stage.measured) == 12
    assert held_out_lines(tmp_path)[-1]["step"] == 25
    assert float(model.place) == min(stage.measured, key=lambda place: abs(place - 0.05)) < stage.measured[-1] - 0.1


def test_without_held_out_studies_the_last_weights_are_kept(tmp_path: Path) -> None:
    model = train_stage(LineStage(best_at=None), LINE, LoopConfig(keep_best=True), folder=tmp_path)
    assert float(model.place) == pytest.approx(averages()[-1], abs=1e-5)
    assert held_out_lines(tmp_path) == []


def test_a_held_out_loss_that_is_not_finite_is_never_the_best(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"loss of .* at step 2 is not finite"):
        train_stage(LineStage(best_at=float("nan"), killed_at=3), LINE, LoopConfig(keep_best=True), folder=tmp_path)


def test_a_stage_begun_without_the_best_weights(run_folder: Path, prepared: Path) -> None:
    with pytest.raises(UserError, match="another keep_best"):
        TrainingRun(preset=get_preset("nano"), loop=LoopConfig(keep_best=True), data=prepared, out=run_folder).train(
            "judge"
        )
