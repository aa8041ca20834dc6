"""Resolve constraints.txt for every platform and Python of docs/platforms.md and print the table of that page.

Asks the configured package index for metadata and installs nothing. `uv`, which Flower brings, resolves the
requirements of the package and of its extras for another platform, from wheels only. Passes its arguments, such as
--index-url, on to uv. Exits with 1 if a platform of the page lacks a wheel.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PLATFORMS = {"Linux x86-64": "x86_64-manylinux_2_28", "Linux aarch64": "aarch64-manylinux_2_28"}

# The extras that users install; `dev` is for the machines of developers.
_EXTRAS = ("experiment", "pettingzoo")


def resolve(platform: str, python: str, arguments: Sequence[str] = ()) -> tuple[int, str]:
    """Return how many packages an installation has, and an empty text; or 0 and what uv says is missing."""
    command = [
        *(str(Path(sys.executable).with_name("uv")), "pip", "compile", "--quiet"),
        *("--no-header", "--no-annotate", "--only-binary", ":all:"),
        *("--constraints", "constraints.txt", "--python-version", python, "--python-platform", platform),
        *(word for extra in _EXTRAS for word in ("--extra", extra)),
        *arguments,
        "pyproject.toml",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return 0, done.stderr.strip()
    return sum("==" in line for line in done.stdout.splitlines()), ""


def main(arguments: Sequence[str]) -> int:
    """Print the table; return 1 if a combination cannot be installed from wheels."""
    problems = []
    print(f"| platform | {' | '.join(f'Python {python}' for python in PYTHONS)} |")
    print(f"|---{'|---' * len(PYTHONS)}|")
    for name, platform in PLATFORMS.items():
        cells = []
        for python in PYTHONS:
            count, problem = resolve(platform, python, arguments)
            cells.append("no" if problem else f"yes, {count} wheels")
            if problem:
                problems.append(f"{name}, Python {python}: {problem}")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
