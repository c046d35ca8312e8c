"""A reader study (visual Turing test): which studies are shown, and what the readers' answers say.

The page that readers see does not know what is real: that stands in `key.csv`, which stays with whoever runs the study.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest

from omnicxr.data.dataset import PreparedDataset
from omnicxr.data.files import whole_file
from omnicxr.data.table_files import read_table
from omnicxr.domain import Modality, UserError
from omnicxr.evaluation.measures import metrics
from omnicxr.evaluation.measures.uncertainty import estimate, mean_estimate

REAL, GENERATED = "real", "generated"
RATINGS = range(1, 6)
"""Realism, from 1 (not at all) to 5 (like any real one)."""
MOST_FOOLING = 6


@dataclass(frozen=True)
class Item:
    """One study that is shown."""

    item: str
    """Its number in the order of showing, which says nothing about what it is."""
    truth: str
    """REAL or GENERATED."""
    study_id: str
    row: int
    """In its data set."""


@dataclass(frozen=True)
class Vote:
    """What one reader said of one study."""

    reader: str
    item: str
    vote: str
    rating: int
    seconds: float


def choose_items(
    real: PreparedDataset, generated: PreparedDataset, parts: Sequence[Modality], num: int, seed: int
) -> list[Item]:
    """`num` real and `num` generated studies that have all `parts`, in random order. Raises UserError where there are
    too few."""
    rng = np.random.default_rng([seed, 11])
    chosen: list[tuple[str, str, int]] = []
    for truth, data in ((REAL, real), (GENERATED, generated)):
        rows = data.having(*parts)
        if len(rows) < num:
            raise UserError(
                f"{data.root} has {len(rows)} {data.split} studies with {' and '.join(parts)}, {num} are wanted: ask"
                " for fewer."
            )
        names = data.table.column("study_id").to_pylist()
        chosen += [(truth, names[i], int(i)) for i in rng.choice(rows, num, replace=False)]
    return [Item(str(n), *chosen[i]) for n, i in enumerate(rng.permutation(len(chosen)), 1)]


def study_name(items: Sequence[Item]) -> str:
    """Short name of a study, by which answers find their key."""
    return hashlib.sha256(json.dumps([(i.item, i.truth, i.study_id) for i in items]).encode()).hexdigest()[:12]


def write_key(items: Sequence[Item], path: Path) -> None:
    """The truth of every item."""
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("item", "truth", "study_id", "row"))
        writer.writerows((i.item, i.truth, i.study_id, i.row) for i in items)


def read_key(path: Path) -> list[Item]:
    """What `write_key` wrote."""
    return [
        Item(r["item"], r["truth"], r["study_id"], int(r["row"]))
        for r in read_table(path, ("item", "truth", "study_id", "row"))
    ]


def read_votes(paths: Sequence[Path], items: Sequence[Item]) -> list[Vote]:
    """The answers of all readers. Raises UserError for answers to another study, values that the page cannot write, and
    a study answered twice."""
    name, known = study_name(items), {i.item for i in items}
    votes: dict[tuple[str, str], Vote] = {}
    for path in paths:
        for row in read_table(path, ("study", "reader", "item", "vote", "rating", "seconds")):
            if row["study"] != name or row["item"] not in known:
                raise UserError(
                    f"{path} answers another reader study ({row['study']}, not {name}): give the key of that one."
                )
            vote = _vote(row, path)
            if votes.setdefault((vote.reader, vote.item), vote) is not vote:
                raise UserError(
                    f"{path}: the reader '{vote.reader}' answered study {vote.item} twice: keep one file of each"
                    " reader."
                )
    if not votes:
        raise UserError("The files hold no answers: download them on the last page of the study.")
    return list(votes.values())


def _vote(row: dict[str, str], path: Path) -> Vote:
    wrong = f"{path} has the vote '{row['vote']}' and the rating '{row['rating']}' for study {row['item']}"
    if row["vote"] not in (REAL, GENERATED) or row["rating"] not in map(str, RATINGS):
        raise UserError(f"{wrong}: votes are {REAL} or {GENERATED}, ratings 1 to 5.")
    try:
        return Vote(row["reader"].strip(), row["item"], row["vote"], int(row["rating"]), float(row["seconds"]))
    except ValueError:
        raise UserError(f"{path} has '{row['seconds']}' seconds for study {row['item']}: give a number.") from None


def analyse(items: Sequence[Item], votes: Sequence[Vote]) -> dict[str, Any]:
    """Accuracy, sensitivity (generated studies called generated), specificity, ratings and times: per reader and of all
    readers together.

    Per reader: Wilson's interval and an exact binomial test against guessing (0.5). All together: bootstrap over
    studies, each with the answers of all readers. Readers agree by the mean Cohen's kappa of all pairs on the studies
    that both answered.
    """
    truth = {i.item: i.truth for i in items}
    by_reader = {reader: [v for v in votes if v.reader == reader] for reader in sorted({v.reader for v in votes})}
    return {
        "study": study_name(items),
        "studies": len(items),
        "readers": {r: _of_one(given, truth, len(items)) for r, given in by_reader.items()},
        "together": _together(votes, truth),
        "agreement_of_readers": _agreement(by_reader),
        "most_fooling": _most_fooling(votes, truth),
    }


def _of_one(votes: list[Vote], truth: dict[str, str], wanted: int) -> dict[str, Any]:
    right = [v.vote == truth[v.item] for v in votes]
    test = binomtest(sum(right), len(right), 0.5)
    interval = test.proportion_ci(method="wilson")
    return {
        "answered": len(votes),
        "missing": wanted - len(votes),
        "accuracy": {"value": float(np.mean(right)), "low": interval.low, "high": interval.high},
        "p_value": float(test.pvalue),
        **{
            name: _mean(v.vote == t for v in votes if truth[v.item] == t)
            for name, t in (("sensitivity", GENERATED), ("specificity", REAL))
        },
        **{f"rating_of_{t}": _mean(v.rating for v in votes if truth[v.item] == t) for t in (REAL, GENERATED)},
        "median_seconds": float(np.median([v.seconds for v in votes])),
    }


def _mean(values: Iterator[Any]) -> float:
    found = list(values)
    return float(np.mean(found)) if found else float("nan")


def _together(votes: Sequence[Vote], truth: dict[str, str]) -> dict[str, Any]:
    shown = np.array([v.item for v in votes])
    real = np.array([truth[v.item] == REAL for v in votes])
    right = np.array([v.vote == truth[v.item] for v in votes], float)
    rating = np.array([v.rating for v in votes], float)
    out: dict[str, Any] = {"votes": len(votes), "accuracy": mean_estimate(right, shown).json()}
    if real.any() and not real.all():
        out["sensitivity"], out["specificity"] = (
            mean_estimate(right[rows], shown[rows]).json() for rows in (~real, real)
        )
        out["rating_of_real"], out["rating_of_generated"] = (
            mean_estimate(rating[rows], shown[rows]).json() for rows in (real, ~real)
        )
        out["rating_difference"] = estimate(
            lambda r, is_real: _difference(r, is_real > 0), rating, real.astype(float), patients=shown
        ).json()
    return out


def _difference(rating: np.ndarray, real: np.ndarray) -> float:
    return float(rating[real].mean() - rating[~real].mean()) if real.any() and not real.all() else float("nan")


def _agreement(by_reader: dict[str, list[Vote]]) -> float | None:
    kappas = []
    for a, b in combinations(by_reader.values(), 2):
        first, second = ({v.item: v.vote == GENERATED for v in votes} for votes in (a, b))
        both = sorted(set(first) & set(second))
        if both:
            kappas.append(metrics.kappa(*(np.array([[votes[i]] for i in both]) for votes in (first, second)))[0])
    return metrics.macro(np.array(kappas)) if kappas else None


def _most_fooling(votes: Sequence[Vote], truth: dict[str, str]) -> list[dict[str, Any]]:
    """Generated studies that most readers called real, the most first."""
    called = {item: [v.vote == REAL for v in votes if v.item == item] for item, t in truth.items() if t == GENERATED}
    shares = [
        {"item": item, "called_real": float(np.mean(v)), "votes": len(v)} for item, v in called.items() if v and any(v)
    ]
    return sorted(shares, key=lambda s: (-s["called_real"], int(s["item"])))[:MOST_FOOLING]
