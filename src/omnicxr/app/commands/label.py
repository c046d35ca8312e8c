"""`omnicxr label`."""

from __future__ import annotations

import sys
from typing import Annotated

from tyro.conf import Positional, arg


def label(text: Positional[Annotated[str, arg(help="Report text, or @FILE, or - for standard input.")]]) -> None:
    """Say which findings a report states, and by which words."""
    from omnicxr.app.generate import report_argument
    from omnicxr.app.inspect import label_tables

    label_tables(sys.stdin.read() if text == "-" else report_argument(text))
