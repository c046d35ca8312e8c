import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from omnicxr import AnyToAnyPipeline
from omnicxr.domain import Modality, Task, UserError
from omnicxr.flow.sampling import AUTOGUIDANCE
from omnicxr.models import report_choice
from omnicxr.models.folder import model_hash
from omnicxr.models.generator.network import Generator
from omnicxr.pipeline import StudyOutput
from omnicxr.training.origin import Origin

FRONTAL = Image.fromarray(np.random.default_rng(0).integers(0, 255, (80, 100), np.uint8))
REPORTS = ["Clear lungs.", "Large effusion.", "Cardiomegaly.", "A nodule."]


def same(a: StudyOutput, b: StudyOutput) -> bool:
    def plain(o: StudyOutput) -> list[object]:
        images = [[p.tobytes() for p in part] if part else None for part in (o.frontal, o.lateral)]
        return [*images, o.report]

    return plain(a) == plain(b)


@pytest.mark.parametrize("task", [*Task.all(), Task.from_nothing()], ids=str)
def test_every_task(pipe: AnyToAnyPipeline, task: Task) -> None:
    inputs = {Modality.FRONTAL: FRONTAL, Modality.LATERAL: FRONTAL, Modality.REPORT: "Clear lungs."}
    out = pipe(**{str(m): inputs[m] for m in task.given}, generate=task.generate, num=2, num_inference_steps=2)
    for m in Modality:
        part = getattr(out, m)
        if m in task.generate:
            assert len(part) == 2
            assert part[0].size == (64, 64) if m.is_image else isinstance(part[0], str)
        else:
            assert part is None


def test_same_seed_same_bytes_other_seed_other_bytes(pipe: AnyToAnyPipeline) -> None:
    def run(seed: int) -> StudyOutput:
        return pipe(report="Clear lungs.", generate=("frontal", "lateral"), seed=seed, num_inference_steps=3)

    assert same(run(1), run(1))
    assert not same(run(1), run(2))


def test_one_or_four_in_a_batch(pipe: AnyToAnyPipeline) -> None:
    together = pipe(report=REPORTS, generate=("frontal", "lateral"), num_inference_steps=3)
    first = pipe(report=REPORTS[0], generate=("frontal", "lateral"), num_inference_steps=3)
    assert together.frontal and first.frontal
    assert together.frontal[0].tobytes() == first.frontal[0].tobytes()
    own = pipe(
        report=REPORTS[3],
        generate=("frontal", "lateral"),
        num_inference_steps=3,
        generator=[torch.Generator().manual_seed(7)],
    )
    mixed = pipe(
        report=REPORTS,
        generate=("frontal", "lateral"),
        num_inference_steps=3,
        generator=[torch.Generator().manual_seed(s) for s in (4, 5, 6, 7)],
    )
    assert own.frontal and mixed.frontal
    assert own.frontal[0].tobytes() == mixed.frontal[3].tobytes()


def test_a_real_batch_gives_the_same_pictures_but_for_rounding(pipe: AnyToAnyPipeline) -> None:
    one, four = (pipe(report=REPORTS, generate=("frontal",), num_inference_steps=3, batch_size=b) for b in (1, 4))
    assert one.frontal and four.frontal
    for a, b in zip(one.frontal, four.frontal, strict=True):
        assert np.abs(np.asarray(a).astype(int) - np.asarray(b).astype(int)).max() <= 1


def test_generator_object(pipe: AnyToAnyPipeline) -> None:
    a, b = (
        pipe(generate=("report",), num=2, generator=torch.Generator().manual_seed(3), num_inference_steps=2)
        for _ in range(2)
    )
    assert same(a, b)


def test_arrays_paths_and_pictures_are_the_same_input(pipe: AnyToAnyPipeline, tmp_path: Path) -> None:
    FRONTAL.save(tmp_path / "f.png")
    forms = (FRONTAL, np.asarray(FRONTAL), tmp_path / "f.png", str(tmp_path / "f.png"))
    outs = [pipe(frontal=f, generate=("lateral",), num_inference_steps=2) for f in forms]
    assert all(same(outs[0], o) for o in outs[1:])


def test_guidance_scale_one_is_no_guidance(pipe: AnyToAnyPipeline) -> None:
    def run(**k: object) -> StudyOutput:
        return pipe(report="Clear.", generate=("frontal",), num_inference_steps=3, **k)  # type: ignore[arg-type]

    plain = run(guidance_scale=1.0, autoguidance_scale=1.0)
    assert not same(plain, run(guidance_scale=6.0, autoguidance_scale=1.0))
    assert not same(plain, run(guidance_scale=1.0, autoguidance_scale=3.0))


def guided_by(pipe: AnyToAnyPipeline, guide: Generator | None) -> AnyToAnyPipeline:
    """The same model with another guide, or none."""
    return AnyToAnyPipeline(
        **{**pipe.components(), "guide": guide}, tokenizer=pipe.tokenizer, image_size=pipe.image_size
    )  # type: ignore[arg-type]


@pytest.mark.parametrize("inputs", [{}, {"report": "Clear."}], ids=["from nothing", "from a report"])
def test_autoguidance_leads_away_from_the_guide(pipe: AnyToAnyPipeline, inputs: dict[str, Any]) -> None:
    """A generator that is its own guide is not led anywhere; a worse one leads somewhere, from nothing too; none at all
    is refused."""
    assert pipe.guide and pipe.sampling.autoguidance_scale == AUTOGUIDANCE
    task: dict[str, Any] = {**inputs, "generate": ("frontal", "lateral"), "num_inference_steps": 3}
    unled = pipe(**task, autoguidance_scale=1.0)
    assert not same(pipe(**task), unled)
    own = guided_by(pipe, pipe.generator)
    assert same(own(**task, autoguidance_scale=3.0), unled)
    alone = guided_by(pipe, None)
    assert same(alone(**task), unled)
    with pytest.raises(UserError, match="no guide"):
        alone(**task, autoguidance_scale=2.0)


def test_a_model_folder_may_have_no_guide(pipe: AnyToAnyPipeline, model_folder: Path, tmp_path: Path) -> None:
    """Nor does it keep that of the model which was in the folder before."""
    alone = guided_by(pipe, None)
    pipe.save_pretrained(tmp_path / "m", half=False)
    assert model_hash(tmp_path / "m") == model_hash(model_folder)
    alone.save_pretrained(tmp_path / "m", half=False)
    assert not (tmp_path / "m" / "guide").exists()
    loaded = AnyToAnyPipeline.from_pretrained(tmp_path / "m")
    assert loaded.guide is None
    assert model_hash(tmp_path / "m") != model_hash(model_folder)


def test_a_folder_without_weights_has_no_hash(pipe: AnyToAnyPipeline, tmp_path: Path) -> None:
    pipe.save_pretrained(tmp_path / "m")
    (tmp_path / "m" / "prompts" / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"prompts/model\.safetensors are missing"):
        model_hash(tmp_path / "m")


def test_one_part_after_the_other(pipe: AnyToAnyPipeline) -> None:
    """The same as calling once for each turn, with the same random generator."""
    own, steps = torch.Generator().manual_seed(5), {"num_inference_steps": 2}
    written = pipe(generate=("report",), generator=[own], **steps)
    frontal = pipe(report=written.report, generate=("frontal",), generator=[own], **steps)
    lateral = pipe(report=written.report, frontal=frontal.frontal, generate=("lateral",), generator=[own], **steps)
    turns = StudyOutput(frontal.frontal, lateral.lateral, written.report)
    seen: list[tuple[int, int]] = []
    task = {"generate": Modality, **steps}
    whole = pipe(**task, generator=[torch.Generator().manual_seed(5)], progress=lambda *done: seen.append(done))
    assert same(whole, turns)
    assert seen == [(1, 3), (2, 3), (3, 3)]
    many = pipe(**task, num=3, seed=4)
    assert [len(part or []) for part in (many.frontal, many.lateral, many.report)] == [3, 3, 3]


def test_what_is_given_matters(pipe: AnyToAnyPipeline) -> None:
    a, b = (
        pipe(report=r, generate=("frontal",), num_inference_steps=3) for r in ("Clear lungs.", "Left pneumothorax.")
    )
    assert not same(a, b)


def test_of_several_sampled_reports_one_is_kept(pipe: AnyToAnyPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same whether studies come alone or together, and the first candidate is what one sample would be."""
    given = {"frontal": [np.full((64, 64), n, np.uint8) for n in (60, 130)], "generate": "report", "prepared": True}
    seen: list[list[str]] = []

    def first(candidates: list[str], *, findings_weight: float) -> int:
        seen.append(list(candidates))
        return 0

    monkeypatch.setattr(report_choice, "best_report", first)
    monkeypatch.setattr(pipe, "sampling", pipe.sampling.changed(report_candidates=3, num_inference_steps=2))
    both = pipe(**given, seed=5).report
    assert [len(candidates) for candidates in seen] == [3, 3]
    assert both is not None and len(both) == 2
    assert pipe(**given, seed=5, batch_size=2).report == both
    monkeypatch.setattr(pipe, "sampling", pipe.sampling.changed(report_candidates=1))
    assert len(seen) == 4
    pipe(**given, seed=5)
    assert len(seen) == 4


def test_save_and_load(pipe: AnyToAnyPipeline, tmp_path: Path) -> None:
    pipe.save_pretrained(tmp_path / "full", half=False)
    again = AnyToAnyPipeline.from_pretrained(tmp_path / "full")
    task = {"report": "Clear lungs.", "generate": ("frontal",), "num_inference_steps": 2}
    assert same(pipe(**task), again(**task))  # type: ignore[arg-type]
    pipe.save_pretrained(tmp_path / "half")
    small, large = ((tmp_path / n / "generator" / "model.safetensors").stat().st_size for n in ("half", "full"))
    assert small < 0.6 * large


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"report": "x", "generate": ("report",)}, "Both given"),
        ({"report": "", "generate": ("frontal",)}, "empty"),
        ({"report": ["a", "b"], "frontal": FRONTAL, "generate": ("lateral",)}, "Different numbers"),
        ({"report": [], "generate": ("lateral",)}, "empty list"),
        ({"generate": ("lateral",), "num": 0}, "at least 1"),
        ({"generate": ("lateral",), "guidance_scale": -1.0}, "guidance_scale is -1.0"),
        ({"generate": ("lateral",), "autoguidance_scale": -1.0}, "autoguidance_scale is -1.0"),
        ({"generate": ("lateral",), "generator": [], "num": 2}, "0 random generators for 2"),
        ({"generate": ("lateral",), "batch_size": 0}, "batch_size is 0"),
        ({"generate": ("lateral",), "seed": -1}, "seed -1"),
        ({"generate": ("lateral",), "seed": 2**64}, "seed 18446744073709551616"),
        ({"generate": "lateral,teral"}, "Unknown modality 'teral'"),
        ({"generate": ()}, "Nothing to generate"),
        ({"frontal": np.zeros((0, 64, 64)), "generate": "lateral"}, "empty list"),
    ],
)
def test_bad_arguments(pipe: AnyToAnyPipeline, arguments: dict, said: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(UserError, match=said):
        pipe(**arguments)


@pytest.mark.parametrize(
    "argument",
    [
        {"generate": None},
        {"generate": 3},
        {"generate": ["lateral", 3]},
        {"num": 1.5},
        {"num": True},
        {"num": None},
        {"progress": "x"},
        {"num_inference_steps": "2"},
        {"batch_size": 1.5},
        {"seed": 0.5},
        {"seed": "1"},
        {"generator": 5},
        {"generator": [None]},
        {"frontal": 5},
        {"report": 5},
    ],
    ids=str,
)
def test_arguments_of_a_wrong_type_are_named(pipe: AnyToAnyPipeline, argument: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=next(iter(argument))):
        pipe(**{"generate": "lateral", **argument})


def test_one_string_names_what_to_generate(pipe: AnyToAnyPipeline) -> None:
    def run(generate: Any) -> StudyOutput:
        return pipe(report="Clear lungs.", generate=generate, num_inference_steps=2)

    assert same(run("frontal"), run(("frontal",)))
    assert same(run("frontal, lateral"), run(("lateral", "frontal")))


def test_no_seed_is_another_one_at_every_call(pipe: AnyToAnyPipeline) -> None:
    a, b = (pipe(generate="frontal", seed=None, num_inference_steps=2) for _ in range(2))
    assert not same(a, b)


def test_other_format(pipe: AnyToAnyPipeline, tmp_path: Path) -> None:
    pipe.save_pretrained(tmp_path)
    index = json.loads((tmp_path / "model_index.json").read_text())
    (tmp_path / "model_index.json").write_text(json.dumps(index | {"format": 99}))
    with pytest.raises(UserError, match="format 99"):
        AnyToAnyPipeline.from_pretrained(tmp_path)
    with pytest.raises(UserError, match="format 99"):
        Origin.named(str(tmp_path))
    index["sampling"]["swiftness"] = 3
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match="unknown setting 'swiftness'"):
        AnyToAnyPipeline.from_pretrained(tmp_path)


def test_folders_of_the_first_format(pipe: AnyToAnyPipeline, tmp_path: Path) -> None:
    """Settings and weights of designs that are gone: without consequence where they are as they always are by now, else
    refused."""
    pipe.save_pretrained(tmp_path, half=False)
    rewrite(tmp_path / "model_index.json", {"format": 2}, sampling={"solver": "ancestral", "order": "in-turn"})
    old = {"coupling": "joint", "prediction": "velocity", "preconditioned": True, "patch": 2, "contrastive_dim": 64}
    for name in ("generator", "guide"):
        rewrite(tmp_path / name / "config.json", old)
        weights = load_file(tmp_path / name / "model.safetensors")
        weights = {k.replace(".axes.gate.", ".axes.trust."): v for k, v in weights.items()}
        weights |= {"logit_scale": torch.tensor(1.0), "streams.report.contrast.weight": torch.zeros(64, 32)}
        save_file(weights, tmp_path / name / "model.safetensors")
    task: dict[str, Any] = {"report": "Clear lungs.", "generate": ("frontal",), "num_inference_steps": 2}
    assert same(pipe(**task), AnyToAnyPipeline.from_pretrained(tmp_path)(**task))
    rewrite(tmp_path / "generator" / "config.json", {"coupling": "pooled"})
    with pytest.raises(UserError, match=r"made with coupling=pooled.*always joint"):
        AnyToAnyPipeline.from_pretrained(tmp_path)
    rewrite(tmp_path / "generator" / "config.json", {"coupling": "joint"})
    rewrite(tmp_path / "model_index.json", {}, sampling={"order": "together"})
    with pytest.raises(UserError, match=r"made with order=together"):
        AnyToAnyPipeline.from_pretrained(tmp_path)


def rewrite(path: Path, values: dict[str, Any], **within: dict[str, Any]) -> None:
    """Change settings of a JSON file, and some within one of them."""
    found = json.loads(path.read_text()) | values
    for name, more in within.items():
        found[name] = found[name] | more
    path.write_text(json.dumps(found))


def test_reports_are_mended_by_what_each_is_generated_from(
    pipe: AnyToAnyPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every report of a batch by its own study, and a note for each."""
    texts = ["severe cardiomegaly. heart size is normal.", "small left pleural effusion. no pneumothorax."]
    monkeypatch.setattr(pipe.tokenizer, "decode", lambda ids: texts)
    latents = {Modality.REPORT: torch.zeros(2, *pipe.generator.config.latent_shape(Modality.REPORT))}
    rngs = [torch.Generator(), torch.Generator()]
    ids = pipe.network_input(Modality.REPORT, ["heart size is normal."])
    toward = pipe.prompt_encoders.embed(Modality.REPORT, ids)[0]
    for sign, kept in ((1, "Heart size is normal."), (-1, "Severe cardiomegaly.")):
        out = pipe.decode(latents, rngs, prompt_embeds=[sign * toward, None])
        assert out.report == [kept, "Small left pleural effusion. No pneumothorax."]
        assert out.notes and [n.report.contradicted for n in out.notes if n.report] == [True, False]
