"""``cardctl audit``: reads the audit log directly, whether the daemon runs or not."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from cardd.cli.command import Command, Context
from cardd.cli.parser import PATH, Exit, Parser, as_text
from cardd.cli.terminal import table
from cardd.config.loading import load
from cardd.core.recording import PSEUDONYMS, DocumentNames, Pseudonyms
from cardd.i18n import N_, Domain
from cardd.model import AuditRow, Outcome
from cardd.system.audit_file import AuditReader
from cardd.system.audit_heads import KEY, SECOND, Sent, sent
from cardd.system.secrets import read_secret, service_secret
from cardd.system.store import FileStore

_ = Domain("cli")

HEADS = (N_("NO"), N_("TIME"), N_("ACTION"), N_("OUTCOME"), N_("PROGRAM"), N_("DOCUMENT"))
TOLD_MAX, LINE_MAX = 5, 120  # lines, and of each
OUTCOMES = {Outcome.DONE: N_("done"), Outcome.REFUSED: N_("refused"), Outcome.FAILED: N_("failed")}


def _arguments(parser: Parser) -> None:
    """``tail``, ``verify`` or ``export``, of the configured log or of another."""
    branch = parser.branches("action")
    tail = branch("tail", N_("the last rows"))
    tail.add_argument("-n", "--lines", metavar="N", type=int, default=10, help=N_("how many (10)"))
    verify = branch("verify", N_("whether no row was changed, removed or moved"))
    verify.add_argument(
        "--heads",
        metavar=PATH,
        type=Path,
        help=N_("heads that were sent on, as the journal or a sink kept them; “-” for standard input"),
    )
    verify.add_argument("--key", metavar=PATH, type=Path, help=N_("the key that seals the log's head"))
    find = branch("find", N_("the rows about a document of this name, where its name or its digest is kept"))
    find.add_argument("name", metavar=N_("NAME"), help=N_("the document's name"))
    export = branch("export", N_("all rows, one JSON object a line"))
    export.add_argument("--output", "-o", metavar=PATH, type=Path, help=N_("a file, in place of standard output"))
    for action in (tail, verify, find, export):
        place = action.add_mutually_exclusive_group()
        place.add_argument("--directory", metavar=PATH, type=Path, help=N_("the log's directory"))
        place.add_argument("--config", metavar=PATH, type=Path, help=N_("a configuration file, in place of /etc/cardd"))


async def _audit(context: Context) -> int:
    """Read, verify or export the audit log. Raises AuditBroken with the row, AuditHeadBroken, AuditUnavailable."""
    asked = context.arguments
    directory, second = _places(asked.directory, asked.config)
    match asked.action:
        case "tail":
            rows = AuditReader(directory).tail(max(0, asked.lines))
            context.answer(
                {"rows": rows}, _table(context, rows) if rows else [_("The log is empty.", context.language)]
            )
        case "find":
            name = as_text(asked.name)
            rows = AuditReader(directory).about(name, *_digest(second, name))
            context.answer({"rows": rows}, _table(context, rows) if rows else [_("No such row.", context.language)])
        case "verify":
            key = read_secret(asked.key) if asked.key else service_secret(KEY)
            return _verify(context, AuditReader(directory, second, key))
        case _:
            with _output(asked.output) as output:
                for line in AuditReader(directory).export():
                    output.write(line + "\n")
    return Exit.OK


def _places(given: Path | None, config: Path | None) -> tuple[Path, Path | None]:
    """Return where the log is, and its head for the second time, which a log elsewhere does not have.

    Raises OSError when the log cannot be read: nobody must take that for an empty one.
    """
    settings = None if given else load(config)
    directory = settings.audit.directory if settings else given or Path()
    try:
        os.scandir(directory).close()
    except FileNotFoundError:
        if given:
            raise
    return directory, settings.state.directory / SECOND if settings else None


def _verify(context: Context, reader: AuditReader) -> int:
    given = context.arguments.heads
    found = _sent(given) if given else Sent([], {})
    heads = found.heads
    head, breaks = reader.verify(heads), reader.breaks()
    is_unchecked = reader.leaves_a_seal_unchecked()
    language = context.language
    lines = [
        _.plural(
            "The log is whole: {number} row. Head: {hash}",
            "The log is whole: {number} rows. Head: {hash}",
            head.number,
            language,
            hash=head.hash,
        ),
        *(
            _("Row {row} tells that the log was broken before: {found}.", language, row=row.number, found=_told(row))
            for row in breaks
        ),
    ]
    if is_unchecked:
        lines.append(_("The head has a seal that was not checked: its key is not at hand (--key).", language))
    if heads:
        lines.append(
            _.plural(
                "It goes through the head that was sent on.",
                "It goes through {number} heads that were sent on.",
                len(heads),
                language,
            )
        )
    elif given:
        lines.append(_("No head was found in {file}.", language, file=str(given)))
    lines += [
        _("Line {number} of {file} is no head, though it looks like one: {line}", language, **told)
        for told in _unlike(found, given)
    ]
    answer = {"number": head.number, "hash": head.hash, "breaks": [row.number for row in breaks]}
    answer |= {"seal_unchecked": is_unchecked, "sent": len(heads), "unlike": list(found.unlike)}
    context.answer(answer, lines)
    return Exit.FAILED if found.unlike or (given and not heads) else Exit.OK


def _digest(second: Path | None, name: str) -> Iterator[str]:
    """Yield what the log keeps of a name where digests are kept; the key to make it with is in the state directory."""
    store = FileStore(second.parent) if second else None
    if store and store.load(PSEUDONYMS) is not None:
        yield DocumentNames("digest", Pseudonyms(store)).digest(name)


def _sent(file: Path) -> Sent:
    if str(file) == "-":
        return sent(sys.stdin)
    with file.open(encoding="utf-8", errors="replace") as lines:
        return sent(lines)


def _unlike(found: Sent, file: Path | None) -> Iterator[dict[str, str | int]]:
    """Yield the first lines that only look like a head, cut to what can be read."""
    for number, line in list(found.unlike.items())[:TOLD_MAX]:
        yield {"number": number, "file": str(file), "line": line[:LINE_MAX]}


def _told(row: AuditRow) -> str:
    return f"{row.entry.code}, {row.entry.document}"


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
