"""metrics.json as tables, in the layout of the published ones (a row per task, a column per metric): Markdown and
LaTeX."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from omnicxr.domain import IMAGE_MODALITIES, Finding, Modality
from omnicxr.domain.measures import LOBES, PLACES

NOT_MEASURED = "-"
REFERENCES = ("real", "nearest", "unconditional", "always-normal", "shuffled")


@dataclass(frozen=True)
class Table:
    """Cells are text already."""

    title: str
    note: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


def number(value: Any, digits: int = 3) -> str:
    """A figure, or an estimate with its interval; "-" for what was not measured."""
    if isinstance(value, dict):
        if value.get("value") is None:
            return NOT_MEASURED
        shown = number(value["value"], digits)
        return (
            shown
            if value.get("low") is None
            else f"{shown} ({number(value['low'], digits)} to {number(value['high'], digits)})"
        )
    return NOT_MEASURED if value is None else f"{value:.{digits}f}"


def tables(result: dict[str, Any]) -> list[Table]:
    """Every table of one evaluation."""
    made = [
        *(_look(result, view, name) for view in IMAGE_MODALITIES for name in result["about"]["extractors"]),
        *(_image_findings(result, view) for view in IMAGE_MODALITIES),
        *(_by_finding(result, view) for view in IMAGE_MODALITIES),
        _text(result),
        _report_findings(result),
        _consistency(result),
        *(_truth(result, part) for part in Modality),
        _privacy(result),
        _bounds(result),
    ]
    return [t for t in made if t.rows]


def comparison_table(compared: dict[str, Any]) -> Table:
    """The result of `compare_evaluations`: a row per figure."""
    rows = []
    for task, figures in compared["tasks"].items():
        for f in figures:
            d = f["difference"]
            rows.append(
                (
                    task,
                    f["figure"],
                    "higher" if f["higher_is_better"] else "lower",
                    number(f["a"]),
                    number(f["b"]),
                    number(d),
                    number(d["p_value"]),
                )
            )
    note = (
        "A - B with its 95 % interval and two-sided p value, paired bootstrap over patients; p is not corrected for the"
        " number of figures."
    )
    return Table("Comparison", note, ("task", "figure", "better", "A", "B", "A - B", "p"), rows)


def markdown(found: Iterable[Table]) -> str:
    """Tables with their titles and notes."""
    return "\n".join(f"## {t.title}\n\n{t.note}\n\n" + markdown_rows(t.columns, t.rows) for t in found)


def latex(found: Iterable[Table]) -> str:
    """Tables for a paper (package booktabs)."""
    return "\n".join(_latex(t) for t in found)


def markdown_rows(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table by itself."""
    lines = [columns, ("---",) * len(columns), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _latex(table: Table) -> str:
    def row(cells: Sequence[str]) -> str:
        return " & ".join(_escape(c) for c in cells) + r" \\" + "\n"

    return (
        "\\begin{table}\n\\centering\n" + f"\\caption{{{_escape(table.title)}. {_escape(table.note)}}}\n"
        f"\\begin{{tabular}}{{l{'r' * (len(table.columns) - 1)}}}\n\\toprule\n"
        + row(table.columns)
        + "\\midrule\n"
        + "".join(map(row, table.rows))
        + "\\bottomrule\n\\end{tabular}\n\\end{table}\n"
    )


def _escape(text: str) -> str:
    for plain, written in (
        ("\\", r"\textbackslash "),
        ("&", r"\&"),
        ("%", r"\%"),
        ("_", r"\_"),
        ("#", r"\#"),
        ("->", r"$\to$"),
        ("<", "$<$"),
    ):
        text = text.replace(plain, written)
    return text


def _parts(result: dict[str, Any], modality: Modality) -> Iterator[tuple[str, dict[str, Any]]]:
    """(task, figures) of every task that generates the modality."""
    return ((task, scored[modality]) for task, scored in result["tasks"].items() if modality in scored)


def _look(result: dict[str, Any], view: Modality, extractor: str) -> Table:
    names = ("frechet", "kernel", "precision", "recall", "density", "coverage")

    def row(name: str, figures: dict[str, Any], variety: Any) -> tuple[str, ...]:
        if "refused" in figures:
            return (name, figures["refused"], *("",) * (len(names) + 1))
        values = [number(figures[k], 4 if k == "kernel" else 3) for k in names]
        return (name, *values[:1], number(figures.get("frechet_over_floor"), 2), *values[1:], variety)

    rows = [
        row(t, f["look"][extractor], number((f.get("variety") or {}).get("ms_ssim"))) for t, f in _parts(result, view)
    ]
    if not rows:
        return Table("", "", (), [])
    if result["autoencoders"]:
        for name, key in (
            ("real, through the autoencoder", "look"),
            ("the same without refiner", "look_without_refiner"),
        ):
            rows.append(row(name, result["autoencoders"][view][key][extractor], NOT_MEASURED))
    varieties = [
        v
        for _, f in _parts(result, view)
        if (v := (f.get("variety") or {}).get("ms_ssim_of_different_real_studies")) is not None
    ]
    rows.append(
        row(
            "real, other studies (floor)", result["floor"][view][extractor], number(varieties[0] if varieties else None)
        )
    )
    title = f"How real do {view} views look, and how varied are they? {result['about']['extractors'][extractor]}"
    note = (
        f"{result['about']['studies']} generated against as many real {result['about']['split']} studies. Distances:"
        " lower is better, the floor is two sets of different real studies. MS-SSIM among samples of one prompt: lower"
        " is more varied."
    )
    columns = ("task", "Fréchet", "over floor", "kernel", "precision", "recall", "density", "coverage", "MS-SSIM")
    return Table(title, note, columns, rows)


def _image_findings(result: dict[str, Any], view: Modality) -> Table:
    def row(name: str, f: dict[str, Any]) -> tuple[str, ...]:
        five = f["usual_five"]
        return (
            name,
            number(f["auroc_macro"]),
            number(f["auroc_usual_five"]),
            number(f["f1_micro"]),
            number(f["f1_macro"]),
            number(f["f1_weighted"]),
            number(five["f1_micro"]["value"]),
            number(five["f1_macro"]["value"]),
        )

    rows = [row(task, f) for task, f in _parts(result, view)]
    if rows:
        rows.append(row("real test studies", result["real"][view]))
    columns = ("task", "AUROC", "AUROC, 5", "F1 micro", "F1 macro", "F1 weighted", "F1 micro, 5", "F1 macro, 5")
    note = (
        f"Scored by the {result['about']['scored_by']}, against the labels of the study that was given; thresholds from"
        " validation studies."
    )
    return Table(f"Findings on generated {view} views", note, columns, rows)


def _by_finding(result: dict[str, Any], view: Modality) -> Table:
    shown = list(_parts(result, view))
    if not shown:
        return Table("", "", (), [])
    every = [*shown, ("real", result["real"][view])]
    rows = [
        (str(f), *(number(figures["auroc"][f]) for _, figures in every))
        for f in Finding
        if any(v["auroc"][f] is not None for _, v in every)
    ]
    return Table(
        f"AUROC by finding, {view} views",
        "Findings with too few positive studies are left out.",
        ("finding", *(t for t, _ in every)),
        rows,
    )


def _text(result: dict[str, Any]) -> Table:
    names = ("bleu1", "bleu2", "bleu3", "bleu4", "meteor", "rouge_l", "cider")

    def row(name: str, f: dict[str, Any]) -> tuple[str, ...]:
        shown = [NOT_MEASURED] * len(names) if "refused" in f["text"] else [number(f["text"][k]) for k in names]
        shown.append(number((f["radgraph"] or {}).get("partial")))
        copied = (f.get("privacy") or {}).get("copied_share")
        return (name, *shown, number(f["distinct_share"]), number(copied), number(f["lengths"]["mean"], 1))

    rows = [row(task, f) for task, f in _parts(result, Modality.REPORT)]
    if rows:
        rows += [
            row(f"{name}, {task}", f[Modality.REPORT])
            for name in ("nearest", "always-normal", "shuffled")
            for task, f in list(result["references"][name].items())
            if Modality.REPORT in f and task == rows[0][0]
        ]
    note = (
        "Against the study's own report. Lower case, 13a tokens (sacrebleu); METEOR, ROUGE-L and CIDEr by"
        " pycocoevalcap."
    )
    columns = (
        "task",
        "BLEU-1",
        "BLEU-2",
        "BLEU-3",
        "BLEU-4",
        "METEOR",
        "ROUGE-L",
        "CIDEr",
        "RadGraph F1",
        "distinct",
        "copied",
        "words",
    )
    return Table("Report text", note, columns, rows)


def _report_findings(result: dict[str, Any]) -> Table:
    def row(name: str, f: dict[str, Any]) -> tuple[str, ...]:
        label, five = f["by_labeler"], f["by_labeler"]["usual_five"]
        return (
            name,
            number(label["f1_micro"]),
            number(label["f1_macro"]),
            number(label["f1_weighted"]),
            number(five["f1_micro"]["value"]),
            number(five["f1_macro"]["value"]),
            number(f["by_judge"]["f1_micro"]),
            number(f["by_judge"]["f1_macro"]),
        )

    rows = [row(task, f) for task, f in _parts(result, Modality.REPORT)]
    if rows:
        rows.append(row("real reports", result["real"][Modality.REPORT]))
    if rows and (judge := result["real"].get("judge_from_both_views")):
        rows.append(
            (
                "judge, from the real views",
                *(number(judge[k]) for k in ("f1_micro", "f1_macro", "f1_weighted")),
                *(number(judge["usual_five"][k]["value"]) for k in ("f1_micro", "f1_macro")),
                NOT_MEASURED,
                NOT_MEASURED,
            )
        )
    columns = (
        "task",
        "F1 micro",
        "F1 macro",
        "F1 weighted",
        "F1 micro, 5",
        "F1 macro, 5",
        "micro, judge",
        "macro, judge",
    )
    note = (
        "What reports state, by the labeler (last two columns: by the judge's report classifier), against the labels of"
        " the study."
    )
    return Table("Findings in generated reports", note, columns, rows)


def _consistency(result: dict[str, Any]) -> Table:
    rows = []
    for task, scored in result["tasks"].items():
        for pair, f in scored["consistency"].items():
            real, shuffled = (result["references"][name][task]["consistency"][pair] for name in ("real", "shuffled"))
            blind = result["references"].get("unconditional", {}).get(task)
            kappas = [
                number(f["finding_kappa"]),
                *(number(r["finding_kappa"]["value"]) for r in (real, shuffled)),
                number(blind["consistency"][pair]["finding_kappa"]["value"]) if blind else NOT_MEASURED,
            ]
            r = [number(f[k]["value"]) for k in ("score_correlation", "cardiothoracic_ratio_correlation")]
            partner = [number(v["partner_recall_at_1"], 2) for v in (f, real, shuffled)]
            rows.append(
                (
                    task,
                    pair,
                    *kappas,
                    *r,
                    *partner,
                    number(f["partner_recall_at_5"], 2),
                    number(f["partner_median_rank"], 1),
                )
            )
    columns = (
        "task",
        "parts",
        "kappa",
        "real",
        "shuffled",
        "unconditional",
        "score r",
        "ratio r",
        "R@1",
        "real",
        "shuffled",
        "R@5",
        "median rank",
    )
    note = (
        "Do the parts of one study agree? Kappa of the findings read from each, correlation of scores and of the"
        " cardiothoracic ratio, and whether the prompt encoders find the partner among 50. A model that ignores its"
        " input scores like shuffled pairs. Unconditional samples: beside what was given, or, where both parts are"
        " generated, beside each other."
    )
    return Table("Agreement of the parts", note, columns, rows)


def _truth(result: dict[str, Any], part: Modality) -> Table:
    def row(name: str, t: dict[str, Any]) -> tuple[str, ...]:
        ratio = t["cardiothoracic_ratio"]
        return (
            name,
            number(ratio["mean_absolute_error"]),
            number(ratio["correlation"]),
            *(number(t["size"][k]["correlation"]) for k in PLACES),
            *(number(t["side"][k]) for k in PLACES),
            *(number(v) for v in t["place"].values()),
        )

    name = f"{part} views" if part.is_image else f"{part}s"
    rows = [row(task, f["truth"]) for task, f in _parts(result, part) if "truth" in f]
    if rows:
        rows.append(row(f"real {name}", result["real"][part]["truth"]))
    lobar = [kind for kind, places in PLACES.items() if places == LOBES]
    columns = (
        "task",
        "ratio error",
        "ratio r",
        *(f"size r, {k}" for k in PLACES),
        *(f"side, {k}" for k in PLACES),
        *(f"lobe, {k}" for k in lobar),
    )
    note = (
        "The judge's estimates against the simulator's truth: cardiothoracic ratio; size of lesions where there are"
        " any; share of lesions on one side that are seen there (0.5 is chance), of lesions in one lobe that are seen"
        " there (0.2 is chance)."
    )
    return Table(f"Continuous truth, {name}", note, columns, rows)


def _privacy(result: dict[str, Any]) -> Table:
    rows = []
    for m in Modality:
        for task, f in _parts(result, m):
            p = f["privacy"]
            if m.is_image:
                rows.append((task, m, number(p["nearer_share"]), "0.500", str(p["near_copies"])))
            else:
                rows.append((task, m, number(p["copied_share"]), number(p["copied_share_of_real"]), NOT_MEASURED))
    note = (
        "Views: share of pairs in which the generated picture is nearer to its nearest training picture than an unseen"
        " real one is to its own (0.5 for a model that does not copy). Reports: share with 12 words in a row from a"
        " training report, beside that of real test reports."
    )
    return Table("Copies of training data", note, ("task", "part", "share", "expected", "near copies"), rows)


def _bounds(result: dict[str, Any]) -> Table:
    rows = []
    for task, scored in result["tasks"].items():
        for m in Modality:
            if m in scored:
                every = [scored, *(result["references"].get(name, {}).get(task) for name in REFERENCES)]
                rows.append(
                    (
                        task,
                        m,
                        "AUROC" if m.is_image else "F1 micro",
                        *(number(_headline(s[m], m)) if s else NOT_MEASURED for s in every),
                    )
                )
    note = (
        "The headline figure of every task beside predictors that need no generative model, and beside unconditional"
        " samples."
    )
    return Table("Bounds", note, ("task", "part", "figure", "this model", *REFERENCES), rows)


def _headline(figures: dict[str, Any], modality: Modality) -> Any:
    return figures["auroc_macro"]["value"] if modality.is_image else figures["by_labeler"]["f1_micro"]["value"]
