"""manifest.json: what a prepared data set holds, what became of every study, and the hash of each shard.

It is written last, so a folder that has one is whole.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args, get_origin, get_type_hints

from omnicxr.data.duplicates import find_copies
from omnicxr.data.files import sha256, write_json
from omnicxr.data.plain_files import plain_file
from omnicxr.data.shards import read_notes, read_shard
from omnicxr.domain import IMAGE_MODALITIES, SPLITS, Modality, UserError

MANIFEST = "manifest.json"
FORMAT, READABLE = 3, (2, 3)
"""2 had no column `language`."""
SHARD = re.compile(rf"(?:{'|'.join(SPLITS)})-\d+\.parquet")
"""The name of a shard: never a path."""
COPIES_LISTED, UNREADABLE_LISTED = 200, 1000
COUNTS = ("dropped", "sources", "modalities", "views", "images_left_out", "noticed")
"""Fields that are sorted tables of counts."""
VIEW_COLUMNS = [f"{m}_{column}" for m in IMAGE_MODALITIES for column in ("views", "hashes")]
COLUMNS = ("split", "source", "study_id", "report", *VIEW_COLUMNS)
"""Of the shards, as far as they are counted."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Each study that was seen is in `studies` or in `dropped`."""

    studies_seen: int
    dropped: dict[str, int]
    """Reason => studies."""
    studies: int
    splits: dict[str, int]
    sources: dict[str, int] = field(default_factory=dict)
    modalities: dict[str, int] = field(default_factory=dict)
    """frontal+lateral+report, ... => studies that have just these."""
    views: dict[str, int] = field(default_factory=dict)
    images_left_out: dict[str, int]
    """Reason => pictures."""
    noticed: dict[str, int] = field(default_factory=dict)
    """What is odd in studies that are used, and which studies have several pictures of a view => how often."""
    warnings: list[str] = field(default_factory=list)
    """What to look at before a model is trained on this, known before pictures are read."""
    unreadable: list[dict[str, str]] = field(default_factory=list)
    """study_id and error of each picture that cannot be read or shows no radiograph; the first of them."""
    copies_across_splits: dict[str, Any] = field(default_factory=dict)
    """exact and near: how many pictures have a copy in another split; the first of them listed."""
    options: dict[str, Any] = field(default_factory=dict)
    """What it was prepared with."""
    shards: dict[str, str] = field(default_factory=dict)
    """File name => SHA-256; "" where it was not noted."""
    synthetic: dict[str, Any] = field(default_factory=dict)
    """How a synthetic data set was generated; empty for any other."""

    @classmethod
    def read(cls, root: Path) -> Manifest:
        """That of a prepared data set. Raises UserError for a folder that is none, a damaged manifest, and one of a
        format that this version does not read."""
        path = root / MANIFEST
        try:
            if path.exists():
                plain_file(path)
            found = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(found, dict) and found.get("format", FORMAT) not in READABLE:
                readable = " and ".join(map(str, READABLE))
                raise UserError(
                    f"{path} has format {found['format']!r}, this version reads {readable}: prepare the data again,"
                    " or use the version that made them."
                )
            return cls(**_checked(found))
        except (FileNotFoundError, NotADirectoryError):
            raise UserError(
                f"{root} is not a prepared data set ({MANIFEST} is missing): run `omnicxr prepare` first."
            ) from None
        except OSError as error:
            raise UserError(f"{path} cannot be read ({error.strerror or error}): check its permissions.") from error
        except (ValueError, RecursionError) as error:
            raise UserError(
                f"{path} is damaged ({error}): delete it and run the command that made the data set again."
            ) from error

    def write(self, root: Path) -> None:
        """Put it beside its shards."""
        values = {"format": FORMAT, **asdict(self)}
        if not self.synthetic:
            del values["synthetic"]
        write_json(root / MANIFEST, values)

    def shards_of(self, split: str) -> list[str]:
        """Names of the shards of a split, in order."""
        return [name for name in sorted(self.shards) if name.startswith(f"{split}-")]


def _checked(found: Any) -> dict[str, Any]:
    """The fields of a manifest, out of JSON. Raises ValueError saying what is not as it must be."""
    if not isinstance(found, dict):
        raise ValueError("it is no JSON object")
    if "format" not in found:
        raise ValueError("it has no 'format'")
    hints = get_type_hints(Manifest)
    for f in fields(Manifest):
        if f.name not in found:
            if f.default is MISSING and f.default_factory is MISSING:
                raise ValueError(f"it has no '{f.name}'")
        elif not _fits(found[f.name], hints[f.name]):
            raise ValueError(f"its '{f.name}' does not hold what it must")
    options, copies = found.get("options", {}), found.get("copies_across_splits", {})
    if not _fits(size := options.get("image_size"), int) or size < 1:
        raise ValueError(f"its image_size is {size!r}")
    if copies and not (_fits(copies.get("exact"), int) and _fits(copies.get("near"), int) and "listed" in copies):
        raise ValueError("its 'copies_across_splits' do not hold what they must")
    shards = found.get("shards", {})
    if wrong := [name for name in shards if not SHARD.fullmatch(name)]:
        raise ValueError(f"'{wrong[0]}' is not the name of a shard")
    if unnamed := [s for s, n in found["splits"].items() if n and not any(x.startswith(f"{s}-") for x in shards)]:
        raise ValueError(f"it names no shard of the split '{unnamed[0]}', which has studies")
    return {name: found[name] for name in hints if name in found}


def _fits(value: Any, kind: Any) -> bool:
    """Whether JSON is of a type; whole numbers are counts, from 0."""
    inner = get_args(kind)
    if get_origin(kind) is dict:
        return isinstance(value, dict) and all(_fits(v, inner[1]) for v in value.values())
    if get_origin(kind) is list:
        return isinstance(value, list) and all(_fits(v, inner[0]) for v in value)
    if kind is int:
        return type(value) is int and value >= 0
    return kind is Any or isinstance(value, kind)


def write_manifest(
    out: Path,
    shards: Sequence[Path],
    *,
    options: Mapping[str, Any],
    studies_seen: int,
    dropped: Mapping[str, int],
    images_left_out: Mapping[str, int],
    noticed: Mapping[str, int] = MappingProxyType({}),
    warnings: Sequence[str] = (),
    synthetic: Mapping[str, Any] | None = None,
) -> Manifest:
    """Add up the shards, of which each has its own notes, and write the manifest of a data set that is whole now.

    `dropped`, `images_left_out` and `noticed` count what did not reach a shard, `warnings` are the manifest's.
    """
    tally = _Tally()
    tally.counts["dropped"].update(dropped)
    tally.counts["images_left_out"].update(images_left_out)
    tally.counts["noticed"].update(noticed)
    for shard in shards:
        tally.add(shard)
    counts = {name: dict(sorted(tally.counts[name].items())) for name in COUNTS}
    splits = tally.counts["splits"]
    manifest = Manifest(
        studies_seen=studies_seen,
        studies=splits.total(),
        splits={s: splits[s] for s in SPLITS},
        warnings=list(warnings),
        unreadable=sorted(tally.unreadable, key=lambda note: note["study_id"])[:UNREADABLE_LISTED],
        copies_across_splits=tally.copies(),
        options=json.loads(json.dumps(options)),
        shards={shard.name: sha256(shard) for shard in shards},
        synthetic=dict(synthetic or {}),
        **counts,
    )
    assert manifest.studies + sum(manifest.dropped.values()) == studies_seen
    manifest.write(out)
    return manifest


class _Tally:
    """What shards hold, added up."""

    def __init__(self) -> None:
        self.counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        """By the fields of the manifest."""
        self.unreadable: list[dict[str, str]] = []
        self.hashes: list[bytes] = []
        self.owners: list[tuple[str, str]] = []
        """Split and study of each of `hashes`."""

    def add(self, shard: Path) -> None:
        """The rows of a shard, and its notes."""
        notes = read_notes(shard)
        self.counts["images_left_out"].update(notes["images_left_out"])
        self.counts["noticed"].update(notes.get("noticed", {}))
        for note in notes["dropped"]:
            self.counts["dropped"][note["reason"]] += 1
            if error := note.get("error"):  # of shards that an older version began
                self.unreadable.append({"study_id": note["study_id"], "error": error})
        self.unreadable += notes.get("unreadable", [])
        for row in read_shard(shard, COLUMNS).to_pylist():
            self.counts["splits"][row["split"]] += 1
            self.counts["sources"][row["source"]] += 1
            there = [m for m in Modality if row[f"{m}_views" if m.is_image else "report"]]
            self.counts["modalities"]["+".join(there)] += 1
            for m in IMAGE_MODALITIES:
                self.counts["views"].update(row[f"{m}_views"])
                self.hashes += row[f"{m}_hashes"]
                self.owners += [(row["split"], row["study_id"])] * len(row[f"{m}_hashes"])

    def copies(self) -> dict[str, Any]:
        """Pictures that are in two splits."""
        found = find_copies(self.hashes, [split for split, _ in self.owners])
        listed = [
            {"studies": ["/".join(self.owners[i]), "/".join(self.owners[j])], "differing_bits": max(bits, 0)}
            for i, j, bits in found[:COPIES_LISTED]
        ]
        exact = sum(bits < 0 for _, _, bits in found)
        return {"exact": exact, "near": len(found) - exact, "listed": listed}
