"""Workers that die, fail or are interrupted."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import pytest

from omnicxr.data.processes import TRIES, run_in_processes, run_jobs, working_on
from omnicxr.domain import UserError


def squares(folder: Path, deaths: dict[int, int], device: str) -> Callable[[int], tuple[int, str]]:
    """A worker that dies at some jobs, as often as `deaths` says."""

    def do(job: int) -> tuple[int, str]:
        working_on(f"number {job}")
        with (folder / f"{job}").open("a") as tried:
            tried.write(".")
        if (folder / f"{job}").stat().st_size <= deaths.get(job, 0):
            os.kill(os.getpid(), signal.SIGKILL)
        return job * job, device

    return do


def dies_early(device: str) -> Callable[[int], int]:
    os._exit(1)


def fails(how: type[Exception], device: str) -> Callable[[int], int]:
    def do(job: int) -> int:
        if job == 0:
            raise how("of job 0")
        time.sleep(60)
        return job

    return do


def numbers(folder: Path) -> list[int]:
    return sorted(int(p.name) for p in folder.iterdir())


def test_a_worker_that_dies_is_replaced_by_one_on_its_device(tmp_path: Path) -> None:
    deaths = {2: 1, 3: TRIES - 1}
    begin = partial(squares, tmp_path, deaths)
    found = sorted(run_in_processes(begin, range(6), 2, devices=("a", "b")))
    assert [square for square, _ in found] == [0, 1, 4, 9, 16, 25]
    assert {device for _, device in found} <= {"a", "b"}
    assert {job: (tmp_path / str(job)).stat().st_size - 1 for job in range(6)} == {
        job: deaths.get(job, 0) for job in range(6)
    }


def test_a_job_at_which_workers_keep_dying(tmp_path: Path) -> None:
    begin = partial(squares, tmp_path, {1: 100})
    with pytest.raises(UserError, match=r"Workers keep dying at number 1: .* fewer --workers"):
        list(run_in_processes(begin, [1], 1))

    def lost(job: int, place: str) -> Iterable[int]:
        assert (job, place) == (1, "number 1")
        return [7, 8]

    assert sorted(square for square, _ in run_in_processes(begin, [0, 1], 2, lost=lost)) == [0, 49, 64]


def test_workers_that_die_before_they_begin() -> None:
    with pytest.raises(UserError, match="before they have begun"):
        list(run_in_processes(dies_early, [0, 1], 2))


@pytest.mark.parametrize(
    ("how", "raised", "said"),
    [(UserError, UserError, "^of job 0$"), (ValueError, RuntimeError, "ValueError: of job 0")],
)
def test_an_error_ends_everything_at_once(how: type[Exception], raised: type[Exception], said: str) -> None:
    with pytest.raises(raised, match=said):
        list(run_in_processes(partial(fails, how), [0, 1, 2], 2))


def test_one_worker_is_this_process(tmp_path: Path) -> None:
    assert list(run_jobs(partial(squares, tmp_path, {}), [3], 1)) == [(9, "cpu")]
    assert not list(run_jobs(dies_early, [], 1))
    assert not list(run_jobs(dies_early, [], 2))


SLEEP = """
import time
from functools import partial
from pathlib import Path
from omnicxr.data.processes import run_in_processes
from tests.data.test_processes import asleep
if __name__ == "__main__":
    list(run_in_processes(partial(asleep, Path({folder!r})), [0, 1], 2))
"""


def asleep(folder: Path, device: str) -> Callable[[int], int]:
    def do(job: int) -> int:
        (folder / f"{os.getpid()}").write_text("")
        time.sleep(60)
        return job

    return do


def gone(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] == "Z"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_the_command(tmp_path: Path, how: signal.Signals) -> None:
    """ctrl-C reaches every process of a terminal; a kill the command alone."""
    folder = tmp_path / "workers"
    folder.mkdir()
    script = tmp_path / "script.py"
    script.write_text(SLEEP.format(folder=str(folder)))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    running = subprocess.Popen(
        [sys.executable, str(script)], env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 60
    while len(numbers(folder)) < 2:
        assert time.monotonic() < deadline and running.poll() is None
        time.sleep(0.05)
    (os.killpg if how is signal.SIGINT else os.kill)(running.pid, how)
    _, said = running.communicate(timeout=20)
    assert said.count("Traceback") == (how is signal.SIGINT), "workers say nothing"
    while not all(gone(pid) for pid in numbers(folder)):
        assert time.monotonic() < deadline, "a worker outlives its command"
        time.sleep(0.05)
