"""What a model makes of real radiographs: `python -m benchmarks.real_films --out DIR [--model DIR] [--nih FOLDER]
[--openi FOLDER] [--simulated PREP] [--num N]`.

Films of ChestX-ray14 and Open-I (both views and frontal alone) are given, a report of each is generated, and what it
states is compared with the labels of the film; beside it what the judge of the model sees in the films, and what the
door says of them. FOLDER is a download, which is prepared into OUT first, or prepared data; what is absent is skipped,
and said. `--simulated` gives held-out simulated studies to compare with.

Films are taken in the order of the split, test first, and within it of the SHA-256 of the patient: N of them, so that
any two models are measured on the same ones. Reports are kept in OUT: the same command goes on where it was ended.
OUT/real_films.json and OUT/real_films.md hold the figures.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from omnicxr.data.dataset import Parts, PreparedDataset
from omnicxr.data.files import claim, write_json, write_text
from omnicxr.data.manifest import MANIFEST, Manifest
from omnicxr.data.prepare import PrepareConfig, prepare
from omnicxr.data.selection import Selection
from omnicxr.data.sources.nih import LABELS
from omnicxr.data.typed_json import to_json
from omnicxr.domain import IMAGE_MODALITIES, SPLITS, Finding, Modality, Task, UserError
from omnicxr.domain.notes import Fit
from omnicxr.evaluation.generation import ModelGenerations
from omnicxr.evaluation.layout import Columns, Table, markdown, number, table
from omnicxr.evaluation.measures import clinical, metrics
from omnicxr.evaluation.measures.uncertainty import Estimate, estimate, mean_estimate
from omnicxr.evaluation.noticed import Noticed
from omnicxr.evaluation.readers.panel import stated_findings
from omnicxr.evaluation.references import derangement
from omnicxr.models.folder import BUNDLED, load_judge, model_hash
from omnicxr.models.judge import Judge
from omnicxr.pipeline import AnyToAnyPipeline

REAL_DATA = Path(os.environ.get("OMNICXR_REAL_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
TASKS = (Task.parse("frontal->report"), Task.parse("frontal+lateral->report"))
OF_NIH = frozenset(LABELS.values())
"""The findings that ChestX-ray14's labels have, and the gold labels of Open-I too."""
GOLD = {("normal" if name == "No Finding" else name): finding for name, finding in LABELS.items()}
"""Columns of `openi_gld_std14.csv` => findings."""
NORMAL = list(Finding).index(Finding.NO_FINDING)
ILL = np.array([f not in (Finding.NO_FINDING, Finding.SUPPORT_DEVICES) for f in Finding])
"""bool [14]: what a report of a normal film must not state; a tube or line it may."""
GOLD_TABLE = "openi_gld_std14.csv"
FITS = (Fit.AS_KNOWN, Fit.UNLIKE, Fit.NOT_USABLE)
ORDER = ("test", "validate", "train")
BATCH, SHUFFLES = 32, 20


@dataclass(frozen=True, kw_only=True)
class Labels:
    """What films have, as one source of truth says."""

    source: str
    positive: np.ndarray
    """bool [n, 14]."""
    known: np.ndarray
    """bool [14]: the findings that the source knows."""
    rows: np.ndarray
    """int: the films that it says something of."""


@dataclass(frozen=True, kw_only=True)
class Films:
    """Films of one source, in a fixed order."""

    source: str
    parts: Parts
    patients: np.ndarray
    views: np.ndarray
    """str [n]: the code of the frontal view."""
    splits: dict[str, int]
    """How many lie in which split."""
    labels: tuple[Labels, ...]


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One line of the table: what reports of some films state against one source of labels."""

    source: str
    films: str
    """Which of the source's films: all, or those of a view."""
    task: Task
    labels: str
    n: int
    normal: int
    """Films without a finding (tubes and lines are none)."""
    stated_of_normal: Estimate
    """Share of these whose report states a finding."""
    stated_of_others: Estimate
    """The same of the other films."""
    f1: Estimate
    """Micro-F1 over the findings that the labels know, "No Finding" left out: always-normal has 0."""
    f1_shuffled: Estimate
    """Of reports of other films: the mean of `SHUFFLES` orders."""
    f1_with_normal: Estimate
    """The same F1s with "No Finding" as one of the findings."""
    f1_with_normal_shuffled: Estimate
    f1_with_normal_always_normal: Estimate
    auroc: dict[Modality, Estimate]
    """The judge's macro-AUROC on the views that are given."""


@dataclass(frozen=True, kw_only=True)
class Door:
    """What the door calls the films that are given for one task."""

    source: str
    films: str
    task: Task
    noticed: Noticed


@dataclass(frozen=True, kw_only=True)
class RealFilms:
    """Everything in real_films.json."""

    model_hash: str
    films: dict[str, dict[str, int]]
    """Source => films in each split."""
    figures: list[Figures]
    door: list[Door]
    """Empty where the pipeline takes no notes."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Reports of real radiographs against their labels.")
    parser.add_argument("--out", type=Path, required=True, help="folder for reports and figures; run again to resume")
    parser.add_argument("--model", type=Path, default=BUNDLED)
    parser.add_argument("--nih", type=Path, default=REAL_DATA / "nih", help="ChestX-ray14, as downloaded or prepared")
    parser.add_argument("--openi", type=Path, default=REAL_DATA / "openi", help="Open-I, as downloaded or prepared")
    parser.add_argument("--simulated", type=Path, help="prepared simulated data, to compare with")
    parser.add_argument("--num", type=int, default=312, help="films of each source at most")
    return parser.parse_args()


def prepared(kind: str, folder: Path, out: Path, *, image_size: int) -> Path | None:
    """The prepared form of a folder; None, and a line that says why, where there is nothing to prepare."""
    if (folder / MANIFEST).is_file():
        return folder
    both = Selection(require=tuple(Modality), text="findings")
    config = PrepareConfig(kind=kind, image_size=image_size, selection=both if kind == "openi" else Selection())
    try:
        found = prepare(config, folder, out / "prepared" / kind)
    except UserError as error:
        print(f"{kind} is skipped: {error}")
        return None
    if not found.studies:
        print(f"{kind} is skipped: nothing in {folder} can be used ({dict(found.dropped)}).")
        return None
    return out / "prepared" / kind


def read_films(source: str, prep: Path, modalities: tuple[Modality, ...], *, num: int, gold: Path | None) -> Films:
    """`num` films at most of the studies that have all of `modalities`."""
    found = []
    for split in sorted((s for s in SPLITS if Manifest.read(prep).splits.get(s)), key=ORDER.index):
        data = PreparedDataset(prep, split)
        rows = sorted(data.having(*modalities), key=lambda i: hashlib.sha256(str(data.patients[i]).encode()).digest())
        if rows := rows[: num - sum(len(r) for _, r in found)]:
            found.append((data, np.array(rows)))
    if not found:
        raise UserError(f"{prep} has no study with {' and '.join(modalities)}.")
    parts = [data.parts(rows, tuple(m for m in modalities if m.is_image)) for data, rows in found]
    labels = np.concatenate([data.labels[rows] for data, rows in found])
    ids = [s for data, rows in found for s in data.table.column("study_id").take(rows).to_pylist()]
    known = np.isin(list(Finding), list(OF_NIH)) if source == "ChestX-ray14" else np.ones(len(Finding), bool)
    by = {"ChestX-ray14": "its table", "Open-I": "labeler, of its reports"}.get(source, "the simulator")
    own = Labels(source=by, positive=labels == 1, known=known, rows=np.arange(len(labels)))
    return Films(
        source=source,
        parts={m: np.concatenate([p[m] for p in parts]) for m in modalities if m.is_image},
        patients=np.concatenate([data.patients[rows] for data, rows in found]),
        views=np.array([codes[0] for d, r in found for codes in d.table.column("frontal_views").take(r).to_pylist()]),
        splits={data.split: len(rows) for data, rows in found},
        labels=(own, gold_labels(gold, ids)) if gold else (own,),
    )


def gold_labels(path: Path, ids: list[str]) -> Labels:
    """NegBio's labels of Open-I reports (Peng et al. 2018) for the studies that it has."""
    with path.open(encoding="utf-8", newline="") as file:
        gold = {row["filename"].removeprefix("CXR"): row for row in csv.DictReader(file)}
    positive = np.zeros((len(ids), len(Finding)), bool)
    for i, study in enumerate(ids):
        for column, finding in GOLD.items():
            positive[i, list(Finding).index(finding)] |= gold.get(study, {}).get(column) == "1"
    rows = np.array([i for i, study in enumerate(ids) if study in gold], int)
    known = np.isin(list(Finding), list(OF_NIH))
    return Labels(source="gold, of its MeSH terms", positive=positive, known=known, rows=rows)


@torch.no_grad()
def judge_scores(judge: Judge, pipe: AnyToAnyPipeline, view: Modality, pictures: np.ndarray) -> np.ndarray:
    """[n, 14] finding probabilities."""
    chunks = (list(pictures[i : i + BATCH]) for i in range(0, len(pictures), BATCH))
    return torch.cat([judge(view, pipe.network_input(view, x))[0] for x in chunks]).float().sigmoid().numpy()


def figures_of(
    films: Films,
    chosen: np.ndarray,
    name: str,
    *,
    task: Task,
    labels: Labels,
    stated: np.ndarray,
    scores: dict[Modality, np.ndarray],
) -> Figures:
    """Of some films: rows `chosen`, as far as the labels say something of them."""
    rows = np.intersect1d(chosen, labels.rows)
    truth, said, patients = labels.positive[rows], stated[rows], films.patients[rows]
    orders = [derangement(len(rows), shift=i) for i in range(1, min(SHUFFLES, len(rows) - 1) + 1)]
    others, for_everyone = np.stack([said[order] for order in orders], axis=1), np.zeros_like(said)
    for_everyone[:, NORMAL] = True
    findings = labels.known.copy()
    findings[NORMAL] = False
    ill, says = np.asarray(truth[:, ILL].any(1)), np.asarray(said[:, ILL].any(1))
    healthy = truth[:, NORMAL] & ~ill

    def f1(found: np.ndarray, known: np.ndarray) -> Estimate:
        return estimate(metrics.micro_f1, truth[:, known], found[:, known], patients=patients)

    def f1_of_others(known: np.ndarray) -> Estimate:
        return estimate(_mean_f1, truth[:, known], others[:, :, known], patients=patients)

    def share(of: np.ndarray) -> Estimate:
        if not of.any():
            return Estimate(*3 * [float("nan")])
        return mean_estimate(says[of].astype(float), patients[of])

    return Figures(
        source=films.source,
        films=name,
        task=task,
        labels=labels.source,
        n=len(rows),
        normal=int(healthy.sum()),
        stated_of_normal=share(healthy),
        stated_of_others=share(~healthy),
        f1=f1(said, findings),
        f1_shuffled=f1_of_others(findings),
        f1_with_normal=f1(said, labels.known),
        f1_with_normal_shuffled=f1_of_others(labels.known),
        f1_with_normal_always_normal=f1(for_everyone, labels.known),
        auroc={
            m: estimate(partial(_macro, known=labels.known), truth, s[rows], patients=patients)
            for m, s in scores.items()
            if m in task.given
        },
    )


def _mean_f1(truth: np.ndarray, found: np.ndarray) -> float:
    """bool [n, findings] and [n, k, findings]: the mean over k."""
    return float(np.mean([metrics.micro_f1(truth, found[:, i]) for i in range(found.shape[1])]))


def _macro(truth: np.ndarray, scores: np.ndarray, *, known: np.ndarray) -> float:
    return clinical.macro_auroc(truth[:, known], scores[:, known])


def subsets(films: Films) -> Iterator[tuple[str, np.ndarray]]:
    """All films, and those of each frontal view where there are several: view confounds labels."""
    yield "all", np.arange(len(films.views))
    if len(codes := sorted(set(films.views))) > 1:
        for code in codes:
            yield code, np.nonzero(films.views == code)[0]


def measure(pipe: AnyToAnyPipeline, judge: Judge, films: Films, out: Path) -> tuple[list[Figures], list[Door]]:
    """A line for each task, subset and source of labels."""
    scores = {m: judge_scores(judge, pipe, m, films.parts[m]) for m in IMAGE_MODALITIES if m in films.parts}
    figures, door = [], []
    for task in (t for t in TASKS if set(t.given) <= set(films.parts)):
        print(f"{films.source}, {task}: {len(films.views)} films", flush=True)
        generations = ModelGenerations(pipe, {m: films.parts[m] for m in task.given}, out, seed=0)
        stated = stated_findings(generations.task(task)[Modality.REPORT])
        noticed = generations.noticed(task)
        for name, chosen in subsets(films):
            figures += [
                figures_of(films, chosen, name, task=task, labels=labels, stated=stated, scores=scores)
                for labels in films.labels
            ]
            if noticed:
                counts = Noticed.of([noticed[i] for i in chosen], reports=True)
                door.append(Door(source=films.source, films=name, task=task, noticed=counts))
    return figures, door


FIGURES: Columns[Figures] = {
    "films": lambda f: f.films,
    "task": lambda f: str(f.task),
    "labels": lambda f: f.labels,
    "n": lambda f: str(f.n),
    "normal": lambda f: str(f.normal),
    "finding stated, normal films": lambda f: number(f.stated_of_normal, 2),
    "finding stated, others": lambda f: number(f.stated_of_others, 2),
    "F1": lambda f: f.f1,
    "F1, shuffled": lambda f: f.f1_shuffled.value,
    "F1 with normal": lambda f: f.f1_with_normal,
    "shuffled": lambda f: f.f1_with_normal_shuffled.value,
    "always-normal": lambda f: f.f1_with_normal_always_normal.value,
    **{f"judge's AUROC, {v}": lambda f, v=v: f.auroc.get(v) for v in IMAGE_MODALITIES},
}
FIGURES_NOTE = (
    "Finding stated: share of films whose generated report states a finding, devices left out, of normal films and of"
    " the others (where all or none do, resampling gives no width: then the rest is below 3 / n)."
    " F1: micro, over the findings that the labels know; always-normal, a normal report for everyone, has 0. F1 with"
    ' normal: with "No Finding" as one of the findings. Shuffled: reports of other films, mean of 20 orders.'
    " AUROC: macro over findings with at least 5 positive and 5 negative films; 0.5 is chance. Intervals:"
    " 95 %, over patients."
)


def _share(view: Modality, fit: Fit) -> Callable[[Door], float | None]:
    return lambda d: d.noticed.picture_share(view, (fit,))


DOOR: Columns[Door] = {
    "films": lambda d: d.films,
    "task": lambda d: str(d.task),
    "n": lambda d: str(d.noticed.studies),
    **{f"{view}: {fit}": _share(view, fit) for view in IMAGE_MODALITIES for fit in FITS},
    "report contradicted itself": lambda d: d.noticed.contradicted / d.noticed.studies,
}
DOOR_NOTE = (
    "Share of films that are called as known, unlike what the model has seen, or not usable, of those that were"
    " checked; and of reports from which something that contradicted the rest was left out."
)


def tables(result: RealFilms) -> list[Table]:
    """The two tables, the second only where the pipeline takes notes."""
    figures = table(
        "On real radiographs", FIGURES, [(f.source, f) for f in result.figures], note=FIGURES_NOTE, first="source"
    )
    door = table("What the door says", DOOR, [(d.source, d) for d in result.door], note=DOOR_NOTE, first="source")
    return [t for t in (figures, door) if t.rows]


def main() -> None:
    asked = arguments()
    pipe = AnyToAnyPipeline.from_pretrained(asked.model)
    judge = load_judge(asked.model, pipe.tokenizer)
    claim(asked.out / "settings.json", {"model": model_hash(asked.model), "num": asked.num}, what="a benchmark")
    nih = prepared("nih", asked.nih, asked.out, image_size=pipe.image_size)
    openi = prepared("openi", asked.openi, asked.out, image_size=pipe.image_size)
    every, figures, door, splits = tuple(Modality), [], [], {}
    for source, prep, modalities in (
        ("ChestX-ray14", nih, (Modality.FRONTAL,)),
        ("Open-I", openi, every),
        ("simulated", asked.simulated, every),
    ):
        if prep is None:
            continue
        gold = next((p for f in (asked.openi, REAL_DATA / "openi") if (p := f / GOLD_TABLE).is_file()), None)
        films = read_films(source, prep, modalities, num=asked.num, gold=gold if source == "Open-I" else None)
        splits[source] = films.splits
        new, noticed = measure(pipe, judge, films, asked.out / "reports" / source)
        figures += new
        door += noticed
    result = RealFilms(model_hash=model_hash(asked.model), films=splits, figures=figures, door=door)
    write_json(asked.out / "real_films.json", to_json(result))
    write_text(asked.out / "real_films.md", markdown(tables(result)))
    print(markdown(tables(result)))


if __name__ == "__main__":
    main()
