"""Style, types and floors are part of the tests."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from style import MAX_POSITIONAL, functions, parameters

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["lint-imports"], ["pyright"]], ids=" ".join
)
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


def test_code_can_be_held_in_mind() -> None:
    for path in (ROOT / "src").rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 370, path
        for function in functions(ast.parse(path.read_text())):
            where = f"{path}: {function.name}"
            assert (function.end_lineno or 0) - function.lineno < 50, where
            assert len(parameters(function, positional=True)) <= MAX_POSITIONAL, where


def test_tests_mirror_modules() -> None:
    """tests/data/test_images.py is about data/images.py; what is about several lies in end_to_end, about all in
    project."""
    source = ROOT / "src" / "omnicxr"
    for path in (ROOT / "tests").rglob("test_*.py"):
        about = path.relative_to(ROOT / "tests").parent / path.stem.removeprefix("test_")
        if about.parts[0] not in ("end_to_end", "project"):
            assert (source / about).is_dir() or (source / about).with_suffix(".py").is_file(), path
