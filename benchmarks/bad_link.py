"""A bad link in user space, for kernels without sch_netem: a process that passes frames on between two TAP devices.

python -m benchmarks.bad_link NEAR FAR DELAY LOSS SEED

What comes from FAR leaves at NEAR after DELAY seconds, or, with probability LOSS, never; what comes from NEAR leaves at
FAR at once. That is `tc qdisc add dev FAR root netem delay DELAY loss LOSS` on the host that FAR is given to.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import select
import struct
import sys
import time
from collections import deque

_TUNSETIFF = 0x400454CA  # <linux/if_tun.h>, like the next two
_IFF_TAP, _IFF_NO_PI = 0x0002, 0x1000
_LARGEST_FRAME = 65536


def _tap(name: str) -> int:
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI))
    return descriptor


def _frames(descriptor: int) -> list[bytes]:
    """Return the frames that have come."""
    found = []
    while True:
        try:
            found.append(os.read(descriptor, _LARGEST_FRAME))
        except OSError:  # no more; or the device is down
            return found


def _pass(descriptor: int, frame: bytes) -> None:
    with contextlib.suppress(OSError):  # the device is down: the frame is lost, as on a cable that is unplugged
        os.write(descriptor, frame)


def relay(near: int, far: int, delay: float, loss: float, seed: int) -> None:
    """Pass frames on for ever."""
    generator = random.Random(seed)
    late: deque[tuple[float, bytes]] = deque()  # when each is due; the delay is the same for all
    while True:
        timeout = max(0.0, late[0][0] - time.monotonic()) if late else None
        came, _, _ = select.select([near, far], [], [], timeout)
        if near in came:
            for frame in _frames(near):
                _pass(far, frame)
        if far in came:
            due = time.monotonic() + delay
            late.extend((due, frame) for frame in _frames(far) if generator.random() >= loss)
        while late and late[0][0] <= time.monotonic():
            _pass(near, late.popleft()[1])


def main(near: str, far: str, delay: str, loss: str, seed: str) -> None:
    ends = _tap(near), _tap(far)
    print("ready", flush=True)
    relay(*ends, float(delay), float(loss), int(seed))


if __name__ == "__main__":
    main(*sys.argv[1:])
