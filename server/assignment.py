"""Which devices get the members that no device holds. A pure function."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping


def assigned(empty: Iterable[int], lost: Collection[int], room: Mapping[int, int]) -> dict[int, int]:
    """Return member's number -> node for as many of the `empty` members as there is room for.

    `room` is how many more members each node can hold. A member that was never held goes to the first node with room,
    so that those of a team are together; one of the `lost` goes to the node with the most room, the lowest of equals.
    """
    left = {node: count for node, count in sorted(room.items()) if count > 0}
    found: dict[int, int] = {}
    for number in empty:
        if not left:
            break
        node = max(left, key=lambda node: (left[node], -node)) if number in lost else next(iter(left))
        found[number] = node
        left[node] -= 1
        if left[node] == 0:
            del left[node]
    return found
