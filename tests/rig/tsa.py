"""A timestamp authority over HTTP on loopback: openssl makes its answers, or the test does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.rig.openssl import run
from tests.rig.pens import SmallAuthority
from tests.rig.ports import free_port

REPLY = "application/timestamp-reply"
SETTINGS = """
[tsa]
default_tsa = simulation
[simulation]
serial = {directory}/serial
crypto_device = builtin
signer_digest = sha256
default_policy = 1.2.250.1.99999.1
digests = sha256
ordering = no
tsa_name = yes
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class OpensslTsa:
    """Makes timestamp answers with ``openssl ts``; ``digests`` are the hashes that it takes."""

    def __init__(
        self, directory: Path, authority: SmallAuthority, *, digests: str = "sha256", bits: int = 2048
    ) -> None:
        self.directory = directory
        self.authority = authority
        key = rsa.generate_private_key(65537, bits)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (directory / "tsa.key").write_bytes(private)
        (directory / "tsa.pem").write_bytes(authority.timestamping(key).public_bytes(Encoding.PEM))
        (directory / "authority.pem").write_bytes(authority.pem)
        settings = SETTINGS.format(directory=directory).replace("digests = sha256", f"digests = {digests}")
        (directory / "tsa.cnf").write_text(settings)

    def answer(self, request: bytes) -> bytes:
        """The TimeStampResp to a TimeStampReq, both DER."""
        here = self.directory
        (here / "query").write_bytes(request)
        run("ts", "-reply", "-config", here / "tsa.cnf", "-queryfile", here / "query", "-signer", here / "tsa.pem",
            "-inkey", here / "tsa.key", "-out", here / "reply")  # fmt: skip
        return (here / "reply").read_bytes()

    def token(self, covered: bytes) -> bytes:
        """The TimeStampToken (DER) for these bytes, by openssl's own request."""
        here = self.directory
        (here / "covered").write_bytes(covered)
        run("ts", "-query", "-data", here / "covered", "-sha256", "-cert", "-out", here / "own-query")
        (here / "reply").write_bytes(self.answer((here / "own-query").read_bytes()))
        run("ts", "-reply", "-in", here / "reply", "-token_out", "-out", here / "token")
        return (here / "token").read_bytes()

    def accepts(self, token: bytes, covered: bytes) -> bool:
        """Whether ``openssl ts -verify`` takes the token for these bytes."""
        here = self.directory
        (here / "token").write_bytes(token)
        (here / "covered").write_bytes(covered)
        told = run("ts", "-verify", "-data", here / "covered", "-in", here / "token", "-token_in",
                   "-CAfile", here / "authority.pem", failing=True)  # fmt: skip
        return "Verification: OK" in told


class TsaServer:
    """Serves answers over HTTP; ``handler`` takes the place of an honest one."""

    def __init__(self, tsa: OpensslTsa, handler: Handler | None = None) -> None:
        self._tsa = tsa
        self._handler = handler or self._honest
        self._runner: web.AppRunner | None = None
        self.url = ""
        self.connections: set[object] = set()
        self.requests = 0

    async def __aenter__(self) -> Self:
        application = web.Application()
        application.router.add_post("/", self._count)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        port = free_port()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.url = f"http://127.0.0.1:{port}/"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner:
            with contextlib.suppress(TimeoutError):
                await self._runner.cleanup()

    async def _count(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        self.connections.add(request.transport)
        return await self._handler(request)

    async def _honest(self, request: web.Request) -> web.StreamResponse:
        assert request.content_type == "application/timestamp-query"
        answer = await asyncio.to_thread(self._tsa.answer, await request.read())
        return web.Response(body=answer, content_type=REPLY)
