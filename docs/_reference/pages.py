"""The generated pages of the reference, as Markdown. Pure functions of the code that they describe."""

from __future__ import annotations

import argparse
import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from operations.defaults import Description

_SETTINGS_GROUP = "settings: "
_BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
}
_DOCS_FILE = re.compile(r"docs/([\w-]+)\.md")


def cli_page(parser: argparse.ArgumentParser) -> str:
    """Return the page of all commands: what each does, its usage and its arguments."""
    commands = _commands(parser)
    helps = {choice.dest: choice.help or "" for choice in _subparsers(parser)._choices_actions}
    lines = [
        "# Command line",
        "",
        f"{_text(parser.description or '')} This page is generated from the parser of the installed version.",
        "",
        "| command | what it does |",
        "|---|---|",
        *(f"| [`{name}`](#{name}) | {_text(helps[name])} |" for name in commands),
        "",
        "`pps-qmix --version` prints the version. A command exits with 0 on success, 1 if a run failed, 2 for a wrong "
        "argument, setting or file, and 130 after an interrupt.",
    ]
    for name, command in commands.items():
        lines += ["", f"## `{name}` {{: #{name} }}", "", _text(command.description or ""), "", *_arguments(command)]
    return "\n".join([*lines, ""])


def settings_page(described: Mapping[str, Description], schema: Mapping[str, Any]) -> str:
    """Return the page of all settings, in their groups: default, allowed values, meaning.

    `schema` is the JSON schema of the checked settings. Raises ValueError if the two name different settings.
    """
    if missing := set(described) ^ set(schema["properties"]):
        raise ValueError(f"settings with a default and settings that are checked differ: {', '.join(sorted(missing))}")
    lines = [
        "# Settings",
        "",
        "Each setting is a flag of `pps-qmix train` and `pps-qmix submit` (`--learning-rate 1e-3`), a key of Flower's "
        "`--run-config` (`learning-rate=1e-3`) and a key of an [experiment file](../experiments.md). `resume` is the "
        "exception: on the command line `--resume RUN` sets it together with `run` and `runs`.",
        "",
        "The defaults are those of Table 1 of the paper where the table names one. They are written in "
        "`[tool.flwr.app.config]` of `pyproject.toml` and nowhere else; this page is generated from there.",
    ]
    for group, members in itertools.groupby(described.items(), lambda item: item[1].group):
        lines += ["", f"## {group.capitalize()}"]
        for name, setting in members:
            allowed = _allowed(schema["properties"][name])
            lines += ["", f"### `{name}` {{: #{name} }}", "", f"Default: `{setting.default}`. {allowed}"]
            lines += ["", _sentence(_text(setting.meaning))]
    return "\n".join([*lines, ""])


def _arguments(command: argparse.ArgumentParser) -> Iterator[str]:
    """A table for each group of arguments; the settings are a page of their own."""
    for group in command._action_groups:
        actions = [action for action in group._group_actions if action.help != argparse.SUPPRESS]
        if (group.title or "").startswith(_SETTINGS_GROUP):
            names = ", ".join(_setting_link(action) for action in actions)
            yield f"[Settings](settings.md), {str(group.title).removeprefix(_SETTINGS_GROUP)}: {names}."
            yield ""
        elif actions:
            yield f"| {(group.title or 'options').removesuffix('s')} | meaning |"
            yield "|---|---|"
            yield from (f"| {_names(action)} | {_help(action, command)} |" for action in actions)
            yield ""


def _commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    choices: dict[str, argparse.ArgumentParser] = dict(_subparsers(parser).choices)
    return choices


def _subparsers(parser: argparse.ArgumentParser) -> Any:
    """The action that holds the commands. argparse has no public way to it."""
    return next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))


def _setting_link(action: argparse.Action) -> str:
    return f"[`{action.option_strings[0]}`](settings.md#{action.option_strings[0].removeprefix('--')})"


def _names(action: argparse.Action) -> str:
    metavar = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    if not action.option_strings:
        return f"`{metavar}`"
    if action.choices is not None and action.metavar is None:
        metavar = "{" + ",".join(map(str, action.choices)) + "}"
    value = "" if action.nargs == 0 else f" {metavar}"
    return ", ".join(f"`{option}{value}`" for option in action.option_strings)


def _help(action: argparse.Action, command: argparse.ArgumentParser) -> str:
    """The action's help with its placeholders filled, as `--help` shows it."""
    text = command._get_formatter()._expand_help(action) if action.help else ""
    words = ["required"] if action.required and action.option_strings else []
    return _text(" ".join([*(f"({word})" for word in words), text]).strip())


def _text(plain: str) -> str:
    """Text of the code as Markdown: nothing in it is markup, and files of the documentation are links."""
    escaped = re.sub(r"([\\`*_{}\[\]#$])", r"\\\1", plain).replace("<", "&lt;").replace("|", "&#124;")
    return _DOCS_FILE.sub(lambda found: f"[{found[1].replace('-', ' ')}](../{found[1]}.md)", escaped)


def _sentence(text: str) -> str:
    """A comment as a sentence. One that starts with a value ("solo: ...") keeps its first letter."""
    first, _, rest = text.partition(" ")
    start = first if first.endswith(":") else first[:1].upper() + first[1:]
    return f"{start} {rest}".strip() + ("" if text.endswith((".", "?", "!")) else ".")


def _allowed(schema: Mapping[str, Any]) -> str:
    """What a setting may be: its type and range."""
    if "enum" in schema:
        return "One of " + ", ".join(f"`{value}`" for value in schema["enum"]) + "."
    bounds = [words.format(_number(schema[key])) for key, words in _BOUNDS.items() if key in schema]
    kind = {"integer": "A whole number", "number": "A number", "boolean": "`true` or `false`", "string": "Text"}
    if schema.get("type") == "string" and schema.get("minLength"):
        bounds.append("not empty")
    return f"{kind[schema['type']]}{', ' + ' and '.join(bounds) if bounds else ''}."


def _number(value: float) -> str:
    """A bound as readers expect it: 2^48, 10,000,000, 0.5."""
    whole = int(value)
    if whole >= 2**32 and whole & (whole - 1) == 0:
        return f"2^{whole.bit_length() - 1}"
    return f"{whole:,}" if value == whole else f"{value:g}"
