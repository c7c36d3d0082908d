"""Where the browser comes back to: one address on loopback, for one login (RFC 8252, 7.3).

It listens on a free port, takes the one answer that bears the login's ``state``, and tells the person in the browser
how it went. Whatever else comes (another state, another Host, a second answer) gets a refusal and changes nothing, so
that no other page can end or steal the login. Nothing of it is logged: the code is in the address.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from aiohttp import web

from cardd.oidc.page import page

HOST = "127.0.0.1"
PATH = "/callback"
CLOSING_LIMIT = 2.0  # for the page to reach the browser


class RedirectListener:
    """Listens inside its ``async with``. ``port`` 0 takes a free one; a registered one may be asked for."""

    def __init__(self, state: str, *, port: int = 0, path: str = PATH) -> None:
        self._state = state
        self._port = port
        self._path = path
        self._answer: asyncio.Future[Mapping[str, str]] = asyncio.get_running_loop().create_future()
        # the access log would have the code; aiohttp takes None for no log at all
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=CLOSING_LIMIT)

    @property
    def uri(self) -> str:
        """The redirect URI."""
        return f"http://{HOST}:{self._port}{self._path}"

    async def wait(self) -> Mapping[str, str]:
        """The parameters of the provider's answer."""
        return await asyncio.shield(self._answer)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, self._port).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._answer.cancel()
        await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        language = request.headers.get("Accept-Language", "")
        if request.host != f"{HOST}:{self._port}" or request.path != self._path or request.method != "GET":
            return page("unknown", language, status=404)
        told = {key: value for key, value in request.query.items() if len(request.query.getall(key)) == 1}
        if not hmac.compare_digest(told.get("state", "").encode(), self._state.encode()):
            return page("foreign", language, status=400)
        if self._answer.done():
            return page("used", language, status=410)
        self._answer.set_result(told)
        return page("refused" if "error" in told else "done", language)
