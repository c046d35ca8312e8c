"""Worker processes that do not outlive the command that started them."""

from __future__ import annotations

import multiprocessing as mp
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from typing import Any


def _end_with(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


def end_with_parent() -> None:
    """In a new worker: end as soon as the parent is gone, however it went. Else the workers of a killed command would
    wait for work for ever."""
    parent = mp.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


@contextmanager
def worker_pool(
    workers: int, set_up: Callable[[Any, Any], None], job: Any, devices: tuple[str, ...]
) -> Iterator[ProcessPoolExecutor]:
    """Worker processes that begin with `set_up(job, queue)`; the queue gives each its device, the next one in turn.
    What has not begun at the end, as after an error such as a full disk, is not tried."""
    context = mp.get_context("spawn")
    names = context.Queue()
    for i in range(workers):
        names.put(devices[i % len(devices)])
    with ProcessPoolExecutor(workers, mp_context=context, initializer=set_up, initargs=(job, names)) as pool:
        try:
            yield pool
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
