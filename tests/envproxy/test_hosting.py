"""An arena as the env proxy hosts it, without gRPC; `test_service.py` has the rest, with real streams."""

import pytest

from envproxy.arena import Arena
from envproxy.hosting import HostedArena
from tests.envproxy.drill import Drill


def test_every_seat_needs_a_token():
    with pytest.raises(ValueError, match="2 tokens for 3 seats of arena 'main'"):
        HostedArena("main", "drill", Arena(Drill(2, 3, lambda _: 3)), ["a", "b"], 1.0)
