"""``cardctl audit``: reads the audit log directly, whether the daemon runs or not."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from cardd.cli.command import Command, Context
from cardd.cli.failures import Exit
from cardd.cli.parser import Parser
from cardd.cli.terminal import table
from cardd.config.loading import load
from cardd.model import AuditRow
from cardd.system.audit_file import AuditReader


def _arguments(parser: Parser) -> None:
    """``tail``, ``verify`` or ``export``, of the configured log or of another."""
    branch = parser.branches("action")
    tail = branch("tail", parser.words("audit.tail"))
    tail.add_argument("-n", "--lines", metavar="N", type=int, default=10, help=parser.words("audit.lines"))
    verify = branch("verify", parser.words("audit.verify"))
    export = branch("export", parser.words("audit.export"))
    export.add_argument("--output", "-o", metavar="PATH", type=Path, help=parser.words("audit.output"))
    for action in (tail, verify, export):
        place = action.add_mutually_exclusive_group()
        place.add_argument("--directory", metavar="PATH", type=Path, help=parser.words("audit.directory"))
        place.add_argument("--config", metavar="PATH", type=Path, help=parser.words("config_file"))


async def _audit(context: Context) -> int:
    """Read, verify or export the audit log. Raises AuditBroken with the row, AuditUnavailable."""
    asked = context.arguments
    reader = AuditReader(_directory(asked.directory, asked.config))
    match asked.action:
        case "tail":
            rows = reader.tail(max(0, asked.lines))
            context.answer({"rows": rows}, _table(context, rows) if rows else [context.words("audit.empty")])
        case "verify":
            head = reader.verify()
            context.answer(head, [context.words("audit.whole", rows=head.number, hash=head.hash)])
        case _:
            with _output(asked.output) as output:
                for line in reader.export():
                    output.write(line + "\n")
    return Exit.OK


def _directory(given: Path | None, config: Path | None) -> Path:
    """Where the log is. Raises OSError when it cannot be read: nobody must take that for an empty one."""
    directory = given or load(config).audit.directory
    try:
        os.scandir(directory).close()
    except FileNotFoundError:
        if given:
            raise
    return directory


def _table(context: Context, rows: list[AuditRow]) -> list[str]:
    heads = [
        context.words(f"audit.{column}") for column in ("number", "time", "action", "outcome", "caller", "document")
    ]
    return table(heads, [_cells(context, row) for row in rows])


def _cells(context: Context, row: AuditRow) -> list[str]:
    entry = row.entry
    outcome = context.words(f"audit.{entry.outcome.value}") + (f" ({entry.code})" if entry.code else "")
    time = row.time.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return [str(row.number), time, entry.action, outcome, entry.caller_name or entry.caller, entry.document or ""]


@contextlib.contextmanager
def _output(path: Path | None) -> Iterator[TextIO]:
    if path is None:
        yield sys.stdout
        return
    with path.open("w", encoding="utf-8") as file:
        yield file


COMMANDS = {"audit": Command(_audit, _arguments)}
