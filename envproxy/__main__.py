"""`python -m envproxy`: serves arenas until it is stopped. `--help` lists the flags."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from envproxy.backend import BackendFailedError
from envproxy.command import add_arguments, run
from envproxy.server import ProcessEndedError
from operations import logs
from operations.home import HomeError

FAILED, USAGE_ERROR, INTERRUPTED = 1, 2, 130
_NAME = "python -m envproxy"


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve; return the exit code: 0 after SIGTERM, 1 after a failure, 2 for wrong flags, 130 if interrupted before."""
    parser = argparse.ArgumentParser(prog=_NAME, description="Serve battles to the seats of one or more arenas.")
    add_arguments(parser)
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # else nohup ignores it
        signal.signal(signal.SIGHUP, _interrupt)
    try:
        return run(options)
    except KeyboardInterrupt:
        return INTERRUPTED
    except (BackendFailedError, ProcessEndedError, HomeError) as error:
        return _fail(str(error), FAILED)
    except (ValueError, OSError) as error:
        return _fail(str(error), USAGE_ERROR)


def _fail(message: str, code: int) -> int:
    print(logs.last_word(_NAME, message), file=sys.stderr)
    return code


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
