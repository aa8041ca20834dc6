"""The reference pages that are generated from the code name every command, flag and setting."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from cli.flags import HELP_ALL
from cli.main import build_parser
from operations.defaults import descriptions
from server.settings import Settings

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETTINGS = PYPROJECT["tool"]["flwr"]["app"]["config"]
SCHEMA = Settings.model_json_schema()


@pytest.fixture(scope="module")
def pages() -> ModuleType:
    """The module that makes the pages; MkDocs loads it by its path, not as a package."""
    spec = importlib.util.spec_from_file_location("reference_pages", ROOT / "docs" / "_reference" / "pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_settings_page_has_every_setting_with_its_default_and_comment(pages: ModuleType) -> None:
    page = pages.settings_page(descriptions(), SCHEMA)
    assert re.findall(r"^### `(.*?)`", page, re.MULTILINE) == list(SETTINGS)
    assert re.findall(r"^## (\w+)", page, re.MULTILINE) == ["Common", "Learning", "Sharing", "Robustness", "Runtime"]
    assert "Default: `0.0005`. A number, above 0." in page
    assert "One of `alive`, `team`." in page
    assert "A whole number, above 0 and at most 1,024." in page
    assert all(not value or f"`{value}`" in page for value in SETTINGS.values() if isinstance(value, int))


def test_a_setting_without_a_default_or_a_check_is_an_error(pages: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"differ: seed$"):
        pages.settings_page({name: each for name, each in descriptions().items() if name != "seed"}, SCHEMA)


def test_the_command_line_page_has_every_command_and_flag(
    pages: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    page = pages.cli_page(build_parser([HELP_ALL]))
    with pytest.raises(SystemExit):
        build_parser().parse_args(["--help"])
    commands = re.findall(r"^    (\w+)", capsys.readouterr().out, re.MULTILINE)
    assert len(commands) > 10
    sections = dict(re.findall(r"^## `(.*?)`.*?\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    assert list(sections) == commands
    for command, section in sections.items():
        with pytest.raises(SystemExit):
            build_parser([HELP_ALL]).parse_args([command, "--help"])
        flags = set(re.findall(r"^  (--[\w-]+)", capsys.readouterr().out, re.MULTILINE))
        assert {flag for flag in flags if f"`{flag}" not in section} == set(), command


def test_text_of_the_code_is_no_markup(pages: ModuleType) -> None:
    parser = build_parser()
    parser.description = "a|b <c> *d* [e] docs/speed.md."
    page = pages.cli_page(parser)
    assert "%(" not in page
    assert "a&#124;b &lt;c> \\*d\\* \\[e\\] [speed](../speed.md)." in page
