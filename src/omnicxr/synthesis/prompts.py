"""What synthetic studies are generated from: studies of a prepared data set, a table of sentences, or sentences
composed by the simulator's grammar."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np

from omnicxr.data.dataset import PreparedDataset
from omnicxr.data.labeler import LANGUAGE, label_report
from omnicxr.data.seeds import derived_seed
from omnicxr.data.sources.base import sex, years
from omnicxr.data.table_files import read_table
from omnicxr.domain import Finding, Labels, Modality, Task, UserError
from omnicxr.domain.settings import Between, Settings
from omnicxr.simulation.population import sample_truth
from omnicxr.simulation.report import write_report

MAX_WORDS = 400
"""A longer prompt is a mistake (a file instead of a report): models read far fewer words."""
MAX_STUDIES = 10_000_000
COMPOSED = 2000
"""Sentences that are composed where no other prompts are given."""
COMPOSED_FROM = "composed apart from simulated studies"
"""Stands for their hash; earlier versions, whose sentences were those of `simulate`, said "composed"."""


@dataclass(frozen=True, kw_only=True)
class Prompts:
    """One row per prompt; parts that are not given are empty."""

    names: list[str]
    """study_id in the data set, or the row of the table."""
    reports: list[str]
    labels: np.ndarray
    """float32 [n, 14] with 1, 0, -1 and NaN for not mentioned."""
    ages: list[float | None]
    sexes: list[str | None]
    data: PreparedDataset | None = None
    rows: np.ndarray | None = None
    """Where the pictures of each prompt lie, if the task is given any."""

    def __len__(self) -> int:
        return len(self.names)

    def language(self, index: int) -> str:
        """Of the report of one prompt, as ISO 639-1."""
        return self.data.languages[int(self.rows[index])] if self.data and self.rows is not None else LANGUAGE

    def given(self, index: int, task: Task) -> dict[str, Any]:
        """What the pipeline is given for one prompt."""
        out: dict[str, Any] = {}
        for m in task.given:
            if m.is_image:
                assert self.data is not None and self.rows is not None
                out[str(m)] = self.data.image(int(self.rows[index]), m)
            else:
                out[str(m)] = self.reports[index]
        return out


def prompts_for(task: Task, *, data: Path | None, split: str, table: Path | None, seed: int) -> Prompts:
    """The prompts of a task. Raises UserError for prompts that cannot be used, and for a task whose pictures nothing
    provides."""
    if data is not None and table is not None:
        raise UserError("Prompts come either from a data set or from a table: leave one of --data and --prompts out.")
    if data is not None:
        return from_dataset(PreparedDataset(data, split), task)
    if pictures := [m for m in task.given if m.is_image]:
        raise UserError(
            f"The task {task} needs a {pictures[0]} view for every study: name a prepared data set with --data."
        )
    return from_table(table) if table is not None else composed(COMPOSED, seed)


def from_dataset(data: PreparedDataset, task: Task) -> Prompts:
    """The studies that have everything that the task is given."""
    rows = data.having(*task.given) if task.given else np.arange(len(data))
    if len(rows) == 0:
        raise UserError(
            f"No {data.split} study of {data.root} has {' and '.join(task.given)}: choose another task or split."
        )
    columns = {c: data.table.column(c).to_pylist() for c in ("study_id", "report", "age", "sex")}
    picked = {c: [values[i] for i in rows] for c, values in columns.items()}
    prompts = Prompts(
        names=picked["study_id"],
        reports=[report or "" for report in picked["report"]],
        labels=data.labels[rows],
        ages=picked["age"],
        sexes=picked["sex"],
        data=data,
        rows=rows,
    )
    if Modality.REPORT in task.given:
        _check(prompts, str(data.root))
    return prompts


def from_table(path: Path) -> Prompts:
    """A CSV or Parquet table with the column `report`, and optionally study_id, age, sex and the 14 findings; a finding
    without a label is read from the text."""
    rows = list(read_table(path, ("report",), ("study_id", "age", "sex", *Finding)))
    prompts = Prompts(
        names=[row.get("study_id") or str(i + 1) for i, row in enumerate(rows)],
        reports=[row["report"].strip() for row in rows],
        labels=np.array([_labels(row, f"{path}, row {i + 1}") for i, row in enumerate(rows)], np.float32),
        ages=[years(row.get("age", "")) for row in rows],
        sexes=[sex(row.get("sex", "")) for row in rows],
    )
    _check(prompts, str(path))
    return prompts


def composed(count: int, seed: int) -> Prompts:
    """Impressions by the simulator's grammar, at its frequencies of findings: other studies than `simulate` makes with
    the same seed."""
    own = derived_seed(seed, "prompts")
    truths = [sample_truth(own, i) for i in range(count)]
    written = [write_report(t) for t in truths]
    return Prompts(
        names=[f"composed-{i}" for i in range(count)],
        reports=[r.impression for r in written],
        labels=np.array([label_values(r.labels) for r in written], np.float32),
        ages=[float(t.anatomy.age) for t in truths],
        sexes=[t.anatomy.sex for t in truths],
    )


def label_values(labels: Labels) -> list[float]:
    """1, 0, -1 or NaN for each of the 14 findings."""
    return [np.nan if (state := labels.get(f)) is None else float(state) for f in Finding]


def _labels(row: dict[str, str], where: str) -> list[float]:
    out = []
    for f, stated in zip(Finding, label_values(label_report(row["report"])), strict=True):
        text = row.get(f, "").strip()
        try:
            value = float(text) if text else stated
        except ValueError:
            value = np.inf
        if value not in (1, 0, -1) and not np.isnan(value):
            raise UserError(f"{where}: '{text}' is not a label of {f}: write 1, 0, -1 or leave it blank.")
        out.append(value)
    return out


def _check(prompts: Prompts, where: str) -> None:
    for name, report in zip(prompts.names, prompts.reports, strict=True):
        if not report.strip():
            raise UserError(f"{where}: the prompt of '{name}' is empty: write a report, or leave the row out.")
        if (words := len(report.split())) > MAX_WORDS:
            raise UserError(f"{where}: the prompt of '{name}' has {words} words: at most {MAX_WORDS} are read.")


@dataclass(frozen=True, kw_only=True)
class Wish(Settings):
    """How many studies, and of what."""

    num: Annotated[int, Between(0, MAX_STUDIES)]
    """Studies in all."""
    samples: Annotated[int, Between(1, 10_000)] = 1
    """Different studies per prompt, one after the other."""
    balance: bool = False
    """Draw prompts so that every finding that any of them has is drawn equally often."""
    per_finding: Annotated[int, Between(0, MAX_STUDIES)] = 0
    """Studies for each finding of `findings`, instead of `num` of any."""
    findings: tuple[Finding, ...] = ()
    """Empty: every finding that a prompt has."""
    sex: Literal["M", "F"] | None = None
    """Only prompts of such persons."""
    ages: Annotated[tuple[float, float] | None, Between(0, 150)] = None
    """Youngest and oldest, in years: only prompts of such persons."""

    @property
    def of_some(self) -> bool:
        """Whether it is for some findings or persons rather than any."""
        return bool(self.balance or self.per_finding or self.findings or self.sex or self.ages)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num < 1 and not self.per_finding:
            raise UserError(f"Cannot synthesize {self.num} studies: ask for at least 1.")
        if self.balance and self.per_finding:
            raise UserError("Both --balance and --per-finding were asked for: choose one.")
        if self.ages and self.ages[0] > self.ages[1]:
            raise UserError(f"Ages from {self.ages[0]:g} to {self.ages[1]:g} hold nobody: give the younger one first.")


def choose(prompts: Prompts, wish: Wish, seed: int, *, without: np.ndarray | None = None) -> np.ndarray:
    """The prompt [n] of every study to generate; `without`: prompts that are not to be used.

    Raises UserError for a finding, a sex or ages that no prompt, or none that is left, has.
    """
    rows = _of_persons(prompts, wish)
    if without is not None and len(without):
        rows = np.setdiff1d(rows, without)
        if not len(rows):
            raise UserError("None of the prompts that were wished for is as the model knows them: give others.")
    if not wish.balance and not wish.per_finding:
        return rows[np.arange(wish.num) // wish.samples % len(rows)]
    positive = prompts.labels[rows] == 1
    has = {f: rows[positive[:, i]] for i, f in enumerate(Finding)}
    findings = wish.findings or tuple(f for f in Finding if len(has[f]))
    if missing := [f for f in findings if not len(has[f])]:
        which = "No prompt" if without is None or not len(without) else "No prompt that is as the model knows them"
        raise UserError(f"{which} has the finding '{missing[0]}': give prompts that do, or leave it out.")
    rng = np.random.default_rng([seed, 7])
    if wish.per_finding:
        count = -(-wish.per_finding // wish.samples)
        drawn = [_spread(has[f], count, rng).repeat(wish.samples)[: wish.per_finding] for f in findings]
        return np.concatenate(drawn)
    count = -(-wish.num // wish.samples)
    turns = [findings[i % len(findings)] for i in range(count)]
    return np.array([rng.choice(has[f]) for f in turns]).repeat(wish.samples)[: wish.num]


def _of_persons(prompts: Prompts, wish: Wish) -> np.ndarray:
    """The prompts [n] of persons with the wished sex and age."""
    fits = np.ones(len(prompts), bool)
    if wish.sex:
        fits &= np.array([s == wish.sex for s in prompts.sexes])
    if wish.ages:
        youngest, oldest = wish.ages
        fits &= np.array([a is not None and youngest <= a <= oldest for a in prompts.ages])
    if not fits.any():
        who = " ".join(filter(None, (wish.sex, "{:g}-{:g}".format(*wish.ages) if wish.ages else None)))
        raise UserError(
            f"No prompt is of a person with the wished sex and age ({who}): give prompts that are, or leave --sex and"
            " --ages out."
        )
    return np.nonzero(fits)[0]


def _spread(members: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` members, each as often as any other, give or take one, in random order."""
    rounds = [rng.permutation(members) for _ in range(-(-count // len(members)))]
    return np.concatenate(rounds)[:count]
