"""Try inputs, each in a forked process, and judge what came of it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.robustness.cases import Argv, Case, Folders
from omnicxr.app.cli import main
from omnicxr.domain import UserError
from omnicxr.models.noticing import InputWarning

LIMIT_S = 20.0
MEMORY_MIB = 2048
TRACEBACK = "Traceback (most recent call last)"
PARSER = ("╭─", "+-")
"""How the argument parser's panel begins: what it refuses by itself counts as one sentence."""
NOT_MADE = 99
"""Exit status where the input itself could not be made: a fault of this benchmark."""


@dataclass(frozen=True)
class Outcome:
    """What came of an input. kind: right, traceback, hang, memory, or wrong."""

    group: str
    name: str
    kind: str
    what: str
    seconds: float
    memory_mib: int


@dataclass
class _Running:
    group: str
    case: Case
    place: Path
    begun: float
    stopped: str = ""


def run_cases(
    cases: Sequence[tuple[str, Case]], folders: Folders, work: Path, *, at_once: int = 2, limit_s: float = LIMIT_S
) -> Iterator[Outcome]:
    """The outcome of each (group, case), as they end."""
    todo = list(reversed(list(enumerate(cases))))
    running: dict[int, _Running] = {}
    while todo or running:
        while todo and len(running) < at_once:
            number, (group, case) = todo.pop()
            place = work / f"{number:05d}"
            place.mkdir(parents=True)
            running[_fork(case, folders, place)] = _Running(group, case, place, time.monotonic())
        for pid in list(running):
            if outcome := _watch(pid, running[pid], limit_s):
                del running[pid]
                yield outcome
        time.sleep(0.01)


def _watch(pid: int, one: _Running, limit_s: float) -> Outcome | None:
    """The outcome, if the process has ended; one that takes too much is ended."""
    ended, status, usage = os.wait4(pid, os.WNOHANG)
    seconds = time.monotonic() - one.begun
    if not ended:
        if not one.stopped and (seconds > limit_s or _memory_mib(pid) > MEMORY_MIB):
            one.stopped = "hang" if seconds > limit_s else "memory"
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        return None
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)  # workers that outlived their command
    memory = usage.ru_maxrss // 1024
    kind, what = _judge(one, os.waitstatus_to_exitcode(status), memory)
    shutil.rmtree(one.place, ignore_errors=True)
    return Outcome(one.group, one.case.name, kind, what, seconds, memory)


def _memory_mib(pid: int) -> int:
    with suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 2**20
    return 0


def _fork(case: Case, folders: Folders, place: Path) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = NOT_MADE
    try:
        status = _in_child(case, folders, place)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


def _in_child(case: Case, folders: Folders, place: Path) -> int:
    os.setsid()
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the same on every machine
    (place / "here").mkdir()
    os.chdir(place / "here")
    for target, name in ((0, os.devnull), (1, place / "stdout"), (2, place / "stderr")):
        os.dup2(os.open(name, os.O_RDWR | os.O_CREAT, 0o644), target)
    sys.stdout, sys.stderr = (os.fdopen(fd, "w", encoding="utf-8", closefd=False) for fd in (1, 2))
    try:
        begin = case.run(folders)
        (place / "before").write_text(json.dumps(_listing(Path())))
    except BaseException:  # whatever it is, it is the benchmark's own
        traceback.print_exc()
        return NOT_MADE
    status = _status_of(begin)
    if status == 0 and case.check:
        try:
            problem = case.check()
        except Exception as error:  # a result that cannot even be read
            problem = f"the result cannot be checked: {type(error).__name__} {error}"
        (place / "problem").write_text(problem)
    return status


def _status_of(begin: Argv | Callable[[], object]) -> int:
    try:
        if callable(begin):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", InputWarning)  # a notice is no fault; group "door" looks for it
                begin()
        else:
            main(begin)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except (TypeError, ValueError, UserError) as error:
        if callable(begin):  # what Python callers are told
            print(" ".join(str(error).split()), file=sys.stderr)
            return 2
        traceback.print_exc()
        return 1
    except BaseException:  # what a user would see
        traceback.print_exc()
        return 1
    return 0


def _listing(folder: Path) -> list[str]:
    """Every file and folder with its size and time."""
    out = []
    for path in sorted(folder.rglob("*")):
        stat = path.lstat()
        out.append(f"{path} {stat.st_size if not path.is_dir() else ''} {stat.st_mtime_ns if path.is_file() else ''}")
    return out


def _judge(one: _Running, status: int, memory: int) -> tuple[str, str]:
    """Kind and what is wrong."""
    if one.stopped:
        return one.stopped, "over the limit of time" if one.stopped == "hang" else f"over {MEMORY_MIB} MiB"
    errors = (one.place / "stderr").read_text(errors="replace")
    last = _last(errors)
    if status == NOT_MADE:
        return "wrong", f"the input could not be made: {last}"
    if TRACEBACK in errors or status == 1:
        return "traceback", last
    if memory > MEMORY_MIB:
        return "memory", f"{memory} MiB"
    if status < 0:
        return "wrong", f"died of signal {-status}"
    allowed = {"refused": (2,), "handled": (0,), "either": (0, 2)}[one.case.expect]
    if status not in allowed:
        return "wrong", f"exit status {status}, right is {allowed[0]}" + (f": {last}" if last else "")
    problem = _refusal(one, errors) if status == 2 else _success(one, errors)
    return ("wrong", problem) if problem else ("right", "")


def _last(errors: str) -> str:
    """The last line, or a whole panel of the parser."""
    lines = [line.strip("│| ") for line in errors.strip().splitlines()] or [""]
    return (" ".join(lines[1:3]) if lines[0].startswith(PARSER) else lines[-1])[:160]


def _refusal(one: _Running, errors: str) -> str:
    """What is wrong with how an input was refused."""
    lines = [line for line in errors.splitlines() if line.strip()]
    if len(lines) != 1 and not (lines and lines[0].startswith(PARSER)):
        return f"{len(lines)} lines on stderr: {' | '.join(lines)[:200]}"
    if _plain(one.case.says) not in _plain(errors):
        return f"does not name '{one.case.says}': {lines[0][:160]}"
    left = set(_listing_below(one.place / "here")) ^ set(json.loads((one.place / "before").read_text()))
    return f"left behind or changed: {', '.join(sorted(left)[:3])[:160]}" if left else ""


def _listing_below(folder: Path) -> list[str]:
    return [line.removeprefix(f"{folder}/") for line in _listing(folder)]


def _success(one: _Running, errors: str) -> str:
    if errors.strip():
        return f"says on stderr: {errors.strip().splitlines()[0][:160]}"
    problem = one.place / "problem"
    return problem.read_text() if problem.exists() else ""


def _plain(text: str) -> str:
    """Without what options, arguments and prose write differently, and without the lines of a panel."""
    return " ".join(text.lower().replace("-", " ").replace("_", " ").replace("│", " ").split())
