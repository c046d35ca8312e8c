"""`omnicxr inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg


def inspect(
    data: Positional[Annotated[Path, arg(help="A prepared data set.")]],
    *,
    out: Annotated[Path | None, arg(help="Folder for the page; default: the data folder.")] = None,
    verify: Annotated[bool, arg(help="Decode every picture first; every shard is compared anyway.")] = False,
) -> None:
    """Print counts, label and view tables of a prepared data set, and write them with plots and a contact sheet to
    data.html."""
    from omnicxr.app.inspect import inspect_dataset

    inspect_dataset(data, out or data, verify=verify)
