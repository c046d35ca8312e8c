import html
import json

import pytest

from omnicxr.app.page import Page, script_json
from omnicxr.domain import Fit, Modality, Notes, PictureNote, PromptNote, ReportNote
from omnicxr.evaluation.layout import Struck

TEXTS = ["<!--<script>", "</script><b>", "a < b & c > d", '"\\u003c', "\u2028 <\U0001f600>"]


@pytest.mark.parametrize("text", TEXTS)
def test_no_text_leaves_its_script_element(text: str) -> None:
    written = script_json({"report": text})
    assert "<" not in written
    assert json.loads(written) == {"report": text}


def test_no_text_becomes_an_element() -> None:
    page = Page("<title>")
    plain = page.html().count("<")
    for text in TEXTS:
        page.text(text)
        page.heading(text)
        page.table([text], [[text]], of_text=True)
    assert page.html().count("<") == plain + len(TEXTS) * (2 + 2 + 12)


def prompt(text: str, understood_as: str, fit: Fit, reason: str = "") -> Notes:
    return Notes(prompt=PromptNote(text=text, understood_as=understood_as, fit=fit, reason=reason))


UPSIDE_DOWN = PictureNote(modality=Modality.FRONTAL, fit=Fit.UNLIKE, reason="it looks upside down: turn it")


@pytest.mark.parametrize(
    ("notes", "kinds"),
    [
        (None, []),
        (Notes(), []),
        (prompt("Edema.", "Edema.", Fit.AS_KNOWN), []),
        (prompt("No large <b>.", "No effusion.", Fit.AS_KNOWN), ["noticed"]),
        (prompt("Derrame.", "Derrame.", Fit.NOT_USABLE, "it is not English"), ["warning"]),
        (prompt("Edema, blorb.", "Edema.", Fit.UNLIKE), ["warning"]),
        (Notes(pictures=(UPSIDE_DOWN,), report=ReportNote(removed=("No edema.",), contradicted=True)),
         ["warning", "noticed"]),
        (Notes(disagreement="The view shows none."), ["warning"]),
    ],
)  # fmt: skip
def test_notes_are_quiet_or_clear(notes: Notes | None, kinds: list[str]) -> None:
    page = Page("x")
    page.notes(notes)
    assert [block.split(">")[0].removeprefix("<p class=") for block in page.blocks] == kinds
    shown = "".join(html.unescape(block) for block in page.blocks)
    assert all(sentence in shown for sentence in (notes.sentences() if notes else []))
    assert all(block.count("<") == 2 for block in page.blocks)


def test_what_does_not_count_is_struck_out() -> None:
    page = Page("")
    page.table(["figure"], [[Struck("<0.52")], ["0.9"]])
    assert "<td><s>&lt;0.52</s> †</td>" in page.html() and "<td>0.9</td>" in page.html()
