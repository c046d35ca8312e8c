"""How well a processor is used: floating-point operations that the training steps need, over what the processor can
do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.utils.flop_counter import FlopCounterMode

from omnicxr.training.compiling import uncompiled

EVERY, FIRST = 50, 3
"""Operations are counted in the first steps and then in one of so many: counting takes time, and tasks differ. Counting
changes roundings, so it is always done in the same steps, whether a run was interrupted or not."""
REPEATS = 5


class Throughput:
    """Counted operations per step of this process, beside its measured peak (a large matrix product in the training's
    precision)."""

    def __init__(self, device: torch.device, mixed_precision: str, *, compiled: bool = False) -> None:
        dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(mixed_precision, torch.float32)
        self.peak = measured_peak(device, dtype)
        self.counted: list[int] = []
        self.compiled = compiled

    @contextmanager
    def step(self, number: int) -> Iterator[None]:
        """Around forward and backward of a step."""
        if number >= FIRST and number % EVERY:
            yield
            return
        with uncompiled(self.compiled), FlopCounterMode(display=False) as counter:
            yield
        self.counted.append(counter.get_total_flops())

    def figures(self, steps_per_second: float) -> dict[str, float]:
        """`tflops` (10^12 operations a second) and `utilisation` (of the measured peak, 0..1); nothing before the first
        count."""
        if not self.counted:
            return {}
        done = sum(self.counted) / len(self.counted) * steps_per_second
        return {"tflops": done / 1e12, "utilisation": done / self.peak}


def measured_peak(device: torch.device, dtype: torch.dtype) -> float:
    """Operations a second in the best of some square matrix products."""
    n = 8192 if device.type == "cuda" else 1024
    a = torch.randn(n, n, device=device, dtype=dtype)
    best = float("inf")
    for _ in range(REPEATS):
        start = time.perf_counter()
        torch.mm(a, a)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - start)
    return 2 * n**3 / best
