"""Prompts as radiologists, teachers, newcomers and engineers write them, and what is made of them for a model of
simulated reports and for one of people's reports."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omnicxr.data import prompts
from omnicxr.data.prompts import Vocabulary, understand
from omnicxr.domain import LabelState
from omnicxr.domain.notes import Fit, PromptNote, Statement
from omnicxr.simulation.population import sample_truth
from omnicxr.simulation.report import write_report

PROMPTS = [json.loads(line) for line in (Path(__file__).parent / "prompts.jsonl").read_text("utf-8").splitlines()]
"""kind, text, and what is right: asked ([finding, side, size, place, device], "?" after a finding that is uncertain),
denied, fit, not_understood (null: not looked at), understood_as where it is clear. `held`: written after the parser."""
MOST_WRONG = 0
REPORTS = [write_report(sample_truth(7, i)) for i in range(600)]
SIMULATED = Vocabulary.of(f"{r.findings} {r.impression}" for r in REPORTS)
OF_PEOPLE = [
    "No large pleural effusion. Mild emphysema with scarring at the bases. Heart size is normal.",
    "Tortuous aorta and cardiomegaly with small bilateral pleural effusions. No focal consolidation.",
    "Scoliosis. Left basilar opacity, possible pneumonia. No pneumothorax.",
    "No acute cardiopulmonary abnormality. The lungs are clear.",
]


def _anything(_: str) -> bool:
    return True


def _asked(statements: Sequence[Statement]) -> list[list[str]]:
    rows = []
    for s in statements:
        unsure = "?" if s.state is LabelState.UNCERTAIN else ""
        row = [f"{s.finding}{unsure}", s.side, s.size, s.place, s.device]
        rows.append(row[: max(i for i, word in enumerate(row) if word) + 1])
    return sorted(rows)


def _wrong(note: PromptNote, right: dict) -> dict[str, object]:
    got = {
        "asked": _asked(note.asked),
        "denied": sorted({str(s.finding) for s in note.denied}),
        "fit": str(note.fit),
        "not_understood": list(note.not_understood),
        "understood_as": note.understood_as,
    }
    wanted = {k: sorted(v) if k in ("asked", "denied") else v for k, v in right.items() if k in got and v is not None}
    return {k: (got[k], v) for k, v in wanted.items() if got[k] != v}


def test_written_prompts_are_understood() -> None:
    wrong = {p["text"]: _wrong(understand(p["text"], SIMULATED, fits=_anything), p) for p in PROMPTS}
    wrong = {text: what for text, what in wrong.items() if what}
    assert len(wrong) <= MOST_WRONG, wrong


@pytest.mark.parametrize("index", range(0, 300, 3))
def test_the_models_own_reports_pass_as_they_are(index: int) -> None:
    report = write_report(sample_truth(99, index))
    for text in (report.findings, report.impression, f"{report.findings} {report.impression}"):
        note = understand(text, SIMULATED, fits=_anything)
        assert (note.understood_as, note.fit, note.cut, note.not_understood) == (text, Fit.AS_KNOWN, (), ())


def test_otherwise_normal_is_not_normal() -> None:
    note = understand("Huge left effusion. Nothing wrong otherwise.", SIMULATED, fits=_anything)
    assert (note.understood_as, note.fit) == ("Large left pleural effusion.", Fit.AS_KNOWN)
    assert _asked(note.asked) == [["Pleural Effusion", "left", "large"]]


def test_what_is_understood_is_understood_likewise_again() -> None:
    for prompt in PROMPTS:
        note = understand(prompt["text"], SIMULATED, fits=_anything)
        again = understand(note.understood_as, SIMULATED, fits=_anything)
        assert note.fit is Fit.NOT_USABLE or again.understood_as == note.understood_as, prompt["text"]


def test_denials_can_be_removed_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompts, "PLAIN_DENIALS", False)
    mixed = understand("Large right effusion without pneumothorax.", SIMULATED, fits=_anything)
    assert mixed.understood_as == "Large right pleural effusion."
    alone = understand("There is no large left pleural effusion.", SIMULATED, fits=_anything)
    assert alone.understood_as in {r.impression for r in REPORTS}  # a report of a normal study
    assert [str(s.finding) for s in (*mixed.denied, *alone.denied)] == ["Pneumothorax", "Pleural Effusion"]


@pytest.mark.parametrize(
    ("text", "understood_as", "missing"),
    [
        ("Mild emphysema with scarring. Scoliosis.", "Mild emphysema with scarring. Scoliosis.", ()),
        ("No large pleural effusion.", "No large pleural effusion.", ()),  # a usual form of these reports
        ("No left pleural effusion.", "No pleural effusion.", ()),  # not one
        ("Cardiomegaly with small left pleural effusion.", "Cardiomegaly with small left pleural effusion.", ()),
        ("Tiny left effusion", "Small left pleural effusion.", ()),
        ("Tortuous aorta and pectus.", "Tortuous aorta and pectus.", ("pectus",)),
    ],
)
def test_a_model_of_peoples_reports(text: str, understood_as: str, missing: tuple[str, ...]) -> None:
    odd = [" ".join(f"{'abcdefghijklmnopqrstuvwxyz'[i % 26]}{'zyxw'[i % 4]}{'q' * (i // 26)}" for i in range(450))] * 2
    note = understand(text, Vocabulary.of(OF_PEOPLE * 3 + odd), fits=_anything)
    assert (note.understood_as, note.not_understood) == (understood_as, missing)


def test_what_does_not_fit_is_cut_from_the_end_and_said() -> None:
    text = (
        "HISTORY: 60-year-old man with cough.\nFINDINGS: Heart size is normal. Large left pleural effusion.\n"
        "IMPRESSION: Large left pleural effusion. Small right pneumothorax."
    )
    whole = understand(text, SIMULATED, fits=_anything)
    assert whole.understood_as.endswith("Large left pleural effusion. Small right pneumothorax.")
    assert whole.cut == ("HISTORY: 60-year-old man with cough.",)
    short = understand(text, SIMULATED, fits=lambda t: len(t) < 60)
    assert short.understood_as == "Heart size is normal. Large left pleural effusion."
    assert short.cut == ("Small right pneumothorax.", "HISTORY: 60-year-old man with cough.")
    words = understand("Large left pleural effusion", SIMULATED, fits=lambda t: len(t) < 12)
    assert (words.understood_as, words.cut) == ("Large left", ("pleural effusion",))


def test_far_too_long_a_text_is_cut_and_said() -> None:
    text = "Small left pneumothorax. " * 2_000
    note = understand(text, SIMULATED, fits=lambda t: len(t) < 300)
    assert note.understood_as == "Small left pneumothorax."
    assert sum(map(len, note.cut)) > len(text) - 11_000
    assert note.asked


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Derrame pleural izquierdo.", "not English"),
        ("12345", "no words"),
        ("a cat on a sofa", "none of its words"),
        ("Emphysema.", 'no words for "Emphysema"'),
    ],
)
def test_what_cannot_be_used_says_why(text: str, reason: str) -> None:
    note = understand(text, SIMULATED, fits=_anything)
    assert note.fit is Fit.NOT_USABLE
    assert reason in note.reason
    assert note.understood_as == text


def test_unseen_words_are_listed_though_they_were_understood() -> None:
    note = understand("Massive left hemothorax", SIMULATED, fits=_anything)
    assert note.unseen_words == ("massive", "hemothorax")
    assert (note.not_understood, note.fit) == ((), Fit.AS_KNOWN)


_WORDS = st.sampled_from([word for prompt in PROMPTS for word in prompt["text"].split(" ")])


@settings(max_examples=50, deadline=None)
@given(st.one_of(st.text(), st.lists(_WORDS, max_size=30).map(" ".join)), st.integers(1, 200))
def test_any_text_gives_a_note(text: str, limit: int) -> None:
    note = understand(text, SIMULATED, fits=lambda t: len(t) <= limit)
    assert note.text == text
    assert note.understood_as or not text
    assert note == understand(text, SIMULATED, fits=lambda t: len(t) <= limit)
    assert list(note.sentences()) or note.fit is Fit.AS_KNOWN
