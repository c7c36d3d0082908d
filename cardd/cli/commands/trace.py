"""``cardctl trace``: what goes to the cards and what comes back, while it happens, for support."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import datetime

from cardd.cli import support_code
from cardd.cli.context import Context
from cardd.cli.exits import Exit
from cardd.cli.parser import Parser
from cardd.cli.stopping import until_told
from cardd.cli.terminal import pad, shown
from cardd.client import CarddClient
from cardd.model import Event, JsonValue

NAMES = 28  # columns for the longest name of an instruction


def arguments(parser: Parser) -> None:
    """How much to show."""
    parser.add_argument("--full", action="store_true", help=parser.words("trace.full"))
    support_code.argument(parser)


async def run(context: Context) -> int:
    """Show each exchange until interrupted, or until the daemon ends. Raises AdministratorRequired for ``--full``."""
    async with context.client() as cardd:
        await until_told(_follow(context, cardd))
    return Exit.OK


async def _follow(context: Context, cardd: CarddClient) -> None:
    async with AsyncExitStack() as stack:

        async def begin(code: str | None) -> AsyncIterator[Event]:
            return await stack.enter_async_context(cardd.trace(full=context.arguments.full, support_code=code))

        events = await support_code.with_code(context, begin)
        context.terminal.tell([context.words("trace.full_follows" if context.arguments.full else "trace.follows")])
        async for event in events:
            context.terminal.say([_compact(event)] if context.wants_json else _lines(context, event.data))
        context.terminal.tell([context.words("trace.ended")])


def _compact(event: Event) -> str:
    """One line of JSON: a stream is read line by line."""
    from msgspec import json  # noqa: PLC0415 - people read lines

    return json.encode(event.data).decode()


def _lines(context: Context, told: dict[str, JsonValue]) -> list[str]:
    """The reader above each transaction; then a line for each command, and its bytes where they were asked for."""
    name = str(told["instruction"] or context.words("trace.unnamed"))
    outcome = f"{told['received']:>5}  {told['status']}" if "status" in told else str(told["error"])
    line = f"  {pad(name, NAMES)} {told['header']} {told['sent']:>5} {outcome}  {_duration(told['microseconds'])}"
    at = datetime.fromisoformat(str(told["at"])).astimezone().strftime("%H:%M:%S.%f")[:-3]
    head = [f"{at}  {shown(str(told['reader']))}"] if told["begins"] else []
    content = [f"    {sign} {told[key]}" for sign, key in ((">", "data"), ("<", "answer")) if told.get(key)]
    return [*head, line, *content]


def _duration(microseconds: JsonValue) -> str:
    return f"{int(str(microseconds)) / 1000:.1f} ms"
