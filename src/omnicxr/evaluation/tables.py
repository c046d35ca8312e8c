"""An evaluation as tables, in the layout of the published ones: a row per task, a column per metric."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from omnicxr.domain import IMAGE_MODALITIES, Finding, Modality
from omnicxr.domain.measures import CARDIOTHORACIC_RATIO, LOBES, PLACES
from omnicxr.evaluation.comparison import ComparedFigure, Comparison
from omnicxr.evaluation.layout import MARK, Columns, Table, explained, number, row_name, struck, table
from omnicxr.evaluation.noticed import Noticed
from omnicxr.evaluation.references import UNCONDITIONAL
from omnicxr.evaluation.report_tables import FINDINGS, report_findings_table, reports, text_table
from omnicxr.evaluation.results import (
    Agreement,
    Distances,
    Evaluation,
    Fidelity,
    LikeHeldOut,
    Refused,
    Share,
    TaskScores,
    TruthErrors,
    Variety,
    ViewScores,
)

BOUNDS = ("consensus", "nearest", UNCONDITIONAL, "always-usual", "always-normal", "shuffled")
MARK_NOTE = " * The beginning of a task that generates more parts: the same outputs."


def tables(result: Evaluation) -> list[Table]:
    """Every table that has rows; `MARK` marks tasks that are the beginning of another."""
    found = [
        *(_look(result, view, extractor) for view in IMAGE_MODALITIES for extractor in result.about.extractors),
        *(_view_findings(result, view) for view in IMAGE_MODALITIES),
        *(_by_finding(result, view) for view in IMAGE_MODALITIES),
        text_table(result),
        report_findings_table(result),
        _agreement(result),
        *(_truth(result, part) for part in Modality),
        _as_held_out(result),
        _sides(result),
        _privacy(result),
        _noticed(result),
        _bounds(result),
    ]
    found = [explained(t, [result.not_valid(*Modality)]) for t in found]
    marked = [t for t in found if any(row[0].endswith(MARK) for row in t.rows)]
    return [replace(t, note=t.note + MARK_NOTE) if t in marked else t for t in found if t.rows]


def _views(result: Evaluation, view: Modality) -> list[tuple[str, ViewScores]]:
    return [(row_name(task, s), s.views[view]) for task, s in result.tasks.items() if view in s.views]


@dataclass(frozen=True)
class _Look:
    figures: Distances
    ms_ssim: float | None


LOOK: Columns[_Look] = {
    "Fréchet": lambda r: r.figures.frechet,
    "over floor": lambda r: number(r.figures.frechet_over_floor, 2) if isinstance(r.figures, Fidelity) else None,
    "kernel": lambda r: number(r.figures.kernel, 4),
    "precision": lambda r: r.figures.precision,
    "recall": lambda r: r.figures.recall,
    "density": lambda r: r.figures.density,
    "coverage": lambda r: r.figures.coverage,
    "MS-SSIM": lambda r: r.ms_ssim,
}


def _look(result: Evaluation, view: Modality, extractor: str) -> Table:
    about, rows, of_different = result.about, [], None

    def add(name: str, figures: Distances | Refused, ms_ssim: float | None = None) -> None:
        rows.append((name, figures if isinstance(figures, Refused) else _Look(figures, ms_ssim)))

    for name, scores in _views(result, view):
        variety = scores.variety if isinstance(scores.variety, Variety) else None
        of_different = variety.ms_ssim_of_different_studies if variety else of_different
        add(name, scores.look[extractor], variety.ms_ssim if variety else None)
    if rows and result.autoencoders:
        loss = result.autoencoders.views[view]
        add(f"{about.held_out}, through the autoencoder", loss.look[extractor])
        add("the same without refiner", loss.look_without_refiner[extractor])
    if rows:
        add(f"{about.held_out}, other studies (floor)", result.floor[view][extractor], of_different)
    note = (
        f"{about.studies} generated against as many {about.held_out} {about.split} studies. Distances: lower is better,"
        f" the floor is two sets of different {about.held_out} studies. MS-SSIM among samples of one prompt: lower is"
        " more varied."
    )
    title = f"How close are {view} views to {about.held_out} ones, and how varied? {about.extractors[extractor]}"
    return table(title, LOOK, rows, note=note)


def _view_findings(result: Evaluation, view: Modality) -> Table:
    columns: Columns[ViewScores] = {
        "AUROC": lambda f: struck(f.auroc.macro, f.not_valid),
        "AUROC, 5": lambda f: struck(f.auroc.macro_of_five, f.not_valid),
        **{title: lambda f, get=get: struck(get(f.findings), f.not_valid) for title, get in FINDINGS.items()},
    }
    rows = _views(result, view)
    if rows:
        rows.append((f"{result.about.held_out} studies", _own(result, view)))
    note = (
        "Scored by the judge of the model folder unless another one or another classifier was named, against the labels"
        " of the study whose parts were given; thresholds from validation studies."
    )
    return table(f"Findings on generated {view} views", columns, rows, note=note)


def _own(result: Evaluation, view: Modality) -> ViewScores:
    """Of the held-out studies: the reader's own figures, by which it is seen whether others count, always do."""
    return replace(result.held_out.views[view], not_valid="")


def _by_finding(result: Evaluation, view: Modality) -> Table:
    shown = _views(result, view)
    if shown:
        shown.append((result.about.held_out, _own(result, view)))
    columns: Columns[Finding] = {name: lambda f, s=s: struck(s.auroc.by_finding[f], s.not_valid) for name, s in shown}
    rows = [(str(f), f) for f in Finding if any(s.auroc.by_finding[f] >= 0 for _, s in shown)]
    note = "Findings with too few positive studies are left out."
    return table(f"AUROC by finding, {view} views", columns, rows, note=note, first="finding")


@dataclass(frozen=True)
class _Pair:
    parts: str
    own: Agreement
    held_out: Agreement
    shuffled: Agreement
    unconditional: Agreement | None
    not_valid: str


def _agreement(result: Evaluation) -> Table:
    noun = result.about.held_out
    columns: Columns[_Pair] = {
        "parts": lambda p: p.parts,
        "kappa": lambda p: struck(p.own.finding_kappa, p.not_valid),
        f"kappa, {noun}": lambda p: p.held_out.finding_kappa.value,
        "kappa, shuffled": lambda p: struck(p.shuffled.finding_kappa.value, p.not_valid),
        "kappa, unconditional": lambda p: (
            struck(p.unconditional.finding_kappa.value, p.not_valid) if p.unconditional else None
        ),
        "score r": lambda p: struck(p.own.score_correlation.value, p.not_valid),
        "ratio r": lambda p: p.own.cardiothoracic_ratio_correlation.value,
        "R@1": lambda p: number(p.own.partner_recall_at_1, 2),
        f"R@1, {noun}": lambda p: number(p.held_out.partner_recall_at_1, 2),
        "R@1, shuffled": lambda p: number(p.shuffled.partner_recall_at_1, 2),
        "R@5": lambda p: number(p.own.partner_recall_at_5, 2),
        "median rank": lambda p: number(p.own.partner_median_rank, 1),
        "median rank of all": lambda p: number(p.own.partner_median_rank_of_all, 1),
        f"of all, {noun}": lambda p: number(p.held_out.partner_median_rank_of_all.value, 1),
    }
    rows = []
    for task, scores in result.tasks.items():
        shuffled = result.references["shuffled"][task].agreement
        unconditional = result.references[UNCONDITIONAL][task].agreement if UNCONDITIONAL in result.references else {}
        for parts, own in scores.agreement.items():
            held_out, not_valid = result.held_out.agreement[parts], result.not_valid(*map(Modality, parts.split("+")))
            pair = _Pair(parts, own, held_out, shuffled[parts], unconditional.get(parts), not_valid)
            rows.append((row_name(task, scores), pair))
    note = (
        "Do the parts of one study agree? Kappa of the findings read from each, correlation of scores and of the"
        " cardiothoracic ratio, and whether the prompt encoders find the partner among 50 (R@1, R@5, median rank) and"
        f" among all {result.about.studies}. A model that ignores its input scores like shuffled pairs. Unconditional"
        " samples: beside what was given, or, where both parts are generated, beside each other."
        f" {result.about.judge_measures}"
    )
    return table("Agreement of the parts", columns, rows, note=note)


def _truth(result: Evaluation, part: Modality) -> Table:
    columns: Columns[TruthErrors] = {
        "ratio error": lambda t: t.measures[CARDIOTHORACIC_RATIO].absolute_error,
        "ratio r": lambda t: t.measures[CARDIOTHORACIC_RATIO].correlation,
        **{f"size r, {k}": lambda t, k=k: t.size[k].correlation for k in PLACES},
        **{f"side, {k}": lambda t, k=k: t.side[k] for k in PLACES},
        **{f"lobe, {k}": lambda t, k=k: t.place[k] for k, places in PLACES.items() if places == LOBES},
    }
    name = f"{part} views" if part.is_image else f"{part}s"
    found = [(row_name(task, s), s.part(part)) for task, s in result.tasks.items()]
    if any(scores for _, scores in found):
        found.append((f"{result.about.held_out} {name}", result.held_out.part(part)))
    rows = [(title, scores.truth) for title, scores in found if scores and scores.truth]
    note = (
        "The judge's estimates against the simulator's truth: cardiothoracic ratio; size of lesions where there are"
        " any; share of lesions on one side that are seen there (0.5 is chance), of lesions in one lobe that are seen"
        " there (0.2 is chance)."
    )
    return table(f"Continuous truth, {name}", columns, rows, note=note)


def _as_held_out(result: Evaluation) -> Table:
    columns: Columns[tuple[Modality, LikeHeldOut]] = {
        "view": lambda r: r[0],
        "ratio difference": lambda r: r[1].cardiothoracic_ratio_error,
        "ratio r": lambda r: r[1].cardiothoracic_ratio_correlation,
    }
    rows: list[Any] = [
        (name, found if isinstance(found, Refused) else (view, found))
        for view in IMAGE_MODALITIES
        for name, scores in _views(result, view)
        if (found := scores.as_held_out)
    ]
    noun = result.about.held_out
    note = (
        f"The judge's estimate of the cardiothoracic ratio on a generated view against its own on the {noun} picture of"
        " the same study: mean absolute difference and correlation."
    )
    return table(f"Cardiothoracic ratio against the {noun} picture", columns, rows, note=note)


def _sides(result: Evaluation) -> Table:
    columns: Columns[Share] = {"studies": lambda s: str(s.studies), "on its side": lambda s: number(s, 2)}
    note = (
        "Frontal views from the reports of all studies of the split that have a lesion on one side alone: share in"
        " which the judge sees most of it there (0.5 is chance)."
    )
    return table("Sides of lesions", columns, (result.sides or {}).items(), note=note, first="lesion")


def _privacy(result: Evaluation) -> Table:
    columns: Columns[tuple[str, float, float, str]] = {
        "part": lambda r: r[0],
        "share": lambda r: r[1],
        "expected": lambda r: r[2],
        "near copies": lambda r: r[3],
    }
    rows = []
    for view in IMAGE_MODALITIES:
        for name, scores in _views(result, view):
            if p := scores.privacy:
                rows.append((name, (view, p.nearer_share, 0.5, str(p.near_copies))))
    for name, scores in reports(result):
        if p := scores.privacy:
            rows.append((name, (Modality.REPORT, p.copied_share, p.copied_share_of_held_out, "-")))
    noun = result.about.held_out
    note = (
        "Views: share of pairs in which the generated picture is nearer to its nearest training picture than a"
        f" {noun} one is to its own (0.5 for a model that does not copy). Reports: share with 12 words in a row from a"
        f" training report, beside that of {noun} reports."
    )
    return table("Copies of training data", columns, rows, note=note)


def _share(count: int, of: int) -> float | None:
    return count / of if of else None


def _noticed(result: Evaluation) -> Table:
    views = [m for m in IMAGE_MODALITIES if any(m in task.modalities for task in result.tasks)]
    columns: Columns[Noticed] = {
        "studies": lambda n: str(n.studies),
        "reports that contradicted themselves": lambda n: _share(n.contradicted, n.reports),
        "reports that said a thing twice": lambda n: _share(n.repeated, n.reports),
        **{f"{view}, not as known": lambda n, view=view: n.picture_share(view) for view in views},
        "prompts understood as something else": lambda n: _share(n.changed, n.prompts),
        "prompts not (all) understood": lambda n: _share(n.not_understood, n.prompts),
        "prompts cut": lambda n: _share(n.cut, n.prompts),
        "given parts contradict each other": lambda n: _share(n.disagreement, n.studies),
    }
    rows = [(row_name(task, s), s.noticed) for task, s in result.tasks.items() if s.noticed]
    note = (
        "Shares of the studies of a task. Generated reports that stated and denied the same, or said the same again,"
        " were corrected on the way out. Given pictures that are unlike what the model has seen, or not usable, of"
        " those that were checked. Given reports that were put in other words, of which pieces were not understood, or"
        " sentences left out."
    )
    return table("What the door noticed", columns, rows, note=note)


def _bounds(result: Evaluation) -> Table:
    names = ("this model", result.about.held_out, *BOUNDS)
    columns: Columns[dict[str, Any]] = {
        title: lambda r, title=title: r.get(title) for title in ("part", "figure", *names)
    }
    note = (
        "The headline figure of every task beside predictors that need no generative model, and beside unconditional"
        " samples."
    )
    return table("Bounds", columns, _headlines(result), note=note)


def _headlines(result: Evaluation) -> Iterator[tuple[str, dict[str, Any]]]:
    """For every task and part, column => cell."""
    for task, scores in result.tasks.items():
        bounds = {name: by_task[task] for name, by_task in result.references.items()}
        every = {"this model": scores, result.about.held_out: result.held_out, **bounds}
        for part in task.generate:
            figures: dict[str, Any] = {name: headline(s, part) for name, s in every.items()}
            for name in figures.keys() - {result.about.held_out}:
                figures[name] = struck(figures[name], result.not_valid(part))
            yield row_name(task, scores), {"part": part, "figure": "AUROC" if part.is_image else "F1 micro", **figures}


def headline(scores: TaskScores, part: Modality) -> float | None:
    """The one figure of a part: macro AUROC of a view, micro F1 by the labeler of a report."""
    if part.is_image:
        return scores.views[part].auroc.macro.value if part in scores.views else None
    return scores.report.by_labeler.all.micro.value if scores.report else None


def comparison_table(compared: Comparison) -> Table:
    """A row per figure of every task."""
    columns: Columns[ComparedFigure] = {
        "figure": lambda f: f.figure,
        "better": lambda f: "higher" if f.higher_is_better else "lower",
        "A": lambda f: struck(f.a, f.not_valid),
        "B": lambda f: struck(f.b, f.not_valid),
        "A - B": lambda f: struck(f.difference, f.not_valid),
        "p": lambda f: struck(f.difference.p_value, f.not_valid),
    }
    rows = [(str(task), figure) for task, figures in compared.tasks.items() for figure in figures]
    note = (
        "A - B with its 95 % interval and two-sided p value, paired bootstrap over patients; p is not corrected for the"
        " number of figures."
    )
    return explained(table("Comparison", columns, rows, note=note), [figure.not_valid for _, figure in rows])
