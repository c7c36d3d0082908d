"""``cardctl trace``: what happens, step by step, and where the seconds of each request go; it can be recorded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Self, cast

from cardd import __version__
from cardd.cli.command import Command, Context
from cardd.cli.parser import PATH, Exit, Parser
from cardd.cli.status_words import meaning
from cardd.cli.support_code import code_argument, with_code
from cardd.cli.terminal import pad, table
from cardd.cli.waiting import until_told
from cardd.cli.wording import typed
from cardd.client import CarddClient
from cardd.files import new_file
from cardd.i18n import N_, Domain
from cardd.model import Event, JsonValue, shown
from cardd.values import Record, field

_ = Domain("cli")

Told = dict[str, JsonValue]

FORMAT, VERSION = "cardd-trace", 1  # of a file; a simulated card reads it
TRACE = N_(
    "Each step: commands to cards with bytes sent, bytes received, status and duration; dialogs, servers, requests. "
    "Nothing is kept. Ctrl-C ends it."
)
MASKED_TRACE = N_(
    "Each step, with what cards are sent and answer; what tells whose a card is has been taken out. Ctrl-C ends it."
)
FULL_TRACE = N_(
    "Each exchange with a card with its content, but no PIN. It names the holder: pass it on only to those who may "
    "know. Nothing is kept. Ctrl-C ends it."
)
RECORDED = N_("Recorded in {file}: “cardctl simulate --replay {file}” plays it as a card.")
SPENT = {"person": N_("PERSON"), "card": N_("CARD"), "network": N_("NETWORK"), "daemon": N_("DAEMON")}
HEADS = (N_("REQUEST"), N_("TIMES"), *SPENT.values(), N_("TOGETHER"))
OPERATIONS = {"9E9A": "SIGN", "90A0": "HASH", "8086": "DECIPHER"}  # P1 and P2 of PERFORM SECURITY OPERATION
CHANGES = {
    "reader.present": N_("reader"),
    "reader.added": N_("reader added"),
    "reader.removed": N_("reader removed"),
    "card.inserted": N_("card inserted"),
    "card.removed": N_("card removed"),
}
NAMED = ("reader", "host", "upstream", "request")  # fields of steps
NAMES = 34  # columns for the longest name of an instruction


def _arguments(parser: Parser) -> None:
    """Declare how much to show, and where to record it."""
    how_much = parser.add_mutually_exclusive_group()
    how_much.add_argument(
        "--masked",
        action="store_true",
        help=N_("show what is sent and answered too, without what tells whose the card is"),
    )
    how_much.add_argument(
        "--full",
        action="store_true",
        help=N_("show what is sent and answered too, which names the holder: for administrators only"),
    )
    parser.add_argument(
        "--record",
        metavar=PATH,
        type=Path,
        help=N_("also write it to a new file, masked unless --full is given; “cardctl simulate --replay” plays it"),
    )
    code_argument(parser)


class _Spent(Record):
    """Where the time of all requests of one name went, in microseconds."""

    times: int = 0
    by_where: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SPENT, 0))

    def add(self, told: Told) -> None:
        """Add one request."""
        self.times += 1
        for where in SPENT:
            self.by_where[where] += int(str(told.get(where, 0)))


async def _trace(context: Context) -> int:
    """Show each step until interrupted, or until the daemon ends.

    Raises AdministratorRequired for ``--full``, and OSError where it cannot be recorded.
    """
    spent: defaultdict[str, _Spent] = defaultdict(_Spent)
    file = context.arguments.record
    try:
        with _Record(file, is_masked=not context.arguments.full) if file else _NoRecord() as record:
            async with context.client() as cardd:
                await until_told(_follow(context, cardd, spent, record))
    except _Unwritten as unwritten:
        raise unwritten.why from None
    if not context.wants_json and spent:
        context.terminal.say(_table(context, spent))
    if file:
        context.terminal.tell([_(RECORDED, context.language, file=typed(str(file)))])
    return Exit.OK


class _Unwritten(Exception):
    """Raised where the record cannot go on; ``why`` names the file. An OSError would pass for one of the connection."""

    def __init__(self, why: OSError) -> None:
        super().__init__(str(why))
        self.why = why


class _NoRecord:
    """Where nothing is written to."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave it."""

    def write(self, event: Event) -> None:
        """Forget it."""


class _Record(_NoRecord):
    """A new file of its user's own: a line of JSON that says what it is, then one for each step.

    What readers, servers and upstreams are called is their owners' word, and a program may call a request by somebody's
    UUID: a masked record numbers them.
    """

    def __init__(self, path: Path, *, is_masked: bool) -> None:
        self._file = FileIO(new_file(path), "w")
        self._path, self._whole = path, 0
        self._is_masked = is_masked
        self._numbers: dict[str, str] = {}
        at = datetime.now(UTC).isoformat(timespec="seconds")
        self._line({"format": FORMAT, "version": VERSION, "masked": is_masked, "cardd": __version__, "at": at})

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self._file.close()

    def write(self, event: Event) -> None:
        """Write one step down at once: whoever records may end in any way."""
        numbered = {kind: self._numbered(kind, event.data[kind]) for kind in NAMED if event.data.get(kind)}
        self._line({"type": event.type, **event.data, **(numbered if self._is_masked else {})})

    def _numbered(self, kind: str, name: JsonValue) -> JsonValue:
        return self._numbers.setdefault(str(name), f"{kind} {len(self._numbers) + 1}")

    def _line(self, told: Told) -> None:
        """Write a line whole or not at all; a file without any goes. Raises _Unwritten."""
        line = (_compact(told) + "\n").encode()
        try:
            while line:
                line = line[self._file.write(line) :]
            self._whole = self._file.tell()
        except OSError as fault:
            self._file.truncate(self._whole)
            self._file.close()
            if not self._whole:
                self._path.unlink(missing_ok=True)
            raise _Unwritten(OSError(fault.errno, fault.strerror, str(self._path))) from None


async def _follow(context: Context, cardd: CarddClient, spent: dict[str, _Spent], record: _NoRecord) -> None:
    asked = context.arguments
    is_masked = bool(asked.masked or asked.record) and not asked.full
    async with AsyncExitStack() as stack:

        async def begin(code: str | None) -> AsyncIterator[Event]:
            trace = cardd.trace(masked=is_masked, full=asked.full, support_code=code)
            return await stack.enter_async_context(trace)

        events = await with_code(context, begin)
        kind = FULL_TRACE if asked.full else MASKED_TRACE if is_masked else TRACE
        context.terminal.tell([_(kind, context.language)])
        async for event in events:
            record.write(event)
            if event.type == "request":
                spent[str(event.data["name"])].add(_of(event.data, "spent"))
            told = {"type": event.type, **event.data}
            context.terminal.say([_compact(told)] if context.wants_json else _lines(context, event))
        context.terminal.tell([_("The service stopped.", context.language)])


def _compact(told: Told) -> str:
    """Return one line of JSON: a stream is read line by line."""
    from msgspec import json  # noqa: PLC0415 - people read lines

    return json.encode(told).decode()


def _lines(context: Context, event: Event) -> list[str]:
    """Return what is shown of a step."""
    told, language = event.data, context.language
    if event.type == "exchange":
        return _exchange(context, told)
    at = datetime.fromisoformat(str(told["at"])).astimezone().strftime("%H:%M:%S.%f")[:-3]
    outcome = str(told.get("error") or told.get("choice") or told.get("status") or "")
    match event.type:
        case "request":
            parts = [f"{_(head, language)} {_seconds(_of(told, 'spent').get(where))}" for where, head in SPENT.items()]
            code = f" {told['code']}" if "code" in told else ""
            return [f"{at}  {told['name']}  {told['status']}{code}  {'  '.join(parts)}  ({told['request']})"]
        case "dialog":
            what = _("dialog {topic}", language, topic=str(told["topic"]))
        case "http":
            what = f"{told['method']} {told['host']}:{told['port']}"
        case "relay":
            what = f"{told['method']} {told['upstream']}"
        case "ecps":
            what = f"e-CPS {told['does']}"
        case change:
            atr, means = f"  {told['atr']}" if "atr" in told else "", CHANGES.get(change, change)
            return [f"{at}  {_(means, language)}  {shown(str(told.get('reader', '')))}{atr}"]
    return [f"{at}  {shown(what)}  {outcome}  {_duration(told['microseconds'])}"]


def _exchange(context: Context, told: Told) -> list[str]:
    """Return the reader above each transaction, then a line for each command, and its bytes where they are wanted."""
    name, header = str(told["instruction"] or _("(other)", context.language)), str(told["header"])
    name += f" ({OPERATIONS[header[4:]]})" if header[2:4] == "2A" and header[4:] in OPERATIONS else ""
    outcome, means = str(told.get("error", "")), ""
    if "status" in told:
        outcome = f"{told['received']:>5}  {told['status']}"
        means = meaning(str(told["status"]), context.language) if told["status"] != "9000" else ""
    line = f"  {pad(name, NAMES)} {header} {told['sent']:>5} {outcome}  {_duration(told['microseconds'])}  {means}"
    at = datetime.fromisoformat(str(told["at"])).astimezone().strftime("%H:%M:%S.%f")[:-3]
    head = [f"{at}  {shown(str(told['reader']))}"] if told["begins"] else []
    content = [f"    {sign} {told[key]}" for sign, key in ((">", "data"), ("<", "answer")) if told.get(key)]
    return [*head, line.rstrip(), *content]


def _table(context: Context, spent: dict[str, _Spent]) -> list[str]:
    """Return where the seconds went, by request."""
    rows = [
        [name, str(one.times), *map(_seconds, one.by_where.values()), _seconds(sum(one.by_where.values()))]
        for name, one in sorted(spent.items(), key=lambda item: -sum(item[1].by_where.values()))
    ]
    return ["", *table([_(head, context.language) for head in HEADS], rows)]


def _of(told: Told, name: str) -> Told:
    return cast(Told, told.get(name) or {})


def _seconds(microseconds: JsonValue) -> str:
    return f"{int(str(microseconds or 0)) / 1e6:.3f} s"


def _duration(microseconds: JsonValue) -> str:
    return f"{int(str(microseconds)) / 1000:.1f} ms"


COMMANDS = {"trace": Command(_trace, _arguments)}
