"""Replies that Flower cannot read: it makes a message of the bytes that a device has sent, and raises if they are none.

All replies that it was asked for at the same time are lost then; of those the SuperLink says that they are unavailable.
So once that has happened they are asked for one by one, which costs a call each: from then on only the sender loses.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

import httpx
from flwr.app import Message
from flwr.serverapp import Grid

from server.outer_grid import OuterGrid

log = logging.getLogger("server")


class UnreadableGrid(OuterGrid):
    """Another Grid, from which replies that cannot be read do not come."""

    def __init__(self, inner: Grid) -> None:
        super().__init__(inner)
        self._one_by_one = False

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        ids = list(message_ids)
        if not self._one_by_one:
            found = self._pull(ids)
            if found is not None:
                return found
            self._one_by_one = True
        return [message for id_ in ids for message in self._pull([id_]) or []]

    def _pull(self, ids: list[str]) -> list[Message] | None:
        """Return the replies there are, None if one cannot be read."""
        try:
            return list(self.inner.pull_messages(ids))
        except (httpx.HTTPError, OSError):  # no device's doing
            raise
        except Exception as error:  # the bytes come from another machine: whatever they are, only their sender may fail
            log.warning("a reply cannot be read (%r); its device is left out", error)
            return None
