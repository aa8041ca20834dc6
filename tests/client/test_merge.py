"""The merge of an aggregate into weights that have been trained on: worked by hand, at its training step, once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.merge import DelayedMerge, merged
from client.messages import Tensors
from learning.learner import Learner
from tests.learning.toy import SPEC, settings

NUMBERS = st.floats(-8.0, 8.0, width=32)


def array(*values: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.array(values, np.float32)


def test_a_merge_adds_what_the_aggregate_changes_in_the_weights_that_were_sent() -> None:
    sent, trained = {"a": array(1.0, 2.0), "b": array(5.0)}, {"a": array(1.5, 1.0), "b": array(6.0)}
    aggregate, adopt = array(3.0, 0.0), 0.5
    adopted = {"a": (1 - adopt) * sent["a"] + adopt * aggregate}  # what the server sends: 2, 1
    found = merged(trained, sent, adopted)
    assert found.keys() == {"a"}  # "b" is personal: the server does not send it
    assert found["a"].tolist() == [2.5, 0.0] == (trained["a"] + adopt * (aggregate - sent["a"])).tolist()


@given(NUMBERS, NUMBERS, NUMBERS)
def test_what_was_learned_meanwhile_is_kept(sent: float, learned: float, adopted: float) -> None:
    trained = array(sent) + array(learned)
    (found,) = merged({"a": trained}, {"a": array(sent)}, {"a": array(adopted)})["a"]
    assert found == pytest.approx(adopted + learned, abs=1e-4)


@given(NUMBERS, NUMBERS)
def test_an_aggregate_that_changes_nothing_changes_no_bit(sent: float, trained: float) -> None:
    found = merged({"a": array(trained)}, {"a": array(sent)}, {"a": array(sent)})
    assert found["a"].tobytes() == array(trained).tobytes() or found["a"] == array(trained)  # -0 + 0 is 0


def test_a_merge_is_made_once_at_its_training_step() -> None:
    learner = Learner(SPEC, settings(), 0)
    asked: list[int] = []
    bias = learner.tensors()["fc2.bias"]

    def adopted() -> Tensors:
        asked.append(1)
        return {"fc2.bias": bias + np.float32(1.0)}

    merge = DelayedMerge(learner, 3, adopted)
    for steps in (1, 2):
        assert merge.trained(steps) == 0.0
    assert (asked, learner.tensors()["fc2.bias"].tolist()) == ([], bias.tolist())
    assert merge.trained(3) >= 0.0
    merge.trained(4)
    merge.finish()
    assert (asked, learner.tensors()["fc2.bias"].tolist()) == ([1], (bias + 1.0).tolist())


def test_a_round_that_ends_too_early_ends_with_the_merge() -> None:
    learner = Learner(SPEC, settings(), 0)
    bias = learner.tensors()["fc2.bias"] + np.float32(1.0)
    merge = DelayedMerge(learner, 3, lambda: {"fc2.bias": bias})
    merge.trained(2)
    merge.finish()
    assert learner.tensors()["fc2.bias"].tolist() == bias.tolist()
