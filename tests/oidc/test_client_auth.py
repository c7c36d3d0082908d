"""Every way in which a service proves itself, judged by oidc-provider; organisations and keys are SIMULATIONs."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from cardd.errors import PscClientRefused
from cardd.oidc import ciba
from cardd.oidc.client_auth import (
    ClientAuthentication,
    ClientKey,
    FileSigner,
    PrivateKeyJwt,
    SecretBasic,
    SecretPost,
    TlsClientAuth,
)
from cardd.oidc.http import Http
from cardd.oidc.tokens import Token
from tests.oidc.services import log_in, service, trusting
from tests.rig.oidc.people import ALICE
from tests.rig.oidc.pki import ORGANISATION, Authority, Issued
from tests.rig.oidc.provider import SECRET, PscRig, client, jwk
from tests.rig.ports import free_port

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@pytest.mark.parametrize(
    ("name", "proof"), [("basic", SecretBasic("basic", Token(SECRET))), ("post", SecretPost("post", Token(SECRET)))]
)
async def test_a_service_with_a_secret_logs_in(psc: PscRig, name: str, proof: ClientAuthentication) -> None:
    async with service(psc, name, proof) as provider:
        assert (await log_in(psc, provider)).person.identity.national_id == ALICE


async def test_a_secret_of_any_characters_arrives_as_it_is(own_psc: PscRig) -> None:
    secret = "SIMULATION: 100 % +&=/?~"
    own_psc.extra_clients = [client("odd", "client_secret_basic", client_secret=secret)]
    await own_psc.start()
    async with service(own_psc, "odd", SecretBasic("odd", Token(secret))) as provider:
        assert len((await ciba.start(provider, ALICE)).binding_message) == len("00")


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [(rsa.generate_private_key(65537, 2048), "RS256"), (ec.generate_private_key(ec.SECP256R1()), "ES256")],
    ids=["RS256", "ES256"],
)
async def test_a_service_with_a_private_key_logs_in(own_psc: PscRig, key: PrivateKey, algorithm: str) -> None:
    signer = FileSigner(ClientKey(key), {"kid": "own"})
    public = {name: value for name, value in jwk(key, "own").items() if name not in ("d", "p", "q", "dp", "dq", "qi")}
    own_psc.extra_clients = [client("signing", "private_key_jwt", jwks={"keys": [public]})]
    await own_psc.start()
    assert signer.algorithm == algorithm
    async with service(own_psc, "signing", PrivateKeyJwt("signing", signer)) as provider:
        assert (await log_in(own_psc, provider)).person.identity.national_id == ALICE


async def test_an_assertion_of_another_key_is_refused(own_psc: PscRig) -> None:
    registered, other = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    public = {name: jwk(registered, "own")[name] for name in ("kty", "n", "e", "kid")}
    own_psc.extra_clients = [client("signing", "private_key_jwt", jwks={"keys": [public]})]
    await own_psc.start()
    signer = FileSigner(ClientKey(other), {"kid": "own"})
    async with service(own_psc, "signing", PrivateKeyJwt("signing", signer)) as provider:
        with pytest.raises(PscClientRefused):
            await ciba.start(provider, ALICE)


async def test_a_service_with_its_organisation_s_certificate_logs_in(psc: PscRig) -> None:
    key = from_pkcs12(psc.authority.issue(ORGANISATION))
    async with service(psc, "mtls", TlsClientAuth("mtls"), certificate=key) as provider:
        login = await log_in(psc, provider)
    assert await psc.thumbprint(login.tokens.access.reveal()) == key.thumbprint


async def test_tokens_that_are_bound_to_the_certificate_serve_with_no_other(psc: PscRig) -> None:
    async with service(
        psc, "mtls", TlsClientAuth("mtls"), certificate=from_pkcs12(psc.authority.issue(ORGANISATION))
    ) as own:
        tokens = (await log_in(psc, own)).tokens
    other = from_pkcs12(psc.authority.issue("AUTRE SIMULATION"))
    async with service(psc, "mtls", TlsClientAuth("mtls"), certificate=other) as thief:
        answer = await thief.http.get(
            await thief.endpoint("userinfo"), {"Authorization": f"Bearer {tokens.access.reveal()}"}
        )
    assert answer.status == 401


@pytest.mark.parametrize("shown", [None, "AUTRE SIMULATION"], ids=["none", "another's"])
async def test_a_service_without_the_right_certificate_is_refused(psc: PscRig, shown: str | None) -> None:
    certificate = from_pkcs12(psc.authority.issue(shown)) if shown else None
    async with service(psc, "mtls", TlsClientAuth("mtls"), certificate=certificate) as provider:
        with pytest.raises(PscClientRefused):
            await ciba.start(provider, ALICE)


async def test_a_certificate_of_an_unknown_authority_is_refused(psc: PscRig) -> None:
    stranger = from_pkcs12(Authority().issue(ORGANISATION))
    async with service(psc, "mtls", TlsClientAuth("mtls"), certificate=stranger) as provider:
        with pytest.raises(PscClientRefused):
            await ciba.start(provider, ALICE)


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
async def test_a_server_that_wants_a_certificate_before_it_speaks_is_understood(tmp_path: Path, version: str) -> None:
    authority = Authority()
    async with demanding_server(authority, tmp_path, version) as address:
        http = Http(trusting(authority))
        with pytest.raises(PscClientRefused):
            await http.post(address, {})
        await http.close()


@pytest.mark.parametrize("raw", [b"", b"SIMULATION"])
def test_a_file_that_holds_no_key_is_refused(raw: bytes) -> None:
    with pytest.raises(PscClientRefused):
        ClientKey.from_pkcs12(raw, b"simulation")


def test_a_wrong_password_is_refused() -> None:
    with pytest.raises(PscClientRefused):
        ClientKey.from_pkcs12(Authority().issue(ORGANISATION).pkcs12(b"right"), b"wrong")


def test_a_kind_of_key_that_no_algorithm_here_fits_is_refused() -> None:
    raw = Authority().issue(ORGANISATION, ec.SECP384R1()).pkcs12(b"simulation")
    with pytest.raises(PscClientRefused):
        ClientKey.from_pkcs12(raw, b"simulation")


def test_a_file_without_an_own_certificate_is_refused_and_one_of_an_rsa_key_taken() -> None:
    key, name = rsa.generate_private_key(65537, 2048), x509.Name([])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now := datetime.now(UTC), now + timedelta(1))
    own = builder.sign(key, hashes.SHA256())
    with pytest.raises(PscClientRefused):
        ClientKey.from_pkcs12(serialize_key_and_certificates(None, None, None, [own], NoEncryption()), None)
    held = ClientKey.from_pkcs12(serialize_key_and_certificates(None, key, own, None, NoEncryption()), None)
    assert held.certificate == own.public_bytes(Encoding.DER)


@asynccontextmanager
async def demanding_server(authority: Authority, directory: Path, version: str) -> AsyncIterator[str]:
    """openssl's own server, which ends the handshake of a client without a certificate."""
    issued, port = authority.issue("localhost"), free_port()
    (directory / "server.pem").write_bytes(issued.certificate + issued.key)
    (directory / "authority.pem").write_bytes(authority.pem)
    command = f"openssl s_server -accept {port} -cert server.pem -CAfile authority.pem -Verify 1 -www {version}"
    server = await asyncio.create_subprocess_exec(
        *command.split(), "-verify_return_error", cwd=directory, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL
    )
    assert server.stdout is not None
    async with asyncio.timeout(10):
        await server.stdout.readuntil(b"ACCEPT")
    yield f"https://localhost:{port}/"
    server.kill()
    await server.wait()


def from_pkcs12(issued: Issued) -> ClientKey:
    return ClientKey.from_pkcs12(issued.pkcs12(b"simulation"), b"simulation")


@pytest.mark.parametrize("password", [b"faux", "accentué".encode("latin-1"), b"simulation\0", b""])
def test_a_wrong_password_of_the_services_file_opens_nothing(password: bytes) -> None:
    raw = Authority().issue(ORGANISATION).pkcs12(b"simulation")
    with pytest.raises(PscClientRefused):
        ClientKey.from_pkcs12(raw, password)
