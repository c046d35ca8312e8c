"""Self-contained HTML pages: headings, tables, pictures and plots in one file that opens anywhere."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

from PIL import Image

from omnicxr.data.images import encode_png
from omnicxr.domain import Notes, ReportNote
from omnicxr.domain.notes import UNFIT
from omnicxr.evaluation.layout import STRUCK_MARK, Struck

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; background: #fff; color: #222 }
body { max-width: 1200px; margin: 2rem auto; padding: 0 1rem }
h1, h2 { font-weight: 500 } h2 { font-size: 1.2rem; margin: 1.6rem 0 .4rem } p.note { color: #666 }
table { border-collapse: collapse; font-size: .9rem }
th, td { padding: .15rem .7rem; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap }
th:first-child, td:first-child { text-align: left }
table.text td { white-space: normal; text-align: left; max-width: 34rem; vertical-align: top }
img { max-width: 100% } .scroll { overflow-x: auto; margin-bottom: 1rem }
figure { display: inline-block; margin: 0 1rem .4rem 0 } figure img { margin-right: 4px }
figcaption { color: #888; font-size: .85rem }
p.noticed { color: #888; font-size: .9rem; margin: .2rem 0 } p.noticed::before { content: "\\2139\\fe0e\\a0" }
p.warning { border-left: 4px solid #c80; background: #fff4dd; padding: .3rem .7rem; margin: .3rem 0 }
p.warning::before { content: "\\26a0\\fe0e\\a0" }
"""
_DARK = """
body { background: #111; color: #ddd; max-width: 1400px }
h1, h2 { color: #fff } h2 { border-top: 1px solid #333; padding-top: .6rem }
p.warning { background: #3a2c08; color: #ffe2a0 }
"""
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>{style}</style>
<h1>{title}</h1>
{blocks}
</html>
"""


class Page:
    """Blocks in the order in which they are added."""

    def __init__(self, title: str, *, dark: bool = False) -> None:
        """`dark`: light on black, as radiographs are looked at."""
        self.title, self.dark = title, dark
        self.blocks: list[str] = []

    def heading(self, text: str) -> None:
        """A line above what follows."""
        self.blocks.append(f"<h2>{html.escape(text)}</h2>")

    def text(self, text: str) -> None:
        """A paragraph."""
        self.blocks.append(f"<p>{html.escape(text)}</p>")

    def notes(self, notes: Notes | None) -> None:
        """What was noticed about a study, a paragraph for each sentence: quiet where it informs, such as "understood
        as", clear where something given is unlike what the model has seen or not usable, or where parts disagree."""
        if notes is None:
            return
        for part in (*notes.pictures, *filter(None, (notes.prompt, notes.report))):
            doubtful = not isinstance(part, ReportNote) and part.fit in UNFIT
            for sentence in part.sentences():
                self._notice(sentence, "warning" if doubtful else "noticed")
        if notes.disagreement:
            self._notice(notes.disagreement, "warning")

    def _notice(self, sentence: str, kind: str) -> None:
        self.blocks.append(f"<p class={kind}>{html.escape(sentence)}</p>")

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, of_text: bool = False) -> None:
        """Rows of one cell per column; `of_text` for cells with sentences."""
        head = "".join(f"<th>{html.escape(c)}</th>" for c in columns)
        body = "".join("<tr>" + "".join(f"<td>{_cell(v)}</td>" for v in row) + "</tr>" for row in rows)
        kind = " class=text" if of_text else ""
        self.blocks.append(f"<div class=scroll><table{kind}><tr>{head}</tr>{body}</table></div>")

    def picture(self, picture: Image.Image, description: str) -> None:
        """One picture in its own size; the description is for those who cannot see it."""
        self.blocks.append(_image(encode_png(picture), description))

    def figure(self, pictures: Iterable[Image.Image], caption: str) -> None:
        """Pictures beside each other above their caption; figures stand beside each other where there is room."""
        images = "".join(_image(encode_png(p), caption) for p in pictures)
        self.blocks.append(f"<figure>{images}<figcaption>{html.escape(caption)}</figcaption></figure>")

    def plot(self, figure: Any, description: str) -> None:
        """A matplotlib figure, which is closed."""
        import matplotlib.pyplot as plt

        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=100, bbox_inches="tight")
        plt.close(figure)
        self.blocks.append(_image(buffer.getvalue(), description))

    def html(self) -> str:
        """The whole page, which fetches nothing."""
        style = _STYLE + _DARK if self.dark else _STYLE
        return _PAGE.format(title=html.escape(self.title), style=style, blocks="\n".join(self.blocks))


def _cell(value: Any) -> str:
    text = html.escape(str(value))
    return f"<s>{text}</s> {STRUCK_MARK}" if isinstance(value, Struck) else text


def script_json(value: Any) -> str:
    """JSON that can stand in a <script> element: no "<" in it, which could end the element or begin a comment."""
    return json.dumps(value).replace("<", "\\u003c")


def _image(png: bytes, description: str) -> str:
    data = base64.b64encode(png).decode()
    return f'<img alt="{html.escape(description)}" src="data:image/png;base64,{data}">'
