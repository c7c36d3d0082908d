"""Where the provider's page sends the browser back to, and where it tells of logouts: one site on loopback.

RFC 8252, 7.3: it listens on a free port, or on a registered one. An answer belongs to the login that waits for its
``state``, and comes from a browser of the login's own OS user (rule 6): another user's would open the session in that
other one's name. Whatever else comes (another state, another Host, a second answer) gets a refusal and changes
nothing, so that no other page can end or steal a login. Nothing of it is logged: the code is in the address. Anybody
on the machine can connect: connections, their silence, and what is read of them have limits (rule 10).

The provider's page has a start address here, which leads the login's own user to it. Browsers are opened by command
lines, which every user of the machine reads: the start address tells another user nothing.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from html import escape
from urllib.parse import parse_qsl

from aiohttp import web

from cardd.errors import AddressInUse, CarddError
from cardd.i18n import N_, Domain, language_of
from cardd.model import Peer
from cardd.values import Value

HOST = "127.0.0.1"
PATH = "/callback"
START = "/start/"
FRONT_CHANNEL, BACK_CHANNEL = "/logout", "/backchannel-logout"
CLOSING_LIMIT = 2.0  # for the page to reach the browser
FORM_MAX = 64 * 1024
FIELDS_MAX = 16
LINGER = 1.0  # seconds that what was not wanted of a body is read and dropped
NOBODY = -1  # whose browser it is where the system does not tell
PeerOf = Callable[[socket.socket], Peer | None]  # who is at the other end of a connection; None: nobody can tell
NOTHING_KEPT = {"Cache-Control": "no-store"}
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Server": "",
}
_ = Domain("psc")
_log = logging.getLogger(__name__)

PAGES = {  # title and text
    "done": (
        N_("Go back to your software"),
        N_("Pro Santé Connect has answered. You may close this page."),
    ),
    "refused": (
        N_("The login did not succeed"),
        N_("Go back to your software: it says what happened. You may close this page."),
    ),
    "used": (
        N_("Answer already received"),
        N_("This page has served already. To log in, start again from your software."),
    ),
    "foreign": (
        N_("This answer is not expected here"),
        N_("It belongs to another login. Start again from your software."),
    ),
    "unknown": (
        N_("There is nothing here"),
        N_("You may close this page."),
    ),
}
_PAGE = """<!doctype html>
<html lang="{language}"><head><meta charset="utf-8"><title>{title}</title>
<style>body{{font:1.2rem sans-serif;margin:15vh auto;max-width:32rem;padding:0 1rem}}</style></head>
<body><h1>{title}</h1><p>{told}</p></body></html>
"""


class SiteLimits(Value):
    """What the site takes: ``form`` seconds for a whole form, ``idle`` seconds of silence or of a request's head."""

    form: float = 5.0
    idle: float = 15.0
    connections: int = 64


class _Visitor(Value):
    """Who holds one connection."""

    uid: int
    transport: asyncio.Transport


class _Connection(web.RequestHandler):
    """One connection. What is no HTTP is refused without a word: aiohttp would log the address, with the code."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - the parameters are aiohttp's
    ) -> web.StreamResponse:
        if status >= 500:
            _log.error("a request failed where nothing should: %s", type(exc).__name__)
        return _page("unknown", request.headers.get("Accept-Language", ""), status=status)


class _Server(web.Server):
    """Knows whose each connection is. Where there are too many, the user who holds most loses the oldest.

    A browser sends its request at once: whoever fills the port with silence takes room from themselves alone.
    """

    def __init__(
        self, handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], peer_of: PeerOf, limits: SiteLimits
    ) -> None:
        super().__init__(handler)
        self._peer_of = peer_of
        self._limits = limits
        self._visitors: dict[web.RequestHandler, _Visitor] = {}  # the oldest first

    def __call__(self) -> web.RequestHandler:
        """Return the protocol of a connection about to be made."""
        return _Connection(
            self,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type] # aiohttp's own way of saying: no access log
            keepalive_timeout=self._limits.idle,
            lingering_time=LINGER,
            auto_decompress=False,
        )

    def uid_of(self, request: web.BaseRequest) -> int:
        """Return the OS user at the other end; NOBODY where that is not known, or they were hung up on."""
        visitor = self._visitors.get(request.protocol)
        return visitor.uid if visitor else NOBODY

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        sock: socket.socket = transport.get_extra_info("socket")
        peer = self._peer_of(sock)
        self._visitors[handler] = _Visitor(peer.uid if peer else NOBODY, transport)
        if len(self._visitors) > self._limits.connections:
            self._make_room()

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        super().connection_lost(handler, exc)
        self._visitors.pop(handler, None)

    def _make_room(self) -> None:
        held = Counter(visitor.uid for visitor in self._visitors.values())
        most = max(held.values())
        oldest = next(handler for handler, visitor in self._visitors.items() if held[visitor.uid] == most)
        self._visitors.pop(oldest).transport.abort()


class Expected(Value, eq=False):
    """A login that waits for the browser of this OS user.

    ``start`` leads the browser to the provider's ``page``; ``answer`` has the parameters that it comes back with.
    """

    state: str
    uid: int
    page: str
    start: str
    answer: asyncio.Future[Mapping[str, str]]


class OnLogout(Value):
    """Who hears that a session ended: of the parameters of a request to the logout page, and of a logout token."""

    front_channel: Callable[[Mapping[str, str]], None]
    back_channel: Callable[[str], Awaitable[None]]


class LoopbackSite:
    """Listens from ``start`` to ``close``; ``port`` 0 takes a free one. ``peer_of`` tells who is connected."""

    def __init__(
        self,
        peer_of: PeerOf,
        *,
        port: int = 0,
        path: str = PATH,
        limits: SiteLimits | None = None,
        on_logout: OnLogout | None = None,
    ) -> None:
        self._port = port
        self._path = path
        self._limits = limits or SiteLimits()
        self._expected: list[Expected] = []
        self._server = _Server(self._handle, peer_of, self._limits)
        self._runner = web.ServerRunner(self._server, shutdown_timeout=CLOSING_LIMIT)
        self._on_logout = on_logout

    @property
    def uri(self) -> str:
        """The redirect URI."""
        return f"http://{HOST}:{self._port}{self._path}"

    def expect(self, state: str, uid: int, page: str) -> Expected:
        """Expect this user's browser with this state, once it was at the page; ``forget`` it in the end."""
        start = f"http://{HOST}:{self._port}{START}{secrets.token_urlsafe(16)}"
        expected = Expected(state, uid, page, start, asyncio.get_running_loop().create_future())
        self._expected.append(expected)
        return expected

    def forget(self, expected: Expected) -> None:
        """Refuse the answer: nobody waits for it any more."""
        if expected in self._expected:
            self._expected.remove(expected)
            expected.answer.cancel()

    async def start(self) -> None:
        """Listen. Raises AddressInUse."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, HOST, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise AddressInUse(address=f"{HOST}:{self._port}") from error
        self._port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Listen no more."""
        for expected in list(self._expected):
            self.forget(expected)
        await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        asked = (request.method, request.path) if request.host == f"{HOST}:{self._port}" else None
        if asked == ("GET", self._path):
            return self._answered(request)
        if asked and asked[0] == "GET" and asked[1].startswith(START):
            return self._led(request)
        if asked == ("GET", FRONT_CHANNEL) and self._on_logout:
            self._on_logout.front_channel(_once(request))
            return web.Response(headers=NOTHING_KEPT)  # to everybody: no page learns whether somebody is logged in
        if asked == ("POST", BACK_CHANNEL) and self._on_logout:
            return await _told(request, self._on_logout.back_channel, self._limits.form)
        return _page("unknown", request.headers.get("Accept-Language", ""), status=404)

    def _answered(self, request: web.BaseRequest) -> web.StreamResponse:
        language, told = request.headers.get("Accept-Language", ""), _once(request)
        expected = self._find(request, lambda one: one.state == told.get("state"))
        if expected is None:
            return _page("foreign", language, status=400)
        if expected.answer.done():
            return _page("used", language, status=410)
        expected.answer.set_result(told)
        return _page("refused" if "error" in told else "done", language)

    def _led(self, request: web.BaseRequest) -> web.StreamResponse:
        """Lead the login's own user to the provider's page."""
        expected = self._find(request, lambda one: one.start.endswith(request.path))
        if expected is None:
            return _page("foreign", request.headers.get("Accept-Language", ""), status=400)
        return web.Response(status=303, headers={**_HEADERS, "Location": expected.page})

    def _find(self, request: web.BaseRequest, is_it: Callable[[Expected], bool]) -> Expected | None:
        """Return what is expected of the user whose browser this is."""
        uid = self._server.uid_of(request)
        return next((one for one in self._expected if one.uid == uid and is_it(one)), None)


def _once(request: web.BaseRequest) -> dict[str, str]:
    """Return the parameters; one that comes twice (RFC 6749, 3.1) is empty, which is right nowhere."""
    return {key: value if len(request.query.getall(key)) == 1 else "" for key, value in request.query.items()}


async def _told(request: web.BaseRequest, heed: Callable[[str], Awaitable[None]], limit: float) -> web.Response:
    """Have a logout token heeded (Back-Channel Logout 1.0, 2.5 and 2.8)."""
    size = request.content_length
    if request.content_type != "application/x-www-form-urlencoded" or size is None or size > FORM_MAX:
        return web.Response(status=400, headers=NOTHING_KEPT)
    try:
        async with asyncio.timeout(limit):
            body = await request.read()
        form = dict(parse_qsl(body.decode("ascii"), max_num_fields=FIELDS_MAX))
        await heed(form.get("logout_token", ""))
    except (CarddError, ValueError, OSError):  # the last also where nothing came in time, or they left
        return web.json_response({"error": "invalid_request"}, status=400, headers=NOTHING_KEPT)
    return web.Response(headers=NOTHING_KEPT)


def _page(name: str, accept_language: str, *, status: int = 200) -> web.Response:
    """Return a page of few words for the browser: static, without scripts, in its language."""
    language = language_of(accept_language)
    title, told = (escape(_(sentence, language)) for sentence in PAGES[name])
    content = _PAGE.format(language=language, title=title, told=told)
    response = web.Response(text=content, content_type="text/html", charset="utf-8", status=status, headers=_HEADERS)
    response.force_close()
    return response
