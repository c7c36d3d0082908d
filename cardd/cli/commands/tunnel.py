"""``cardctl tunnel``: a configured server for programs that speak HTTP without TLS, with the session's certificate.

Servers of the kind ``tls`` have raw tunnels (``cardd.cli.raw_tunnel``). For the others, a listener on this machine's
own addresses puts every request through the daemon's relay. Whoever reaches it acts with the card, so it answers to
programs of the user who started it, and to no browser: a page could make a browser ask it (CSRF, DNS rebinding), and
would show itself by ``Origin``, ``Sec-Fetch-…`` or ``Host``.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from aiohttp import ClientError, ClientResponse, web
from multidict import CIMultiDict

from cardd.cli.command import Command, Context
from cardd.cli.failures import sentences
from cardd.cli.parser import Exit, Parser
from cardd.cli.raw_tunnel import RawTunnel
from cardd.cli.waiting import until_told
from cardd.client import Session
from cardd.errors import CarddError, InvalidRequest, UpstreamOfAnotherKind, UpstreamUnknown
from cardd.i18n import N_, Domain
from cardd.relay.upstream import HOP_BY_HOP
from cardd.system.peer import peer_of

_ = Domain("cli")

HOSTS = {"127.0.0.1": "127.0.0.1", "localhost": "127.0.0.1", "::1": "::1"}
KEPT_BACK = HOP_BY_HOP | {"host", "authorization", "cookie"}
BROWSER = ("Origin", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest")
FORBIDDEN = b'{"type":"about:blank","title":"Forbidden","status":403,"code":"request.forbidden"}'
PROBLEM = "application/problem+json"


def _arguments(parser: Parser) -> None:
    """Declare the server, and where to listen."""
    parser.add_argument(
        "name", metavar=N_("NAME"), help=N_("the server, as upstreams.NAME of the service's configuration calls it")
    )
    parser.add_argument(
        "--listen",
        metavar=N_("[HOST:]PORT|SOCKET"),
        default="0",
        help=N_(
            "where to listen, on this machine only; any free port by default; a raw tunnel also at a socket's path"
        ),
    )
    parser.add_argument(
        "--stdio", action="store_true", help=N_("one connection by standard input and output; raw tunnels only")
    )


async def _tunnel(context: Context) -> int:
    """Listen until interrupted. Raises InvalidRequest, SessionUnknown, UpstreamError, OSError."""
    place = _place(context.arguments.listen)
    name: str = context.arguments.name
    opened = context.remembered.open_session()
    async with context.client(context.remembered.secret) as cardd:
        session = cardd.session(*opened)
        # a session that has ended is told now, not at the first request
        relayed, raw = await session.upstreams(), await session.tunnels()
        if name in raw:
            tunnel = RawTunnel(session, name, partial(_tell, context))
            work = tunnel.carry_stdio() if context.arguments.stdio else _serve_raw(context, tunnel, place)
        elif name not in relayed:
            raise UpstreamUnknown(name=name, known=", ".join(sorted({*relayed, *raw})) or "–")
        elif context.arguments.stdio or isinstance(place, Path):
            raise UpstreamOfAnotherKind(name=name, kind="https")
        else:
            work = _serve(context, _Tunnel(session, name), *place)
        await until_told(work)
    return Exit.OK


async def _serve_raw(context: Context, tunnel: RawTunnel, place: Path | tuple[str, int]) -> None:
    if not isinstance(place, Path):
        await _serve(context, tunnel, *place)
        return
    async with tunnel.listening_at(place):
        await _say_and_wait(context, f"unix:{place}")


async def _serve(context: Context, tunnel: _Tunnel | RawTunnel, host: str, port: int) -> None:
    async with tunnel.listening(HOSTS[host], port) as taken:
        await _say_and_wait(context, f"{tunnel.scheme}://{f'[{host}]' if ':' in host else host}:{taken}")


async def _say_and_wait(context: Context, url: str) -> None:
    name = context.arguments.name
    context.answer(
        {"url": url, "upstream": name},
        [_("{url} leads to “{name}” with your certificate; Ctrl-C ends it.", context.language, url=url, name=name)],
    )
    await asyncio.get_running_loop().create_future()


def _tell(context: Context, error: CarddError) -> None:
    """Tell why a connection ended; the tunnel goes on."""
    context.terminal.tell(sentence for sentence in sentences(error, context.language) if sentence)


def _place(given: str) -> Path | tuple[str, int]:
    """Return a socket's path, or host and port on this machine: whoever could connect would act with the card."""
    if "/" in given:
        return Path(given).absolute()
    host, _, port = given.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if host not in HOSTS or not port.isdecimal() or int(port) > 65535:
        raise InvalidRequest(where="--listen", why="127.0.0.1:PORT, [::1]:PORT")
    return host, int(port)


class _Tunnel:
    """One listener for one upstream and one session."""

    scheme = "http"

    def __init__(self, session: Session, upstream: str) -> None:
        self._session = session
        self._upstream = upstream
        self._hosts: frozenset[str] = frozenset()

    @asynccontextmanager
    async def listening(self, address: str, port: int) -> AsyncIterator[int]:
        """Serve inside the ``async with``. Gives the port. Raises OSError."""
        # a program that hangs up ends its request here too: the daemon then sends nothing after a PIN typed later
        server = web.Server(self._answer, handler_cancellation=True, access_log=None, auto_decompress=False)
        runner = web.ServerRunner(server)
        await runner.setup()
        try:
            await web.TCPSite(runner, address, port).start()
            taken = int(runner.addresses[0][1])
            self._hosts = frozenset(f"{name}:{taken}" for name in ("127.0.0.1", "localhost", "[::1]"))
            yield taken
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if not self._may(request):
            refusal = web.Response(status=403, body=FORBIDDEN, headers={"Content-Type": PROBLEM})
            refusal.force_close()
            return refusal
        headers = {name: value for name, value in request.headers.items() if name.lower() not in KEPT_BACK}
        body, more = await _body(request)
        try:
            async with self._session.relay(
                self._upstream, request.method, request.raw_path, headers={**headers, **more}, body=body
            ) as answer:
                return await _pass_on(request, answer)
        except CarddError as error:
            return web.json_response({"code": error.code, "status": 502}, status=502, content_type=PROBLEM)

    def _may(self, request: web.BaseRequest) -> bool:
        transport = request.transport
        peer = peer_of(transport.get_extra_info("socket")) if transport is not None else None
        if peer is None or peer.uid != os.getuid() or not request.raw_path.startswith("/"):
            return False
        hosts = request.headers.getall("Host", ())
        return len(hosts) == 1 and hosts[0] in self._hosts and not any(name in request.headers for name in BROWSER)


async def _body(request: web.BaseRequest) -> tuple[bytes | AsyncIterator[bytes] | None, Mapping[str, str]]:
    """Return the request's body as it comes, and the header that says how long it is, where that is known."""
    if not request.body_exists:
        return None, {}
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    length = request.content_length
    return request.content.iter_any(), {} if length is None else {"Content-Length": str(length)}


async def _pass_on(request: web.BaseRequest, answer: ClientResponse) -> web.StreamResponse:
    headers: CIMultiDict[str] = CIMultiDict(
        (name, value) for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP
    )
    response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
    response.content_length = answer.content_length
    await response.prepare(request)
    try:
        async for part in answer.content.iter_any():
            await response.write(part)
    except (ClientError, OSError, asyncio.IncompleteReadError):
        # the head is out: only a connection that ends tells that the body is not whole
        if request.transport is not None:
            request.transport.abort()
        return response
    await response.write_eof()
    return response


COMMANDS = {"tunnel": Command(_tunnel, _arguments)}
