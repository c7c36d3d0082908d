"""An editor's server that holds the credentials (proxy LPS), by ANS's contract, and the mobile behind it."""

from __future__ import annotations

import asyncio
import secrets
import ssl
from types import TracebackType
from typing import Self

from aiohttp import web

from tests.rig.oidc.people import PEOPLE
from tests.rig.oidc.pki import Authority

COOKIE = "proxy_session_id"


class ProxyLps:
    """Answers ``/connect`` once the person has; ``asked``, ``broken_off`` and ``ended`` are what it saw.

    With ``keeps_sessions`` it answers 304 with the session for a person who has one, and wakes no mobile.
    """

    def __init__(self, authority: Authority) -> None:
        self.authority = authority
        self.asked: list[dict[str, str]] = []
        self.broken_off: list[str] = []
        self.ended: list[str] = []
        self.fault: web.Response | None = None
        self.keeps_sessions = False
        self._waiting: dict[str, asyncio.Future[web.Response]] = {}
        self._open: dict[str, str] = {}
        self._runner = web.ServerRunner(
            web.Server(self._handle, handler_cancellation=True), shutdown_timeout=0.5, handler_cancellation=True
        )

    @property
    def url(self) -> str:
        """Return the server's address."""
        return f"https://localhost:{self._runner.addresses[0][1]}"

    @property
    def cookies(self) -> list[str]:
        """The cookies of the sessions that are open."""
        return list(self._open)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls()).start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    def open_elsewhere(self, national_id: str) -> str:
        """Another workstation of this person's has a session; its cookie."""
        cookie = secrets.token_hex(16)
        self._open[cookie] = national_id
        return cookie

    def approve(self, national_id: str) -> None:
        """The person agrees on the mobile."""
        cookie = secrets.token_hex(16)
        self._open[cookie] = national_id
        response = web.json_response({COOKIE: cookie, "session_state": "SIMULATION"})
        response.set_cookie(COOKIE, cookie, path="/")
        self._waiting.pop(national_id).set_result(response)

    def mix_up(self, cookie: str, national_id: str) -> None:
        """Take an open session for this person's."""
        self._open[cookie] = national_id

    def answer(self, national_id: str, status: int, message: str) -> None:
        """Answer this from now on."""
        body = {"code": str(status), "message": message}
        self._waiting.pop(national_id).set_result(web.json_response(body, status=status))

    def waits_for(self, national_id: str) -> bool:
        """Whether this person's mobile rings."""
        return national_id in self._waiting

    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.authority.issue("localhost").load_into(context)
        return context

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if self.fault is not None:
            return self.fault
        match request.method, request.path:
            case "POST", "/connect":
                return await self._connect(await request.json())
            case "DELETE", "/disconnect":
                return self._disconnect(request.cookies.get(COOKIE, ""))
            case "GET", "/send/userinfo":
                return self._userinfo(request.cookies.get(COOKIE, ""))
        return web.Response(status=404)

    async def _connect(self, body: dict[str, str]) -> web.Response:
        self.asked.append(body)
        national_id = body["nationalId"]
        if national_id not in [person["SubjectNameID"] for person in PEOPLE]:
            return web.json_response({"code": "404", "message": "User National ID not found"}, status=404)
        if self.keeps_sessions and (cookie := self._cookie_of(national_id)):
            kept = web.Response(status=304)
            kept.set_cookie(COOKIE, cookie, path="/")
            return kept
        answer: asyncio.Future[web.Response]
        answer = self._waiting[national_id] = asyncio.get_running_loop().create_future()
        try:
            return await answer
        except asyncio.CancelledError:
            self.broken_off.append(national_id)
            self._waiting.pop(national_id, None)
            raise

    def _cookie_of(self, national_id: str) -> str | None:
        return next((cookie for cookie, whose in self._open.items() if whose == national_id), None)

    def _disconnect(self, cookie: str) -> web.Response:
        known = self._open.pop(cookie, None)
        self.ended += [known] if known else []
        return web.Response(status=200 if known else 401)

    def _userinfo(self, cookie: str) -> web.Response:
        known = self._open.get(cookie)
        found = [person for person in PEOPLE if person["SubjectNameID"] == known]
        return web.json_response(found[0]) if found else web.Response(status=401)
