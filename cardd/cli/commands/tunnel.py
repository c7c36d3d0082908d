"""``cardctl tunnel``: a configured server for programs that speak plain HTTP, with the session's certificate."""

from __future__ import annotations

import asyncio

from cardd.cli.context import Context
from cardd.cli.exits import Exit
from cardd.cli.parser import Parser
from cardd.cli.stopping import until_told
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
    async with context.client(context.kept.secret) as cardd:
        session = cardd.session(*kept)
        await session.state()  # one that has ended is told now, not at the first request
        await until_told(_serve(context, Tunnel(session, name), host, port))
    return Exit.OK


async def _serve(context: Context, tunnel: Tunnel, host: str, port: int) -> None:
    async with tunnel.listening(host, port) as taken:
        url, name = f"http://{f'[{host}]' if ':' in host else host}:{taken}", context.arguments.name
        context.answer({"url": url, "upstream": name}, [context.words("tunnel.listening", url=url, name=name)])
        await asyncio.get_running_loop().create_future()


def _place(given: str) -> tuple[str, int]:
    """Only this machine's own addresses: whoever could connect would act with the card."""
    host, _, port = given.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if host not in HOSTS or not port.isdecimal() or int(port) > 65535:
        raise InvalidRequest(where="--listen", why="127.0.0.1:PORT, [::1]:PORT")
    return host, int(port)
