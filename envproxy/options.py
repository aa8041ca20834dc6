"""Options as one text, "name=value, other-name=value": what a user gives differs from an object's defaults."""

from __future__ import annotations

import dataclasses
import math
import numbers
import re
import shlex
from typing import Any, ClassVar, Self

import numpy as np

_SHOWN = 80  # characters of a value that was found
_MOST_INT = 2**63 - 1


class OptionsError(ValueError):
    """A text or a value that gives no options; the message is one line: what was found and what was expected."""


class Options:
    """Base of frozen dataclasses whose fields are bool, int, float or str, each with a default.

    A field has the type of its default. Numpy's scalars count as Python's, an int counts as a float; a bool is neither.
    """

    NOUN: ClassVar[str]  # what the options are called where they are given, as "rules"
    Error: ClassVar[type[OptionsError]] = OptionsError

    def __post_init__(self) -> None:
        """Make every value one of its field's type. Raises `Error`; a subclass calls this before its own checks."""
        for field in _fields(type(self)):
            found = getattr(self, field.name)
            value = _as_type_of(field.default, found)
            if value is None:
                raise self.Error(
                    f"{self.NOUN}: {kebab(field.name)}: expected {_KINDS[type(field.default)]}, found {shown(found)}"
                )
            object.__setattr__(self, field.name, value)

    @classmethod
    def require(cls, found: object) -> Self:
        """Return `found` if these are such options. Raises `cls.Error`, also for a text: `parse` reads texts."""
        if isinstance(found, cls):
            return found
        name = cls.__name__
        raise cls.Error(f"{cls.NOUN}: expected {name}(...) or {name}.parse(text), found {shown(found)}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "name=value, other-name=value"; a value with spaces or commas is in quotes. Raises `cls.Error`."""
        if not isinstance(text, str):
            raise cls.Error(f"{cls.NOUN}: expected a text of NAME=VALUE, found {shown(text)}")
        defaults = {field.name: field.default for field in _fields(cls)}
        given: dict[str, Any] = {}
        for item in cls._items(text):
            name, equals, value = item.partition("=")
            field = name.replace("-", "_")
            if not equals:
                raise cls.Error(f"{cls.NOUN}: expected NAME=VALUE, found {item!r}")
            if field not in defaults:
                raise cls.Error(f"{cls.NOUN}: there is no {name!r}; there are {', '.join(map(kebab, defaults))}")
            if field in given:
                raise cls.Error(f"{cls.NOUN}: {kebab(field)} is given twice")
            given[field] = cls._value(kebab(field), value, defaults[field])
        return cls(**given)

    def text(self) -> str:
        """Return what differs from the defaults, in one form only: equal options have equal texts."""
        return ", ".join(
            f"{kebab(field.name)}={_quoted(written(getattr(self, field.name)))}"
            for field in _fields(type(self))
            if getattr(self, field.name) != field.default
        )

    __str__ = text

    def check(self, name: str, is_right: bool, expected: str) -> None:
        """Raise `Error` unless the field `name` is right."""
        if not is_right:
            found = " ".join(written(getattr(self, name)).split())[:_SHOWN]
            raise self.Error(f"{self.NOUN}: {kebab(name)}: expected {expected}, found {found}")

    @classmethod
    def _items(cls, text: str) -> list[str]:
        bare = re.sub(r"""("[^"]*"|'[^']*')|\s*=\s*""", lambda found: found[1] or "=", text)
        lexer = shlex.shlex(bare, posix=True)
        lexer.whitespace += ","
        lexer.whitespace_split, lexer.commenters, lexer.escape = True, "", ""
        try:
            return list(lexer)
        except ValueError:
            raise cls.Error(f"{cls.NOUN}: expected every quote to be closed, found {text!r}") from None

    @classmethod
    def _value(cls, name: str, text: str, default: object) -> object:
        """Return `text` as the type of the option's default."""
        if isinstance(default, bool):
            if text.lower() in ("true", "false"):
                return text.lower() == "true"
            raise cls.Error(f"{cls.NOUN}: {name}: expected true or false, found {text!r}")
        if isinstance(default, str):
            return text
        try:
            number = int(text) if isinstance(default, int) else float(text)
            is_number = math.isfinite(number)
        except (ValueError, OverflowError):  # also a whole number that is too large for a float
            is_number = False
        if not is_number:
            raise cls.Error(f"{cls.NOUN}: {name}: expected {_KINDS[type(default)]}, found {text[:_SHOWN]!r}")
        return number


def kebab(field: str) -> str:
    """Return a field's name as users write it."""
    return field.replace("_", "-")


def written(value: object) -> str:
    """Return an option's value as users write it."""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def shown(value: object) -> str:
    """Return a value and its type in one line, as "8.5 (float)"; of an array, its shape and type."""
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} {list(value.shape)}"
    try:
        text = " ".join(repr(value).split())
    except Exception:  # Python writes no int of thousands of digits
        text = "a value that cannot be written"
    if len(text) > _SHOWN:
        text = f"{text[:_SHOWN]}..."
    return text if value is None else f"{text} ({type(value).__name__})"


_KINDS: dict[type, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def _as_type_of(default: object, found: object) -> bool | int | float | str | None:
    """Return `found` as a value of the default's type; None if it is of another kind."""
    if isinstance(default, bool):
        return bool(found) if isinstance(found, bool | np.bool_) else None
    if isinstance(default, str):
        return str(found) if isinstance(found, str) else None
    if isinstance(found, bool):
        return None
    if isinstance(default, int):
        return int(found) if isinstance(found, numbers.Integral) and abs(int(found)) <= _MOST_INT else None
    try:
        return float(found) if isinstance(found, numbers.Real) else None
    except OverflowError:  # of an int beyond all floats
        return math.inf


def _quoted(text: str) -> str:
    if not re.search(r"[\s,=\"']", text) and text:
        return text
    if '"' not in text:
        return f'"{text}"'
    parts = (f"'{part}'" for part in text.split("'"))
    return '''"'"'''.join(parts)  # shlex joins what has no space between


def _fields(options: type[Options]) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(options)  # type: ignore[arg-type] # every subclass is a dataclass
