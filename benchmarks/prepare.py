"""Speed and memory of `prepare`: `python benchmarks/prepare.py`.

Pictures per second against (a) a plain single-process Pillow loop that does the same work and (b) decoding alone in as
many processes, measured in one run on full-size JPEGs; peak memory of the whole process tree at 2,000 and at 20,000
studies.
"""

from __future__ import annotations

import gzip
import io
import multiprocessing as mp
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil
from PIL import Image, ImageOps

from omnicxr.data.prepare import PrepareConfig, prepare
from omnicxr.data.splits import hashed_split
from omnicxr.domain import Finding

WORKERS = os.cpu_count() or 1
SOURCES = 8
"""Different pictures; the others are hard links to them."""


def write_data(root: Path, studies: int, side: int) -> list[Path]:
    """A folder in the layout of MIMIC-CXR-JPG with two `side` x 1.2 `side` JPEGs and a report per study."""
    originals = [root / f"original-{i}.jpg" for i in range(SOURCES)]
    for i, path in enumerate(originals):  # smooth shapes and fine grain, about as large as a radiograph's file
        rng = np.random.default_rng(i)
        shapes = Image.fromarray(rng.integers(0, 255, (12, 10)).astype(np.uint8)).resize(
            (side, round(1.2 * side)), Image.Resampling.BICUBIC
        )
        grain = rng.normal(0, 3, (round(1.2 * side), side))
        Image.fromarray(np.clip(np.asarray(shapes) + grain, 0, 255).astype(np.uint8)).save(path, quality=92)
    metadata, splits, labels, paths = ["dicom_id,subject_id,study_id,ViewPosition"], ["dicom_id,split"], [], []
    for n in range(studies):
        subject, study = str(10_000_000 + n), str(50_000_000 + n)
        folder = root / "files" / f"p{subject[:2]}" / f"p{subject}" / f"s{study}"
        folder.mkdir(parents=True)
        folder.with_suffix(".txt").write_text(
            " FINDINGS:  The lungs are clear. No pleural effusion.\n\n IMPRESSION:  No acute process.\n"
        )
        for k, view in enumerate(("PA", "LATERAL")):
            picture = folder / f"{n:08d}-{k}.jpg"
            os.link(originals[(2 * n + k) % len(originals)], picture)
            paths.append(picture)
            metadata.append(f"{picture.stem},{subject},{study},{view}")
            splits.append(f"{picture.stem},{hashed_split(subject)}")
        labels.append(f"{subject},{study}" + "," * len(Finding))
    header = "subject_id,study_id," + ",".join(Finding)
    for name, lines in (("metadata", metadata), ("split", splits), ("chexpert", [header, *labels])):
        (root / f"mimic-cxr-2.0.0-{name}.csv.gz").write_bytes(gzip.compress("\n".join(lines).encode(), 1))
    return paths


def pillow(path: Path) -> bytes:
    """The same work on one picture: decode, pad, resize, encode."""
    grey = Image.open(path).convert("L")
    side = max(grey.size)
    buffer = io.BytesIO()
    ImageOps.pad(grey, (side, side), color=0).resize((256, 256), Image.Resampling.LANCZOS).save(buffer, format="PNG")
    return buffer.getvalue()


def decode(path: Path) -> int:
    """JPEG => pixels, nothing else."""
    return int(np.asarray(Image.open(path)).shape[0])


class PeakMemory(threading.Thread):
    """Samples the memory of this process and its children, each page counted once where the system tells (PSS)."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak, self.running = 0, True

    def run(self) -> None:
        while self.running:
            here = psutil.Process()
            total = 0
            for process in (here, *here.children(recursive=True)):
                try:
                    total += process.memory_full_info().pss
                except psutil.Error:
                    continue
            self.peak = max(self.peak, total)
            time.sleep(0.1)


def speed(studies: int, side: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "data"
        root.mkdir()
        paths = write_data(root, studies, side)
        start = time.perf_counter()
        prepare(PrepareConfig(kind="mimic-cxr-jpg", shard_size=64), root, Path(folder) / "out", workers=WORKERS)
        ours = time.perf_counter() - start
        start = time.perf_counter()
        for path in paths:
            pillow(path)
        loop = time.perf_counter() - start
        with mp.get_context("spawn").Pool(WORKERS) as pool:
            pool.map(decode, paths[:WORKERS])
            start = time.perf_counter()
            pool.map(decode, paths, chunksize=16)
            alone = time.perf_counter() - start
    print(
        f"{len(paths)} JPEGs of {side} x {round(1.2 * side)}, {WORKERS} processes: {len(paths) / ours:.1f} pictures a"
        " second"
    )
    print(
        f"  {loop / ours:.2f} x the single-process Pillow loop; {alone / ours:.2f} x decoding alone with as many"
        " processes"
    )


def memory(studies: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "data"
        root.mkdir()
        write_data(root, studies, 64)
        meter = PeakMemory()
        meter.start()
        prepare(PrepareConfig(kind="mimic-cxr-jpg", image_size=32), root, Path(folder) / "out", workers=WORKERS)
        meter.running = False
        meter.join()
    print(f"{studies} studies: peak memory {meter.peak / 2**20:.0f} MiB")


if __name__ == "__main__":
    if len(sys.argv) > 1:  # one measurement of memory per process, so that none begins with what another left
        memory(int(sys.argv[1]))
    else:
        speed(300, 1600)
        for n in (2000, 20_000):
            os.spawnv(os.P_WAIT, sys.executable, [sys.executable, __file__, str(n)])
