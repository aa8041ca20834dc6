"""Options as one text, "name=value, other-name=value": what a user gives differs from an object's defaults."""

from __future__ import annotations

import dataclasses
import math
import re
import shlex
from typing import Any, ClassVar, Self


class OptionsError(ValueError):
    """A text or a number that gives no options; the message is one line: what was found and what was expected."""


class Options:
    """Base of frozen dataclasses whose fields are bool, int, float or str, each with a default."""

    NOUN: ClassVar[str]  # what the options are called where they are given, as "rules"
    Error: ClassVar[type[OptionsError]] = OptionsError

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "name=value, other-name=value"; a value with spaces or commas is in quotes. Raises `cls.Error`."""
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
            raise self.Error(f"{self.NOUN}: {kebab(name)}: expected {expected}, found {written(getattr(self, name))}")

    @classmethod
    def _items(cls, text: str) -> list[str]:
        lexer = shlex.shlex(re.sub(r"\s*=\s*", "=", text), posix=True)
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
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            kind = "a whole number" if isinstance(default, int) else "a number"
            raise cls.Error(f"{cls.NOUN}: {name}: expected {kind}, found {text!r}")
        return number


def kebab(field: str) -> str:
    """Return a field's name as users write it."""
    return field.replace("_", "-")


def written(value: object) -> str:
    """Return an option's value as users write it."""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def _quoted(text: str) -> str:
    if not re.search(r"[\s,=\"']", text) and text:
        return text
    quote = "'" if '"' in text else '"'
    return f"{quote}{text}{quote}"


def _fields(options: type[Options]) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(options)  # type: ignore[arg-type] # every subclass is a dataclass
