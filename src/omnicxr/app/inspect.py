"""Tables on the console: accounts of data sets, labels of a report, figures of an evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from rich.table import Table

from omnicxr.app.console import console
from omnicxr.app.data_page import account_rows, data_page, label_rows, view_rows
from omnicxr.data.dataset import PreparedDataset
from omnicxr.data.files import check_writable, write_text
from omnicxr.data.labeler import find_mentions, labels_of
from omnicxr.data.language import is_english
from omnicxr.data.manifest import Manifest
from omnicxr.domain import IMAGE_MODALITIES, SPLITS, UserError

SHOWN = 20
"""Mentions of each finding that the table of a report names."""


def manifest_tables(manifest: Manifest) -> None:
    """What was seen, kept and dropped, and why."""
    _print(("studies", "count"), account_rows(manifest), title="Account")
    if left_out := manifest.images_left_out:
        _print(("pictures left out", "count"), list(left_out.items()))
    if noticed := manifest.noticed:
        _print(("noticed, and used", "count"), list(noticed.items()))
    if copies := manifest.copies_across_splits:
        console.print(f"Pictures that are in two splits: {copies['exact']} exact copies, {copies['near']} near copies.")


def _print(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str | None = None) -> None:
    table = Table(*columns, title=title)
    for row in rows:
        table.add_row(*map(str, row))
    console.print(table)


def label_tables(text: str) -> None:
    """The findings of a report, and the words that each label comes from; why there are none, where there are none."""
    mentions = find_mentions(text)
    labels = labels_of(mentions, text)
    if not any(state is not None for state in labels.values()):
        english = is_english(text)
        console.print("The text says nothing of a film." if english else "The text does not read as English: unknown.")
    table = Table("finding", "state", "words", "because of", "at")
    for finding, state in labels.items():
        own = [m for m in mentions if m.finding == finding]
        if state is not None and not own:
            table.add_row(finding, state.name.lower(), "", "nothing else is stated", "")
        for m in own[:SHOWN]:
            table.add_row(finding, m.state.name.lower(), m.phrase, m.cue, str(m.start))
        if len(own) > SHOWN:
            table.add_row(finding, "", f"and {len(own) - SHOWN} more", "", "")
    console.print(table)


def inspect_dataset(data: Path, out: Path, *, verify: bool) -> None:
    """Tables on the console and OUT/data.html; with `verify` every picture is decoded first.

    Raises UserError naming the first shard that is missing, damaged or not the one of the manifest, or the first
    picture that cannot be decoded.
    """
    manifest = Manifest.read(data)
    splits = {s: PreparedDataset(data, s) for s in SPLITS if manifest.shards_of(s)}
    if not splits:
        raise UserError(f"{data} has no studies: see what `omnicxr prepare` printed, or prepare other data.")
    if verify:
        for split, m in product(splits.values(), IMAGE_MODALITIES):
            for row in split.having(m):
                split.image(int(row), m)
        console.print(f"All {len(manifest.shards)} shards are whole.")
    page = data_page(splits).html()
    manifest_tables(manifest)
    _print(("finding", "positive", "negative", "uncertain", "not mentioned"), label_rows(splits), title="Labels")
    _print(("view", *splits), view_rows(splits), title="Pictures")
    check_writable(out)
    write_text(out / "data.html", page)
    console.print(f"Open {out / 'data.html'}")
