"""Worker processes: one thread each, none outlives the command that started it, and one that dies is replaced.

Each has a pipe of its own and shares no lock with others, so however one dies, the others go on.
"""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
import sys
import threading
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, NoReturn, TypeVar

from omnicxr.domain import UserError

TRIES = 3
"""Deaths at the same place of a job, or before a worker has begun, after which it is not tried again."""
MOST_DEATHS = 12
"""Of workers, in one job, wherever they die."""
CONTEXT = mp.get_context("spawn")
Job = TypeVar("Job")
Result = TypeVar("Result")
Begin = Callable[[str], Callable[[Job], Result]]
"""What a worker does at its start: its device => the function that does a job."""
Lost = Callable[[Job, str], Iterable[Job]]
"""(a job whose workers keep dying, the place where they do) => the jobs to do instead."""


def run_jobs(
    begin: Begin[Job, Result],
    jobs: Sequence[Job],
    workers: int,
    *,
    devices: tuple[str, ...] = ("cpu",),
    lost: Lost[Job] | None = None,
) -> Iterator[Result]:
    """As `run_in_processes`; in this process where one worker is asked for."""
    if workers > 1:
        yield from run_in_processes(begin, jobs, workers, devices=devices, lost=lost)
    elif jobs:
        yield from map(begin(devices[0]), jobs)


def run_in_processes(
    begin: Begin[Job, Result],
    jobs: Sequence[Job],
    workers: int,
    *,
    devices: tuple[str, ...] = ("cpu",),
    lost: Lost[Job] | None = None,
) -> Iterator[Result]:
    """The result of every job as it is done, by processes that each call `begin` with the next device in turn.

    A worker that dies is replaced and its job done again. Raises what a job raises, and UserError for a job whose
    workers keep dying, unless `lost` says what to do instead. At the end, however it comes, no worker is left.
    """
    team = _Team(begin, deque(_Task(job) for job in jobs), lost or _give_up)
    try:
        for i in range(min(workers, len(jobs))):
            team.hire(devices[i % len(devices)])
        yield from team.results()
    finally:
        for worker in team.workers:
            worker.stop()


def working_on(place: str) -> None:
    """In a job: what it is at, so that the death of its worker is blamed on that; nothing in the command's own
    process."""
    if _commands:
        _say(_commands, "at", place)


@dataclass
class _Task(Generic[Job]):
    """A job, and how often workers died at which place of it."""

    job: Job
    deaths: Counter[str] = field(default_factory=Counter)


class _Worker:
    """A process, as the command sees it."""

    def __init__(self, begin: Begin[Any, Any], device: str) -> None:
        self.pipe, theirs = CONTEXT.Pipe()
        self.process = CONTEXT.Process(target=_work, args=(begin, device, theirs), daemon=True)
        self.device = device
        self.task: _Task[Any] | None = None
        self.place = ""
        self.begun = False
        with _no_interrupts():
            self.process.start()
        theirs.close()  # so that the pipe ends with the process

    def give(self, task: _Task[Any]) -> None:
        """A job to do; that the worker has died is learned from `pipe`."""
        self.task, self.place = task, ""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.pipe.send(task.job)

    def stop(self) -> None:
        """At once; what it was writing is left as a temporary file."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


class _Team(Generic[Job, Result]):
    """The workers of one command, and the jobs that none of them has."""

    def __init__(self, begin: Begin[Job, Result], waiting: deque[_Task[Job]], lost: Lost[Job]) -> None:
        self.begin, self.waiting, self.lost = begin, waiting, lost
        self.workers: list[_Worker] = []
        self.died_early = 0

    def hire(self, device: str) -> None:
        """One more worker."""
        self.workers.append(_Worker(self.begin, device))

    def results(self) -> Iterator[Result]:
        """Of all jobs, as they are done."""
        while self.waiting or any(worker.task for worker in self.workers):
            ready = wait([worker.pipe for worker in self.workers])
            for worker in [w for w in self.workers if w.pipe in ready]:
                try:
                    said, value = worker.pipe.recv()
                except (EOFError, OSError):
                    self._replace(worker)
                    continue
                if said == "failed":
                    raise value
                if said == "at":
                    worker.place = value
                    continue
                worker.begun, worker.task, self.died_early = True, None, 0
                self._hand_out()
                if said == "done":
                    yield value

    def _hand_out(self) -> None:
        """Jobs to those who have none."""
        for worker in self.workers:
            if self.waiting and worker.begun and not worker.task:
                worker.give(self.waiting.popleft())

    def _replace(self, worker: _Worker) -> None:
        """A worker that died, if there is something left to do that no other is free for."""
        self.workers.remove(worker)
        worker.stop()
        if task := worker.task:
            task.deaths[worker.place] += 1
            if task.deaths[worker.place] >= TRIES or task.deaths.total() >= MOST_DEATHS:
                self.waiting.extendleft(_Task(job) for job in self.lost(task.job, worker.place))
            else:
                self.waiting.appendleft(task)
        elif not worker.begun:
            self.died_early += 1
        self._hand_out()
        if self.died_early < TRIES:
            if self.waiting:
                self.hire(worker.device)
        elif not self.workers:
            raise UserError(
                "Workers die before they have begun: most likely memory ran out (use fewer --workers), or a script"
                " calls this without `if __name__ == '__main__':`."
            )


def _give_up(job: Any, place: str) -> NoReturn:
    raise UserError(
        f"Workers keep dying{f' at {place}' if place else ''}: most likely memory ran out. What is done is kept: run"
        " the same command with fewer --workers."
    )


_commands: Connection | None = None
"""In a worker: the pipe to the command."""


def _work(begin: Begin[Any, Any], device: str, pipe: Connection) -> None:
    """All that a worker does."""
    global _commands
    _commands = pipe
    end_with_parent()
    if torch := sys.modules.get("torch"):  # came with `begin`; preparing data works without it
        torch.set_num_threads(1)  # sums are in the same order everywhere
    try:
        do = begin(device)
        _say(pipe, "begun", None)
        while True:
            _say(pipe, "done", do(_next(pipe)))
    except UserError as error:
        _say(pipe, "failed", error)
    except MemoryError:
        os._exit(1)  # like any other death for want of memory
    except Exception:  # whatever a job raises ends the command
        _say(pipe, "failed", RuntimeError(f"In a worker:\n{traceback.format_exc()}"))


def _say(pipe: Connection, what: str, value: Any) -> None:
    try:
        pipe.send((what, value))
    except OSError:  # the command is gone
        os._exit(1)


def _next(pipe: Connection) -> Any:
    try:
        return pipe.recv()
    except (EOFError, OSError):  # the command is gone
        os._exit(1)


@contextmanager
def _no_interrupts() -> Iterator[None]:
    """Processes started in the block leave ctrl-C to the command, which ends them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with_parent() -> None:
    """In a new worker: end as soon as the parent is gone, however it went. Else the workers of a killed command would
    wait for work for ever."""
    parent = mp.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
