"""README and docs keep to the rules of style that can be checked: plain words, short table cells, valid links."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
AVOIDED = re.compile(r"\b(nobody|somebody|whoever|anew|goes on|go on|going on|leave away|who has)\b", re.IGNORECASE)
_LONGEST_CELL = 200  # characters: two short sentences

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@pages
def test_plain_words(page: Path) -> None:
    text = re.sub(r"\s+", " ", page.read_text(encoding="utf-8"))
    assert [found[0] for found in AVOIDED.finditer(text)] == []


@pages
def test_table_cells_are_short(page: Path) -> None:
    rows = re.findall(r"^\|(.*)\|$", page.read_text(encoding="utf-8"), re.MULTILINE)
    cells = [cell.strip() for row in rows for cell in re.split(r"(?<!\\)\|", row)]
    assert [cell for cell in cells if len(cell) > _LONGEST_CELL or len(re.findall(r"[.!?] [A-Z]", cell)) > 1] == []


@pages
def test_files_that_links_name_are_there(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)\s]*)?\)", page.read_text(encoding="utf-8"))
    generated = {"reference/cli.md", "reference/settings.md"}
    assert [
        link for link in links if not (page.parent / link).exists() and link.removeprefix("../") not in generated
    ] == []


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    docs = ROOT / "docs"
    names = [str(page.relative_to(docs)) for page in docs.rglob("*.md")]
    assert [name for name in names if not re.search(rf": {re.escape(name)}$", navigation, re.MULTILINE)] == []
