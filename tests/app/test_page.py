import json

import pytest

from omnicxr.app.page import Page, script_json

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
