"""A proxy before the provider that breaks chosen answers, in the ways networks and servers do."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter, defaultdict, deque
from enum import StrEnum
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web

from tests.rig.oidc.pki import Authority, Issued
from tests.rig.ports import free_port
from tests.rig.waiting import eventually

SLOW = 3.0


class Fault(StrEnum):
    """What happens to one request."""

    RESET = "reset"  # before it reaches the provider
    HALF = "half"  # half of the provider's answer, then a reset
    SLOW = "slow"  # the answer comes late
    UNAVAILABLE = "unavailable"  # 503 from in between
    NOT_JSON = "not json"  # a page of somebody's, with status 200
    SLOW_DOWN = "slow down"  # CIBA's own word, which oidc-provider never says


def server_tls(issued: Issued) -> ssl.SSLContext:
    """TLS for a server with this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued.load_into(context)
    return context


class FaultyProxy:
    """Listens on ``port``; inside its ``async with`` it passes on to ``target`` (``https://localhost:…``).

    ``seen`` has the times of the requests by the last part of their path (``token``, ``userinfo``, ``certs``, …).
    """

    def __init__(self, authority: Authority) -> None:
        self.authority = authority
        self.port = free_port()
        self.target = ""
        self.seen: defaultdict[str, list[float]] = defaultdict(list)
        self._answered: Counter[str] = Counter()
        self._faults: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self._tls = server_tls(authority.issue("localhost"))
        self._trust = ssl.create_default_context(cadata=authority.pem.decode())
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=1.0)
        self._client: aiohttp.ClientSession | None = None

    def inject(self, name: str, *faults: Fault) -> None:
        """Let the next requests of this name meet these faults, one each."""
        self._faults[name].extend(faults)

    async def has_answered(self, name: str) -> None:
        """Wait until a request of this name was answered, or met its fault."""
        await eventually(lambda: self._answered[name] > 0)

    async def __aenter__(self) -> Self:
        self._client = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=self._trust), auto_decompress=False)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self._tls).start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._client is not None
        await self._client.close()
        await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        name = request.path.rpartition("/")[2]
        self.seen[name].append(asyncio.get_running_loop().time())
        fault = self._faults[name].popleft() if self._faults[name] else None
        try:
            return await self._answer(request, fault)
        finally:
            self._answered[name] += 1

    async def _answer(self, request: web.BaseRequest, fault: Fault | None) -> web.StreamResponse:
        match fault:
            case Fault.RESET:
                return _reset(request)
            case Fault.UNAVAILABLE:
                return web.Response(status=503, text="<html>SIMULATION</html>", content_type="text/html")
            case Fault.SLOW_DOWN:
                return web.json_response({"error": "slow_down"}, status=400)
            case Fault.NOT_JSON:
                return web.Response(text="<html>SIMULATION</html>", content_type="text/html")
        status, kind, body = await self._pass_on(request)
        if fault is Fault.SLOW:
            await asyncio.sleep(SLOW)
        response = web.Response(status=status, body=body, headers={"Content-Type": kind})
        return await _half(request, response, body) if fault is Fault.HALF else response

    async def _pass_on(self, request: web.BaseRequest) -> tuple[int, str, bytes]:
        assert self._client is not None
        async with self._client.request(
            request.method,
            self.target + str(request.rel_url),
            data=await request.read(),
            headers=request.headers,
            allow_redirects=False,
        ) as answer:
            return answer.status, answer.headers.get("Content-Type", ""), await answer.read()


def _reset(request: web.BaseRequest) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def _half(request: web.BaseRequest, whole: web.Response, body: bytes) -> web.StreamResponse:
    response = web.StreamResponse(status=whole.status, headers=whole.headers)
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    return _reset(request)
