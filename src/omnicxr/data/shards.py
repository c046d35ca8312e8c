"""Studies => rows of a Parquet shard."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from omnicxr.data.duplicates import picture_hash
from omnicxr.data.files import whole_file
from omnicxr.data.images import encode_png, read_image, to_square
from omnicxr.data.selection import Selection
from omnicxr.data.views import PREDICTED, VIEW_CODES, predict_modality
from omnicxr.domain import Finding, ImageRef, LabelState, Modality, Study, UserError, View

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
SCHEMA = pa.schema(
    [
        ("subject_id", pa.string()),
        ("study_id", pa.string()),
        ("split", pa.string()),
        ("source", pa.string()),
        ("frontals", pa.list_(IMAGE)),
        ("frontal_views", pa.list_(pa.string())),
        ("frontal_hashes", pa.list_(pa.binary())),
        ("laterals", pa.list_(IMAGE)),
        ("lateral_views", pa.list_(pa.string())),
        ("lateral_hashes", pa.list_(pa.binary())),
        ("findings", pa.string()),
        ("impression", pa.string()),
        ("report", pa.string()),
        *((f"label_{f}", pa.int8()) for f in Finding),
        ("age", pa.float32()),
        ("sex", pa.string()),
        ("truth", pa.string()),
    ]
)
"""One row is one study. `bytes` are PNG, square, 8-bit grey; a view ends in "(predicted)" where the classifier decided
it; hashes are those of `omnicxr.data.duplicates`; labels are 1, 0, -1 or null."""


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


def write_shard(lines: list[str], image_size: int, selection: Selection, path: Path) -> None:
    """Read the pictures of some studies and write their shard, with what was dropped on the way in the metadata."""
    dropped: list[dict[str, str]] = []
    images_left_out: Counter[str] = Counter()
    rows = []
    for line in lines:
        study, report = study_from_json(line)
        row, errors, other_views = _row(study, report, image_size, selection)
        images_left_out.update(["unreadable"] * len(errors))
        images_left_out.update(f"view {view} not asked for" for view in other_views)
        there = {m for m in Modality if (row[f"{m}s"] if m.is_image else row["report"])}
        missing = [m for m in selection.require if m not in there]
        if missing or not there:
            reason = "unreadable image" if errors else f"no {missing[0]}" if missing else "nothing usable in it"
            dropped.append({"study_id": study.study_id, "reason": reason, "error": errors[0] if errors else ""})
        else:
            rows.append(row)
    notes = json.dumps({"dropped": dropped, "images_left_out": dict(+images_left_out)})
    table = pa.Table.from_pylist(rows, SCHEMA.with_metadata({"notes": notes}))
    with whole_file(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", row_group_size=64)


def shard_notes(path: Path) -> dict[str, Any]:
    """What `write_shard` noted: dropped studies with reasons, pictures left out."""
    return json.loads((pq.read_schema(path).metadata or {})[b"notes"])


def _row(
    study: Study, report: str, image_size: int, selection: Selection
) -> tuple[dict[str, Any], list[str], list[str]]:
    """The row, what was wrong with pictures that cannot be read, and the views of those that were not asked for."""
    columns: dict[str, list[Any]] = {
        f"{m}{part}": [] for m in Modality if m.is_image for part in ("s", "_views", "_hashes")
    }
    errors, other_views = [], []
    for ref in study.images:
        try:
            picture, header_view = read_image(ref.path, image_size)
        except UserError as error:
            errors.append(str(error))
            continue
        grey = to_square(picture, image_size)
        modality, view = _view(ref, header_view, grey)
        if view in set(View) - set(selection.views):
            other_views.append(view)
            continue
        columns[f"{modality}s"].append({"bytes": encode_png(grey), "path": None})
        columns[f"{modality}_views"].append(view)
        columns[f"{modality}_hashes"].append(picture_hash(grey))
    labels = {f"label_{f}": None if (s := study.labels.get(f)) is None else int(s) for f in Finding}
    return (
        {
            "subject_id": study.subject_id,
            "study_id": study.study_id,
            "split": study.split,
            "source": study.source,
            "findings": study.sections.get("findings", ""),
            "impression": study.sections.get("impression", ""),
            "report": report,
            "age": study.age,
            "sex": study.sex,
            "truth": study.truth,
            **columns,
            **labels,
        },
        errors,
        other_views,
    )


def _view(ref: ImageRef, header_view: str, grey: Image.Image) -> tuple[Modality, str]:
    """From the table, else from the DICOM header, else predicted."""
    view = ref.view or VIEW_CODES.get(header_view)
    if view:
        return view.modality, str(view)
    modality = predict_modality(grey)
    return modality, f"{modality.upper()} {PREDICTED}"
