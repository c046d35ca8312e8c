"""Matplotlib without a display, and loss curves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from omnicxr.data.files import whole_file


def new_figure(width: float, height: float, *, rows: int = 1, columns: int = 1) -> tuple[Any, Any]:
    """A figure of some inches and its axes [rows, columns]."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt.subplots(rows, columns, figsize=(width, height), squeeze=False, layout="constrained")


def plot_losses(folder: Path) -> None:
    """folder/metrics.jsonl and held-out.jsonl => folder/loss.png: every loss over steps, dashed that of held-out
    studies."""
    import matplotlib.pyplot as plt

    rows, held_out = (
        [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]
        for name in ("metrics", "held-out")
    )
    names = sorted({n for row in rows for n in row} - {"step", "lr", "per_second"})
    if not names:
        return  # no line logged yet
    columns = 3
    height = -(-len(names) // columns)
    figure, axes = new_figure(4 * columns, 2.6 * height, rows=height, columns=columns)
    for axis in axes.flat[len(names) :]:
        axis.axis("off")
    for axis, name in zip(axes.flat, names, strict=False):
        for lines, style in ((rows, "-"), (held_out, "o--")):
            points = [(line["step"], line[name]) for line in lines if name in line]
            axis.plot([step for step, _ in points], [value for _, value in points], style, linewidth=1.2, markersize=3)
        axis.set_title(name, fontsize=10)
        axis.grid(alpha=0.3)
    figure.suptitle(folder.name)
    with whole_file(folder / "loss.png") as temporary:
        figure.savefig(temporary, dpi=90, format="png")
    plt.close(figure)
