"""MkDocs hooks: pages that are generated from the code, and formulas as MathML."""

from __future__ import annotations

import html
import re
import warnings
from typing import Any

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from pages import cli_page, settings_page

_FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the reference of the command line and of the settings."""
    with warnings.catch_warnings(action="ignore"):  # of packages that Flower imports: not a matter of the documentation
        from cli.flags import HELP_ALL  # noqa: PLC0415
        from cli.main import build_parser  # noqa: PLC0415
        from operations.defaults import descriptions  # noqa: PLC0415
        from server.settings import Settings  # noqa: PLC0415

    schema = Settings.model_json_schema()
    files.append(File.generated(config, "reference/cli.md", content=cli_page(build_parser([HELP_ALL]))))
    files.append(File.generated(config, "reference/settings.md", content=settings_page(descriptions(), schema)))
    return files


def on_page_content(content: str, **_: Any) -> str:
    """Turn each formula into MathML, which browsers show without a script."""
    return _FORMULA.sub(_mathml, content)


def _mathml(formula: re.Match[str]) -> str:
    tag, delimiter, latex = formula.groups()
    display = "block" if delimiter == "[" else "inline"
    return f'<{tag} class="formula">{convert(html.unescape(latex), display=display)}</{tag}>'
