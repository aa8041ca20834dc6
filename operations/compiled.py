"""How loops of arithmetic are compiled, and where compiled code is kept."""

from __future__ import annotations

import functools
import hashlib
import inspect
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from numba import config, njit
from numba.core.caching import CompileResultCacheImpl, FunctionCache, UserProvidedCacheLocator

log = logging.getLogger("pps-qmix")

# _nrt: nothing here allocates, so numba need not count references to arrays, atomically, at every slice and call;
# the simulator's steps take half the time. The option is numba's own and not documented.
_OPTIONS: Final[dict[str, Any]] = {"error_model": "numpy", "_nrt": False}


# A part of an entry point. Not cached by itself: an entry point's cache holds its parts. Inlined unless it is large,
# because a call would hand over all arrays word by word: the simulator's steps take half the time, compiling takes as
# long.
def part(function: Callable[..., Any], *, inlined: bool = True, **options: Any) -> Any:
    """Compile what compiled functions call; `options` are further ones of numba's `njit`."""
    return njit(forceinline=inlined, **_OPTIONS, **options)(function)


class CompilationOffError(RuntimeError):
    """numba is told not to compile; the message is for the user."""


def check_compilation(what: str) -> None:
    """Raise CompilationOffError if `what` ("the simulator") would be interpreted."""
    if config.DISABLE_JIT:  # type: ignore[attr-defined, unused-ignore]
        raise CompilationOffError(
            f"NUMBA_DISABLE_JIT is set: {what} would not be compiled, and take hours for minutes; unset it"
        )


def entry(function: Callable[..., Any], **options: Any) -> Any:
    """Compile what Python calls. It frees the GIL, so that threads compute side by side.

    `options` are further ones of numba's `njit`. Compiled code is kept until a module in the function's folder or
    below changes. numba's `cache=True` would stop the program where nothing can be written; here code is then compiled
    at every start.
    """
    compiled = njit(nogil=True, **_OPTIONS, **options)(function)
    if config.DISABLE_JIT:  # type: ignore[attr-defined, unused-ignore]
        return compiled
    try:
        compiled._cache = _Kept(function)  # type: ignore[no-untyped-call]
    except RuntimeError:  # no folder can be written, and none has compiled code
        _say_once("no folder for compiled code can be written; name one in NUMBA_CACHE_DIR")
    return compiled


class _Folder(UserProvidedCacheLocator):
    """$NUMBA_CACHE_DIR. numba refuses a folder that it cannot write; compiled code in it can be read all the same."""

    def ensure_cache_path(self) -> None:
        folder = Path(self.get_cache_path())  # type: ignore[no-untyped-call]
        if not any(folder.glob("*.nbi")):
            super().ensure_cache_path()  # type: ignore[no-untyped-call]


class _Implementation(CompileResultCacheImpl):
    _locator_classes = [  # noqa: RUF012 - as numba has it
        _Folder,
        *CompileResultCacheImpl._locator_classes,
    ]

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)  # type: ignore[no-untyped-call]
        # numba looks only at the file of an entry point, not at its parts.
        folder = Path(inspect.getfile(function)).parent
        self._locator.get_source_stamp = functools.partial(_sources, folder)


class _Kept(FunctionCache):
    _impl_class = _Implementation

    def save_overload(self, *compiled: Any) -> None:
        try:
            super().save_overload(*compiled)  # type: ignore[no-untyped-call]
        except OSError as error:
            remedy = "it is compiled again at the next start; name a folder that can be written in NUMBA_CACHE_DIR"
            log.warning("compiled code cannot be kept in %s (%s); %s", self.cache_path, error.strerror, remedy)


@functools.cache
def _say_once(text: str) -> None:
    log.warning("%s", text)


@functools.cache
def _sources(folder: Path) -> str:
    """Return what tells one state of the sources from another: their content, wherever they are copied."""
    sources = [Path(__file__), *sorted(folder.rglob("*.py"))]
    return hashlib.sha256(b"\0".join(source.read_bytes() for source in sources)).hexdigest()
