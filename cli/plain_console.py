"""The console of a command: it shows texts as they are."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from operations.paths import shown_lines


class PlainConsole(Console):
    """A rich console that reads nothing into a text: no markup (`[old]`), no emoji codes (`:cat:`).

    Every text that is printed, in a table too, may come from a user: a path, a name, an error.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"markup": False, "emoji": False, "highlight": False, **options})

    def say(self, text: str) -> None:
        """Print a text, as long as its lines are."""
        self.print(text, soft_wrap=True)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(shown_lines(text), **options)
