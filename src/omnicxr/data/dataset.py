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
from omnicxr.domain import IMAGE_MODALITIES, Modality, UserError
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
            raise UserError(
                f"{self.root} has no studies in the split '{split}': name patients of it in the data set's split table"
                " or column and prepare again (without one, a hash of the patient gives 5 % to validate, 10 % to test)."
            )
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

    def image(self, place: int, modality: Modality) -> np.ndarray:
        """uint8 [size, size]: a picture by its place (`places`); the row of a study is that of its first picture.
        Raises UserError for one that cannot be decoded."""
        row, number = (int(n) for n in self._pictures[modality][place])
        where = f"{self.root}, study '{self.table.column('study_id')[row]}', {modality}"
        picture = self.table.column(f"{modality}s")[row][number]["bytes"].as_py()
        return decode_picture(picture, self.image_size, where=where)

    def images(self, modality: Modality, places: np.ndarray | None = None) -> np.ndarray:
        """uint8 [n, size, size]; the first picture of every study that has the view where no places are given."""
        chosen = self.having(modality) if places is None else places
        return np.stack([self.image(int(i), modality) for i in chosen])

    def parts(
        self,
        rows: np.ndarray,
        modalities: tuple[Modality, ...] = tuple(Modality),
        *,
        rng: np.random.Generator | None = None,
    ) -> Parts:
        """The parts of some studies, which must have them: of several pictures of a view the first, or one drawn by
        `rng`."""
        return {
            m: self.images(m, self.drawn(rows, m, rng)) if m.is_image else [self.reports[i] for i in rows]
            for m in modalities
        }

    @cached_property
    def _further(self) -> dict[Modality, tuple[np.ndarray, np.ndarray]]:
        """int [n] twice: how many pictures each study has beyond the first one of a view, and the first place of
        these."""
        further = {m: np.maximum(count - 1, 0) for m, count in self._counts.items()}
        return {m: (count, len(self) + count.cumsum() - count) for m, count in further.items()}

    @cached_property
    def _pictures(self) -> dict[Modality, np.ndarray]:
        """int [places, 2]: study of each place, and number of the picture among those of the study."""
        first = np.stack([np.arange(len(self)), np.zeros(len(self), int)], 1)
        more = {
            m: [(row, number) for row in np.nonzero(count)[0] for number in range(1, count[row] + 1)]
            for m, (count, _) in self._further.items()
        }
        return {m: np.concatenate([first, np.array(found, int).reshape(-1, 2)]) for m, found in more.items()}

    def places(self, modality: Modality) -> np.ndarray:
        """int: of everything of that modality. The rows of the studies that have it are the places of their reports and
        of their first pictures; those of further pictures, study by study, begin at the number of studies."""
        further = len(self._pictures[modality]) - len(self) if modality.is_image else 0
        return np.concatenate([self.having(modality), len(self) + np.arange(further)])

    def drawn(self, rows: np.ndarray, modality: Modality, rng: np.random.Generator | None) -> np.ndarray:
        """int [rows]: the place of one of the pictures of each study, each as likely; the first without `rng`."""
        if rng is None or not modality.is_image:
            return rows
        further, begin = self._further[modality]
        number = rng.integers(0, further[rows] + 1)
        return np.where(number == 0, rows, begin[rows] + number - 1)

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
        has = [self._counts[m] > 0 if m.is_image else np.array([bool(r) for r in self.reports]) for m in Modality]
        return np.stack(has, axis=1)

    @cached_property
    def _counts(self) -> dict[Modality, np.ndarray]:
        """int [n]: pictures of each study."""
        views = {m: self.table.column(f"{m}_views").combine_chunks() for m in IMAGE_MODALITIES}
        return {m: np.asarray(column.value_lengths(), int) for m, column in views.items()}

    def having(self, *modalities: Modality) -> np.ndarray:
        """Indices of the studies that have all of these modalities."""
        columns = [list(Modality).index(m) for m in modalities]
        return np.nonzero(self.available[:, columns].all(axis=1))[0]
