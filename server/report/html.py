"""Pieces of the page. Titles and contents are HTML already, but for the cells of `table`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def section(title: str, content: str) -> str:
    return f"<section><h2>{title}</h2>{content}</section>"


def details(title: str, content: str) -> str:
    return f"<details><summary>{title}</summary>{content}</details>"


def figure(title: str, chart: str, meaning: str) -> str:
    return f"<figure><h3>{title}</h3>{chart}<figcaption>{meaning}</figcaption></figure>"


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table whose first column is a head; none of the texts is markup."""
    return table_of_html(list(map(escape, head)), (list(map(escape, line)) for line in lines))


def table_of_html(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table whose first column is a head; the cells are HTML."""
    titles = "".join(f'<th scope="col">{title}</th>' for title in head)
    thead = f"<thead><tr>{titles}</tr></thead>" if any(head) else ""
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
        for first, *cells in lines
    )
    return f'<div class="scroll" tabindex="0"><table>{thead}<tbody>{body}</tbody></table></div>'
