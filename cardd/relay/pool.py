"""The connections of one session to one server, and their faults as cardd's errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from cardd.config import Upstream
from cardd.errors import (
    CarddError,
    UpstreamClosed,
    UpstreamGarbled,
    UpstreamTimeout,
    UpstreamTlsFailed,
)
from cardd.http import causes, open_session
from cardd.outward import DIRECT, Outward
from cardd.relay.vouching import Vouching
from cardd.tls.connector import KeyConnector
from cardd.tls.dialler import Credentials, Server
from cardd.values import Value

Body = bytes | AsyncIterator[bytes] | None

WORDS_MAX = 4  # times its timeout: a server may say that it is still at work (1xx), but not without end
BUFFER = 256 * 1024
AUTOMATIC = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


class UpstreamRequest(Value):
    """A request as it goes to the server; ``target`` is its whole address, still encoded."""

    method: str
    target: str
    headers: CIMultiDict[str]
    body: Body


class UpstreamPool:
    """A pool made for the first request; ``retire`` ends it once nothing is under way, ``close`` at once.

    ``vouching`` is asked for each server's certificate before anything is sent.
    """

    def __init__(
        self, upstream: Upstream, credentials: Credentials, vouching: Vouching, outward: Outward = DIRECT
    ) -> None:
        self._upstream = upstream
        server = Server(upstream.name, upstream.host, upstream.port, upstream.authorities, upstream.tls)
        self._connector = KeyConnector(
            server, credentials, outward, vouch=partial(vouching.require, upstream), clock=vouching.clock.monotonic
        )
        silence = aiohttp.ClientTimeout(total=None, sock_read=upstream.timeout)
        self._http = open_session(
            self._connector, silence, buffer=BUFFER, left_out=AUTOMATIC, on_sent=self._wait_for_head
        )
        self._in_use = 0
        self._is_retired = False

    @asynccontextmanager
    async def request(self, sent: UpstreamRequest) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request and yield its answer, whose body is read inside ``reading``.

        Raises UpstreamError, and what the use of the key raised.
        """
        self._in_use += 1
        try:
            with self.reading():
                async with asyncio.timeout(None) as head:
                    answer = await self._http.request(
                        sent.method,
                        URL(sent.target, encoded=True),
                        headers=sent.headers,
                        data=sent.body,
                        allow_redirects=False,
                        trace_request_ctx=head,
                    )
            async with answer:
                yield answer
        finally:
            self._in_use -= 1
            if self._is_retired and not self._in_use:
                await self._http.close()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Raise aiohttp's faults as cardd's errors."""
        try:
            yield
        except (aiohttp.ClientError, TimeoutError, OSError) as fault:
            raise self._error(fault) from fault

    def _wait_for_head(self, head: asyncio.Timeout) -> None:
        """Give the server its time for the answer's head, from the last part of the request on."""
        with suppress(RuntimeError):  # the head was there before the request's end
            head.reschedule(asyncio.get_running_loop().time() + WORDS_MAX * self._upstream.timeout)

    async def retire(self) -> None:
        """Take no new request; what is under way may end."""
        self._is_retired = True
        if not self._in_use:
            await self._http.close()

    async def close(self) -> None:
        """End every connection, whatever is under way on it."""
        self._is_retired = True
        await self._connector.cut()
        await self._http.close()

    def _error(self, fault: BaseException) -> CarddError:
        name = self._upstream.name
        for cause in causes(fault):
            if isinstance(cause, CarddError):
                return cause
        if isinstance(fault, TimeoutError):
            return UpstreamTimeout(name=name, seconds=round(self._upstream.timeout))
        if isinstance(fault, aiohttp.ClientResponseError):
            return UpstreamGarbled(name=name)
        if isinstance(fault, aiohttp.InvalidURL):
            return UpstreamTlsFailed(name=name, why="URL")
        return UpstreamClosed(name=name)
