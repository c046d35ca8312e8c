"""Kills at random moments: `python benchmarks/kills.py [KILLS] [SEED]`, see docs/robustness.md.

`simulate`, `prepare`, `train`, `synthesize` and `export` are run undisturbed, then again with SIGKILL at random
moments, for the whole command or for one of its workers, and repeated until they end by themselves: every file must
have the bytes of the undisturbed run, and nothing else may be left. Exit status 1 where that does not hold.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

KILLS = 40
LIMIT_S = 300.0
"""A command that takes longer after a kill hangs."""
LOGS = ("metrics.jsonl", "held-out.jsonl", "state.json", "loss.png", "samples-")
"""Of training these begin the names of what holds times, or the means since the last start: a line for every checkpoint
that was reached. They must be whole, not equal."""
STARTED_S = 1.5
"""Before this nothing has begun."""


@dataclass(frozen=True)
class Command:
    """A command line, where OUT stands for its folder. workers: whether it has any to kill."""

    name: str
    line: tuple[str, ...]
    workers: bool


@dataclass
class Account:
    """What came of the kills of a command."""

    kills: int = 0
    of_workers: int = 0
    problems: list[str] = field(default_factory=list)


def commands(root: Path) -> list[Command]:
    """In an order in which each finds what it needs; OUT is a folder for each."""
    two, small = ("--workers", "2"), ("--image-size", "64")
    done = {name: str(root / f"{name}-undisturbed") for name in ("simulate", "prepare", "train", "synthesize")}
    model = f"{done['train']}/model"
    return [
        Command("simulate", ("simulate", "--studies", "200", "--seed", "1", *small, *two), True),
        Command("prepare", ("prepare", "mimic-cxr-jpg", done["simulate"], *small, *two), True),
        Command("train", ("train", "all", "--preset", "nano", "--steps", "20", "--checkpoint-minutes", "0.03", "--data",
                          done["prepare"]), False),
        Command("synthesize", ("synthesize", "--model", model, "--num", "64", "--steps", "2", "--shard-size", "8",
        *two), True),
        Command("export", ("export", done["synthesize"], "--to", "mimic-cxr-jpg"), False),
    ]  # fmt: skip


def start(command: Command, out: Path) -> subprocess.Popen[bytes]:
    line = [sys.executable, "-m", "omnicxr.app.cli", *command.line, "--out", str(out)]
    with (out.parent / f"{out.name}.stderr").open("ab") as errors:
        return subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=errors, start_new_session=True)


def undisturbed(command: Command, out: Path) -> float:
    """Seconds that it takes."""
    begun = time.monotonic()
    if status := start(command, out).wait():
        raise SystemExit(f"{command.name} failed with status {status}: {last_line(out)}")
    return time.monotonic() - begun


def last_line(out: Path) -> str:
    lines = (out.parent / f"{out.name}.stderr").read_text().strip().splitlines()
    return lines[-1][:200] if lines else ""


def disturbed(command: Command, out: Path, *, kills: int, seconds: float, rng: random.Random) -> Account:
    """Run it until it has been killed so often and has then ended by itself; where it ends before, it begins anew."""
    account = Account()
    while True:
        running = start(command, out)
        one = command.workers and account.kills % 2 == 1
        if account.kills < kills:
            with suppress(subprocess.TimeoutExpired):
                running.wait(rng.uniform(STARTED_S, max(2 * STARTED_S, seconds)))
            if running.poll() is None:
                kill(running, account, one=one, rng=rng)
        with suppress(subprocess.TimeoutExpired):
            running.wait(LIMIT_S)
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
            account.problems.append(f"hangs after kill {account.kills}")
            return account
        if running.returncode == 0:
            account.problems += differences(command, out)
            if account.kills >= kills:
                return account
            shutil.rmtree(out)
        elif running.returncode != -signal.SIGKILL:
            said = last_line(out)
            account.problems.append(f"exit status {running.returncode} after kill {account.kills}: {said}")
            if account.kills >= kills and len(account.problems) > kills:
                return account


def kill(running: subprocess.Popen[bytes], account: Account, *, one: bool, rng: random.Random) -> None:
    """The whole command, or one worker of it, if it has one at this moment."""
    workers = [p for p in psutil.Process(running.pid).children(recursive=True) if is_worker(p)] if one else []
    account.kills += 1
    if workers:
        account.of_workers += 1
        with suppress(psutil.NoSuchProcess):
            rng.choice(workers).kill()
    else:
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)


def is_worker(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return any("spawn_main" in part for part in process.cmdline())
    return False


def differences(command: Command, out: Path) -> list[str]:
    """What is not as in the undisturbed run."""
    known, found = (contents(folder, command) for folder in (out.with_name(f"{command.name}-undisturbed"), out))
    return [f"{name} {how}" for name, how in sorted(unequal(known, found).items())]


def unequal(known: dict[str, str], found: dict[str, str]) -> dict[str, str]:
    """File => how it differs."""
    out = {name: "is missing" for name in known.keys() - found.keys()} | {
        n: "is left over" for n in found.keys() - known.keys()
    }
    return out | {name: "differs" for name in known.keys() & found.keys() if known[name] != found[name]}


def contents(folder: Path, command: Command) -> dict[str, str]:
    """File => hash of what must be equal in it."""
    out = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        if command.name == "train" and path.name.startswith(LOGS):
            check_log(path)
            continue
        out[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return out


def check_log(path: Path) -> None:
    """Every line of JSON is one, without NaN."""
    if path.suffix in (".json", ".jsonl"):
        for line in path.read_text().splitlines():
            json.loads(line, parse_constant=lambda name: (_ for _ in ()).throw(ValueError(f"{path} has {name}")))


def main() -> int:
    """Print a row for each command."""
    kills, seed = (*map(int, sys.argv[1:]), *(KILLS, 0)[len(sys.argv) - 1 :])
    failed = False
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        todo = commands(root)
        print("| command | kills | of them of one worker | bytes at the end |\n|---|---|---|---|", flush=True)
        for number, command in enumerate(todo):
            seconds = undisturbed(command, root / f"{command.name}-undisturbed")
            share = kills // len(todo) + (number < kills % len(todo))
            rng = random.Random(f"{seed}:{command.name}")
            account = disturbed(command, root / command.name, kills=share, seconds=seconds, rng=rng)
            problems = account.problems
            failed |= bool(problems)
            said = f"{len(problems)} faults: {'; '.join(problems[:4])}" if problems else "equal"
            print(f"| `{command.name}` | {account.kills} | {account.of_workers} | {said} |", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
