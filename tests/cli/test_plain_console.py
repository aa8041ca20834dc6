"""What a command shows is what is there: nothing of a path or an error is read as markup."""

from __future__ import annotations

import io

from hypothesis import example, given
from hypothesis import strategies as st
from rich.progress import Progress, TextColumn
from rich.table import Column, Table

from cli.plain_console import PlainConsole
from operations.paths import shown_lines
from tests.nasty import NOT_UTF8, names

TEXTS = names(NOT_UTF8) | st.text(max_size=40)


def printed(console: PlainConsole) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@given(text=TEXTS, terminal=st.booleans())
@example(text="runs [old]", terminal=True)
@example(text="a[/b]", terminal=False)
@example(text=":cat: a\tb", terminal=False)
@example(text="x" * 500 + " y", terminal=True)
def test_a_text_is_said_as_it_is(text: str, terminal: bool) -> None:
    console = PlainConsole(file=io.StringIO(), width=80, force_terminal=terminal, color_system=None)
    console.say(text)
    assert printed(console) == shown_lines(text) + "\n"


def test_a_cell_of_a_table_and_a_column_of_progress_are_texts_too() -> None:
    console = PlainConsole(file=io.StringIO(), width=80)
    table = Table(Column("run", no_wrap=True), box=None)
    table.add_row("runs [old] a[/b] :cat:")
    console.print(table)
    assert "runs [old] a[/b] :cat:" in printed(console)
    with Progress(TextColumn("{task.description}", markup=False), console=console) as progress:
        progress.add_task("a[/b] [old]")
        console.say("between [x]")
    assert "a[/b] [old]" in printed(console)
    assert "between [x]\n" in printed(console)
