from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from omnicxr.data.dataset import PreparedDataset
from omnicxr.data.exchange import write_chexgenbench
from omnicxr.domain import Modality, Task, UserError
from omnicxr.domain.notes import Fit, Notes, PictureNote
from omnicxr.evaluation.generation import (
    ModelGenerations,
    load_parts,
    read_generations,
    save_parts,
    task_name,
    whole_of,
)
from omnicxr.pipeline import AnyToAnyPipeline

BOTH, WRITE = Task.parse("report->frontal+lateral"), Task.parse("frontal->report")


EVERY = Task.among(Modality)


@pytest.fixture
def data(prepared: Path) -> PreparedDataset:
    return PreparedDataset(prepared, "test")


def ids(data: PreparedDataset, count: int) -> list[str]:
    return [data.table.column("study_id")[int(i)].as_py() for i in data.having(*Modality)[:count]]


def write(folder: Path, data: PreparedDataset, count: int = 3) -> None:
    """What another system could have written: the held-out parts."""
    for i, study in zip(data.having(*Modality), ids(data, count), strict=False):
        for task in (BOTH, WRITE):
            place = folder / task_name(task) / study
            place.mkdir(parents=True)
            for m in task.generate:
                if m.is_image:
                    Image.fromarray(data.image(int(i), m)).save(place / f"{m}.png")
                else:
                    (place / "report.txt").write_text(data.reports[i] + "\n")


def test_folder_of_another_system(data: PreparedDataset, tmp_path: Path) -> None:
    write(tmp_path, data)
    found = read_generations(tmp_path, data)
    assert set(found.tasks) == {BOTH, WRITE}
    assert found.rows.tolist() == data.having(*Modality)[:3].tolist()
    generated = found.task(BOTH, found.rows[1:])
    assert (generated[Modality.LATERAL] == data.images(Modality.LATERAL, found.rows[1:])).all()
    assert found.task(WRITE, found.rows)[Modality.REPORT] == [data.reports[i] for i in found.rows]


def test_reports_of_another_system_in_other_encodings(data: PreparedDataset, tmp_path: Path) -> None:
    write(tmp_path, data)
    first, second, _ = ids(data, 3)
    (tmp_path / task_name(WRITE) / first / "report.txt").write_bytes("Naïve “clear” lungs.\r\n".encode("cp1252"))
    (tmp_path / task_name(WRITE) / second / "report.txt").write_bytes("\ufeffNo œdema.".encode())
    found = read_generations(tmp_path, data)
    assert set(found.task(WRITE, found.rows)[Modality.REPORT]) >= {"Naïve “clear” lungs.", "No œdema."}


def test_table_of_another_system(data: PreparedDataset, tmp_path: Path) -> None:
    rows = data.having(*Modality)[[4, 1, 2]]
    names = [data.table.column("study_id")[int(i)].as_py() for i in rows]
    files = [data.table.column("frontals")[int(i)].as_py()[0]["bytes"] for i in rows]
    write_chexgenbench(tmp_path, zip(files, [data.reports[i] for i in rows], names, strict=True))
    found = read_generations(tmp_path, data)
    assert found.rows.tolist() == sorted(rows)
    generated = found.task(found.tasks[0], found.rows[:2])[Modality.FRONTAL]
    assert (generated == data.images(Modality.FRONTAL, np.sort(rows)[:2])).all()


def test_folders_that_do_not_fit(data: PreparedDataset, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a folder"):
        read_generations(tmp_path / "none", data)
    with pytest.raises(UserError, match=r"neither prompt_INFO\.csv nor a folder named after a task"):
        read_generations(tmp_path, data)
    write(tmp_path, data)
    found = read_generations(tmp_path, data)
    one = tmp_path / task_name(BOTH) / ids(data, 1)[0]
    (one / "lateral.png").unlink()
    with pytest.raises(UserError, match=r"has no lateral\.png"):
        found.task(BOTH, found.rows)
    one.rename(tmp_path / task_name(BOTH) / "s99")
    with pytest.raises(UserError, match="no complete test study"):
        read_generations(tmp_path, data)
    (tmp_path / task_name(BOTH) / "s99").rename(tmp_path / task_name(BOTH) / ids(data, 5)[4])
    with pytest.raises(UserError, match="do not hold the same studies"):
        read_generations(tmp_path, data)


def test_parts_there_and_back(tmp_path: Path) -> None:
    parts = {Modality.FRONTAL: np.arange(32, dtype=np.uint8).reshape(2, 4, 4), Modality.REPORT: ["a\nb", "ü"]}
    save_parts(tmp_path / "x.npz", parts)
    back = load_parts(tmp_path / "x.npz")
    assert (back[Modality.FRONTAL] == parts[Modality.FRONTAL]).all()
    assert back[Modality.REPORT] == parts[Modality.REPORT]
    assert set(back) == set(parts)


def test_tasks_that_are_the_beginning_of_another() -> None:
    found = {str(t): str(whole) for t in EVERY if (whole := whole_of(t, EVERY))}
    assert found == {
        "frontal->report": "frontal->lateral+report",
        "lateral->report": "lateral->frontal+report",
        "report->frontal": "report->frontal+lateral",
    }
    nothing = [Task((), some) for some in ((Modality.REPORT,), (Modality.FRONTAL, Modality.REPORT), tuple(Modality))]
    assert [whole_of(t, nothing) for t in nothing] == [nothing[-1], nothing[-1], None]
    assert whole_of(Task.parse("report->frontal"), [Task.parse("report->frontal")]) is None


@pytest.mark.slow
@pytest.mark.parametrize("name", ["frontal->report", "report->frontal"])
def test_beginnings_are_the_same_bytes(
    data: PreparedDataset, pipe: AnyToAnyPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Taken from the longer task, and generated by itself: the studies, and the several samples of a prompt."""
    monkeypatch.setattr(pipe, "sampling", pipe.sampling.changed(num_inference_steps=2))
    task, held_out = Task.parse(name), data.parts(data.having(*Modality)[:3])
    own = ModelGenerations(pipe, held_out, tmp_path / "own", seed=3)
    reusing = ModelGenerations(pipe, held_out, tmp_path / "reusing", seed=3, tasks=EVERY)
    whole = whole_of(task, EVERY)
    assert whole and reusing.wholes[task] == whole and not own.wholes
    for generations in (own, reusing):
        generations.everything(task, prompts=2, each=2)
    (part,) = task.generate
    assert_same(reusing.task(task)[part], own.task(task)[part])
    assert reusing.path(whole).exists() and not own.path(whole).exists()
    samples = [g.samples(task, prompts=2, each=2)[part] for g in (reusing, own)]
    assert_same(*samples)
    assert len(samples[0]) == 4
    assert not part.is_image or len({np.array(s).tobytes() for s in samples[0]}) > 1
    monkeypatch.setattr(AnyToAnyPipeline, "in_turn", False)
    assert not ModelGenerations(pipe, held_out, tmp_path, seed=3, tasks=EVERY).wholes


@pytest.mark.slow
def test_a_task_is_what_the_pipeline_gives(data: PreparedDataset, pipe: AnyToAnyPipeline, tmp_path: Path) -> None:
    task, held_out = Task.parse("report->frontal+lateral"), data.parts(data.having(*Modality)[:3])
    generated = ModelGenerations(pipe, held_out, tmp_path, seed=5).task(task)
    expected = pipe(report=held_out[Modality.REPORT], generate=task.generate, seed=5)
    for view in task.generate:
        assert_same(generated[view], np.stack([np.asarray(picture) for picture in getattr(expected, view)]))


def assert_same(a: object, b: object) -> None:
    assert np.array_equal(np.array(a), np.array(b))


class NotingPipeline:
    """Draws nothing, and notes of study i that its view is unlike where i is odd; with `silent`, takes no notes."""

    in_turn = True

    def __init__(self, *, silent: bool = False) -> None:
        self.silent, self.calls = silent, 0

    def __call__(self, *, report: list[str], generate: tuple[Modality, ...], **_: Any) -> SimpleNamespace:
        self.calls += 1
        fits = [(Fit.AS_KNOWN, Fit.UNLIKE)[int(text) % 2] for text in report]
        notes = [Notes(pictures=(PictureNote(modality=Modality.FRONTAL, fit=fit),)) for fit in fits]
        drawn = {str(m): [np.zeros((2, 2), np.uint8)] * len(report) for m in generate}
        return SimpleNamespace(**drawn, notes=None if self.silent else notes)


@pytest.mark.parametrize("silent", [False, True])
def test_what_was_noticed_is_kept_beside_the_studies(tmp_path: Path, silent: bool) -> None:
    """Over several batches, for a beginning of the task too, and read again without generating."""
    alone, studies = Task.parse("report->frontal"), {Modality.REPORT: [str(i) for i in range(70)]}
    pipe: Any = NotingPipeline(silent=silent)
    for _ in range(2):
        generations = ModelGenerations(pipe, studies, tmp_path, seed=0, tasks=(alone, BOTH))
        assert generations.noticed(BOTH) is None or pipe.calls == 2
        generations.task(alone)
        for task in (alone, BOTH):
            noticed = generations.noticed(task)
            if silent:
                assert noticed is None
            else:
                assert noticed and [n.pictures[Modality.FRONTAL] for n in noticed] == [Fit.AS_KNOWN, Fit.UNLIKE] * 35
    assert pipe.calls == 2
