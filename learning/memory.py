"""What becomes of memory that is freed."""

import ctypes
from typing import Final

_M_TRIM_THRESHOLD: Final = -1  # malloc.h
_M_MMAP_THRESHOLD: Final = -3
_TRIM_ABOVE: Final = 1 << 30  # bytes free at the end of the heap
_MAP_ABOVE: Final = 32 << 20  # bytes of one array; glibc takes no more


def keep_freed_memory() -> None:
    """Let the process reuse the memory that it frees, instead of giving it back to the system.

    A training step allocates some tens of MB and frees them. Given back, they are mapped and zeroed again, by page,
    at the next step. Does nothing where the C library is not glibc.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, _TRIM_ABOVE)
        mallopt(_M_MMAP_THRESHOLD, _MAP_ABOVE)
