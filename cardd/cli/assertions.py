"""What ``cardctl vihf`` and ``cardctl insi`` share: the practice software's registration, and where the XML goes."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from cardd.cli.context import Context
from cardd.cli.exits import Exit
from cardd.cli.parser import Parser
from cardd.cli.waiting import waiting
from cardd.client import Assertion, Lps, Session

LPS = ("name", "homologation", "version", "installation")
REQUIRED = LPS[:2]


def common_arguments(parser: Parser) -> None:
    """The registration, the situation of practice, and the file."""
    for name in LPS:
        wanted = name in REQUIRED
        parser.add_argument(
            f"--lps-{name}", metavar=name.upper(), required=wanted, help=parser.words(f"assertion.{name}")
        )
    parser.add_argument("--situation", metavar="ID", help=parser.words("assertion.situation"))
    parser.add_argument("--output", "-o", metavar="PATH", type=Path, help=parser.words("assertion.output"))


async def issue(context: Context, ask: Callable[[Session, Lps], Awaitable[Assertion]]) -> int:
    """Have one issued in the name of ``cardctl login``'s session, and give it: to a file, or to whoever reads us."""
    given = context.arguments
    lps = Lps(*(getattr(given, f"lps_{name}") for name in LPS))
    async with context.client(context.kept.secret) as cardd:
        session = cardd.session(*context.kept.open_session())
        async with waiting(context, context.words("assertion.waiting"), cardd):
            if given.situation:
                await session.situate(given.situation)
            issued = await ask(session, lps)
    if given.output:
        _write(given.output, issued.assertion)
    lines = [str(given.output) if given.output else issued.assertion.decode()]
    context.answer(issued, lines)
    return Exit.OK


def _write(path: Path, content: bytes) -> None:
    """It opens a record, and names whose: for its user's eyes."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        os.fchmod(file.fileno(), 0o600)  # one that was there before may be open to others
        file.write(content)
