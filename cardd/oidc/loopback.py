"""Where the provider's page sends the browser back to, and where it tells of logouts: one site on loopback.

RFC 8252, 7.3: it listens on a free port, or on a registered one. An answer belongs to the login that waits for its
``state``. Whatever else comes (another state, another Host, a second answer) gets a refusal and changes nothing, so
that no other page can end or steal a login. Nothing of it is logged: the code is in the address. Anybody on the
machine can connect: connections, their silence, and what is read of them have limits (rule 10).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from html import escape
from urllib.parse import parse_qsl

from aiohttp import web

from cardd.errors import AddressInUse, CarddError
from cardd.i18n import N_, Domain, language_of

HOST = "127.0.0.1"
PATH = "/callback"
FRONT_CHANNEL, BACK_CHANNEL = "/logout", "/backchannel-logout"
CLOSING_LIMIT = 2.0  # for the page to reach the browser
FORM_MAX = 64 * 1024
FIELDS_MAX = 16
READ_LIMIT = 5.0  # seconds for a whole form
IDLE_LIMIT = 15.0  # seconds that a connection may say nothing, or dawdle over a request's head
LINGER = 1.0  # seconds that what was not wanted of a body is read and dropped
CONNECTIONS = 64
NOTHING_KEPT = {"Cache-Control": "no-store"}
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Server": "",
}
_ = Domain("psc")

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


class _Server(web.Server):
    """Hangs up on whoever comes when too many are there already."""

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        if len(self.connections) > CONNECTIONS:
            transport.abort()


class LoopbackSite:
    """Listens from ``start`` to ``close``; ``port`` 0 takes a free one.

    ``on_front_channel`` is given the parameters of a request to the logout page, ``on_back_channel`` a logout token.
    """

    def __init__(self, *, port: int = 0, path: str = PATH) -> None:
        self._port = port
        self._path = path
        self._answers: dict[str, asyncio.Future[Mapping[str, str]]] = {}
        # the access log would have the code; aiohttp takes None for no log at all
        server = _Server(
            self._handle, access_log=None, keepalive_timeout=IDLE_LIMIT, lingering_time=LINGER, auto_decompress=False
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=CLOSING_LIMIT)
        self.on_front_channel: Callable[[Mapping[str, str]], None] | None = None
        self.on_back_channel: Callable[[str], Awaitable[None]] | None = None

    @property
    def uri(self) -> str:
        """The redirect URI."""
        return f"http://{HOST}:{self._port}{self._path}"

    def expect(self, state: str) -> asyncio.Future[Mapping[str, str]]:
        """Return the parameters of the provider's answer with this state, once it comes; ``forget`` it in the end."""
        answer: asyncio.Future[Mapping[str, str]] = asyncio.get_running_loop().create_future()
        self._answers[state] = answer
        return answer

    def forget(self, state: str) -> None:
        """Refuse the answer: nobody waits for it any more."""
        answer = self._answers.pop(state, None)
        if answer is not None:
            answer.cancel()

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
        for state in list(self._answers):
            self.forget(state)
        await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        asked = (request.method, request.path) if request.host == f"{HOST}:{self._port}" else None
        if asked == ("GET", self._path):
            return self._answered(request)
        if asked == ("GET", FRONT_CHANNEL) and self.on_front_channel:
            self.on_front_channel(_once(request))
            return web.Response(headers=NOTHING_KEPT)  # to everybody: no page learns whether somebody is logged in
        if asked == ("POST", BACK_CHANNEL) and self.on_back_channel:
            return await _told(request, self.on_back_channel)
        return _page("unknown", request.headers.get("Accept-Language", ""), status=404)

    def _answered(self, request: web.BaseRequest) -> web.StreamResponse:
        language, told = request.headers.get("Accept-Language", ""), _once(request)
        answer = self._answers.get(told.get("state", ""))
        if answer is None:
            return _page("foreign", language, status=400)
        if answer.done():
            return _page("used", language, status=410)
        answer.set_result(told)
        return _page("refused" if "error" in told else "done", language)


def _once(request: web.BaseRequest) -> dict[str, str]:
    """Return the parameters that come once; one that comes twice is none (RFC 6749, 3.1)."""
    return {key: value for key, value in request.query.items() if len(request.query.getall(key)) == 1}


async def _told(request: web.BaseRequest, heed: Callable[[str], Awaitable[None]]) -> web.Response:
    """Have a logout token heeded (Back-Channel Logout 1.0, 2.5 and 2.8)."""
    size = request.content_length
    if request.content_type != "application/x-www-form-urlencoded" or size is None or size > FORM_MAX:
        return web.Response(status=400, headers=NOTHING_KEPT)
    try:
        async with asyncio.timeout(READ_LIMIT):
            body = await request.read()
        form = dict(parse_qsl(body.decode("ascii"), max_num_fields=FIELDS_MAX))
        await heed(form.get("logout_token", ""))
    except (CarddError, ValueError, TimeoutError):
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
