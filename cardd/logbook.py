"""The log's last lines, kept for who helps; and what of a line may be passed on: its words, and arguments by type.

A line of the log is a sentence of the code with arguments. The sentence names nobody; numbers, codes and texts of
cardd's own (``Plain``) do not either. Every other argument is left out, whatever it says. A line of a library's own may
have anything in its sentence, so that only who wrote it is passed on.
"""

from __future__ import annotations

import logging
import traceback
from collections import deque
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

from cardd.errors import CarddError
from cardd.model import Plain, shown
from cardd.request import current
from cardd.values import Value

LINES_MAX = 500
LENGTH_MAX = 2000  # characters of a line
OWN = ("cardd", "cardd_drivers")  # whose sentences are the code's
LEFT_OUT = "…"


class Line(Value):
    """One line; ``masked`` is what may be passed on of it."""

    at: datetime
    level: str
    logger: str
    text: str
    masked: str
    request: str | None = None


class LogBook(logging.Handler):
    """The last lines, in memory: nothing at rest, two megabytes where every line is as long as may be."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._lines: deque[Line] = deque(maxlen=LINES_MAX)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record's line."""
        try:
            text = "\n".join(filter(None, (shown(record.getMessage()), _traceback(record))))
        except Exception:  # noqa: BLE001 - as every handler: a line that cannot be written ends nobody's work
            text = shown(str(record.msg))
        request = current()
        self._lines.append(
            Line(
                datetime.fromtimestamp(record.created, UTC),
                record.levelname.lower(),
                record.name,
                text[:LENGTH_MAX],
                masked(record)[:LENGTH_MAX],
                request.id if request else None,
            )
        )

    def lines(self, request: str | None = None) -> list[Line]:
        """Return the lines, oldest first; those of one request where it is named."""
        return [line for line in self._lines if request in (None, line.request)]


def masked(record: logging.LogRecord) -> str:
    """Return a record's sentence with the arguments that name nobody, and where in the code something failed."""
    sentence = LEFT_OUT
    if record.name.partition(".")[0] in OWN and isinstance(record.msg, str):
        arguments = record.args if isinstance(record.args, tuple) else ()
        try:
            sentence = record.msg % tuple(map(_passed_on, arguments)) if arguments else record.msg
        except (TypeError, ValueError):  # a number was wanted of what is none
            sentence = record.msg
    places = _places(record)
    return f"{sentence} {places}".rstrip()


def _passed_on(argument: object) -> object:
    """Return an argument that names nobody; of another one, that there is one."""
    match argument:
        case bool() | int() | float() | None | Plain():
            return argument
        case Enum():
            return argument.value
        case CarddError():
            return argument.code
        case OSError():
            return f"{type(argument).__name__} {argument.errno}"
        case BaseException():
            return type(argument).__name__
    return LEFT_OUT


def _places(record: logging.LogRecord) -> str:
    """Return what failed, by its type, and the lines of code that led there; none of the words that came with it."""
    error = record.exc_info[1] if record.exc_info else None
    if error is None:
        return ""
    frames = traceback.extract_tb(error.__traceback__)
    places = " ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames)
    return f"({_passed_on(error)}: {places})"


def _traceback(record: logging.LogRecord) -> str:
    if not record.exc_info or record.exc_info[0] is None:
        return ""
    return "".join(traceback.format_exception(*record.exc_info)).rstrip()
