"""The one-time code of support: from the command line, else typed on the terminal where it is demanded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from cardd.cli.command import Context
from cardd.cli.parser import Parser
from cardd.cli.waiting import can_ask, typed
from cardd.errors import SupportCodeRequired
from cardd.i18n import N_, Domain

_ = Domain("cli")

T = TypeVar("T")

DEMANDED = N_(
    "This workstation demands a support code: the six digits that the phone of support or of an administrator shows "
    "now. It never is your PIN."
)


def code_argument(parser: Parser) -> None:
    """Declare ``--support-code``. Others may read a command line: a code serves once, so it is worth nothing then."""
    parser.add_argument("--support-code", metavar="CODE", help=N_("the one-time code of support, where it is demanded"))


async def with_code(context: Context, act: Callable[[str | None], Awaitable[T]]) -> T:
    """Act with the code that was given, or without; where one is demanded then, ask for it and act again."""
    given = context.arguments.support_code
    try:
        return await act(given)
    except SupportCodeRequired:
        if given or not can_ask(context):
            raise
        context.terminal.tell([_(DEMANDED, context.language)])
        return await act(await asked(context, _("Support code: ", context.language)))


async def asked(context: Context, prompt: str) -> str:
    """Return what is typed behind the prompt, shown: a code serves once. Raises SupportCodeRequired for nothing."""
    code = await typed(context, prompt)
    if not code:
        raise SupportCodeRequired
    return code
