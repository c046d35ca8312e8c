from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from omnicxr.data.dataset import PreparedDataset
from omnicxr.data.exchange import write_chexgenbench
from omnicxr.domain import Modality, Task, UserError
from omnicxr.evaluation.generation import load_parts, read_generations, save_parts, task_name

BOTH, WRITE = Task.parse("report->frontal+lateral"), Task.parse("frontal->report")


@pytest.fixture
def data(prepared: Path) -> PreparedDataset:
    return PreparedDataset(prepared, "test")


def ids(data: PreparedDataset, count: int) -> list[str]:
    return [data.table.column("study_id")[int(i)].as_py() for i in data.having(*Modality)[:count]]


def write(folder: Path, data: PreparedDataset, count: int = 3) -> None:
    """What another system could have written: the real parts."""
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
    made = found.task(BOTH, found.rows[1:])
    assert (made[Modality.LATERAL] == data.images(Modality.LATERAL, found.rows[1:])).all()
    assert found.task(WRITE, found.rows)[Modality.REPORT] == [data.reports[i] for i in found.rows]


def test_table_of_another_system(data: PreparedDataset, tmp_path: Path) -> None:
    rows = data.having(*Modality)[[4, 1, 2]]
    names = [data.table.column("study_id")[int(i)].as_py() for i in rows]
    files = [data.table.column("frontals")[int(i)].as_py()[0]["bytes"] for i in rows]
    write_chexgenbench(tmp_path, zip(files, [data.reports[i] for i in rows], names, strict=True))
    found = read_generations(tmp_path, data)
    assert found.rows.tolist() == sorted(rows)
    made = found.task(found.tasks[0], found.rows[:2])[Modality.FRONTAL]
    assert (made == data.images(Modality.FRONTAL, np.sort(rows)[:2])).all()


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
