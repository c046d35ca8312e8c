"""Tables and contact sheets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from omnicxr.app.console import console
from omnicxr.data.dataset import PreparedDataset
from omnicxr.data.files import check_writable, sha256
from omnicxr.data.labeler import combine, find_mentions
from omnicxr.domain import IMAGE_MODALITIES, SPLITS, Finding, UserError
from omnicxr.training.sheets import save_grid

SHEET_STUDIES, SHEET_COLUMNS = 32, 8


def manifest_tables(manifest: dict[str, Any]) -> None:
    """What was seen, kept and dropped, and why."""
    table = Table("studies", "count", title="Account")
    table.add_row("seen", str(manifest["studies_seen"]))
    for reason, count in manifest.get("dropped", manifest.get("dropped_before_images", {})).items():
        table.add_row(f"dropped: {reason}", str(count))
    table.add_row("kept", str(manifest["studies"]))
    for split, count in manifest["splits"].items():
        table.add_row(f"  {split}", str(count))
    for there, count in manifest.get("modalities", {}).items():
        table.add_row(f"  with {there}", str(count))
    console.print(table)
    if left_out := manifest["images_left_out"]:
        table = Table("pictures left out", "count")
        for reason, count in left_out.items():
            table.add_row(reason, str(count))
        console.print(table)
    if copies := manifest.get("copies_across_splits"):
        console.print(f"Pictures that are in two splits: {copies['exact']} exact copies, {copies['near']} near copies.")


def label_tables(text: str) -> None:
    """The findings of a report, and the words that each label comes from."""
    mentions = find_mentions(text)
    labels = combine(mentions, empty=not text.strip())
    table = Table("finding", "state", "words", "because of", "at")
    for finding, state in labels.items():
        own = [m for m in mentions if m.finding == finding]
        if state is not None and not own:
            table.add_row(finding, state.name.lower(), "", "nothing else is stated", "")
        for m in own:
            table.add_row(finding, m.state.name.lower(), m.phrase, m.cue, str(m.start))
    console.print(table)


def inspect_dataset(data: Path, out: Path) -> None:
    """Raises UserError naming the first shard whose bytes are not those of the manifest."""
    splits = {s: PreparedDataset(data, s) for s in SPLITS if any(data.glob(f"{s}-*.parquet"))}
    if not splits:
        raise UserError(f"{data} is not a prepared data set: run `omnicxr prepare` first.")
    manifest = next(iter(splits.values())).manifest
    for name, expected in manifest["shards"].items():
        if sha256(data / name) != expected:
            raise UserError(f"The shard {data / name} is damaged (its hash differs): delete it and run `omnicxr prepare` again.")
    manifest_tables(manifest)
    console.print(_label_table(splits))
    console.print(_view_table(splits))
    check_writable(out)
    save_grid(contact_sheet(next(iter(splits.values()))), out / "contact_sheet.png")
    console.print(f"All {len(manifest['shards'])} shards are whole. Contact sheet: {out / 'contact_sheet.png'}")


def _label_table(splits: dict[str, PreparedDataset]) -> Table:
    labels = np.concatenate([d.labels for d in splits.values()])
    table = Table("finding", "positive", "negative", "uncertain", "not mentioned", title="Labels")
    for i, finding in enumerate(Finding):
        column = labels[:, i]
        counts = [(column == 1).sum(), (column == 0).sum(), (column == -1).sum(), np.isnan(column).sum()]
        table.add_row(finding, *map(str, counts))
    return table


def _view_table(splits: dict[str, PreparedDataset]) -> Table:
    table = Table("view", *splits, title="Pictures")
    counts = {s: [v for m in IMAGE_MODALITIES for row in d.table.column(f"{m}_views").to_pylist() for v in row] for s, d in splits.items()}
    for view in sorted({v for views in counts.values() for v in views}):
        table.add_row(view, *(str(views.count(view)) for views in counts.values()))
    return table


def contact_sheet(data: PreparedDataset, rows: np.ndarray | None = None) -> list[np.ndarray]:
    """Frontal and lateral views side by side, as rows for `save_grid`; studies without a view are left out."""
    chosen = (data.having(*IMAGE_MODALITIES) if rows is None else rows)[:SHEET_STUDIES]
    if len(chosen) == 0:
        raise UserError(f"No study of the split '{data.split}' has both views to show.")
    pairs = np.stack([data.images(m, chosen) for m in IMAGE_MODALITIES], 1)
    flat = pairs.reshape(-1, *pairs.shape[2:])
    return [flat[i : i + 2 * SHEET_COLUMNS] for i in range(0, len(flat), 2 * SHEET_COLUMNS)]


def metrics_table(result: dict[str, Any]) -> None:
    """The headline figures of metrics.json."""
    table = Table("task", "AUROC frontal", "AUROC lateral", "report F1", "BLEU-4", "distinct", "views: kappa", "CTR r", "partner",
                  title=f"{result['about']['studies']} {result['about']['split']} studies")  # fmt: skip
    for name, row in (("real", result["real"]), *result["tasks"].items()):
        report, agree = row.get("report", {}), row.get("views_agree", {})
        cells = [row.get(v, {}).get("auroc_macro") for v in IMAGE_MODALITIES]
        cells += [report.get("f1_micro"), report.get("bleu4"), report.get("distinct_share")]
        cells += [agree.get("finding_kappa"), agree.get("cardiothoracic_ratio_correlation"), agree.get("partner_r_at_1_of_50")]
        table.add_row(name, *map(_cell, cells))
    console.print(table)
    for part, figures in result["autoencoders"].items():
        console.print(f"{part} autoencoder alone: " + ", ".join(f"{k.replace('_', ' ')} {_cell(v)}" for k, v in figures.items()))


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return "" if value["value"] is None else f"{value['value']:.3f} ({value['low']:.3f}-{value['high']:.3f})"
    return "" if value is None else f"{value:.3f}"
