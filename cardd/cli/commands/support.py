"""``cardctl clients``, ``trace`` and ``support``: what support looks after, and the one-time codes for that.

Where a workstation demands a code, it comes from the command line, else it is typed on the terminal.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from cardd.cli.command import Command, Context
from cardd.cli.failures import Exit, tell
from cardd.cli.parser import Parser
from cardd.cli.terminal import pad, pairs, qr_code, shown, table
from cardd.cli.waiting import until_told
from cardd.client import CarddClient
from cardd.client.answers import Client
from cardd.errors import SecretStoreUnavailable, SupportCodeRequired, SupportCodeWrong
from cardd.model import Event, JsonValue

T = TypeVar("T")

LINE_MAX = 256
NAMES = 28  # columns for the longest name of an instruction


# --- clients


def _clients_arguments(parser: Parser) -> None:
    """Declare the list, and what can be done to one client."""
    branch = parser.branches("action", required=False)
    branch("list", parser.words("clients.list"))
    for action in ("remove", "lock", "unlock"):
        one = branch(action, parser.words(f"clients.{action}"))
        one.add_argument("id", metavar="ID", help=parser.words("clients.id"))
        if action != "lock":  # to keep a program out must be easy
            _code_argument(one)


async def _clients(context: Context) -> int:
    """List the paired programs and remembered web origins of this user, or remove, lock or unlock one."""
    async with context.client(context.remembered.secret) as cardd:
        match context.arguments.action:
            case "remove" | "lock" | "unlock" as action:
                done = await _act(context, cardd, action, context.arguments.id)
                context.answer({done: context.arguments.id}, [context.words(f"clients.{done}")])
            case _:
                _list(context, await cardd.clients())
    return Exit.OK


async def _act(context: Context, cardd: CarddClient, action: str, identifier: str) -> str:
    """Remove, lock or unlock a client; return the word for what was done."""
    match action:
        case "lock":
            await cardd.lock_client(identifier)
            return "locked"
        case "unlock":
            await _with_code(context, lambda code: cardd.unlock_client(identifier, support_code=code))
            return "unlocked"
        case _:
            await _with_code(context, lambda code: cardd.remove_client(identifier, support_code=code))
            return "removed"


def _list(context: Context, clients: Sequence[Client]) -> None:
    heads = [context.words(f"clients.{column}") for column in ("column_id", "kind", "name", "vendor", "since", "state")]
    rows = [_row(context, client) for client in clients]
    context.answer({"clients": clients}, table(heads, rows) if rows else [context.words("clients.none")])


def _row(context: Context, client: Client) -> list[str]:
    kind, state = context.words(f"clients.{client.kind}"), context.words("clients.is_locked") if client.locked else ""
    return [client.id, kind, client.name, client.vendor or "", client.since[:10], state]


# --- trace


def _trace_arguments(parser: Parser) -> None:
    """Declare how much to show."""
    parser.add_argument("--full", action="store_true", help=parser.words("trace.full"))
    _code_argument(parser)


async def _trace(context: Context) -> int:
    """Show each exchange until interrupted, or until the daemon ends. Raises AdministratorRequired for ``--full``."""
    async with context.client() as cardd:
        await until_told(_follow(context, cardd))
    return Exit.OK


async def _follow(context: Context, cardd: CarddClient) -> None:
    async with AsyncExitStack() as stack:

        async def begin(code: str | None) -> AsyncIterator[Event]:
            return await stack.enter_async_context(cardd.trace(full=context.arguments.full, support_code=code))

        events = await _with_code(context, begin)
        context.terminal.tell([context.words("trace.full_follows" if context.arguments.full else "trace.follows")])
        async for event in events:
            context.terminal.say([_compact(event)] if context.wants_json else _lines(context, event.data))
        context.terminal.tell([context.words("trace.ended")])


def _compact(event: Event) -> str:
    """Return one line of JSON: a stream is read line by line."""
    from msgspec import json  # noqa: PLC0415 - people read lines

    return json.encode(event.data).decode()


def _lines(context: Context, told: dict[str, JsonValue]) -> list[str]:
    """Return the reader above each transaction, then a line for each command, and its bytes where they are wanted."""
    name = str(told["instruction"] or context.words("trace.unnamed"))
    outcome = f"{told['received']:>5}  {told['status']}" if "status" in told else str(told["error"])
    line = f"  {pad(name, NAMES)} {told['header']} {told['sent']:>5} {outcome}  {_duration(told['microseconds'])}"
    at = datetime.fromisoformat(str(told["at"])).astimezone().strftime("%H:%M:%S.%f")[:-3]
    head = [f"{at}  {shown(str(told['reader']))}"] if told["begins"] else []
    content = [f"    {sign} {told[key]}" for sign, key in ((">", "data"), ("<", "answer")) if told.get(key)]
    return [*head, line, *content]


def _duration(microseconds: JsonValue) -> str:
    return f"{int(str(microseconds)) / 1000:.1f} ms"


# --- support


def _support_arguments(parser: Parser) -> None:
    """Declare ``enrol``, ``confirm``, ``status`` and ``remove``."""
    branch = parser.branches("action")
    enrol = branch("enrol", parser.words("support.enrol"))
    enrol.add_argument("--credential", metavar="PATH", type=Path, help=parser.words("support.credential"))
    _code_argument(enrol)
    _code_argument(branch("confirm", parser.words("support.confirm")))
    branch("status", parser.words("support.status"))
    _code_argument(branch("remove", parser.words("support.remove")))


async def _support(context: Context) -> int:
    """Enrol the workstation for support codes, confirm or end that, or tell how it stands."""
    if context.arguments.action == "enrol" and context.arguments.credential:
        await _enrol_by_credential(context, context.arguments.credential)
        return Exit.OK
    async with context.client() as cardd:
        match context.arguments.action:
            case "enrol":
                await _enrol(context, cardd)
            case "confirm":
                await _confirm(context, cardd)
            case "status":
                await _status(context, cardd)
            case _:
                await _with_code(context, lambda code: cardd.remove_support(support_code=code))
                context.answer({"enrolled": False}, [context.words("support.removed")])
    return Exit.OK


async def _enrol(context: Context, cardd: CarddClient) -> None:
    try:
        begun = await _with_code(context, lambda code: cardd.enrol_support(support_code=code))
    except SecretStoreUnavailable as error:
        error.params["remedy"] = context.words("support.no_keyring")
        raise
    if not _can_ask(context):
        context.answer(begun, [begun.address, context.words("support.unconfirmed")])
        return
    _show(context, begun.address)
    await _until_right(context, lambda code: cardd.confirm_support(support_code=code))
    context.answer({"enrolled": True}, [context.words("support.enrolled")])


async def _enrol_by_credential(context: Context, path: Path) -> None:
    """Make a credential for the service's unit. Raises SupportCodeRequired where nobody can confirm it."""
    if not _can_ask(context):
        raise SupportCodeRequired
    from cardd.cli.credential import NewCredential  # noqa: PLC0415 - for one enrolment in a workstation's life

    credential = NewCredential(path)
    await credential.encrypt()
    _show(context, credential.address)
    await _until_right(context, credential.confirm)
    line = credential.directive
    context.answer({"credential": str(path)}, [context.words("support.made", file=str(path), line=line)])


def _show(context: Context, address: str) -> None:
    """Show the QR code and its content for who cannot scan it, on the terminal only: no file is made of it."""
    encoding = context.terminal.err.encoding
    context.terminal.tell([context.words("support.scan"), *qr_code(address, encoding), address])


async def _until_right(context: Context, check: Callable[[str], Awaitable[None]]) -> None:
    while True:
        code = await _asked(context, context.words("support.first"))
        try:
            return await check(code)
        except SupportCodeWrong as error:
            tell(context, error)


async def _confirm(context: Context, cardd: CarddClient) -> None:
    given = context.arguments.support_code
    if not given:
        if not _can_ask(context):
            raise SupportCodeRequired
        given = await _asked(context, context.words("support.first"))
    await cardd.confirm_support(support_code=given)
    context.answer({"enrolled": True}, [context.words("support.enrolled")])


async def _status(context: Context, cardd: CarddClient) -> None:
    standing = await cardd.support()
    demanded = context.words("support.yes" if standing.demanded else "support.no")
    enrolled = context.words("support.yes" if standing.enrolled else "support.no")
    rows = [(context.words("support.demanded_here"), demanded), (context.words("support.enrolled_here"), enrolled)]
    if standing.locked:
        rows.append((context.words("support.locked"), context.words("support.seconds", seconds=standing.locked)))
    context.answer(standing, pairs(rows))


# --- one-time codes


def _code_argument(parser: Parser) -> None:
    """Declare ``--support-code``. Others may read a command line: a code serves once, so it is worth nothing then."""
    parser.add_argument("--support-code", metavar="CODE", help=parser.words("support.code"))


async def _with_code(context: Context, act: Callable[[str | None], Awaitable[T]]) -> T:
    """Act with the code that was given, or without; where one is demanded then, ask for it and act again."""
    given = context.arguments.support_code
    try:
        return await act(given)
    except SupportCodeRequired:
        if given or not _can_ask(context):
            raise
        context.terminal.tell([context.words("support.demanded")])
        return await act(await _asked(context, context.words("support.ask")))


def _can_ask(context: Context) -> bool:
    """Return whether somebody sits at a terminal."""
    return not context.wants_json and sys.stdin.isatty() and context.terminal.is_watched


async def _asked(context: Context, prompt: str) -> str:
    """Return what is typed behind the prompt, shown: a code serves once. Raises SupportCodeRequired for nothing."""
    keyboard = sys.stdin.fileno()
    readable = asyncio.Event()
    loop = asyncio.get_running_loop()
    context.terminal.rewrite(prompt)
    loop.add_reader(keyboard, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(keyboard)
    typed = os.read(keyboard, LINE_MAX).decode("ascii", "replace").strip()
    if not typed:
        raise SupportCodeRequired
    return typed


COMMANDS = {
    "clients": Command(_clients, _clients_arguments),
    "trace": Command(_trace, _trace_arguments),
    "support": Command(_support, _support_arguments),
}
