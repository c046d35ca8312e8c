"""Studies a second and memory of sampling, by batch: `python benchmarks/sampling.py [BATCH ...] [MODEL]`, on a GPU if
there is one.

Reports => frontal and lateral views with the model's own steps and guidance, decoding and refining included; in float32
and, on a GPU, in bfloat16. Median of three batches, after one that is not timed.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import torch
from bench import seconds

from omnicxr.domain import IMAGE_MODALITIES
from omnicxr.pipeline import AnyToAnyPipeline
from omnicxr.synthesis.prompts import composed


def rate(pipe: AnyToAnyPipeline, batch: int, half: bool) -> tuple[float, float]:
    """Studies a second, and the GPU's peak memory in MiB (0 on a CPU)."""
    reports, gpu = composed(batch, 0).reports, pipe.device.type == "cuda"
    if gpu:
        torch.cuda.reset_peak_memory_stats()
    with torch.autocast("cuda", torch.bfloat16) if half else nullcontext():
        # ends with pictures on the CPU: nothing is still running on the GPU when the time is taken
        spent = seconds(partial(pipe, report=reports, generate=IMAGE_MODALITIES, batch_size=batch))
    return batch / spent, torch.cuda.max_memory_allocated() / 2**20 if gpu else 0.0


def main() -> None:
    folders, batches = (
        [a for a in sys.argv[1:] if not a.isdigit()],
        [int(a) for a in sys.argv[1:] if a.isdigit()] or [1, 64],
    )
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    pipe = AnyToAnyPipeline.from_pretrained(Path(folders[0]) if folders else None, device=device)
    print(torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads")
    for half in (False, True) if device.type == "cuda" else (False,):
        rates = {batch: rate(pipe, batch, half) for batch in batches}
        for batch, (studies, memory) in rates.items():
            peak = f", peak memory {memory:.0f} MiB" if memory else ""
            print(
                f"{'bfloat16' if half else 'float32'}, batch {batch}: {studies:.2f} studies a second, x"
                f" {studies / rates[batches[0]][0]:.1f}{peak}"
            )


if __name__ == "__main__":
    main()
