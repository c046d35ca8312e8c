"""How the code stands, in the figures by which it is compared with others: `python scripts/style.py [FOLDER]`.

Lines and files of FOLDER (src), the largest file and the longest function, what is annotated and documented, how many
lint messages and import cycles there are, how many lines are long, and what it takes to change the generator.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MAX_POSITIONAL = 3
Function = ast.FunctionDef | ast.AsyncFunctionDef
GENERATOR = ("GeneratorSizes", "GeneratorConfig", "Generator", "Latents", "GivenCache", "TokenStream", "Stream",
             "StreamState", "StreamLayer", "LocalLayers", "AxesLayers", "Preconditioner", "LatentStatistics",
             "PromptedRows", "GeneratorStage", "Times")  # fmt: skip
"""Names that somebody who changes the generator meets; `missing` of them are reported."""


def functions(tree: ast.AST) -> Iterator[Function]:
    """Every function and method."""
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def parameters(function: Function, *, positional: bool) -> list[ast.arg]:
    """Without self and cls."""
    listed = [*function.args.posonlyargs, *function.args.args]
    found = listed if positional else [*listed, *function.args.kwonlyargs]
    return [a for a in found if a.arg not in ("self", "cls")]


def is_annotated(function: Function) -> bool:
    """Every parameter and the result."""
    return function.returns is not None and all(a.annotation for a in parameters(function, positional=False))


def cycles(paths: list[Path], root: Path) -> int:
    """Groups of modules that import each other in a loop, whatever is imported inside functions included."""
    names = {_module(p, root): p for p in paths}
    imports = {name: _imports(path) & set(names) for name, path in names.items()}
    reach = {name: set(found) for name, found in imports.items()}
    for middle in names:
        for name in names:
            if middle in reach[name]:
                reach[name] |= reach[middle]
    loops = {frozenset(o for o in reach[name] if name in reach[o]) for name in names if name in reach[name]}
    return len(loops)


def _module(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def figures(folder: Path) -> list[tuple[str, str]]:
    """(What, how much)."""
    paths = sorted(folder.rglob("*.py"))
    texts = {p: p.read_text(encoding="utf-8") for p in paths}
    lines = [line for text in texts.values() for line in text.splitlines()]
    every = [(p, f) for p, text in texts.items() for f in functions(ast.parse(text))]
    lengths = [((f.end_lineno or 0) - f.lineno + 1, f"{p.stem}.{f.name}") for p, f in every]
    annotated = sum(is_annotated(f) for _, f in every)
    documented = sum(ast.get_docstring(f) is not None for _, f in every)
    many = [f for _, f in every if len(parameters(f, positional=True)) > MAX_POSITIONAL]
    lint = subprocess.run(
        [Path(sys.executable).parent / "ruff", "check", folder, "--output-format", "concise", "--quiet"],
        capture_output=True,
        text=True,
        check=False,
    )
    shares = [100 * count / len(every) for count in (annotated, documented)]
    messages, loops = 1000 * len(lint.stdout.splitlines()) / len(lines), cycles(paths, folder)
    over = [100 * sum(len(line) > width for line in lines) / len(lines) for width in (100, 120)]
    largest = max((len(t.splitlines()), p.name) for p, t in texts.items())
    return [
        ("lines / files", f"{len(lines):,} / {len(paths)}"),
        ("largest file; longest function", f"{largest[0]} ({largest[1]}); {max(lengths)[0]} ({max(lengths)[1]})"),
        ("functions over 50 lines; with more than 3 positional", f"{sum(n > 50 for n, _ in lengths)}; {len(many)}"),
        ("functions annotated / documented, %", f"{shares[0]:.0f} / {shares[1]:.0f}"),
        ("lint per 1,000 lines; cycles", f"{messages:.1f}; {loops}"),
        ("lines over 100 / 120 characters, %", f"{over[0]:.1f} / {over[1]:.1f}"),
    ]


def concepts(folder: Path) -> str:
    """How many classes and types a change of the generator meets, of those that are still there."""
    defined = set()
    for path in folder.rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                defined.add(node.name)
            elif isinstance(node, ast.Assign):
                defined |= {t.id for t in node.targets if isinstance(t, ast.Name)}
    missing = [name for name in GENERATOR if name not in defined]
    return f"{len(GENERATOR) - len(missing)}" + (f" (gone: {', '.join(missing)})" if missing else "")


if __name__ == "__main__":
    where = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "src"
    for what, how_much in figures(where):
        print(f"| {what} | {how_much} |")
    if len(sys.argv) == 1:
        print(f"| concepts to change the generator | {concepts(where)} |")
