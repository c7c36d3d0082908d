"""``cardctl audit``: reads the audit log directly, whether the daemon runs or not."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from cardd.cli.command import Command, Context
from cardd.cli.parser import PATH, Exit, Parser
from cardd.cli.terminal import table
from cardd.config.loading import load
from cardd.core.audit import Head
from cardd.i18n import N_, Domain
from cardd.model import AuditRow, Outcome
from cardd.system.audit_file import AuditReader

_ = Domain("cli")

HEADS = (N_("NO"), N_("TIME"), N_("ACTION"), N_("OUTCOME"), N_("PROGRAM"), N_("DOCUMENT"))
OUTCOMES = {Outcome.DONE: N_("done"), Outcome.REFUSED: N_("refused"), Outcome.FAILED: N_("failed")}


def _arguments(parser: Parser) -> None:
    """``tail``, ``verify`` or ``export``, of the configured log or of another."""
    branch = parser.branches("action")
    tail = branch("tail", N_("the last rows"))
    tail.add_argument("-n", "--lines", metavar="N", type=int, default=10, help=N_("how many (10)"))
    verify = branch("verify", N_("whether no row was changed, removed or moved"))
    export = branch("export", N_("all rows, one JSON object a line"))
    export.add_argument("--output", "-o", metavar=PATH, type=Path, help=N_("a file, in place of standard output"))
    for action in (tail, verify, export):
        place = action.add_mutually_exclusive_group()
        place.add_argument("--directory", metavar=PATH, type=Path, help=N_("the log's directory"))
        place.add_argument("--config", metavar=PATH, type=Path, help=N_("a configuration file, in place of /etc/cardd"))


async def _audit(context: Context) -> int:
    """Read, verify or export the audit log. Raises AuditBroken with the row, AuditUnavailable."""
    asked = context.arguments
    reader = AuditReader(_directory(asked.directory, asked.config))
    match asked.action:
        case "tail":
            rows = reader.tail(max(0, asked.lines))
            context.answer(
                {"rows": rows}, _table(context, rows) if rows else [_("The log is empty.", context.language)]
            )
        case "verify":
            head = reader.verify()
            context.answer(head, [_whole(context, head)])
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


def _whole(context: Context, head: Head) -> str:
    return _.plural(
        "The log is whole: {number} row. Head: {hash}",
        "The log is whole: {number} rows. Head: {hash}",
        head.number,
        context.language,
        hash=head.hash,
    )


def _table(context: Context, rows: list[AuditRow]) -> list[str]:
    heads = [_(head, context.language) for head in HEADS]
    return table(heads, [_cells(context, row) for row in rows])


def _cells(context: Context, row: AuditRow) -> list[str]:
    entry = row.entry
    outcome = _(OUTCOMES[entry.outcome], context.language) + (f" ({entry.code})" if entry.code else "")
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
