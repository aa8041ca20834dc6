"""`--no-memory-check`, of the commands that estimate a run's memory before they start it."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-memory-check", action="store_true", help="start even if memory seems too small")
