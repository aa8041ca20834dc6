"""Names that a file system allows and that something on the way may read otherwise."""

from __future__ import annotations

import os

from hypothesis import strategies as st

# Of URIs, TOML, shells, rich's markup and emoji codes, formats, HTML, and of terminals.
SIGNS = (
    *(
        "#",
        "?",
        "%",
        "%20",
        "%41",
        "&",
        "=",
        ":",
        ";",
        "@",
        "+",
        ",",
        "~",
        "*",
        "!",
        "|",
        "<",
        ">",
        "$HOME",
        "$(id)",
        "`id`",
    ),
    *(
        "'",
        '"',
        "\\",
        "\\n",
        "{}",
        "{0}",
        "%s",
        "%(name)s",
        "[",
        "]",
        "[old]",
        "[b]",
        "[]",
        "(",
        ")",
        ":cat:",
        "</script>",
    ),
    *(
        " ",
        "\t",
        "\n",
        "\r",
        "\x07",
        "\x1b[31m",
        "\x7f",
        "\x85",
        "\u2028",
        "-",
        "--",
        ".",
        "..",
        "é",
        "e\u0301",
        "猫",
        "😀",
        "\u202e",
    ),
    *("&amp;", "a", "Z", "0", "_"),
)
NOT_UTF8 = os.fsdecode(b"\xff\xfe")


def _is_name(name: str) -> bool:
    return name not in ("", ".", "..") and "/" not in name and "\0" not in name


def names(*more: str) -> st.SearchStrategy[str]:
    """Names of up to 150 bytes; `more` are signs beside the usual ones."""
    signs = st.one_of(
        st.sampled_from([*SIGNS, *more]), st.characters(exclude_categories=["Cs"], exclude_characters="/\0")
    )
    parts = st.lists(signs, min_size=1, max_size=12).map("".join)
    long = st.tuples(parts, st.integers(1, 50)).map(lambda drawn: drawn[0] * drawn[1])
    fitting = st.one_of(parts, long).map(
        lambda name: os.fsencode(name)[:150].decode("utf-8", "ignore" if not more else "surrogateescape")
    )
    return fitting.filter(_is_name)
