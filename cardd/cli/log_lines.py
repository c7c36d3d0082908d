"""The lines of the daemon's log: from systemd's journal where this user may read it there, else from the daemon."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import cast

from cardd.cli.waiting import said_by
from cardd.client import CarddClient
from cardd.client.answers import LogLine

UNIT = "cardd.service"
PATIENCE = 10.0  # seconds for journalctl
LEVELS = {"3": "error", "4": "warning", "5": "notice", "6": "info", "7": "debug"}


async def last(cardd: CarddClient, count: int, request: str | None) -> tuple[str, Sequence[LogLine]]:
    """Return where the lines come from (``journal``, ``daemon``), and the last of them, oldest first."""
    found = await of_journal(count, request)
    if found:
        return "journal", found
    return "daemon", (await cardd.logs(request)).lines[-count:]


async def of_journal(count: int, request: str | None = None, *, masked: bool = False) -> Sequence[LogLine]:
    """Return the journal's last lines of the service; none where there is no journal, or this user may not read it."""
    program = shutil.which("journalctl")
    if program is None:
        return ()
    wanted = [f"CARDD_REQUEST={request}"] if request else []
    command = [program, f"--unit={UNIT}", "--output=json", "--no-pager", "--quiet", f"--lines={count}", *wanted]
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, stdin=quiet, stdout=asyncio.subprocess.PIPE, stderr=quiet)
    try:
        written, _ = await said_by(process, PATIENCE)
    except TimeoutError:
        return ()
    return tuple(_read(written.decode(errors="replace").splitlines(), masked=masked))


def _read(lines: Iterable[str], *, masked: bool) -> Iterator[LogLine]:
    """Read journalctl's JSON, one entry a line; what is none is left out."""
    for line in lines:
        with contextlib.suppress(ValueError, TypeError, LookupError, ArithmeticError, RecursionError):
            entry = cast(dict[str, object], json.loads(line))
            if masked and "CARDD_MASKED" not in entry:
                continue  # systemd's own, or of an older cardd: nobody knows what it names
            at = datetime.fromtimestamp(int(str(entry["__REALTIME_TIMESTAMP"])) / 1e6, UTC)
            name = str(entry.get("CARDD_LOGGER", entry.get("SYSLOG_IDENTIFIER", "")))
            request = entry.get("CARDD_REQUEST")
            yield LogLine(
                at,
                LEVELS.get(str(entry.get("PRIORITY", "")), "info"),
                name,
                _text(entry["CARDD_MASKED" if masked else "MESSAGE"]),
                str(request) if request else None,
            )


def _text(told: object) -> str:
    """Return a field's text; journalctl tells one with control characters as numbers."""
    return bytes(told).decode(errors="replace") if isinstance(told, list) else str(told)
