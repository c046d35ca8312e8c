from pathlib import Path

import pytest

from omnicxr.app import inspect
from omnicxr.app.console import console


def test_names_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    """What stands in brackets or between colons is no style and no picture."""
    console.print(f"Open {Path('a[/b]') / ':smile:'}")
    inspect._print(("reason", "[/red]"), [("[/b]", ":x:")], title="[bold]t")
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("a[/b]/:smile:", "[/red]", "[/b]", ":x:", "[bold]t"))
