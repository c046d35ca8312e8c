"""Worker processes that do not outlive the command that started them."""

from __future__ import annotations

import multiprocessing as mp
import os
import threading
from multiprocessing.process import BaseProcess


def _end_with(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


def end_with_parent() -> None:
    """In a new worker: end as soon as the parent is gone, however it went. Else the workers of a killed command would wait for work for ever."""
    parent = mp.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
