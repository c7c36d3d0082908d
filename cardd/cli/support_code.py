"""The one-time code of support, where a command needs one: from the command line, else typed on the terminal."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

from cardd.cli.context import Context
from cardd.cli.parser import Parser
from cardd.errors import SupportCodeRequired

T = TypeVar("T")

LINE_MAX = 256


def argument(parser: Parser) -> None:
    """Declare ``--support-code``. Others may read a command line: a code serves once, so it is worth nothing then."""
    parser.add_argument("--support-code", metavar="CODE", help=parser.words("support.code"))


async def with_code(context: Context, act: Callable[[str | None], Awaitable[T]]) -> T:
    """Do it with the code that was given, or without; where one is demanded then, ask for it and do it again."""
    given = context.arguments.support_code
    try:
        return await act(given)
    except SupportCodeRequired:
        if given or not can_ask(context):
            raise
        context.terminal.tell([context.words("support.demanded")])
        return await act(await asked(context, context.words("support.ask")))


def can_ask(context: Context) -> bool:
    """Whether somebody sits at a terminal."""
    return not context.wants_json and sys.stdin.isatty() and context.terminal.is_watched


async def asked(context: Context, prompt: str) -> str:
    """What is typed behind the prompt; it is shown: it serves once. Raises SupportCodeRequired for an empty line."""
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
