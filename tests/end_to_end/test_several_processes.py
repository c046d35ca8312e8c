"""Training by several processes is training on their micro-batches together."""

import json
import os
import subprocess
import sys
from math import inf
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from omnicxr.data.dataset import PreparedDataset
from omnicxr.data.seeds import derived_seed
from omnicxr.domain import Modality
from omnicxr.models.folder import component_folder
from omnicxr.models.inputs import network_input
from omnicxr.models.prompt_encoders import HardNegatives, symmetric_contrastive_loss
from omnicxr.pipeline import AnyToAnyPipeline
from omnicxr.training.latents import encode_share, join_shares, load_latents
from omnicxr.training.loop import GRADIENT_CLIP, WEIGHT_DECAY, LoopConfig, Stage, learning_rate, train_stage
from omnicxr.training.presets import get_preset
from omnicxr.training.run import TrainingRun
from omnicxr.training.stages.context import StageContext
from omnicxr.training.stages.image_autoencoder import ImageAutoencoderStage
from omnicxr.training.stages.prompt_encoders import PromptEncodersStage
from tests.training.test_loop import LINE, LineStage, train_arguments

ROOT = Path(__file__).parents[2]
STEPS, PROCESSES = 4, 2
PRESET = get_preset("nano").with_steps(STEPS)


def train_with_processes(stage: str, data: Path, out: Path) -> None:
    launch(*train_arguments(stage, data, out, steps=STEPS))


def launch(*arguments: str) -> None:
    launcher = f"-m torch.distributed.run --standalone --nproc_per_node {PROCESSES}".split()
    paths = os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", "")))
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": paths}
    command = [sys.executable, *launcher, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]


def weights(out: Path, stage: str) -> dict[str, torch.Tensor]:
    return load_file(component_folder(out / "model", stage.replace("-", "_")) / "model.safetensors")


def mean_loss(stage: Stage, step: int) -> torch.Tensor:
    """Of the micro-batches of all processes, each with its own random numbers."""
    losses = []
    for rank in range(PROCESSES):
        torch.manual_seed(derived_seed(0, step, rank))
        losses.append(stage.losses(stage.model, step, rank)["loss"])
    return torch.stack(losses).mean()


def contrast_over_all(stage: PromptEncodersStage, step: int) -> torch.Tensor:
    """Every study is told from those of all processes."""
    embeds, negatives = [], []
    for rank in range(PROCESSES):
        torch.manual_seed(derived_seed(0, step, rank))
        own, hard = stage.embed(stage.model, stage.inputs, stage.sampler.batch(step, rank))
        embeds.append(own)
        negatives.append(hard[Modality.REPORT])
    assert any(n.there.any() for n in negatives)
    joined = {m: torch.cat([e[m] for e in embeds]) for m in embeds[0]}
    hard_joined = HardNegatives(torch.cat([n.embeds for n in negatives]), torch.cat([n.there for n in negatives]))
    return symmetric_contrastive_loss(joined, stage.model.logit_scale, {Modality.REPORT: hard_joined})


def train_alone(stage: Stage, loss, name: str) -> dict[str, torch.Tensor]:  # type: ignore[no-untyped-def]
    """The same steps written out: AdamW on the gradient of `loss`, and the moving average."""
    config, model = PRESET.optimization[name], stage.model.train().requires_grad_(True)
    params = dict(model.named_parameters())
    average = {k: p.detach().clone() for k, p in params.items()}
    optimizer = torch.optim.AdamW(params.values(), betas=(0.9, 0.98), weight_decay=WEIGHT_DECAY)
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, config)
        optimizer.zero_grad()
        loss(stage, step).backward()
        torch.nn.utils.clip_grad_norm_(params.values(), GRADIENT_CLIP)
        optimizer.step()
        decay = (1 + step) / (10 + step)
        average = {k: decay * a + (1 - decay) * params[k].detach() for k, a in average.items()}
    return average


@pytest.mark.slow
@pytest.mark.parametrize("name", ["image-autoencoder", "prompt-encoders"])
def test_two_processes_take_the_steps_of_one_with_both_batches(prepared: Path, tmp_path: Path, name: str) -> None:
    train_with_processes(name, prepared, tmp_path / "run")
    together = weights(tmp_path / "run", name)
    data = PreparedDataset(prepared, "train")
    context = StageContext(preset=PRESET, data=data, held_out=data, world_size=PROCESSES)
    torch.manual_seed(0)
    if name == "prompt-encoders":
        tokenizer = TrainingRun(preset=PRESET, loop=LoopConfig(), data=prepared, out=tmp_path / "run")._tokenizer(data)
        alone = train_alone(PromptEncodersStage(context, tokenizer=tokenizer), contrast_over_all, name)
    else:
        alone = train_alone(ImageAutoencoderStage(context), mean_loss, name)
    apart = torch.cat([(together[k] - v).abs().flatten() for k, v in alone.items()])
    assert float(apart.quantile(0.99)) < 1e-5  # AdamW turns roundings of gradients near 0 into steps
    TrainingRun(preset=PRESET, loop=LoopConfig(), data=prepared, out=tmp_path / "one").train(name)
    other = weights(tmp_path / "one", name)
    assert float(torch.cat([(together[k] - other[k]).abs().flatten() for k in alone]).quantile(0.99)) > 1e-4, (
        "or the test above says nothing"
    )


EACH_FINDS_ANOTHER_BEST = """
import json, os, sys
from pathlib import Path
from omnicxr.training.loop import LoopConfig, train_stage
from tests.training.test_loop import LINE, LineStage

rank, out = int(os.environ["RANK"]), Path(sys.argv[1])
stage = LineStage(best_at=(0.3, 0.6)[rank])
model = train_stage(stage, LINE, LoopConfig(keep_best=True), folder=out / "run")
(out / f"{rank}.json").write_text(json.dumps([float(model.place), len(stage.measured)]))
"""


@pytest.mark.slow
def test_every_process_ends_with_the_best_weights_of_the_first(tmp_path: Path) -> None:
    """Held-out losses that differ between processes, as roundings on GPUs may: those of the first one count."""
    (tmp_path / "script.py").write_text(EACH_FINDS_ANOTHER_BEST)
    launch(str(tmp_path / "script.py"), str(tmp_path))
    (first, measured), (second, not_measured) = (json.loads((tmp_path / f"{i}.json").read_text()) for i in range(2))
    assert first == second and measured and not not_measured
    alone = [LineStage(best_at=best) for best in (0.3, 0.6, inf)]
    places = [
        float(train_stage(s, LINE, LoopConfig(keep_best=True), folder=tmp_path / f"alone{i}").place)
        for i, s in enumerate(alone)
    ]
    assert first == pytest.approx(places[0], abs=1e-5)
    assert places[0] < places[1] - 0.1 < places[2] - 0.2, "or the test above says nothing"


@pytest.mark.slow
def test_all_stages_with_two_processes(prepared: Path, tmp_path: Path) -> None:
    """What the first process alone writes is there, once."""
    train_with_processes("all", prepared, tmp_path)
    for stage in PRESET.optimization:
        rows = [json.loads(line) for line in (tmp_path / stage / "metrics.jsonl").read_text().splitlines()]
        assert [r["step"] for r in rows] == [STEPS]
        assert [p.name for p in (tmp_path / stage).glob("step-*")] == [f"step-{STEPS}"]
    assert (tmp_path / "model" / "model_index.json").is_file()
    whole, data = tmp_path / "whole", PreparedDataset(prepared, "train")
    pipe = AnyToAnyPipeline.from_pretrained(tmp_path / "model")
    encode_share(data, pipe, whole, share=0, shares=1)
    join_shares(data, whole, 1)
    assert sorted(p.name for p in whole.iterdir()) == sorted(p.name for p in (tmp_path / "latents").glob("train-*"))
    ours, theirs = load_latents(data, tmp_path / "latents"), load_latents(data, whole)
    for m in Modality:
        assert torch.allclose(ours.latents[m], theirs.latents[m], atol=0.01) and torch.allclose(
            ours.embeds[m], theirs.embeds[m], atol=0.01
        )
        assert ours.latents[m].std() > 0.1


def test_shares_of_studies_without_some_parts(run_folder: Path, prepared: Path, tmp_path: Path) -> None:
    """More processes than studies, an interruption, and another number of processes after it: the same latents."""
    data, pipe = PreparedDataset(prepared, "validate"), AnyToAnyPipeline.from_pretrained(run_folder / "model")
    many = len(data) + 1
    encode_share(data, pipe, tmp_path, share=1, shares=3)
    for i in range(many):
        encode_share(data, pipe, tmp_path, share=i, shares=many)
    join_shares(data, tmp_path, many)
    assert len(list(tmp_path.iterdir())) == 6
    found = load_latents(data, tmp_path)
    for m in Modality:
        rows = data.having(m)
        x = network_input(m, data.parts(rows, (m,))[m], pipe.tokenizer)
        with torch.no_grad():
            z = (pipe.image_autoencoder if m.is_image else pipe.report_autoencoder).encode(x)
        assert torch.allclose(found.rows(m, rows), z, atol=0.01)
