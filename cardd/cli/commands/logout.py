"""``cardctl logout``: close the session of ``cardctl login``."""

from __future__ import annotations

from contextlib import suppress

from cardd.cli.context import Context
from cardd.cli.exits import Exit
from cardd.cli.parser import Parser
from cardd.errors import SessionError


def arguments(parser: Parser) -> None:
    """What else is to end."""
    parser.add_argument("--forget-login-hint", action="store_true", help=parser.words("logout.forget"))


async def run(context: Context) -> int:
    """Close it; one that ended by itself is closed."""
    if context.arguments.forget_login_hint:
        async with context.client() as cardd:
            await cardd.forget_login_hint()
        if context.kept.session is None:
            context.answer({"closed": None}, [context.words("logout.forgotten")])
            return Exit.OK
    identifier, token = context.kept.open_session()
    async with context.client() as cardd:
        with suppress(SessionError):
            await cardd.session(identifier, token).close()
    context.kept.forget_session()
    context.answer({"closed": identifier}, [context.words("logout.done")])
    return Exit.OK
