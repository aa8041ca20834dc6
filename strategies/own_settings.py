"""Settings that a strategy declares itself, and their text form "momentum=0.9, nesterov=true"."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Value = bool | int | float | str

_NAME = re.compile(r"[a-z][a-z0-9-]*")
_KINDS: dict[type, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "a word"}


@dataclass(frozen=True)
class Setting:
    """One setting of a strategy. Its type is that of its default: bool, int, float or str.

    Raises ValueError if the name, the default or a bound cannot be used.
    """

    name: str
    """Lower-case words with hyphens: the flag `--NAME` and the name in `strategy-settings`."""
    default: Value
    help: str
    """What it does, in one line."""
    minimum: float = -math.inf
    """Of a number, included."""
    maximum: float = math.inf
    """Of a number, included."""
    choices: tuple[str, ...] = ()
    """Of a word; empty: any word."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"setting {self.name!r}: expected a name of lower-case letters, digits and hyphens")
        if type(self.default) not in _KINDS:
            raise ValueError(f"setting {self.name!r}: expected a default of bool, int, float or str")
        if self.parse(written(self.default)) != self.default:
            raise ValueError(f"setting {self.name!r}: the default {self.default!r} cannot be written as a word")

    @property
    def expected(self) -> str:
        """What a value must be, in words: "a number from 0 to 1", "one of l1, l2"."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        kind = _KINDS[type(self.default)]
        match math.isfinite(self.minimum), math.isfinite(self.maximum):
            case True, True:
                return f"{kind} from {self.minimum:g} to {self.maximum:g}"
            case True, False:
                return f"{kind} of at least {self.minimum:g}"
            case False, True:
                return f"{kind} of at most {self.maximum:g}"
        return kind

    def parse(self, text: str) -> Value:
        """Return the value that a user wrote. Raises ValueError, naming what is expected and what was found."""
        value = _as_type_of(self.default, text)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if (
            value is None
            or (is_number and not self.minimum <= value <= self.maximum)  # type: ignore[operator]
            or (self.choices and value not in self.choices)
        ):
            raise ValueError(f"{self.name}: expected {self.expected}, found {text!r}")
        return value


def parse_pairs(text: str) -> dict[str, str]:
    """Read "momentum=0.9, nesterov=true" into name -> text of the value. Raises ValueError."""
    pairs: dict[str, str] = {}
    for item in re.split(r"[,\s]+", re.sub(r"\s*=\s*", "=", text.strip(", \t\n"))):
        name, equals, value = item.partition("=")
        if not item:
            continue
        if not equals or not value:
            raise ValueError(f"expected NAME=VALUE, found {item!r}")
        if name in pairs:
            raise ValueError(f"{name} is given twice")
        pairs[name] = value
    return pairs


def joined(pairs: Mapping[str, str]) -> str:
    """Return the text that `parse_pairs` reads."""
    return ", ".join(f"{name}={value}" for name, value in pairs.items())


def parse_settings(declared: Iterable[Setting], pairs: Mapping[str, str]) -> dict[str, Value]:
    """Return the value of every declared setting: the one in `pairs`, else its default. Raises ValueError."""
    settings = {setting.name: setting for setting in declared}
    for name in pairs:
        if name not in settings:
            raise ValueError(f"unknown setting {name!r}; the strategy has {', '.join(settings) or 'none'}")
    return {
        name: setting.parse(pairs[name]) if name in pairs else setting.default for name, setting in settings.items()
    }


def written(value: Value) -> str:
    """Return a value as users write it: equal values have equal texts."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _as_type_of(default: Value, text: str) -> Value | None:
    """Return `text` as a value of the default's type, None if it is of another kind."""
    if isinstance(default, bool):
        return {"true": True, "false": False}.get(text.lower())
    if isinstance(default, str):
        return text if text and not re.search(r"[,=\s]", text) else None
    try:
        value = int(text.replace("_", "")) if isinstance(default, int) else float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
