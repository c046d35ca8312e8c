"""Style, types and floors are part of the tests."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent


@pytest.mark.parametrize("command", [["ruff", "check", "."], ["lint-imports"], ["pyright"]], ids=lambda c: c[0])
def test_clean(command: list[str]) -> None:
    done = subprocess.run([BIN / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_run_time_path_reaches_the_network_or_unpickles() -> None:
    for path in (ROOT / "src").rglob("*.py"):
        text = path.read_text()
        for word in ("import requests", "urllib.request", "import pickle", "hf_hub_download", "allow_pickle=True"):
            assert word not in text, f"{path}: {word}"
        if "torch.load(" in text:  # weights that others publish; tensors only
            assert path.name == "efficientnet.py"
            assert text.count("torch.load(") == text.count("weights_only=True)")


def test_files_can_be_held_in_mind() -> None:
    for path in (ROOT / "src").rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 330, path
