"""Settings: the defaults hold, a wrong value gives one line that names it, what is expected and what was found."""

from __future__ import annotations

import math
import re

import pytest

from server.run_directory import run_name
from server.settings import Settings, SettingsError, Value, check_settings
from tests.server.squad import defaults, settings


def line_of(**changes: Value) -> str:
    """Return the one line that refuses these settings."""
    with pytest.raises(SettingsError) as refused:
        settings(**changes)
    (line,) = str(refused.value).splitlines()
    return line


def test_the_defaults_are_valid() -> None:
    assert check_settings(defaults()).config() == defaults()


def test_every_key_of_the_app_is_a_setting_and_vice_versa() -> None:
    assert [field.alias for field in Settings.model_fields.values()] == list(defaults())


def test_a_round_trip_changes_nothing() -> None:
    changed = settings(map="8m", strategy="pp-pps", learning_rate=1e-3, resume=True, run="x", seed=2**63 - 1)
    assert check_settings(changed.config()) == changed


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("seed", "five", "valid integer"),
        ("seed", 1.5, "valid integer"),
        ("seed", -1, "greater than or equal to 0"),
        ("seed", 2**63, "less than 9223372036854775808"),
        ("total-steps", True, "valid integer"),  # Python takes it for 1
        ("total-steps", "1000", "valid integer"),
        ("total-steps", 0, "greater than 0"),
        ("battles", 1025, "less than or equal to 1024"),
        ("learning-rate", "fast", "valid number"),
        ("learning-rate", True, "valid number"),
        ("learning-rate", 0.0, "greater than 0"),
        ("gamma", 1.01, "less than or equal to 1"),
        ("td-lambda", -0.1, "greater than or equal to 0"),
        ("learning-rate-decay", 1.1, "less than or equal to 1"),
        ("adopt", -0.1, "greater than or equal to 0"),
        ("max-weight", 0.0, "greater than 0"),
        ("max-weight", 1.01, "less than or equal to 1"),
        ("max-return", 0.0, "greater than 0"),
        ("max-return", math.inf, "finite number"),
        ("tolerate", -1, "greater than or equal to 0"),
        ("personal-layers", 9, "less than or equal to 8"),
        ("resume", "yes", "valid boolean"),
        ("resume", 1, "valid boolean"),
        ("map", 3, "valid string"),
        ("map", "", "at least 1 character"),
        ("base", "qmixx", "'vdn' or 'qmix'"),
        ("mixing", "split", "'solo' or 'joint'"),
        ("reward-credit", "dead", "'alive' or 'team'"),
        ("reward-weighting", "even", "'proportional' or 'softmax'"),
        ("run", "../elsewhere", "match pattern"),
        ("run", "x\n", "match pattern"),
        ("arena", "a/b", "match pattern"),
        ("arena", "", "match pattern"),
        ("threads", -1, "greater than or equal to 0"),
        ("device", "gpu", "'cpu', 'cuda' or 'auto'"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_expected(name: str, value: Value, expected: str) -> None:
    line = line_of(**{name: value})
    assert line.startswith(f"{name}: ")
    assert expected in line
    assert line.endswith(f"found {value!r}")


@pytest.mark.parametrize("name", [name for name, value in defaults().items() if isinstance(value, float)])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_number_is_infinite_or_none_at_all(name: str, value: float) -> None:
    line = line_of(**{name: value})
    assert line.startswith(f"{name}: ")
    assert line.endswith(f"found {value}")


def test_whole_numbers_do_for_numbers() -> None:
    assert settings(gamma=1, seat_timeout=5).config()["seat-timeout"] == 5.0


def test_an_unknown_setting() -> None:
    assert line_of(lerning_rate=1e-3) == 'lerning-rate: unknown setting. Did you mean "learning-rate"?'


def test_a_missing_setting() -> None:
    config = defaults()
    del config["map"]
    with pytest.raises(SettingsError, match=r"^map: missing$"):
        check_settings(config)


def test_an_unknown_strategy_comes_with_a_suggestion() -> None:
    line = line_of(strategy="rs-pp")
    assert line.startswith('strategy: unknown strategy "rs-pp"')
    assert line.endswith('Did you mean "rs-pps"?')
    assert "Did you mean" not in line_of(strategy="something else")


def test_a_buffer_must_hold_a_batch() -> None:
    assert line_of(buffer_size=95) == "buffer-size: expected at least batch-size (96), found 95"
    assert settings(buffer_size=96).buffer_size == 96


@pytest.mark.parametrize(("strategy", "mixing"), [("rs-pps", "joint"), ("none", "solo"), ("a-pps", "solo")])
def test_one_network_for_all_is_mixed_jointly_and_shared_by_no_strategy(strategy: str, mixing: str) -> None:
    line = line_of(centralised=True, strategy=strategy, mixing=mixing)
    assert line.startswith("centralised: expected strategy 'none' and mixing 'joint', ")
    assert f"found {strategy!r} and {mixing!r}" in line


def test_an_aggregate_is_merged_before_the_next_one_is_made() -> None:
    assert settings(overlap=300, **{"aggregation-every": 300}).overlap == 300
    line = line_of(overlap=301, **{"aggregation-every": 300})
    assert line.startswith(
        "overlap: expected at most aggregation-every (300), found 301: an agent merges an aggregate "
    )
    assert line_of(overlap=-1).startswith("overlap: input should be greater than or equal to 0, found -1")


def test_one_network_for_all_awaits_no_aggregate() -> None:
    line = line_of(overlap=5, centralised=True, strategy="none", mixing="joint")
    assert line.startswith("overlap: expected 0 with centralised, found 5: ")


def test_a_run_is_named_after_its_method() -> None:
    assert run_name(settings(strategy="a-pps", base="qmix")).startswith("3m-a-pps-qmix-s0-")
    central = settings(centralised=True, strategy="none", mixing="joint")
    assert run_name(central).startswith("3m-centralised-vdn-s0-")


def test_a_run_is_named_as_a_run_may_be() -> None:
    """Maps and strategies of other packages may have any name."""
    for map_ in ("my map/2 [x]", "m" * 200, "_hidden", "é😀"):
        name = run_name(settings(map=map_))
        assert settings(run=name).run == name
        assert re.search(r"-\d{8}-\d{6}$", name)
    assert run_name(settings(map="my map")).startswith("my-map-rs-pps-vdn-s0-")


def test_every_wrong_setting_has_its_line() -> None:
    with pytest.raises(SettingsError) as refused:
        settings(gamma=2.0, map="", nonsense=1)
    assert [line.partition(":")[0] for line in str(refused.value).splitlines()] == ["map", "gamma", "nonsense"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"teams": 0}, "teams: input should be greater than 0"),
        ({"teams": 2, "centralised": True, "strategy": "none", "mixing": "joint"}, "centralised: expected one team"),
        ({"teams": 2, "attest-key": "key"}, "attest-key: expected none with several teams, found teams 2"),
        ({"teams": 2, "overlap": 3, "quorum": 0.5}, "quorum: expected 1 with overlap, found 0.5"),
        ({"share-among": "map"}, "share-among: input should be 'all', 'seat' or 'type'"),
        ({"quorum": 0.0}, "quorum: input should be greater than 0"),
    ],
)
def test_what_several_teams_cannot_do_is_refused_in_one_line(changes: dict[str, Value], words: str) -> None:
    assert line_of(**changes).startswith(words)
