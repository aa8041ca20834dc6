"""The platforms that the project promises are the same wherever they are named."""

from __future__ import annotations

import tomllib
from pathlib import Path

import yaml

from scripts.platforms import PLATFORMS, PYTHONS

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NAMED = "Programming Language :: Python :: 3."


def test_classifiers_name_the_pythons_of_the_table() -> None:
    assert [name.rpartition(" ")[2] for name in PROJECT["classifiers"] if name.startswith(NAMED)] == list(PYTHONS)
    assert PROJECT["requires-python"] == f">={PYTHONS[0]}"


def test_ci_runs_every_python_of_the_table() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    assert workflow["jobs"]["checks"]["strategy"]["matrix"] == {"python": list(PYTHONS)}


def test_the_page_has_the_table() -> None:
    lines = (ROOT / "docs" / "platforms.md").read_text().splitlines()
    start = lines.index(f"| platform | {' | '.join(f'Python {python}' for python in PYTHONS)} |")
    rows = [line.split(" | ") for line in lines[start + 2 : start + 2 + len(PLATFORMS)]]
    assert [row[0].removeprefix("| ") for row in rows] == list(PLATFORMS)
    assert all(cell.startswith("yes, ") for row in rows for cell in row[1:])


def test_the_changelog_and_the_citation_have_the_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"]
    assert f"\n## {PROJECT['version']} ({citation['date-released']})\n" in (ROOT / "CHANGELOG.md").read_text()
