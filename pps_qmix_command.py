"""The entry point of the `pps-qmix` command.

It is a module beside the packages, because a `cli.py` on PYTHONPATH would replace the package `cli`. No other project
has a module of this name, so the command always starts and names the module that shadows one of ours.
"""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command and return its exit code. Ends with one line if another module shadows one of ours."""
    try:
        from pps_qmix.surroundings import check_modules  # noqa: PLC0415 - it may be the module that is shadowed

        check_modules()
    except ImportError as error:
        sys.exit(f"pps-qmix: {error}")
    from cli.main import main as command  # noqa: PLC0415 - only now is it known to be ours

    return command()


if __name__ == "__main__":
    sys.exit(main())
