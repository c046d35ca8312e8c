"""Self-contained HTML pages: headings, tables, pictures and plots in one file that opens anywhere."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Sequence
from typing import Any

from PIL import Image

_STYLE = """
body { font: 16px/1.5 system-ui,
sans-serif; background: #fff; color: #222; max-width: 1200px; margin: 2rem auto; padding: 0 1rem }
h1, h2 { font-weight: 500 } h2 { font-size: 1.2rem; margin: 1.6rem 0 .4rem } p.note { color: #666 }
table { border-collapse: collapse; font-size: .9rem }
th, td { padding: .15rem .7rem; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap }
th:first-child, td:first-child { text-align: left }
table.text td { white-space: normal; text-align: left; max-width: 34rem; vertical-align: top }
img { max-width: 100% } .scroll { overflow-x: auto; margin-bottom: 1rem }
"""


class Page:
    """Blocks in the order in which they are added."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.blocks: list[str] = []

    def heading(self, text: str) -> None:
        self.blocks.append(f"<h2>{html.escape(text)}</h2>")

    def text(self, text: str) -> None:
        self.blocks.append(f"<p>{html.escape(text)}</p>")

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, of_text: bool = False) -> None:
        """`of_text` for cells with sentences."""
        head = "".join(f"<th>{html.escape(c)}</th>" for c in columns)
        body = "".join("<tr>" + "".join(f"<td>{html.escape(str(v))}</td>" for v in row) + "</tr>" for row in rows)
        kind = " class=text" if of_text else ""
        self.blocks.append(f"<div class=scroll><table{kind}><tr>{head}</tr>{body}</table></div>")

    def picture(self, picture: Image.Image, description: str) -> None:
        buffer = io.BytesIO()
        picture.save(buffer, format="PNG")
        self._embed(buffer.getvalue(), description)

    def plot(self, figure: Any, description: str) -> None:
        """A matplotlib figure, which is closed."""
        import matplotlib.pyplot as plt

        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=100, bbox_inches="tight")
        plt.close(figure)
        self._embed(buffer.getvalue(), description)

    def _embed(self, png: bytes, description: str) -> None:
        data = base64.b64encode(png).decode()
        self.blocks.append(f'<img alt="{html.escape(description)}" src="data:image/png;base64,{data}">')

    def html(self) -> str:
        title = html.escape(self.title)
        return (
            '<!doctype html>\n<html lang="en"><meta charset="utf-8"><meta name="viewport"'
            f' content="width=device-width">\n<title>{title}</title>\n<style>{_STYLE}</style>\n<h1>{title}</h1>\n'
            + "\n".join(self.blocks)
            + "\n</html>\n"
        )
