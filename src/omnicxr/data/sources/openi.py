"""Open-I, the Indiana University collection, in either of its two forms.

| form | file | read |
|---|---|---|
| tables | `indiana_reports.csv` | uid, indication, comparison, findings, impression |
| | `indiana_projections.csv` | uid, filename, projection (Frontal or Lateral) |
| | `images/images_normalized/*.png`, `images_normalized/*.png` or `images/*.png` | pictures |
| XML | `ecgen-radiology/*.xml`, `reports_xml/*.xml` or `*.xml` | uId, AbstractText of each Label, parentImage |
| | `NLMCXR_png/*.png` or `*.png` | pictures; their views are not given, so the view classifier decides |

One report is one patient: the collection names no patients. The MeSH and Problems columns are not read: they hold the
answers that labelers are measured on. Labels come from the labeler, splits from a hash of the uid.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from omnicxr.data.sections import clean_text
from omnicxr.data.sources.base import Source
from omnicxr.data.table_files import read_table, table_path
from omnicxr.domain import ImageRef, Study, UserError, View

PROJECTIONS = {"Frontal": View.FRONTAL, "Lateral": View.LATERAL}
SECTIONS = ("indication", "comparison", "findings", "impression")
TABLE_IMAGES = ("images/images_normalized", "images_normalized", "images")
XML_FOLDERS, XML_IMAGES = ("ecgen-radiology", "reports_xml", "."), ("NLMCXR_png", "images", ".")


class OpenI(Source):
    """Both forms; tables are used where both are there."""

    name = "openi"

    def studies(self) -> Iterator[Study]:
        """In the order of the reports."""
        if table_path(self.root / "indiana_reports.csv").is_file():
            yield from self._from_tables()
            return
        for folder in XML_FOLDERS:
            if files := sorted(filter(Path.is_file, (self.root / folder).glob("*.[xX][mM][lL]")), key=_number):
                yield from self._from_xml(files)
                return
        raise UserError(
            f"{self.root} has neither indiana_reports.csv nor XML reports: point at the folder of the Open-I download."
        )

    def _from_tables(self) -> Iterator[Study]:
        folder = next((self.root / f for f in TABLE_IMAGES if (self.root / f).is_dir()), self.root)
        pictures: dict[str, list[tuple[str, str]]] = {}
        for row in read_table(self.root / "indiana_projections.csv", ("uid", "filename", "projection")):
            pictures.setdefault(row["uid"], []).append((row["filename"], row["projection"]))
        seen = set()
        for row in read_table(self.root / "indiana_reports.csv", ("uid", *SECTIONS)):
            if not row["uid"]:
                self.dropped["no patient or study identifier"] += 1
                continue
            if row["uid"] in seen:
                self.dropped["identifier twice"] += 1
                continue
            seen.add(row["uid"])
            refs = []
            for name, projection in sorted(pictures.pop(row["uid"], ())):
                if projection not in PROJECTIONS:
                    self.images_left_out.add("view {}", projection or "blank")
                elif ref := self.image(folder / name, PROJECTIONS[projection]):
                    refs.append(ref)
            yield self._study(row["uid"], tuple(refs), {s: row[s] for s in SECTIONS})
        if pictures:
            self.images_left_out["report missing"] += sum(map(len, pictures.values()))

    def _from_xml(self, files: list[Path]) -> Iterator[Study]:
        folder = next((self.root / f for f in XML_IMAGES if any((self.root / f).glob("*.[pP][nN][gG]"))), self.root)
        for file in files:
            try:
                tree = ElementTree.parse(file)
            except (ElementTree.ParseError, OSError, ValueError):
                self.dropped["report file damaged"] += 1
                continue
            uid = tree.find(".//uId")
            uid = uid.get("id", "") if uid is not None else ""
            texts = tree.iter("AbstractText")
            sections = {(node.get("Label") or "").strip().lower(): "".join(node.itertext()) for node in texts}
            found = [self.image(folder / f"{node.get('id')}.png", None) for node in tree.iter("parentImage")]
            yield self._study(uid.removeprefix("CXR") or file.stem, tuple(ref for ref in found if ref), sections)

    def _study(self, uid: str, images: tuple[ImageRef, ...], sections: dict[str, str]) -> Study:
        cleaned = {name: text for name, raw in sections.items() if (text := clean_text(raw))}
        missing = self.missing_views()
        return Study(subject_id=uid, study_id=uid, source=self.name, images=images, missing=missing, sections=cleaned)


def _number(path: Path) -> tuple[int, str]:
    return int(path.stem) if path.stem.isdigit() else 0, path.stem
