"""``cardctl tunnel``: a configured server for programs that speak plain HTTP, with the session's certificate."""

from __future__ import annotations

import asyncio
import signal

from cardd.cli.context import Context
from cardd.cli.exits import Exit
from cardd.cli.parser import Parser
from cardd.cli.tunnel import HOSTS, Tunnel
from cardd.errors import InvalidRequest


def arguments(parser: Parser) -> None:
    """Which server, and where to listen."""
    words = parser.words
    parser.add_argument("name", metavar=words("name"), help=words("tunnel.name"))
    parser.add_argument("--listen", metavar="[HOST:]PORT", default="0", help=words("tunnel.listen"))


async def run(context: Context) -> int:
    """Listen until interrupted. Raises InvalidRequest, SessionUnknown."""
    host, port = _place(context.arguments.listen)
    name: str = context.arguments.name
    kept = context.kept.open_session()
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    async with context.client(context.kept.secret) as cardd:
        session = cardd.session(*kept)
        await session.state()  # one that has ended is told now, not at the first request
        async with Tunnel(session, name).listening(host, port) as taken:
            url = f"http://{f'[{host}]' if ':' in host else host}:{taken}"
            context.answer({"url": url, "upstream": name}, [context.words("tunnel.listening", url=url, name=name)])
            await told.wait()
    return Exit.OK


def _place(given: str) -> tuple[str, int]:
    """Only this machine's own addresses: whoever could connect would act with the card."""
    host, _, port = given.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if host not in HOSTS or not port.isdecimal() or int(port) > 65535:
        raise InvalidRequest(where="--listen", why="127.0.0.1:PORT, [::1]:PORT")
    return host, int(port)
