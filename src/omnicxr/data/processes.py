"""Worker processes: one thread each, and none outlives the command that started it."""

from __future__ import annotations

import multiprocessing as mp
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from omnicxr.domain import UserError

Job = TypeVar("Job")
Result = TypeVar("Result")


def run_jobs(function: Callable[[Job], Result], jobs: Sequence[Job], workers: int) -> Iterator[Result]:
    """function(job) of every job as it is done; in this process where one worker is enough.

    Raises what `function` raises, and UserError where a worker dies; what has not begun then is not tried.
    """
    workers = min(workers, len(jobs))
    if workers <= 1:
        yield from map(function, jobs)
        return
    with worker_pool(workers, _no_set_up, function) as pool:
        yield from results([pool.submit(function, job) for job in jobs])


def results(futures: Sequence[Future[Result]]) -> Iterator[Result]:
    """What workers return, as they are done. Raises what they raise, and UserError where one dies."""
    try:
        for future in as_completed(futures):
            yield future.result()
    except BrokenProcessPool:
        raise UserError(
            "A worker died, most likely because memory ran out. What is done is kept: run the same command with fewer"
            " --workers."
        ) from None


@contextmanager
def worker_pool(
    workers: int, set_up: Callable[[Any, Any], None], job: Any, *, devices: tuple[str, ...] = ("cpu",)
) -> Iterator[ProcessPoolExecutor]:
    """Worker processes that begin with `set_up(job, queue)`; the queue gives each its device, the next one in turn.
    What has not begun at the end, as after an error such as a full disk, is not tried."""
    context = mp.get_context("spawn")
    names = context.Queue()
    for i in range(workers):
        names.put(devices[i % len(devices)])
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_start, initargs=(set_up, job, names)) as pool:
        try:
            yield pool
        finally:
            pool.shutdown(cancel_futures=True)


def _start(set_up: Callable[[Any, Any], None], job: Any, names: Any) -> None:
    """In a new worker."""
    end_with_parent()
    if torch := sys.modules.get("torch"):  # came with the job's module; preparing data works without it
        torch.set_num_threads(1)  # sums are in the same order everywhere
    set_up(job, names)


def _no_set_up(job: Any, names: Any) -> None:
    pass


def end_with_parent() -> None:
    """In a new worker: end as soon as the parent is gone, however it went. Else the workers of a killed command would
    wait for work for ever."""
    parent = mp.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
