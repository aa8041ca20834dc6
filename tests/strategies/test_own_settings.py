"""Settings that a strategy declares: what they may be, and their text form."""

import pytest

from strategies.own_settings import Setting, joined, parse_pairs, parse_settings, written

MOMENTUM = Setting("momentum", 0.9, "share of the last step", minimum=0.0, maximum=1.0)
COUNT = Setting("count", 3, "how many", minimum=1)
NESTEROV = Setting("nesterov", False, "whether to look ahead")
NORM = Setting("norm", "l2", "of distances", choices=("l1", "l2"))


@pytest.mark.parametrize(
    ("setting", "text", "value"),
    [
        (MOMENTUM, "0.5", 0.5),
        (MOMENTUM, "1", 1.0),
        (COUNT, "1_000", 1000),
        (NESTEROV, "TRUE", True),
        (NORM, "l1", "l1"),
    ],
)
def test_a_value_has_the_type_of_the_default(setting: Setting, text: str, value: object) -> None:
    found = setting.parse(text)
    assert (found, type(found)) == (value, type(setting.default))


@pytest.mark.parametrize(
    ("setting", "text", "expected"),
    [
        (MOMENTUM, "1.5", "momentum: expected a number from 0 to 1, found '1.5'"),
        (MOMENTUM, "nan", "momentum: expected a number from 0 to 1, found 'nan'"),
        (MOMENTUM, "high", "momentum: expected a number from 0 to 1, found 'high'"),
        (COUNT, "0", "count: expected a whole number of at least 1, found '0'"),
        (COUNT, "1.5", "count: expected a whole number of at least 1, found '1.5'"),
        (NESTEROV, "1", "nesterov: expected true or false, found '1'"),
        (NORM, "l3", "norm: expected one of l1, l2, found 'l3'"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_expected(setting: Setting, text: str, expected: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        setting.parse(text)
    assert str(refused.value) == expected


def test_every_setting_has_a_value() -> None:
    values = parse_settings([MOMENTUM, COUNT, NESTEROV, NORM], parse_pairs("count = 7,  norm=l1"))
    assert values == {"momentum": 0.9, "count": 7, "nesterov": False, "norm": "l1"}


def test_a_text_is_read_back() -> None:
    settings: dict[str, bool | float | int | str] = {"a": 0.1, "b": True, "c": 3, "d": "x"}
    pairs = {name: written(value) for name, value in settings.items()}
    assert joined(pairs) == "a=0.1, b=true, c=3, d=x"
    assert parse_pairs(joined(pairs)) == pairs
    assert parse_pairs("") == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("momentum", "expected NAME=VALUE, found 'momentum'"),
        ("momentum=", "expected NAME=VALUE, found 'momentum='"),
        ("count=1, count=2", "count is given twice"),
        ("speed=1", "unknown setting 'speed'; the strategy has momentum"),
    ],
)
def test_a_wrong_text_is_refused(text: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        parse_settings([MOMENTUM], parse_pairs(text)) if "count" not in text else parse_pairs(text)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("Momentum", 0.9, ""), "expected a name of lower-case letters"),
        (("m", None, ""), "expected a default of bool, int, float or str"),
        (("m", "two words", ""), "'m|m: expected a word"),
        (("m", 2.0, "", 0.0, 1.0), "m: expected a number from 0 to 1, found '2.0'"),
    ],
)
def test_a_declaration_is_checked(arguments: tuple[object, ...], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        Setting(*arguments)  # type: ignore[arg-type]
