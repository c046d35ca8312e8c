"""Speed, memory and safety of `synthesize`: `python benchmarks/synthesis.py [STUDIES] [LARGE] [PARTS, such as ac]
[MODEL]`.

(a) Studies per second against a plain loop over the pipeline, in one run. (b) Peak memory of the process tree and cost
per study at a tenth of LARGE and at LARGE studies. (c) STUDIES studies made undisturbed, with kills at random moments,
with 1, 2 and 4 workers and through Ray: the same bytes. (b) and (c) take one step per study and MODEL, the bundled one
by default: what they measure depends on neither, so a model of the preset nano saves time. (a) is the bundled model
with its own steps.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil
import torch

from omnicxr.data.dataset import PreparedDataset
from omnicxr.models.folder import BUNDLED
from omnicxr.pipeline import AnyToAnyPipeline
from omnicxr.synthesis.prompts import composed

LOOP = 60
"""Studies of (a)."""


def command(out: Path, num: int, *more: str) -> list[str]:
    """The command line as a user would write it."""
    return [sys.executable, "-m", "omnicxr.app.cli", "synthesize", "--num", str(num), "--out", str(out), *more]


def run(out: Path, num: int, *more: str) -> tuple[float, float]:
    """Seconds, and peak memory of the process tree in MiB."""
    start = time.perf_counter()
    running = subprocess.Popen(command(out, num, *more), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = [0.0]

    def watch() -> None:
        tree = psutil.Process(running.pid)
        while running.poll() is None:
            with suppress(psutil.Error):
                peak[0] = max(peak[0], sum(p.memory_info().rss for p in (tree, *tree.children(recursive=True))) / 2**20)
            time.sleep(0.1)

    watcher = threading.Thread(target=watch)
    watcher.start()
    if running.wait() != 0:
        raise SystemExit(f"synthesize failed with status {running.returncode}")
    watcher.join()
    return time.perf_counter() - start, peak[0]


def killed(out: Path, num: int, seed: int, *more: str) -> int:
    """Kill the whole command at random moments until it ends by itself; returns how often it was killed."""
    rng, kills = random.Random(seed), 0
    while True:
        running = subprocess.Popen(
            command(out, num, *more), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            running.wait(timeout=rng.uniform(4, 40))
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()
            kills += 1
            continue
        return kills


def digest(out: Path) -> str:
    """Of every finished file of a data set."""
    files = sorted(p for p in out.iterdir() if not p.name.startswith("."))
    return hashlib.sha256(b"".join(p.name.encode() + p.read_bytes() for p in files)).hexdigest()[:16]


def plain_loop(num: int) -> float:
    """Seconds of one study after the other through the pipeline, on all cores."""
    pipe = AnyToAnyPipeline.from_pretrained()
    reports = composed(num, 0).reports
    start = time.perf_counter()
    for report in reports:
        pipe(report=report, generate=("frontal", "lateral"), seed=0)
    return time.perf_counter() - start


def speed(root: Path) -> None:
    """Part (a)."""
    loop, (ours, _) = plain_loop(LOOP), run(root / "speed", LOOP, "--shard-size", "10")
    rates = f"{LOOP / ours:.2f} a second with start-up, loop {LOOP / loop:.2f}, x {loop / ours:.2f}"
    print(f"(a) {LOOP} studies, the model's own steps: {rates}", flush=True)


def memory(root: Path, large: int, *more: str) -> None:
    """Part (b)."""
    for num in (large // 10, large):
        seconds, peak = run(root / f"large-{num}", num, *more)
        print(
            f"(b) {num} studies: peak memory {peak:.0f} MiB, {1000 * seconds / num:.1f} ms a study with start-up",
            flush=True,
        )


def safety(root: Path, studies: int, *more: str) -> None:
    """Part (c)."""

    def account(name: str, out: Path) -> str:
        items = PreparedDataset(out, "train").table.column("study_id").to_pylist()
        found = digest(out)
        print(f"(c) {name}: {len(items)} studies, {len(set(items))} distinct, bytes {found}", flush=True)
        return found

    digests = {account(f"killed {killed(root / 'killed', studies, 0, *more)} times", root / "killed")}
    for name, workers in {
        "1 worker": ("1",),
        "2 workers": ("2",),
        "4 workers": ("4",),
        "Ray, 2 workers": ("2", "--ray"),
    }.items():
        run(root / name, studies, *more, "--workers", *workers)
        digests.add(account(name, root / name))
    if len(digests) != 1:
        raise SystemExit("the bytes differ")


def main() -> None:
    """Print the parts that are asked for, all of them by default."""
    given = sys.argv[1:]
    studies, large, parts, model = (*given, *("2000", "5000", "abc", str(BUNDLED))[len(given) :])
    more = ("--steps", "1", "--model", model)
    torch.set_num_threads(os.cpu_count() or 1)
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        if "a" in parts:
            speed(root)
        if "b" in parts:
            memory(root, int(large), *more)
        if "c" in parts:
            safety(root, int(studies), *more)


if __name__ == "__main__":
    main()
