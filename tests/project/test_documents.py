"""What documents point at is there, and what code cites stands in the documents."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "omnicxr"
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), PACKAGE / "bundled" / "README.md"]
LINK = re.compile(r"\]\(([^)#]+)\)")
QUOTED = re.compile(r"`([^`]+)`")


def links(document: Path) -> list[str]:
    """Places that a document links to, without those on the web."""
    return [place for place in LINK.findall(document.read_text()) if "://" not in place]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: str(d.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    missing = [place for place in links(document) if not (document.parent / place).exists()]
    assert not missing


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < 100


def paths_in_map() -> list[str]:
    """Files and folders of the package that the map's first table names."""
    text = (ROOT / "docs" / "map.md").read_text()
    table = text[: text.index("## To add something")]
    named = [name.split(":")[0] for name in QUOTED.findall(table[table.index("| to change") :])]
    folder, paths = "", []
    for name in named:
        if "/" not in name and folder and not (PACKAGE / name).exists():
            name = f"{folder}/{name}"  # `simulation/lesions.py` and `devices.py`
        folder = str(Path(name).parent)
        paths.append(name)
    return [path for path in paths if path.endswith((".py", "/"))]


def test_the_map_names_what_is_there() -> None:
    assert [path for path in paths_in_map() if not (PACKAGE / path.replace("COMMAND", "generate")).exists()] == []


def test_code_and_documents_cite_decisions_that_are_there() -> None:
    decisions = (ROOT / "docs" / "decisions.md").read_text()
    names = set(re.findall(r"\*\*([^*]+)\*\* \|", decisions))
    assert len(names) > 40
    citing = [*PACKAGE.rglob("*.py"), *DOCUMENTS, *(ROOT / "runs").glob("*.sh")]
    for path in citing:
        text = " ".join(path.read_text().replace("#", " ").split())
        cited = re.findall(r'decisions\.md[^",]{0,20},? "([^"]+)"', text)
        assert [name for name in cited if name not in names and name != "Name"] == [], path


def test_code_cites_no_log_and_no_archive() -> None:
    for path in PACKAGE.rglob("*.py"):
        for word in ("LOG.md", "ablations.md", "docs/archive"):
            assert word not in path.read_text(), f"{path}: cite docs/decisions.md"
