"""Studies => rows of a shard: pictures read and made square, views decided, hashes taken."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from omnicxr.data.counts import Reasons
from omnicxr.data.duplicates import picture_hash
from omnicxr.data.facing import facing, mirrored
from omnicxr.data.grey import PictureError
from omnicxr.data.images import encode_png, read_radiograph, to_square
from omnicxr.data.processes import working_on
from omnicxr.data.selection import Selection
from omnicxr.data.shards import label_columns, write_rows
from omnicxr.data.views import PREDICTED, VIEW_CODES, look, other_view, wrong_way_round
from omnicxr.domain import IMAGE_MODALITIES, Facing, Finding, ImageRef, LabelState, Modality, Study, View

SEVERAL = "studies with several {} pictures (training draws one each time, evaluation takes the first)"

FACING, UNSURE = "lateral pictures that face {}", "lateral pictures of which it is not clear which way they face"
MIRRORED = "lateral pictures mirrored to face {}"


def study_to_json(study: Study, report: str) -> str:
    """One line that `study_from_json` reads back."""
    row = vars(study) | {
        "images": [[str(ref.path), ref.view] for ref in study.images],
        "missing": list(study.missing),
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
    row["missing"] = tuple(View(view) if view else None for view in row.get("missing", ()))
    row["labels"] = {Finding(f): None if s is None else LabelState(s) for f, s in row["labels"].items()}
    return Study(**row), report


def write_studies(
    lines: Iterable[str],
    path: Path,
    *,
    image_size: int,
    selection: Selection,
    face: Facing | None = None,
    deadly: Collection[str] = (),
) -> None:
    """Read the pictures of some studies and write their shard, with what was dropped on the way in its notes.

    face: laterals that face the other way are mirrored; None: they stay as they are. deadly: paths of pictures that
    count as unreadable, since they end the process that reads them.
    """
    reading = _Reading(image_size, selection, face=face, deadly=deadly)
    rows = [row for line in lines if (row := reading.row(*study_from_json(line)))]
    working_on("")
    write_rows(rows, reading.notes(), path)


class _Reading:
    """Makes rows and counts what is left out of them."""

    def __init__(self, image_size: int, selection: Selection, *, face: Facing | None, deadly: Collection[str]) -> None:
        self.image_size, self.selection, self.face, self.deadly = image_size, selection, face, deadly
        self.dropped: list[dict[str, str]] = []
        self.unreadable: list[dict[str, str]] = []
        self.images_left_out, self.noticed = Reasons(), Reasons()

    def notes(self) -> dict[str, Any]:
        """What the shard says beside its rows."""
        counts = {"images_left_out": dict(self.images_left_out), "noticed": dict(self.noticed)}
        return {"dropped": self.dropped, "unreadable": self.unreadable, **counts}

    def row(self, study: Study, report: str) -> dict[str, Any] | None:
        """None for a study that lacks a part that it must have once its pictures are read, or none of whose pictures
        can be read."""
        pictures, errors = self._pictures(study)
        self.unreadable += [{"study_id": study.study_id, "error": error} for error in errors]
        there = {m for m in Modality if (pictures[m] if m.is_image else report)}
        missing = [m for m in self.selection.require if m not in there]
        lost = bool(errors) and len(errors) == len(study.images)
        if missing or lost or not there:
            reason = "unreadable image" if errors else f"no {missing[0]}" if missing else "nothing usable in it"
            self.dropped.append({"study_id": study.study_id, "reason": reason})
            return None
        for m in (m for m in IMAGE_MODALITIES if len(pictures[m]) > 1):
            self.noticed[SEVERAL.format(m)] += 1
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
            **_columns(pictures),
            **label_columns(study.labels),
        }

    def _pictures(self, study: Study) -> tuple[dict[Modality, list[_Picture]], list[str]]:
        """A study's pictures by view, the one that evaluation takes first, and what was wrong with those that cannot be
        read."""
        pictures: dict[Modality, list[_Picture]] = {m: [] for m in IMAGE_MODALITIES}
        errors = []
        for ref in study.images:
            working_on(str(ref.path))
            try:
                if str(ref.path) in self.deadly:
                    raise PictureError(f"{ref.path} ends the process that reads it.")
                picture, header_view = read_radiograph(ref.path, self.image_size)
            except PictureError as error:
                errors.append(str(error))
                self.images_left_out[error.reason] += 1
                continue
            if not ref.view and header_view and header_view not in VIEW_CODES:
                self.images_left_out.add("view {}", header_view)
                continue
            grey = to_square(picture, self.image_size)
            modality, view = self._view(ref, header_view, grey)
            if view in set(View) - set(self.selection.views):
                self.images_left_out[f"view {view} not asked for"] += 1
                continue
            if modality is Modality.LATERAL:
                grey = self._turned(grey)
            pictures[modality].append(_Picture(view, encode_png(grey), picture_hash(grey)))
        return {m: sorted(found, key=_rank) for m, found in pictures.items()}, errors

    def _turned(self, grey: Image.Image) -> Image.Image:
        """A lateral, mirrored where it surely faces another way than it is to; which way laterals face is counted."""
        found = facing(grey)
        self.noticed[FACING.format(found) if found else UNSURE] += 1
        if self.face is None or found in (None, self.face):
            return grey
        self.noticed[MIRRORED.format(self.face)] += 1
        return mirrored(grey)

    def _view(self, ref: ImageRef, header_view: str, grey: Image.Image) -> tuple[Modality, str]:
        """From the table, else from the DICOM header, else predicted; where they disagree that is counted, as is what
        looks turned or inverted."""
        seen = look(grey)
        if wrong := wrong_way_round(seen):
            self.noticed[f"pictures that look {wrong}, taken as they are"] += 1
        header = VIEW_CODES.get(header_view)
        view = ref.view or header
        if ref.view and header and ref.view.modality is not header.modality:
            self.noticed[f"view {ref.view} in the table is {header} in the header (the table counts)"] += 1
        if not view:
            predicted = seen.modality
            return predicted, f"{predicted.upper()} {PREDICTED}"
        if other := other_view(seen, view.modality):
            place = "table" if ref.view else "header"
            self.noticed[f"view {view} of the {place} looks {other} to the classifier (the {place} counts)"] += 1
        return view.modality, str(view)


class _Picture(NamedTuple):
    """One picture of a row."""

    view: str
    png: bytes
    digest: bytes


def _rank(picture: _Picture) -> int:
    """Of the pictures of a view, the lowest is the first: PA, AP, others whose view is stated, those predicted."""
    ranks: dict[str, int] = {View.PA: 0, View.AP: 1}
    return 3 if picture.view.endswith(PREDICTED) else ranks.get(picture.view, 2)


def _columns(pictures: Mapping[Modality, list[_Picture]]) -> dict[str, list[Any]]:
    """Of a row: pictures, views and hashes of each view."""
    columns: dict[str, list[Any]] = {}
    for m, found in pictures.items():
        columns[f"{m}s"] = [{"bytes": p.png, "path": None} for p in found]
        columns[f"{m}_views"] = [p.view for p in found]
        columns[f"{m}_hashes"] = [p.digest for p in found]
    return columns
