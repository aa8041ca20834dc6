"""The in-process Grid: Flower's `Grid` interface over a team of agents that lives in this very process.

Same ServerApp, same strategies, same messages; nothing is started and nothing travels. See `cli.in_process` for the
team.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

Team = Callable[[Sequence[Message]], Iterable[Message]]


class InProcessGrid(Grid):
    """Delivers messages to nodes 1..n by calling `team` with all that were pushed since the last pull.

    `team` answers every message it is given, in any order; a reply's `src_node_id` is the question's destination.
    """

    def __init__(self, nodes: int, team: Team, run: Run) -> None:
        self._nodes = list(range(1, nodes + 1))
        self._team = team
        self._run = run
        self._numbers = itertools.count(1)
        self._pushed: list[Message] = []
        self._replies: dict[str, Message] = {}
        # Flower's Message reads them when it is made; outside a Flower process they are not set.
        TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = run.run_id, 0, 0

    def set_run(self, run: Run) -> None:
        self._run = run

    @property
    def run(self) -> Run:
        return self._run

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> Iterable[int]:
        return list(self._nodes)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        identifiers = []
        for message in messages:
            message.metadata.__dict__["_message_id"] = str(next(self._numbers))  # a SuperLink would set it
            identifiers.append(message.metadata.message_id)
            self._pushed.append(message)
        return identifiers

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        if self._pushed:
            pushed, self._pushed = self._pushed, []
            self._replies |= {reply.metadata.reply_to_message_id: reply for reply in self._team(pushed)}
        return [self._replies.pop(i) for i in message_ids if i in self._replies]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        return self.pull_messages(self.push_messages(messages))
