"""How our processes log on standard error: lines for people, or one JSON object a line for machines.

Which of the two is in the environment, so that what a process starts logs as it does: agent processes and ServerApps
are started by Flower, which passes no flags on.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import TextIO

from operations.paths import shown_lines

VARIABLE = "PPS_LOG_FORMAT"
TEXT, JSON = "text", "json"
FIELDS = ("seat", "arena", "run", "round")  # what a line may be about; given as `extra`, or for a whole process

Field = str | int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--log-format",
        choices=(TEXT, JSON),
        help=f"log format of this process and of those it starts (default: ${VARIABLE}, else {TEXT})",
    )


def choose(log_format: str | None) -> None:
    """Log so from now on, in this process and those it starts; None: as before."""
    if log_format is not None:
        os.environ[VARIABLE] = log_format


def is_json() -> bool:
    """Whether lines are JSON objects."""
    return os.environ.get(VARIABLE) == JSON


def set_up(*loggers: str, **fields: Field) -> None:
    """Write what these loggers (none named: all) say to standard error; every line is about `fields`."""
    handler = _StandardError()
    handler.setFormatter(_JsonLines(fields) if is_json() else _text_lines(fields))
    for logger in map(logging.getLogger, loggers or [""]):
        for before in [each for each in logger.handlers if isinstance(each, _StandardError)]:
            logger.removeHandler(before)
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False


def last_word(name: str, message: str) -> str:
    """Return the line with which a command says why it ends."""
    if not is_json():
        return f"{name}: {shown_lines(message)}"
    return _JsonLines({}).format(logging.LogRecord(name, logging.ERROR, "", 0, message, None, None))


class LoggedLines(io.StringIO):
    """A text stream whose lines a logger says."""

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__()
        self._logger = logger
        self._begun = ""

    def write(self, text: str) -> int:
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            if line.strip():
                self._logger.info("%s", line.rstrip())
        return len(text)


class _StandardError(logging.StreamHandler[TextIO]):
    """Standard error, whatever that is when a line is written: Flower collects it from a stream of its own."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, _: TextIO) -> None:
        raise AttributeError("always sys.stderr")


class _JsonLines(logging.Formatter):
    """One object a line, in ASCII, so that nothing in a message begins a line of its own."""

    def __init__(self, fields: dict[str, Field]) -> None:
        super().__init__()
        self._fields = fields

    def format(self, record: logging.LogRecord) -> str:
        said = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")  # RFC 3339
        line: dict[str, object] = {
            "time": said.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **self._fields,
            **{name: getattr(record, name) for name in FIELDS if hasattr(record, name)},
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def _text_lines(fields: dict[str, Field]) -> logging.Formatter:
    prefix = f"seat {fields['seat']}: " if "seat" in fields else ""
    return logging.Formatter(f"%(asctime)s %(levelname)s {prefix}%(message)s")
