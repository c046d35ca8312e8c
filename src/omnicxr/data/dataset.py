"""A prepared data set as training and evaluation see it."""

from __future__ import annotations

import json
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from omnicxr.data.checks import checked_shard
from omnicxr.data.files import sha256
from omnicxr.data.manifest import MANIFEST, Manifest
from omnicxr.data.shards import LABEL_COLUMNS, decode_picture
from omnicxr.domain import Modality, UserError
from omnicxr.domain.measures import MEASURES

Parts = dict[Modality, Any]
"""Modality => uint8 pictures [n, s, s], or a list of n reports."""


def take(parts: Parts, rows: np.ndarray) -> Parts:
    """Some of the studies, in the order of `rows`."""
    return {m: v[rows] if isinstance(v, np.ndarray) else [v[i] for i in rows] for m, v in parts.items()}


class PreparedDataset:
    """One split of a prepared data set, rows in a fixed order, pictures decoded when they are asked for.

    Raises UserError for a folder that is not a prepared data set, a split that has no studies, and a shard that is
    missing, damaged or another data set's.
    """

    def __init__(self, root: Path | str, split: str) -> None:
        self.root, self.split = Path(root), split
        self.manifest = Manifest.read(self.root)
        shards = [checked_shard(self.root, name, self.manifest) for name in self.manifest.shards_of(split)]
        if not shards:
            raise UserError(f"{self.root} has no studies in the split '{split}'.")
        self.table = pa.concat_tables(shards, promote_options="default")
        if len(self) != (wanted := self.manifest.splits.get(split, 0)):
            raise UserError(
                f"{self.root} has {len(self)} studies in the split '{split}', its manifest says {wanted}: delete"
                f" {MANIFEST} and run the command that made the data set again."
            )

    def __len__(self) -> int:
        return self.table.num_rows

    @property
    def image_size(self) -> int:
        """Side of the square pictures, pixels."""
        return int(self.manifest.options["image_size"])

    @cached_property
    def manifest_hash(self) -> str:
        """SHA-256 of manifest.json, which has the hashes of all shards."""
        return sha256(self.root / MANIFEST)

    def image(self, index: int, modality: Modality) -> np.ndarray:
        """uint8 [size, size]: the first picture of that view. Raises UserError for one that cannot be decoded."""
        where = f"{self.root}, study '{self.table.column('study_id')[index]}', {modality}"
        picture = self.table.column(f"{modality}s")[index][0]["bytes"].as_py()
        return decode_picture(picture, self.image_size, where=where)

    def images(self, modality: Modality, indices: np.ndarray | None = None) -> np.ndarray:
        """uint8 [n, size, size] of the studies that have the view."""
        chosen = self.having(modality) if indices is None else indices
        return np.stack([self.image(int(i), modality) for i in chosen])

    def parts(self, rows: np.ndarray, modalities: tuple[Modality, ...] = tuple(Modality)) -> Parts:
        """The parts of some studies, which must have them."""
        return {m: self.images(m, rows) if m.is_image else [self.reports[i] for i in rows] for m in modalities}

    @cached_property
    def reports(self) -> list[str]:
        """The text that stands for each study; empty where it has none."""
        return self.table.column("report").to_pylist()

    @cached_property
    def languages(self) -> list[str]:
        """Of each report, as ISO 639-1; data sets prepared before this was noted are English."""
        if "language" not in self.table.column_names:
            return ["en"] * len(self)
        return [language or "en" for language in self.table.column("language").to_pylist()]

    @cached_property
    def patients(self) -> np.ndarray:
        """str [n]: whose study it is."""
        return np.array(self.table.column("subject_id").to_pylist())

    @cached_property
    def labels(self) -> np.ndarray:
        """float32 [n, 14] with 1, 0, -1 and NaN for not mentioned."""
        columns = [self.table.column(c).to_numpy(zero_copy_only=False) for c in LABEL_COLUMNS.values()]
        return np.stack([c.astype(np.float32) for c in columns], axis=1)

    @cached_property
    def measures(self) -> np.ndarray | None:
        """float32 [n, measures]: the simulator's continuous truth (`MEASURES`), NaN for real studies; None where no
        study is simulated. Raises UserError for studies of a simulator that did not know all measures."""
        column = self.table.column("truth").to_pylist()
        if not any(column):
            return None
        unknown = dict.fromkeys(MEASURES, np.nan)
        found = [json.loads(t)["measures"] if t else unknown for t in column]
        if missing := set(MEASURES) - set.intersection(*map(set, found)):
            raise UserError(
                f"{self.root} has simulated studies without the measure '{min(missing)}': simulate and prepare them"
                " again."
            )
        return np.array([[values[name] for name in MEASURES] for values in found], np.float32)

    def common_parts(self, least: int) -> tuple[Modality, ...]:
        """All three modalities where at least so many studies have them, else the two that most studies have."""
        if len(self.having(*Modality)) >= least:
            return tuple(Modality)
        return max(combinations(Modality, 2), key=lambda pair: len(self.having(*pair)))

    @cached_property
    def available(self) -> np.ndarray:
        """bool [n, 3]: which studies have which modality, in the order of `Modality`."""
        has = []
        for m in Modality:
            if m.is_image:
                has.append(self.table.column(f"{m}_views").combine_chunks().value_lengths().to_numpy() > 0)
            else:
                has.append(np.array([bool(r) for r in self.reports]))
        return np.stack(has, axis=1)

    def having(self, *modalities: Modality) -> np.ndarray:
        """Indices of the studies that have all of these modalities."""
        columns = [list(Modality).index(m) for m in modalities]
        return np.nonzero(self.available[:, columns].all(axis=1))[0]
