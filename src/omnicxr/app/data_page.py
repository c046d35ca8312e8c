"""What is in a prepared data set, on one page."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from omnicxr.app.page import Page
from omnicxr.app.plots import new_figure
from omnicxr.data.dataset import PreparedDataset
from omnicxr.data.manifest import Manifest
from omnicxr.domain import IMAGE_MODALITIES, Finding
from omnicxr.training.sheets import grid

SHEET_STUDIES, SHEET_COLUMNS = 32, 8
AGE_GROUPS = ((0, 18), (18, 40), (40, 60), (60, 80), (80, 121))


def data_page(splits: dict[str, PreparedDataset]) -> Page:
    """Account, labels and how they go together, age, sex and views, report lengths, a sheet of studies."""
    manifest = next(iter(splits.values())).manifest
    page = Page("Prepared data set")
    page.heading("Account")
    page.table(("studies", "count"), account_rows(manifest))
    page.heading("Pictures left out")
    page.table(("reason", "count"), list(manifest.images_left_out.items()) or [("none", 0)])
    page.heading("Noticed, and used")
    page.table(("what", "times"), list(manifest.noticed.items()) or [("nothing", 0)])
    if copies := manifest.copies_across_splits:
        page.text(f"Pictures that are in two splits: {copies['exact']} exact copies, {copies['near']} near copies.")
    if copies and copies["listed"]:
        page.table(
            ("one study", "the other", "differing bits of 256"),
            [(*c["studies"], c["differing_bits"]) for c in copies["listed"]],
        )
    page.heading("Findings")
    page.table(("finding", "positive", "negative", "uncertain", "not mentioned"), label_rows(splits))
    page.plot(_together(splits), "how often findings are positive together")
    page.heading("Patients and views")
    page.table(
        ("", *splits),
        [("studies", *(len(d) for d in splits.values())), ("patients", *(_patients(d) for d in splits.values()))],
    )
    page.table(("view", *splits), view_rows(splits))
    page.table(("age, years", "female", "male", "not known"), _age_rows(splits))
    page.heading("Reports")
    words = [len(r.split()) for d in splits.values() for r in d.reports if r]
    if words:
        page.plot(_histogram(words), "words per report")
    else:
        page.text("There are no reports.")
    page.heading("Studies")
    name, data = next(iter(splits.items()))
    if rows := contact_sheet(data):
        page.text(f"The first of the split '{name}', the views of a study side by side.")
        page.picture(grid(rows), "contact sheet")
    else:
        page.text("There are no pictures.")
    return page


def account_rows(manifest: Manifest) -> list[tuple[str, int]]:
    """Seen, dropped under each reason, kept; what was kept by split and by modalities."""
    return [
        ("seen", manifest.studies_seen),
        *((f"dropped: {reason}", count) for reason, count in manifest.dropped.items()),
        ("kept", manifest.studies),
        *((f"  {split}", count) for split, count in manifest.splits.items()),
        *((f"  with {there}", count) for there, count in manifest.modalities.items()),
    ]


def label_rows(splits: dict[str, PreparedDataset]) -> list[tuple[Any, ...]]:
    """Finding, then counts of positive, negative, uncertain, not mentioned."""
    labels = np.concatenate([d.labels for d in splits.values()])
    rows = []
    for finding, column in zip(Finding, labels.T, strict=True):
        rows.append((finding, *(int((column == v).sum()) for v in (1, 0, -1)), int(np.isnan(column).sum())))
    return rows


def view_rows(splits: dict[str, PreparedDataset]) -> list[tuple[Any, ...]]:
    """View, then its number of pictures in each split."""
    counts = {split: Counter[str]() for split in splits}
    for split, data in splits.items():
        for m in IMAGE_MODALITIES:
            for views in data.table.column(f"{m}_views").to_pylist():
                counts[split].update(views)
    known = sorted(set().union(*counts.values()))
    return [(view, *(counts[split][view] for split in splits)) for view in known]


def contact_sheet(data: PreparedDataset) -> list[np.ndarray]:
    """The views of a study side by side, as rows of pictures: studies with both views, else those with one. No rows for
    a split without pictures."""
    kinds = [views for views in (IMAGE_MODALITIES, *((m,) for m in IMAGE_MODALITIES)) if len(data.having(*views))]
    if not kinds:
        return []
    pictures = [data.image(int(row), m) for row in data.having(*kinds[0])[:SHEET_STUDIES] for m in kinds[0]]
    step = len(kinds[0]) * SHEET_COLUMNS
    return [np.stack(pictures[i : i + step]) for i in range(0, len(pictures), step)]


def _patients(data: PreparedDataset) -> int:
    columns = [data.table.column(c).to_pylist() for c in ("source", "subject_id")]
    return len(set(zip(*columns, strict=True)))


def _age_rows(splits: dict[str, PreparedDataset]) -> list[tuple[Any, ...]]:
    ages = np.concatenate([np.array(d.table.column("age").to_pylist(), float) for d in splits.values()])
    sexes = np.concatenate([np.array([s or "" for s in d.table.column("sex").to_pylist()]) for d in splits.values()])
    groups = [(f"{low} to {high - 1}", (ages >= low) & (ages < high)) for low, high in AGE_GROUPS]
    groups.append(("not known", np.isnan(ages)))
    return [(name, *(int((inside & (sexes == s)).sum()) for s in ("F", "M", ""))) for name, inside in groups]


def _together(splits: dict[str, PreparedDataset]) -> Any:
    """Share of the studies with the finding of the row that also have that of the column."""
    positive = (np.concatenate([d.labels for d in splits.values()]) == 1).astype(float)
    both = positive.T @ positive
    share = np.divide(both, both.diagonal()[:, None], out=np.zeros_like(both), where=both.diagonal()[:, None] > 0)
    figure, ((axis,),) = new_figure(8, 6.5)
    axis.imshow(share, cmap="Blues", vmin=0, vmax=1)
    axis.set_xticks(range(len(Finding)), list(Finding), rotation=60, ha="right", fontsize=8)
    axis.set_yticks(range(len(Finding)), list(Finding), fontsize=8)
    for (i, j), value in np.ndenumerate(share):
        style = {"ha": "center", "va": "center", "fontsize": 6, "color": "white" if value > 0.5 else "black"}
        axis.text(j, i, f"{100 * value:.0f}", **style)
    axis.set_title("Of studies positive for the row, per cent that are positive for the column", fontsize=9)
    return figure


def _histogram(words: list[int]) -> Any:
    figure, ((axis,),) = new_figure(8, 2.6)
    axis.hist(words, bins=min(60, max(*words, 1)))
    axis.set_xlabel("words per report")
    axis.set_ylabel("studies")
    return figure
