"""A configured server whose certificate was revoked is told nothing; what nobody tells, the configuration decides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import ocsp
from msgspec.structs import replace

from cardd.config import Config, Upstream
from tests.api.relayed import head
from tests.api.workbench import Got, Workbench
from tests.rig.memory import RunningClock
from tests.rig.nginx import Nginx, Pair
from tests.rig.pens import SmallAuthority, der, usage_of
from tests.rig.ports import free_port
from tests.rig.revoking import OpensslResponder, Served, ocsp_answer, revocation_list
from tests.rig.simulator import issue, store
from tests.rig.upstream import tls_server

HOUR_AGO = datetime.now(UTC) - timedelta(hours=1)


@dataclass
class Server:
    """A server's certificate under an authority, and what is told of its revocation; ``spoken_to`` counts requests."""

    directory: Path
    told: Served
    authority: SmallAuthority = field(default_factory=SmallAuthority)
    spoken_to: int = 0
    acts: list[str] = field(default_factory=list)  # the rows of the last session

    def pair(self) -> tuple[Pair, bytes]:
        """A certificate that names what ``authority`` has now."""
        key = ec.generate_private_key(ec.SECP256R1())
        usage = usage_of("digital_signature")
        made = self.authority.issue(
            key, "SERVEUR", usage, more=[x509.SubjectAlternativeName([x509.DNSName("localhost")])]
        )
        pair = Pair(self.directory / "server.pem", self.directory / "server.key")
        pair.certificate.write_bytes(made.public_bytes(Encoding.PEM))
        pair.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        (self.directory / "authority.pem").write_bytes(self.authority.pem)
        return pair, der(made)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        del reader
        self.spoken_to += 1
        writer.write(head() + b"hello")
        await writer.drain()

    async def asked(self, pair: Pair, revocation: str) -> Got:
        """What a card's session gets from it, with this setting."""
        issue()
        async with tls_server(pair, store().chain, self.talk) as port, self.workbench(port, revocation) as api:
            path, token = await api.logged_in()
            got = await api.call("GET", f"{path}/upstreams/dmp/", bearer=token)
            self.acts = api.audit.acts()
            return got

    async def stapling(self, pair: Pair, answer: bytes) -> Got:
        """What a card's session gets, where it must be known, from nginx that brings this OCSP answer with it."""
        issue()
        stapled = self.directory / "stapled"
        stapled.write_bytes(answer)
        staple = f"ssl_stapling on; ssl_stapling_file {stapled};"
        nginx = Nginx(self.directory / "nginx", store().chain, pair, locations=staple)
        with nginx.running():
            async with self.workbench(nginx.port, "require") as api:
                path, token = await api.logged_in()
                got = await api.call("GET", f"{path}/upstreams/dmp/who", bearer=token)
        self.spoken_to += len((nginx.directory / "access.log").read_text().splitlines())
        return got

    @asynccontextmanager
    async def workbench(self, port: int, revocation: str) -> AsyncIterator[Workbench]:
        """A desk whose upstream ``dmp`` the server is, with this setting."""
        upstream = Upstream(
            name="dmp",
            url=f"https://localhost:{port}",
            authorities=self.directory / "authority.pem",
            revocation=revocation,  # type: ignore[arg-type]  # one of the words
        )
        directory = self.directory / f"desk{port}"
        directory.mkdir()
        api = Workbench(directory, Config(upstreams={"dmp": upstream}), clock=RunningClock())
        await api.start()
        try:
            yield api
        finally:
            await api.stop()


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with Served() as told:
        yield Server(tmp_path, told)


@pytest.mark.parametrize("is_revoked", [False, True])
async def test_openssl_s_responder_decides(server: Server, is_revoked: bool) -> None:
    server.authority.ocsp = [server.told.url("ocsp")]
    pair, certificate = server.pair()
    responder = OpensslResponder(server.directory / "ocsp", server.authority)
    responder.issued(certificate, HOUR_AGO if is_revoked else None)
    server.told.handlers["ocsp"] = responder

    got = await server.asked(pair, "require")

    if is_revoked:
        assert (got.status, got.code) == (502, "upstream.revoked")
        assert "SERVEUR" in got.text("detail")
    else:
        assert (got.status, got.raw) == (200, b"hello")
    assert server.spoken_to == (not is_revoked)
    assert ("tls.handshake done" in server.acts) == (not is_revoked)  # nor does it learn who the person is


async def test_a_server_revoked_since_the_handshake_is_told_nothing_more_after_an_hour(server: Server) -> None:
    server.authority.lists = [server.told.url("list")]
    pair, certificate = server.pair()
    server.told.answers["list"] = revocation_list(server.authority)
    issue()
    async with tls_server(pair, store().chain, server.talk) as port, server.workbench(port, "require") as api:
        api.sessions.rules = replace(api.sessions.rules, idle=7200.0)
        path, token = await api.logged_in()
        for _ in range(2):
            assert (await api.call("GET", f"{path}/upstreams/dmp/", bearer=token)).status == 200
        api.clock.seconds += 3601
        later = revocation_list(server.authority, {certificate: HOUR_AGO}, age=timedelta(minutes=-55))
        server.told.answers["list"] = later
        assert (await api.call("GET", f"{path}/upstreams/dmp/", bearer=token)).code == "upstream.revoked"
        assert api.audit.acts().count("tls.handshake done") == 1
    assert server.spoken_to == 2


@pytest.mark.parametrize(("revocation", "is_refused"), [("check", True), ("off", False)])
async def test_a_revocation_list_is_believed_unless_nobody_wants_it(
    server: Server, revocation: str, is_refused: bool
) -> None:
    server.authority.lists = [server.told.url("list")]
    pair, certificate = server.pair()
    server.told.answers["list"] = revocation_list(server.authority, {certificate: HOUR_AGO})

    got = await server.asked(pair, revocation)

    assert got.status == (502 if is_refused else 200)
    assert server.spoken_to == (not is_refused)


@pytest.mark.parametrize("names_a_source", [False, True])
@pytest.mark.parametrize(("revocation", "is_refused"), [("check", False), ("require", True)])
async def test_what_nobody_tells_the_configuration_decides(
    server: Server, revocation: str, is_refused: bool, names_a_source: bool
) -> None:
    if names_a_source:
        server.authority.ocsp = [f"http://127.0.0.1:{free_port()}/ocsp"]
    pair, _ = server.pair()

    got = await server.asked(pair, revocation)

    if is_refused:
        assert (got.status, got.code) == (503, "upstream.revocation_unknown")
    else:
        assert got.status == 200
    assert server.spoken_to == (not is_refused)


async def test_an_answer_that_the_server_brings_is_enough_and_its_authority_is_not_asked(server: Server) -> None:
    server.authority.ocsp = [server.told.url("ocsp")]
    pair, certificate = server.pair()

    got = await server.stapling(pair, ocsp_answer(server.authority, certificate))

    assert got.status == 200
    assert (server.spoken_to, server.told.asked) == (1, {})


async def test_a_server_that_brings_its_own_revocation_is_told_nothing(server: Server) -> None:
    pair, certificate = server.pair()
    responder = OpensslResponder(server.directory / "ocsp", server.authority)
    responder.issued(certificate, HOUR_AGO)
    x509_certificate = x509.load_der_x509_certificate(certificate)
    question = ocsp.OCSPRequestBuilder().add_certificate(x509_certificate, server.authority.certificate, SHA1())

    answer = responder.answer(question.build().public_bytes(Encoding.DER))
    got = await server.stapling(pair, answer)

    assert (got.status, got.code) == (502, "upstream.revoked")
    assert server.spoken_to == 0


@pytest.mark.parametrize("trouble", ["another authority's", "old", "another certificate's", "no answer"])
async def test_what_a_server_brings_does_not_count_unless_its_authority_says_it_now(
    server: Server, trouble: str
) -> None:
    pair, certificate = server.pair()
    match trouble:
        case "another authority's":
            other = SmallAuthority()
            by = (other.certificate, other.key)
            answer = ocsp_answer(server.authority, certificate, by=by)
        case "old":
            answer = ocsp_answer(server.authority, certificate, age=timedelta(days=3))
        case "another certificate's":
            kept = pair.certificate.read_bytes(), pair.key.read_bytes()
            answer = ocsp_answer(server.authority, server.pair()[1])
            pair.certificate.write_bytes(kept[0])
            pair.key.write_bytes(kept[1])
        case _:
            answer = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER).public_bytes(
                Encoding.DER
            )

    got = await server.stapling(pair, answer)

    assert (got.status, got.code) == (503, "upstream.revocation_unknown")
    assert server.spoken_to == 0
