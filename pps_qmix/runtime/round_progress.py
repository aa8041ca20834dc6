"""How far the round is that an env proxy plays: the environment steps collected in it."""

from __future__ import annotations

import grpc

from envproxy import battle_pb2 as pb
from envproxy import battle_pb2_grpc


class RoundProgress:
    """Asks an env proxy about one of its arenas. Closing ends the connection, not the env proxy."""

    def __init__(self, channel: grpc.Channel, arena: str) -> None:
        self._channel = channel
        self._stub = battle_pb2_grpc.BattleServiceStub(channel)  # type: ignore[no-untyped-call]
        self._arena = arena

    def ask(self) -> tuple[int, int] | None:
        """Return the round that is on and the environment steps collected in it, if the env proxy tells."""
        try:
            found = self._stub.Describe(pb.DescribeRequest(arena=self._arena), timeout=1.0)
        except (grpc.RpcError, ValueError):
            return None
        return found.round, found.steps

    def close(self) -> None:
        self._channel.close()
