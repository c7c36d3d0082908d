"""Log lines as systemd's journal takes them, with fields to search by; as plain lines elsewhere.

Source: systemd's native journal protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL), journald's ``JOURNAL_STREAM``.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
from typing import Any

from cardd.logbook import masked
from cardd.model import shown
from cardd.request import current

SOCKET = "/run/systemd/journal/socket"
IDENTIFIER = "cardd"
SIZE_MAX = 60_000  # bytes of a field: a datagram is smaller than the kernel's usual buffer
PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))


class CleanFormatter(logging.Formatter):
    """Writes what may be shown: a record's names come from readers, cards and programs, and its message is one line."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        """Return the line of a record."""
        record.message = shown(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the library's
        """Return the lines of a traceback."""
        return "\n".join(map(shown, super().formatException(ei).split("\n")))


class LineFormatter(CleanFormatter):
    """Ends each line with the name of the request that it is of."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        """Return the line of a record."""
        request = current()
        return super().formatMessage(record) + (f" request={request.id}" if request else "")


class JournalHandler(logging.Handler):
    """Sends each record to the journal; what it does not take goes to ``otherwise``."""

    def __init__(self, path: str, otherwise: logging.Handler) -> None:
        super().__init__()
        self._otherwise = otherwise
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)
        self._path = path
        self.setFormatter(CleanFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record."""
        try:
            self._socket.sendto(b"".join(_field(name, value) for name, value in self._fields(record)), self._path)
        except OSError:
            self._otherwise.emit(record)
        except Exception:  # noqa: BLE001 - as every handler: a line that cannot be written ends nobody's work
            self.handleError(record)

    def close(self) -> None:
        """Send nothing more."""
        self._socket.close()
        super().close()

    def _fields(self, record: logging.LogRecord) -> list[tuple[str, str]]:
        request = current()
        priority = next((number for level, number in PRIORITIES if record.levelno >= level), 7)
        return [
            ("MESSAGE", self.format(record)),
            ("PRIORITY", str(priority)),
            ("SYSLOG_IDENTIFIER", IDENTIFIER),
            ("CARDD_LOGGER", record.name),
            ("CARDD_MASKED", masked(record)),
            *([("CARDD_REQUEST", request.id)] if request else []),
        ]


def handler() -> logging.Handler:
    """Return what writes the log: to the journal where standard error is one, as lines on standard error elsewhere."""
    lines = logging.StreamHandler()
    lines.setFormatter(LineFormatter("%(levelname)s %(name)s: %(message)s"))
    return JournalHandler(SOCKET, lines) if _is_journal(os.environ.get("JOURNAL_STREAM", "")) else lines


def _is_journal(told: str) -> bool:
    """Return whether standard error is the stream that journald gave us (systemd.exec(5), JOURNAL_STREAM)."""
    try:
        found = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return told == f"{found.st_dev}:{found.st_ino}"


def _field(name: str, value: str) -> bytes:
    data = value.encode("utf-8", "replace")[:SIZE_MAX]
    if b"\n" not in data:
        return name.encode() + b"=" + data + b"\n"
    return name.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n"
