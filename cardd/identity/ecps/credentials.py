"""How this service proves itself: the provider that the configuration names, with its credentials in place.

Importing this module imports all of ``cardd.oidc`` (300 ms): ``ProviderConnection`` does so when the first person wants
a login.
"""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

from cryptography.x509 import load_der_x509_certificate
from cryptography.x509.oid import NameOID

from cardd.config import Psc
from cardd.errors import MethodUnavailable, PscClientRefused, PscIncomplete, PscTestCertificate, SecretStoreUnavailable
from cardd.files import ensure_regular, read_file
from cardd.formats.certificate import facts_of
from cardd.http import Connectors
from cardd.identity.csa import CsaLogins, KeySigner, ServiceKey, service_key
from cardd.identity.ecps.connection import LoginLimits
from cardd.identity.ecps.direct import DirectProvider
from cardd.identity.ecps.provider import METHOD, NO_KEYRING, Heard, Made, ProofEnd
from cardd.identity.ecps.proxy import ProxyProvider
from cardd.identity.holders import is_of_tests
from cardd.oidc.client_auth import (
    AssertionSigner,
    ClientAuthentication,
    ClientKey,
    FileSigner,
    PrivateKeyJwt,
    SecretBasic,
    SecretPost,
    TlsClientAuth,
    thumbprint_of,
)
from cardd.oidc.discovery import ProviderSettings
from cardd.oidc.http import Http, Patience
from cardd.oidc.loopback import PeerOf
from cardd.oidc.provider import Provider
from cardd.oidc.tokens import Token
from cardd.outward import Outward
from cardd.ports import Clock, SecretStore
from cardd.values import Value

CLIENT_SECRET, CERTIFICATE = "psc-client-secret", "psc-certificate"


class _Proof(Value):
    """The certificate that is shown, if any, and whose key signs assertions: a file's, or the organisation's."""

    thumbprint: str | None = None
    end: ProofEnd | None = None
    file: ClientKey | None = None
    service: ServiceKey | None = None

    def signer(self, key_id: str | None) -> AssertionSigner:
        """Return who signs assertions. Raises PscIncomplete where there is no key."""
        header = {"kid": key_id} if key_id else {"x5t#S256": self.thumbprint or ""}
        if self.file is not None:
            return FileSigner(self.file, header)
        if self.service is not None:
            return KeySigner(self.service, header)
        raise PscIncomplete(what="private_key_jwt", why="certificate")


async def provider_of(
    settings: Psc,
    secrets: SecretStore,
    clock: Clock,
    csa: CsaLogins | None,
    heard: Heard,
    *,
    peer_of: PeerOf,
    limits: LoginLimits,
    outward: Outward,
) -> Made:
    """Return the provider. Raises PscIncomplete without usable credentials, or for a file that cannot be read."""
    tls = _context(settings.authorities, outward)
    proof = await _proof(settings, secrets, csa)
    if proof.file is not None:
        proof.file.show_in(tls)
    connectors = _connectors(proof.service, settings.authorities, outward) if proof.service else None
    patience = Patience(limits.answer, limits.pauses)
    if settings.by_proxy:
        http = Http(tls, connectors=connectors, outward=outward, patience=patience)
        return Made(ProxyProvider(http, settings, clock), proof.end)
    known = ProviderSettings(
        settings.issuer or "",
        settings.client_id or "",
        scope=settings.scope,
        acr=settings.acr,
        parameters=settings.extra_parameters,
        idp_hint=settings.kc_idp_hint,
        redirect_issuer=settings.redirect_issuer,
        extra_hosts=settings.extra_hosts,
        thumbprint=proof.thumbprint,
        interval_min=limits.interval,
    )
    authentication = await _authentication(settings, secrets, proof)
    provider = Provider(known, authentication, clock, tls, connectors=connectors, outward=outward, patience=patience)
    return Made(DirectProvider(provider, settings, heard, peer_of), proof.end)


async def _proof(settings: Psc, secrets: SecretStore, csa: CsaLogins | None) -> _Proof:
    if settings.organisation and csa is not None:
        try:
            key = await service_key(csa)
        except MethodUnavailable as error:
            raise PscIncomplete(what="csa", why="certificate") from error
        shown = key.credential.certificate
        _require_fit(settings, "csa", shown)
        return _Proof(thumbprint_of(shown), _end_of(shown), service=key)
    if settings.certificate is not None:
        file = await _key(settings.certificate, secrets)
        _require_fit(settings, str(settings.certificate), file.certificate)
        return _Proof(file.thumbprint, _end_of(file.certificate), file=file)
    return _Proof()


def _require_fit(settings: Psc, what: str, certificate: bytes) -> None:
    """Let a certificate of tests prove the service to test environments alone. Raises PscTestCertificate."""
    if not settings.is_test_environment and is_of_tests(facts_of(certificate)):
        raise PscTestCertificate(what=what, why=settings.host)


def _end_of(der: bytes) -> ProofEnd:
    certificate = load_der_x509_certificate(der)
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return ProofEnd(str(names[0].value) if names else "–", certificate.not_valid_after_utc)


def _connectors(key: ServiceKey, authorities: Path | None, outward: Outward) -> Connectors:
    """Return makers of TLS connections whose key signs where it is."""
    from cardd.tls.connector import KeyConnector  # noqa: PLC0415 - where a token is configured
    from cardd.tls.dialler import Credentials, Server  # noqa: PLC0415 - where a token is configured

    shown = Credentials(key.credential.certificate, key.credential.key.algorithms, key.ask)
    return lambda host, port: KeyConnector(Server(METHOD, host, port, authorities), shown, outward)


async def _authentication(settings: Psc, secrets: SecretStore, proof: _Proof) -> ClientAuthentication:
    name, mtls = settings.client_id or "", proof.thumbprint is not None
    match settings.authentication:
        case "tls":
            return TlsClientAuth(name)
        case "private_key_jwt":
            return PrivateKeyJwt(name, proof.signer(settings.key_id), mtls=mtls)
        case "secret_basic":
            return SecretBasic(name, await _secret(secrets, CLIENT_SECRET), mtls=mtls)
        case "secret_post":
            return SecretPost(name, await _secret(secrets, CLIENT_SECRET), mtls=mtls)


async def _secret(secrets: SecretStore, name: str) -> Token:
    try:
        found = await secrets.get(name)
    except SecretStoreUnavailable as error:
        raise PscIncomplete(what=name, why=_of_keyring(error)) from error
    if found is None:
        raise PscIncomplete(what=name, why="absent")
    with found:
        try:
            return Token.from_secret(found)
        except UnicodeDecodeError:
            raise PscIncomplete(what=name, why="UTF-8") from None


async def _key(path: Path, secrets: SecretStore) -> ClientKey:
    try:
        raw = await asyncio.to_thread(read_file, path)
    except OSError as error:
        raise PscIncomplete(what=str(path), why=error.strerror or "") from error
    password = await _secret(secrets, CERTIFICATE)
    try:
        return ClientKey.from_pkcs12(raw, password.reveal().encode())
    except PscClientRefused:
        raise PscIncomplete(what=str(path), why=f"PKCS#12, {CERTIFICATE}") from None


def _context(authorities: Path | None, outward: Outward) -> ssl.SSLContext:
    try:
        if authorities:
            ensure_regular(authorities)
        return ssl.create_default_context(cafile=str(authorities)) if authorities else outward.trusted()
    except OSError as error:  # ssl.SSLError too
        raise PscIncomplete(what=str(authorities or outward.authorities), why=error.strerror or "") from error


def _of_keyring(error: SecretStoreUnavailable) -> str:
    """Return why the keyring gave nothing: none is there, or it stays locked, or its library's own word."""
    if error.why.endswith(" s") or "Locked" in error.why or error.why == "InitError":
        return "locked_keyring"
    return NO_KEYRING if "." in error.why else error.why
