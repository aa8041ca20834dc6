"""What a user is told of each setting, beside its default."""

from __future__ import annotations

from operations.defaults import default_config, descriptions


def test_every_setting_has_a_meaning_in_a_group() -> None:
    described = descriptions()
    assert list(described) == list(default_config())
    assert {each.group for each in described.values()} == {"common", "learning", "sharing", "robustness", "runtime"}
    assert described["learning-rate"].default == "0.0005"
    assert described["learning-rate"].meaning == "step size of Adam"
    assert all(each.meaning and not each.meaning.endswith(".") for each in described.values())
