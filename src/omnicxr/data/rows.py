"""Studies => rows of a shard: pictures read and made square, views decided, hashes taken."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PIL import Image

from omnicxr.data.duplicates import picture_hash
from omnicxr.data.images import encode_png, read_image, to_square
from omnicxr.data.selection import Selection
from omnicxr.data.shards import label_columns, write_rows
from omnicxr.data.views import PREDICTED, VIEW_CODES, predict_modality
from omnicxr.domain import IMAGE_MODALITIES, Finding, ImageRef, LabelState, Modality, Study, UserError, View


def study_to_json(study: Study, report: str) -> str:
    """One line that `study_from_json` reads back."""
    row = vars(study) | {
        "images": [[str(ref.path), ref.view] for ref in study.images],
        "labels": {f: None if s is None else int(s) for f, s in study.labels.items()},
        "sections": dict(study.sections),
        "report": report,
    }
    return json.dumps(row)


def study_from_json(line: str) -> tuple[Study, str]:
    """The study and its report."""
    row = json.loads(line)
    report = row.pop("report")
    row["images"] = tuple(ImageRef(Path(path), View(view) if view else None) for path, view in row["images"])
    row["labels"] = {Finding(f): None if s is None else LabelState(s) for f, s in row["labels"].items()}
    return Study(**row), report


def write_studies(lines: Iterable[str], path: Path, *, image_size: int, selection: Selection) -> None:
    """Read the pictures of some studies and write their shard, with what was dropped on the way in its notes."""
    reading = _Reading(image_size, selection)
    rows = [row for line in lines if (row := reading.row(*study_from_json(line)))]
    write_rows(rows, {"dropped": reading.dropped, "images_left_out": dict(reading.images_left_out)}, path)


class _Reading:
    """Makes rows and counts what is left out of them."""

    def __init__(self, image_size: int, selection: Selection) -> None:
        self.image_size, self.selection = image_size, selection
        self.dropped: list[dict[str, str]] = []
        self.images_left_out: Counter[str] = Counter()

    def row(self, study: Study, report: str) -> dict[str, Any] | None:
        """None for a study that lacks a part that it must have once its pictures are read."""
        columns, errors = self._pictures(study)
        there = {m for m in Modality if (columns[f"{m}s"] if m.is_image else report)}
        missing = [m for m in self.selection.require if m not in there]
        if missing or not there:
            reason = "unreadable image" if errors else f"no {missing[0]}" if missing else "nothing usable in it"
            self.dropped.append({"study_id": study.study_id, "reason": reason, "error": (errors or [""])[0]})
            return None
        return {
            "subject_id": study.subject_id,
            "study_id": study.study_id,
            "split": study.split,
            "source": study.source,
            "findings": study.sections.get("findings", ""),
            "impression": study.sections.get("impression", ""),
            "report": report,
            "language": study.language,
            "age": study.age,
            "sex": study.sex,
            "truth": study.truth,
            **columns,
            **label_columns(study.labels),
        }

    def _pictures(self, study: Study) -> tuple[dict[str, list[Any]], list[str]]:
        """The columns of a study's pictures, and what was wrong with those that cannot be read."""
        columns: dict[str, list[Any]] = {f"{m}{c}": [] for m in IMAGE_MODALITIES for c in ("s", "_views", "_hashes")}
        errors = []
        for ref in study.images:
            try:
                picture, header_view = read_image(ref.path, self.image_size)
            except UserError as error:
                errors.append(str(error))
                self.images_left_out["unreadable"] += 1
                continue
            grey = to_square(picture, self.image_size)
            modality, view = _view(ref, header_view, grey)
            if view in set(View) - set(self.selection.views):
                self.images_left_out[f"view {view} not asked for"] += 1
                continue
            columns[f"{modality}s"].append({"bytes": encode_png(grey), "path": None})
            columns[f"{modality}_views"].append(view)
            columns[f"{modality}_hashes"].append(picture_hash(grey))
        return columns, errors


def _view(ref: ImageRef, header_view: str, grey: Image.Image) -> tuple[Modality, str]:
    """From the table, else from the DICOM header, else predicted."""
    view = ref.view or VIEW_CODES.get(header_view)
    if view:
        return view.modality, str(view)
    modality = predict_modality(grey)
    return modality, f"{modality.upper()} {PREDICTED}"
