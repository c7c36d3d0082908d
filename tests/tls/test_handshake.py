"""TLS with a key that only signs digests, judged by nginx, which wants a client certificate."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding

from cardd.errors import (
    AlgorithmUnsupported,
    CarddError,
    CardGarbled,
    CardRemoved,
    ConfigInvalid,
    UpstreamCertificateWeak,
    UpstreamClosed,
    UpstreamRefusedUs,
    UpstreamTimeout,
    UpstreamTlsFailed,
    UpstreamUnreachable,
    UpstreamUntrusted,
)
from cardd.model import Algorithm
from cardd.tls.connection import LoopSigner, sign_here
from cardd.tls.connector import KeyConnector
from cardd.tls.dialler import Dialler, Server
from cardd.tls.starttls import StartTls
from cardd.values import replace
from cardd.worker import until_one_ends
from tests.rig.middleman import Middleman, middleman
from tests.rig.nginx import Pair, expired, issued
from tests.rig.ports import free_port
from tests.tls.conftest import Pki, StartNginx
from tests.tls.keys import MemoryKey

RS256, PS256, ES256 = Algorithm.RS256, Algorithm.PS256, Algorithm.ES256


@asynccontextmanager
async def client(
    port: int,
    pki: Pki,
    key: MemoryKey,
    *algorithms: Algorithm,
    host: str = "localhost",
    authorities: Path | None = None,
) -> AsyncIterator[tuple[aiohttp.ClientSession, KeyConnector]]:
    server = Server("dmp", host, port, authorities or pki.authority.certificate)
    connector = KeyConnector(server, key.credentials(*algorithms))
    async with aiohttp.ClientSession(f"https://{host}:{port}", connector=connector) as http:
        yield http, connector


async def who(http: aiohttp.ClientSession) -> str:
    async with http.get("/who") as answer:
        return (await answer.text()).rpartition("|")[0]


@pytest.mark.parametrize(
    ("protocols", "kind", "algorithms", "version"),
    [
        ("TLSv1.2", "rsa", (RS256,), "TLSv1.2"),
        ("TLSv1.2 TLSv1.3", "rsa", (RS256,), "TLSv1.2"),
        ("TLSv1.2", "rsa", (PS256,), "TLSv1.2"),
        ("TLSv1.2", "rsa", (RS256, PS256), "TLSv1.2"),
        ("TLSv1.2 TLSv1.3", "rsa", (RS256, PS256), "TLSv1.3"),
        ("TLSv1.3", "rsa", (PS256,), "TLSv1.3"),
        ("TLSv1.2", "ec", (ES256,), "TLSv1.2"),
        ("TLSv1.3", "ec", (ES256,), "TLSv1.3"),
    ],
)
async def test_nginx_accepts_the_key_with_the_best_version_that_it_can_do(
    pki: Pki, nginx: StartNginx, *, protocols: str, kind: str, algorithms: tuple[Algorithm, ...], version: str
) -> None:
    key = MemoryKey(pki.rsa if kind == "rsa" else pki.ec)
    server = nginx(protocols)
    async with client(server.port, pki, key, *algorithms) as (http, _):
        assert await who(http) == f"CN={kind},O=SIMULATION,C=FR|{version}"
    assert len(key.asked) == 1
    assert key.asked[0] in algorithms
    assert server.log(1)[0].startswith("SUCCESS")


@pytest.mark.parametrize(("protocols", "algorithm"), [("TLSv1.2", RS256), ("TLSv1.3", PS256)])
async def test_a_thousand_requests_at_once_and_in_turn_ask_the_key_once(
    pki: Pki, nginx: StartNginx, protocols: str, algorithm: Algorithm
) -> None:
    key = MemoryKey(pki.rsa)
    server = nginx(protocols)
    async with client(server.port, pki, key, algorithm) as (http, _):
        await asyncio.gather(*(who(http) for _ in range(1000)))
    assert key.asked == [algorithm]
    log = server.log(1000)
    assert len(log) == 1000
    assert all(line.startswith("SUCCESS") for line in log)


async def test_a_connection_that_the_server_closed_is_replaced_without_the_key(pki: Pki, nginx: StartNginx) -> None:
    key = MemoryKey(pki.rsa)
    async with client(nginx().port, pki, key, RS256) as (http, _):
        for _ in range(3):
            async with http.get("/who", headers={"Connection": "close"}) as answer:
                assert answer.status == 200
    assert len(key.asked) == 1


async def test_bodies_of_megabytes_go_both_ways_unchanged(pki: Pki, nginx: StartNginx) -> None:
    server = nginx()
    body = bytes(range(256)) * 65536
    (server.directory / "files" / "large").write_bytes(body)
    async with client(server.port, pki, MemoryKey(pki.rsa), PS256) as (http, _), http.get("/large") as answer:
        assert await answer.read() == body


async def test_a_large_body_that_is_read_slowly_is_whole(pki: Pki, nginx: StartNginx) -> None:
    server = nginx()
    body = bytes(range(256)) * 65536
    (server.directory / "files" / "large").write_bytes(body)
    read = bytearray()
    async with client(server.port, pki, MemoryKey(pki.rsa), PS256) as (http, _), http.get("/large") as answer:
        async for piece in answer.content.iter_chunked(64 * 1024):
            read += piece
            await asyncio.sleep(0.001)  # the server is faster: the connection has to wait
    assert read == body


async def test_a_server_of_another_authority_is_not_trusted_and_the_key_not_asked(
    pki: Pki, nginx: StartNginx, tmp_path: Path
) -> None:
    key = MemoryKey(pki.rsa)
    server = nginx()
    async with client(server.port, pki, key, RS256, authorities=pki.rsa.certificate) as (http, _):
        with pytest.raises(UpstreamUntrusted):
            await who(http)
    assert key.asked == []


async def test_a_certificate_for_another_host_is_not_trusted(pki: Pki, nginx: StartNginx) -> None:
    key = MemoryKey(pki.rsa)
    other = issued(pki.directory, pki.authority, "autre", names="DNS:autre.example")
    for host in ("localhost", "127.0.0.1"):
        async with client(nginx(server=other).port, pki, key, RS256, host=host) as (http, _):
            with pytest.raises(UpstreamUntrusted) as told:
                await who(http)
        assert "mismatch" in str(told.value.params["why"])
    assert key.asked == []


async def test_an_expired_certificate_is_not_trusted(pki: Pki, nginx: StartNginx) -> None:
    old = expired(issued(pki.directory, pki.authority, "ancien", names="DNS:localhost"), pki.authority)
    async with client(nginx(server=old).port, pki, MemoryKey(pki.rsa), RS256) as (http, _):
        with pytest.raises(UpstreamUntrusted) as told:
            await who(http)
    assert "expired" in str(told.value.params["why"])


async def test_an_address_is_compared_with_the_certificates_addresses(pki: Pki, nginx: StartNginx) -> None:
    async with client(nginx().port, pki, MemoryKey(pki.rsa), RS256, host="127.0.0.1") as (http, _):
        assert await who(http)


async def test_what_the_card_says_is_what_the_caller_hears(pki: Pki, nginx: StartNginx) -> None:
    key = MemoryKey(pki.rsa, fault=CardRemoved())
    async with client(nginx().port, pki, key, RS256) as (http, _):
        with pytest.raises(CardRemoved):
            await who(http)
        key.fault = None
        assert await who(http)


async def test_what_one_handshake_was_refused_is_not_said_of_the_next(pki: Pki, nginx: StartNginx) -> None:
    key = MemoryKey(pki.rsa, fault=CardRemoved())
    async with middleman(nginx().port, allowed=1) as between, client(between.port, pki, key, RS256) as (http, _):
        with pytest.raises(CardRemoved):
            await who(http)
        with pytest.raises(UpstreamClosed):
            await who(http)


async def test_a_handshake_that_was_given_up_never_asks_the_key(pki: Pki) -> None:
    """The handshake's thread may still be inside OpenSSL when that happens."""
    key = MemoryKey(pki.rsa)
    given_up, next_one = LoopSigner(key.ask), LoopSigner(key.ask)
    given_up.cancel()
    assert await asyncio.to_thread(given_up.during, lambda: sign_here(RS256, bytes(32))) == b""
    assert key.asked == []
    assert await asyncio.to_thread(next_one.during, lambda: sign_here(RS256, bytes(32)))
    assert sign_here(RS256, bytes(32)) == b""  # and on a thread that does no handshake nobody is asked


async def test_a_server_that_talks_on_while_the_pin_is_typed_is_cut_off(pki: Pki, nginx: StartNginx) -> None:
    async with middleman(nginx("TLSv1.2").port) as between:
        key = InterruptedKey(pki.rsa, between)
        async with client(between.port, pki, key, RS256) as (http, _):
            with pytest.raises(UpstreamTlsFailed):
                await who(http)
    assert key.was_cut


@pytest.mark.parametrize("starttls", ["none", "imap"])
async def test_a_server_that_says_its_words_in_single_bytes_without_end_is_given_up(starttls: StartTls) -> None:
    is_over = asyncio.Event()
    begun = bytes.fromhex("16 0303 4000 02 003ffc")  # a ServerHello in a record as long as one may be

    async def drip(writer: asyncio.StreamWriter) -> None:
        for place in count():
            writer.write(begun[place : place + 1] or b"\0")
            await asyncio.sleep(0.02)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await until_one_ends(drip(writer), _ended(reader))
        writer.close()
        is_over.set()

    async def _ended(reader: asyncio.StreamReader) -> None:
        await reader.read()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        place = Server("mail", "127.0.0.1", server.sockets[0].getsockname()[1], words=0.2, starttls=starttls)
        with pytest.raises(UpstreamTimeout):
            await Dialler(place, None).dial(asyncio.Protocol)
        await is_over.wait()


class Kept(asyncio.Protocol):
    """Keeps its transport."""

    transport: asyncio.BaseTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep it."""
        self.transport = transport


async def test_a_server_that_is_silent_is_asked_whether_it_is_there(pki: Pki, nginx: StartNginx) -> None:
    place = Server("mail", "localhost", nginx("TLSv1.2").port, pki.authority.certificate)
    dialler = Dialler(place, MemoryKey(pki.rsa).credentials(RS256))
    connection = (await dialler.dial(Kept)).transport.get_extra_info("socket")
    assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60
    await dialler.cut()


async def test_a_certificate_that_openssl_takes_for_weak_is_told_and_not_left_out(pki: Pki) -> None:
    key = MemoryKey(issued(pki.directory, pki.authority, "faible", bits=1024))
    with pytest.raises(UpstreamCertificateWeak):
        KeyConnector(Server("dmp", "localhost", 1, pki.authority.certificate), key.credentials(RS256))
    await asyncio.sleep(0)


async def test_a_server_that_only_speaks_what_the_key_cannot_do_is_told_apart(pki: Pki, nginx: StartNginx) -> None:
    async with client(nginx("TLSv1.3").port, pki, MemoryKey(pki.rsa), RS256) as (http, _):
        with pytest.raises(UpstreamTlsFailed) as told:
            await who(http)
    assert "version" in str(told.value.params["why"])


async def test_a_key_that_can_do_nothing_of_tls_is_refused_before_any_connection(pki: Pki) -> None:
    with pytest.raises(AlgorithmUnsupported):
        KeyConnector(
            Server("dmp", "localhost", 1, pki.authority.certificate, "1.3"), MemoryKey(pki.rsa).credentials(RS256)
        )
    await asyncio.sleep(0)


async def test_what_is_no_certificate_of_a_usable_key_is_refused_before_any_connection(pki: Pki) -> None:
    key, name = ed25519.Ed25519PrivateKey.generate(), x509.Name([])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now := datetime.now(UTC), now + timedelta(1))
    other = builder.sign(key, None).public_bytes(Encoding.DER)
    right = MemoryKey(pki.rsa).credentials(RS256)
    for der, expected in ((b"SIMULATION", CardGarbled), (other, AlgorithmUnsupported)):
        with pytest.raises(expected):
            KeyConnector(Server("dmp", "localhost", 1, pki.authority.certificate), replace(right, certificate=der))
    await asyncio.sleep(0)


async def test_authorities_that_cannot_be_read_are_told(pki: Pki, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("SIMULATION")
    for place in (tmp_path / "nowhere", tmp_path, tmp_path / "text"):
        with pytest.raises(ConfigInvalid):
            KeyConnector(Server("dmp", "localhost", 1, place), MemoryKey(pki.rsa).credentials(RS256))
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    "flags", [("-Verify", "1", "-verify_return_error", "-tls1_2"), ("-Verify", "1", "-verify_return_error")]
)
async def test_a_server_that_refuses_the_certificate_says_so(pki: Pki, flags: tuple[str, ...]) -> None:
    """openssl s_server ends the connection with an alert, in TLS 1.3 only once the handshake is over for us."""
    async with s_server(pki, *flags) as port, client(port, pki, MemoryKey(pki.rsa), RS256, PS256) as (http, _):
        with pytest.raises(UpstreamRefusedUs):
            await who(http)


@asynccontextmanager
async def s_server(pki: Pki, *flags: str) -> AsyncIterator[int]:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        "openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", pki.server.certificate, "-key", pki.server.key,
        "-CAfile", pki.ec.certificate, "-www", *flags,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, stdin=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    while b"ACCEPT" not in await process.stdout.readline():
        pass
    try:
        yield port
    finally:
        process.terminate()
        await process.communicate()


async def test_a_server_that_wants_to_renegotiate_does_not_ask_the_key_again(pki: Pki) -> None:
    port, key = free_port(), MemoryKey(pki.rsa)
    process = await asyncio.create_subprocess_exec(
        "openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", pki.server.certificate, "-key", pki.server.key,
        "-CAfile", pki.authority.certificate, "-Verify", "1", "-tls1_2", "-naccept", "1",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        await process.stdout.readuntil(b"ACCEPT")
        async with client(port, pki, key, RS256) as (http, _):
            asking = asyncio.create_task(who(http))
            async with asyncio.timeout(20):
                await process.stdout.readuntil(b"GET /who")
                process.stdin.write(b"R\n")  # openssl's order to renegotiate, with the certificate once more
                with pytest.raises((CarddError, aiohttp.ClientError)):
                    await asking
    finally:
        process.terminate()
        await process.communicate()
    assert key.asked == [RS256]


class InterruptedKey(MemoryKey):
    """While it is asked, the server says a hundred megabytes; ``was_cut`` is whether it could not."""

    def __init__(self, pair: Pair, between: Middleman) -> None:
        super().__init__(pair)
        self._between = between
        self.was_cut = False

    async def ask(self, algorithm: Algorithm, digest: bytes) -> bytes:
        writer = self._between.writer
        assert writer is not None
        try:
            for _ in range(1600):
                writer.write(bytes(65536))
                await writer.drain()
        except ConnectionError:
            self.was_cut = True
        return await super().ask(algorithm, digest)


async def test_nobody_there_and_somebody_who_hangs_up_are_told_apart(pki: Pki) -> None:
    assert await outcome(pki, free_port()) is UpstreamUnreachable
    for said, expected in ((b"", UpstreamClosed), (b"HTTP/1.1 400 Bad Request\r\n\r\n", UpstreamTlsFailed)):
        async with rude_server(said) as port:
            assert await outcome(pki, port) is expected


@asynccontextmanager
async def rude_server(said: bytes) -> AsyncIterator[int]:
    """Says this, and hangs up once it has heard something."""
    ended = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(said)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        ended.set()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        await ended.wait()


async def outcome(pki: Pki, port: int) -> type[CarddError]:
    async with client(port, pki, MemoryKey(pki.rsa), RS256) as (http, _):
        with pytest.raises(CarddError) as told:
            await who(http)
    return type(told.value)


async def test_a_request_to_another_server_than_the_connectors_is_refused(pki: Pki, nginx: StartNginx) -> None:
    async with client(nginx().port, pki, MemoryKey(pki.rsa), RS256) as (http, _):
        with pytest.raises(CarddError):
            await http.get("https://localhost:1/")
