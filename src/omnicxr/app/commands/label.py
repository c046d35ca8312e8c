"""`omnicxr label`."""

from __future__ import annotations

import sys
from typing import Annotated

from tyro.conf import Positional, arg


def label(text: Positional[Annotated[str, arg(help="Report text, or @FILE, or - for standard input.")]]) -> None:
    """Say which findings a report states, and by which words."""
    from omnicxr.app.generate import report_argument
    from omnicxr.app.inspect import label_tables
    from omnicxr.data.plain_files import TEXT_LIMIT
    from omnicxr.data.table_files import decode_text

    label_tables(decode_text(sys.stdin.buffer.read(TEXT_LIMIT)) if text == "-" else report_argument(text))
