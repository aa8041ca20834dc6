"""Every code block of README and docs is checked: commands parse, configuration is valid, Python runs.

A block that cannot be run has a comment above it with the reason: <!-- not run: REASON -->. Its `pps-qmix` commands are
parsed all the same, and its Python is compiled.
"""

from __future__ import annotations

import importlib
import json
import re
import shlex
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from cli.main import build_parser
from strategies.registry import GROUP
from strategies.sharing import Sharing
from strategies.update import Update

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["flwr"]["app"]["config"]
LANGUAGES = {"bash", "json", "python", "text", "toml"}
RUN_ELSEWHERE = {
    "pettingzoo.md": "tests/envproxy/test_parallel_env.py",
    "backends.md": "tests/examples/test_grid_backend.py",  # parts of the example
    "strategies.md": "tests/examples/test_momentum_strategy.py",  # parts of the example
}
FLOWER = ("flwr", "flower-superlink", "flower-supernode")
_BLOCK = re.compile(
    r"(?:^<!-- not run(?: here)?: (?P<reason>[^>]+) -->\n)?"
    r"^(?P<fence>```+)(?P<language>\S*)[^\n]*\n(?P<text>.*?)^(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A fenced code block: its page, its place there, and why it is not run ("": it is)."""

    page: Path
    number: int
    language: str
    text: str
    reason: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}#{self.number}"

    def commands(self) -> Iterator[list[str]]:
        """The words of each simple command, without assignments before it."""
        for line in self.text.replace("\\\n", " ").splitlines():
            lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|")
            lexer.whitespace_split = True
            words: list[str] = []
            for token in [*lexer, ";"]:
                if set(token) <= set(";&|"):
                    while words and re.fullmatch(r"\w+=.*", words[0], re.DOTALL):
                        words.pop(0)
                    if words:
                        yield words
                    words = []
                else:
                    words.append(token)


def blocks(page: Path) -> list[Block]:
    """The code blocks of a page."""
    found = _BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [
        Block(page, number, block["language"], block["text"], block["reason"] or "")
        for number, block in enumerate(found, 1)
    ]


ALL = [block for page in PAGES for block in blocks(page)]


def of(language: str) -> pytest.MarkDecorator:
    """Run a test for each block of a language."""
    return pytest.mark.parametrize("block", [block for block in ALL if block.language == language], ids=str)


def test_the_pages_have_blocks() -> None:
    assert len(ALL) > 60
    assert {block.page.name for block in ALL} >= {"README.md", "get-started.md", "train.md", "edge.md"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_names_its_language(page: Path) -> None:
    fences = re.findall(r"^```", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(fences) == 2 * len(blocks(page))
    assert {block.language for block in blocks(page)} <= LANGUAGES


@of("bash")
def test_commands_are_valid(block: Block) -> None:
    for words in block.commands():
        _check_command(words, block)


@of("toml")
def test_toml_is_valid(block: Block) -> None:
    document = tomllib.loads(block.text)
    for table in (document.get("settings", {}), *document.get("map-settings", {}).values()):
        assert table.keys() <= CONFIG.keys()


@of("json")
def test_json_is_valid(block: Block) -> None:
    for line in block.text.splitlines():
        json.loads(line)


@of("python")
def test_python_runs(block: Block) -> None:
    code = compile(textwrap.dedent(block.text), str(block), "exec")
    if not block.reason and block.page.name not in RUN_ELSEWHERE:
        exec(code, {"__name__": "snippet"})


def test_pages_whose_python_is_run_elsewhere_are_named_there() -> None:
    for page, test in RUN_ELSEWHERE.items():
        assert f'"{page}"' in (ROOT / test).read_text(encoding="utf-8")


def test_the_strategy_of_get_started_can_be_registered_and_weighs_agents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = [block for block in ALL if block.page.name == "get-started.md"]
    (project,) = [block for block in page if block.language == "toml"]
    (module,) = [block for block in page if block.language == "python"]
    entry_points = tomllib.loads(project.text)["project"]["entry-points"][GROUP]
    ((name, value),) = entry_points.items()
    assert f"--strategy {name} " in page[-1].text
    file, _, class_name = value.partition(":")
    (tmp_path / f"{file}.py").write_text(module.text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    strategy: type[Sharing] = getattr(importlib.import_module(file), class_name)
    assert issubclass(strategy, Sharing)
    updates = [Update(seat, {}, 1.0, battles) for seat, battles in enumerate((1, 3))]
    weighting = strategy.weights(strategy.__new__(strategy), updates)  # it needs no settings
    np.testing.assert_allclose(weighting.weights, [0.25, 0.75])


def _check_command(words: list[str], block: Block) -> None:
    program, *arguments = words
    if program == "pps-qmix" or (program == "docker" and "run" in words and "pps-qmix" in words):
        _check_pps_qmix(words[len(words) - words[::-1].index("pps-qmix") :])
    elif program == "make":
        targets = (ROOT / "Makefile").read_text(encoding="utf-8")
        assert all(re.search(rf"^{target}:", targets, re.MULTILINE) for target in arguments), words
    elif program in FLOWER:
        known = _flower_options(program, arguments[0] if program == "flwr" else "")
        assert {word for word in arguments if word.startswith("--")} <= known, words
        if "--run-config" in arguments:
            _check_run_config(arguments[arguments.index("--run-config") + 1])
    elif words[:2] == ["python", "-m"]:
        assert find_spec(words[2]) is not None, words
    else:
        assert block.reason or program in ("cd", "export", "."), (
            f"cannot check {shlex.join(words)}: say why it is not run"
        )


def _check_pps_qmix(arguments: list[str]) -> None:
    try:
        build_parser().parse_args(arguments)
    except SystemExit as ended:
        pytest.fail(f"pps-qmix {shlex.join(arguments)}: exit code {ended.code}")
    for word in arguments:  # files of the repository that a command names
        if word.startswith("experiments/"):
            assert (ROOT / word).is_file(), word


def _check_run_config(text: str) -> None:
    if text.endswith(".toml"):
        assert (ROOT / text).is_file()
        return
    given = tomllib.loads("\n".join(re.findall(r'[\w-]+=(?:"[^"]*"|\S+)', text)))
    assert given
    assert given.keys() <= CONFIG.keys()


@cache
def _flower_options(program: str, command: str) -> set[str]:
    """The long options of a command of Flower, as its help names them."""
    path = Path(sys.executable).with_name(program)
    words = [str(path), *([command] if command else []), "--help"]
    shown = subprocess.run(words, capture_output=True, text=True, check=True, env={"COLUMNS": "200", "NO_COLOR": "1"})
    return set(re.findall(r"--[\w-]+", re.sub(r"\x1b\[[\d;]*m", "", shown.stdout)))
