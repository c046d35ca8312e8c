"""Write the file tree of README.md from the first lines of the modules' docstrings: `python scripts/readme_tree.py`."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = (
    ".",
    "domain",
    "data",
    "data/sources",
    "simulation",
    "models",
    "flow",
    "training",
    "training/stages",
    "evaluation",
    "synthesis",
    "downstream",
    "app",
)
BEGIN, END = "    src/omnicxr/\n", "    src/omnicxr/bundled/"


def tree() -> str:
    """One line per module, folders in the order of the floors, lowest first."""
    lines = []
    for folder in FOLDERS:
        indent = "      " if folder == "." else "        "
        if folder != ".":
            lines.append(f"      {folder}/")
        for path in sorted((ROOT / "src/omnicxr" / folder).glob("*.py")):
            if path.name != "__init__.py":
                first = (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n")[0].rstrip(".")
                lines.append(f"{indent}{path.name:24s}{first}")
    return "\n".join(lines) + "\n"


def with_tree(readme: str) -> str:
    """The README with its tree replaced."""
    start, end = readme.index(BEGIN) + len(BEGIN), readme.index(END)
    return readme[:start] + tree() + readme[end:]


if __name__ == "__main__":
    path = ROOT / "README.md"
    path.write_text(with_tree(path.read_text()))
