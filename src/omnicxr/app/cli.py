"""The `omnicxr` command: puts the sub-commands in `commands` together, and turns errors into exit statuses."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from tyro.extras import SubcommandApp

from omnicxr.app.arguments import REGISTRY, checked
from omnicxr.domain import UserError

COMMANDS = (
    "simulate",
    "prepare",
    "inspect",
    "label",
    "train",
    "generate",
    "evaluate",
    "synthesize",
    "export",
    "study",
    "reader_study",
    "demo",
)
"""Files of `commands`, each with a function of its name, in the order of the help text."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point: exit status 0 for success, 2 for what the user can put right, 1 for anything else.

    arguments: None for those of the process.
    """
    given = sys.argv[1:] if arguments is None else arguments
    try:
        _app(given[0] if given else "").cli(
            args=given,
            prog="omnicxr",
            description="Any-to-any generation of chest X-ray studies. For research and teaching, not for diagnosis.",
            registry=REGISTRY,
        )
    except UserError as error:
        print(f"omnicxr: {error}", file=sys.stderr)
        sys.exit(2)
    except (MemoryError, RuntimeError) as error:  # torch has an error of its own for it, on a CPU a plain RuntimeError
        if not isinstance(error, MemoryError) and "memory" not in str(error):
            raise
        print("omnicxr: Memory ran out: ask for fewer, smaller or less at the same time.", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # whoever read what is printed has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"omnicxr: {where}{error.strerror or error}; check path, permissions and free space.", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("omnicxr: stopped; run the same command again to go on.", file=sys.stderr)
        sys.exit(1)


def _app(wanted: str) -> SubcommandApp:
    """Every command; only the wanted one is imported, since most need torch, which takes seconds."""
    app = SubcommandApp()
    for name in COMMANDS:
        if name == wanted.replace("-", "_"):
            app.command(checked(getattr(import_module(f"omnicxr.app.commands.{name}"), name)))
        else:
            app.command(name=name, help=_help(name))(lambda: None)
    return app


def _help(name: str) -> str:
    """The docstring of a command's function, read without importing it."""
    source = Path(__file__).with_name("commands") / f"{name}.py"
    functions = (
        node for node in ast.parse(source.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)
    )
    return next(ast.get_docstring(f) or "" for f in functions if f.name == name)


if __name__ == "__main__":
    main()
