"""The CheXGenBench contract (arXiv 2505.10496): a table of prompts and file names beside a folder of pictures.

`prompt_INFO.csv` has the columns `prompt` and `img_savename`. Written so, what this project generates can be scored by
that benchmark; read so, any text-to-image system can be scored by this one. A third column, `study_id`, ties a picture
to the study whose report was the prompt; without it the prompt itself must be the report of exactly one study.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from omnicxr.data.files import whole_file, write_once
from omnicxr.data.images import load_image
from omnicxr.data.paths import inside, named_file, regular_file, spellings
from omnicxr.data.table_files import read_table
from omnicxr.domain import UserError

TABLE = "prompt_INFO.csv"
FOLDER = "synthetic_images"


def write_chexgenbench(folder: Path, studies: Iterable[tuple[bytes, str, str]]) -> Path:
    """(PNG file, prompt, study_id) of every study => PNG files under FOLDER/synthetic_images, and the table, whose path
    is returned.

    Pictures that are there already are kept, so that an interrupted export goes on.
    """
    with whole_file(folder / TABLE) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("prompt", "img_savename", "study_id"))
        for i, (png, prompt, study_id) in enumerate(studies):
            name = f"{i:06d}.png"
            write_once(folder / FOLDER / name, png)
            writer.writerow((prompt, name, study_id))
    return folder / TABLE


def read_chexgenbench(
    table: Path, reports: Sequence[str], study_ids: Sequence[str], *, image_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Pictures and the studies they belong to: uint8 [n, s, s] and row numbers [n] into `study_ids`, ordered by row.

    Raises UserError for a study that is not known, a prompt that is the report of none or of several studies, a study
    named twice, and a picture that is missing or cannot be read.
    """
    by_id = {s: i for i, s in enumerate(study_ids)}
    by_report = _unique(reports)
    found: dict[int, Path] = {}
    for row in read_table(table, ("prompt", "img_savename"), ("study_id",)):
        index = by_id.get(row["study_id"]) if row.get("study_id") else by_report.get(row["prompt"].strip())
        if index is None:
            what = f"study '{row['study_id']}'" if row.get("study_id") else f"prompt '{row['prompt'][:60]}'"
            raise UserError(
                f"{table}: the {what} is not that of exactly one study of the data set: add the column study_id."
            )
        if index in found:
            raise UserError(f"{table}: study '{study_ids[index]}' is named twice: keep one picture of each.")
        found[index] = _locate(table, row["img_savename"])
    rows = np.array(sorted(found))
    return np.stack([np.asarray(load_image(found[i], image_size)) for i in rows]), rows


def _unique(reports: Iterable[str]) -> dict[str, int]:
    """Report => its row, for reports that stand once."""
    seen: dict[str, int] = {}
    twice = set()
    for i, report in enumerate(reports):
        key = report.strip()
        if key in seen:
            twice.add(key)
        seen[key] = i
    return {k: i for k, i in seen.items() if k not in twice}


def _locate(table: Path, name: str) -> Path:
    root = table.parent
    for path in (named_file(root / FOLDER, name), named_file(root, name)):
        if (within := inside(spellings(root), path)) and (found := regular_file(within)):
            return found
    raise UserError(f"{table} names the picture {name}, which is neither beside it nor in {FOLDER}/: check the folder.")
