"""Sessions with upstreams: nginx that wants the card's certificate, or a server that talks as a test says."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from cardd.config import Config, Upstream
from tests.api.workbench import Got, Workbench
from tests.rig.memory import RunningClock
from tests.rig.nginx import Nginx, Pair
from tests.rig.upstream import Talk, backend, tls_server

Start = Callable[[Workbench], Awaitable[Workbench]]


@dataclass(frozen=True)
class Site:
    """What the tests of this module share: the server's certificate and its authority."""

    authority: Pair
    server: Pair
    clients: Path


@dataclass
class Relayed:
    """A session that has upstreams."""

    api: Workbench
    nginx: Nginx
    path: str
    token: str

    async def call(self, method: str, path: str, body: object = None, **headers: str) -> Got:
        """One request to the upstream ``dmp``; ``headers`` take ``_`` for ``-``."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.api.call(method, f"{self.path}/upstreams/dmp{path}", body, bearer=self.token, headers=sent)


def upstream(site: Site, port: int) -> Upstream:
    return Upstream(name="dmp", url=f"https://localhost:{port}", authorities=site.authority.certificate)


@asynccontextmanager
async def behind_nginx(
    site: Site, started: Start, directory: Path, protocols: str = "TLSv1.2", **settings: object
) -> AsyncIterator[Relayed]:
    async with backend() as port:
        nginx = Nginx(directory / "nginx", site.clients, site.server, protocols, backend=port)
        with nginx.running():
            one = replace(upstream(site, nginx.port), **settings)
            api = await started(Workbench(directory, Config(upstreams={"dmp": one}), clock=RunningClock()))
            yield Relayed(api, nginx, *await api.logged_in())


@asynccontextmanager
async def talking(
    site: Site, started: Start, directory: Path, talk: Talk, **settings: object
) -> AsyncIterator[Relayed]:
    async with tls_server(site.server, site.clients, talk) as port:
        one = replace(upstream(site, port), **settings)
        api = await started(Workbench(directory, Config(upstreams={"dmp": one}), clock=RunningClock()))
        nginx = Nginx(directory, site.clients, site.server, port=port)
        yield Relayed(api, nginx, *await api.logged_in())


def head(length: int = 5, **headers: str) -> bytes:
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{more}\r\n".encode()


def raw_head(relayed: Relayed, *lines: str) -> bytes:
    first = f"POST {relayed.path}/upstreams/dmp/ HTTP/1.1\r\nHost: 127.0.0.1:{relayed.api.port}\r\n"
    return (first + "\r\n".join([f"Authorization: Bearer {relayed.token}", *lines]) + "\r\n\r\n").encode()


class Peer:
    """A server that wants a client certificate, by Python's own TLS, and counts what it has met."""

    def __init__(self, site: Site, before: bytes = b"", answer: bytes = b"") -> None:
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(site.server.certificate, site.server.key)
        self.tls.load_verify_locations(site.clients)
        self.tls.verify_mode = ssl.CERT_REQUIRED
        self.before, self.answer = before, answer
        self.met: list[object] = []
        self.heard: list[bytes] = []
        self.left = 0
        self._talking: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        """Give the port."""
        tls = None if self.before else self.tls
        async with await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls) as server:
            yield server.sockets[0].getsockname()[1]
            for task in self._talking:
                task.cancel()
            await asyncio.gather(*self._talking, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._talking.add(task)
        try:
            if self.before:
                await self._begin_without(reader, writer)
            self.met.append(writer.get_extra_info("peercert"))
            while data := await reader.read(65536):
                if data == b"bye":
                    break
                writer.write(data)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.left += 1
            writer.close()

    async def _begin_without(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """STARTTLS of SMTP or IMAP, as far as a client needs it."""
        writer.write(self.before)
        while b"STARTTLS" not in (line := await reader.readuntil(b"\n")):
            self.heard.append(line)
            writer.write(b"250-localhost\r\n250 STARTTLS\r\n")
        writer.write(self.answer)
        await writer.start_tls(self.tls)
