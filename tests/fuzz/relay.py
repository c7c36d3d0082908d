"""What a server behind the relay answers, whole, as it comes to the program that asked."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import aiohttp

from cardd.config import Config, Upstream
from cardd.core.session import Session
from cardd.http import open_session
from cardd.relay.pool import AUTOMATIC, UpstreamPool
from cardd.relay.vouching import Vouching
from tests.api.workbench import Workbench
from tests.fuzz.parser import Parser
from tests.fuzz.programs import Carried
from tests.fuzz.providers import _served
from tests.fuzz.talking import Failed, on_loop

UPSTREAM = Upstream(name="dmp", url="https://dmp.example", timeout=2.0, max_body=65_536)
HEAD = re.compile(rb"HTTP/1\.1 (\d{3}) [^\r\n\0]*(?:\r\n[!#$%&'*+.^_`|~0-9A-Za-z-]+: [^\r\n\0]*)*")
ASKED = ("GET", "HEAD", "POST")


class _Plain(UpstreamPool):
    """Connections without TLS, to whoever listens on this machine."""

    def __init__(self, upstream: Upstream, port: int, vouching: Vouching) -> None:
        self._upstream, self._port = upstream, port
        self._vouching = vouching
        self._in_use, self._is_retired = 0, False
        silence = aiohttp.ClientTimeout(total=None, sock_read=upstream.timeout)
        self._http = open_session(
            _There(port), silence, left_out=AUTOMATIC, on_sent=self._wait_for_head, buffer=256 * 1024
        )

    async def close(self) -> None:
        """Hang up."""
        await self._http.close()


class _There(aiohttp.TCPConnector):
    """Leads to one port of this machine, whatever the address."""

    def __init__(self, port: int) -> None:
        super().__init__(force_close=True)
        self._port_there = port

    async def _create_connection(  # type: ignore[override]  # aiohttp's, as KeyConnector has it
        self, req: aiohttp.ClientRequest, traces: object, timeout: object
    ) -> object:
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_connection(self._factory, "127.0.0.1", self._port_there)
        return protocol


class _Bench:
    """One daemon with an open session for many inputs."""

    def __init__(self) -> None:
        self.carried = Carried(self._begin)
        self._bench: Workbench | None = None

    async def _begin(self, place: Path) -> tuple[str, Callable[[], Awaitable[None]]]:
        self._bench = bench = Workbench(place, Config(upstreams={"dmp": UPSTREAM}))
        await bench.start()
        self.session, self.token = await bench.logged_in()
        return bench.path, bench.stop

    async def asked(self, port: int, method: str) -> bytes:
        """Return all that the program hears of one request."""
        path = await self.carried.there()
        assert self._bench is not None
        relay = self._bench.parts.relay
        pool = _Plain(UPSTREAM, port, relay._vouching)

        async def made(_session: Session, _upstream: Upstream, _kind: object) -> UpstreamPool:
            return pool

        relay._pool = made  # type: ignore[assignment,method-assign]
        reader, writer = await asyncio.open_unix_connection(path)
        try:
            head = f"{method} {self.session}/upstreams/dmp/lps HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            body = "Content-Length: 2\r\n\r\n{}" if method == "POST" else "\r\n"
            writer.write(f"{head}Authorization: Bearer {self.token}\r\n{body}".encode())
            with suppress(ConnectionError):
                return await asyncio.wait_for(reader.read(), 10)
            return b""
        finally:
            writer.close()
            await pool.close()


async def _relayed(data: bytes) -> None:
    """The first byte chooses the method; the rest is what the server says before it hangs up."""
    method = ASKED[data[0] % len(ASKED)] if data else "GET"

    async def ask(port: int) -> None:
        heard = await BENCH.asked(port, method)
        head, _, body = heard.partition(b"\r\n\r\n")
        if not heard:
            return  # a server's answer that ended on its way
        found = HEAD.fullmatch(head)
        if found is None or (found[1] == b"500" and b"Cardd-Upstream" not in head):
            raise Failed(heard[:300].decode(errors="replace"))
        names = [line.partition(b":")[0].lower() for line in head.split(b"\r\n")[1:]]
        assert names.count(b"content-length") + names.count(b"transfer-encoding") <= 1, names
        assert not (method == "HEAD" and body), body

    await _served(data[1:], ask)


BENCH = _Bench()

PARSERS: dict[str, Parser] = {
    "answer": Parser(
        on_loop(_relayed),
        ("cardd.api.upstreams", "cardd.relay.relay", "cardd.relay.pool", "cardd.relay.upstream"),
        longest=8192,
        words=(
            b"HTTP/1.1 200 OK\r\n", b"Content-Length: ", b"Transfer-Encoding: chunked\r\n", b"Date: ", b"\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\n", b"Set-Cookie: ", b"Connection: ", b"Cardd-Upstream: ",
        ),
    ),
}  # fmt: skip
