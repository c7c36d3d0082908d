"""What authorities say of revocation, on loopback: openssl's OCSP responder, revocation lists, and liars."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import ocsp

from tests.rig.openssl import run
from tests.rig.pens import SmallAuthority
from tests.rig.ports import free_port

HOUR = timedelta(hours=1)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class OpensslResponder:
    """Answers of ``openssl ocsp`` for one authority, by a certificate of its own.

    By itself openssl would listen on every interface: requests come over ``Served``, whose handler this is.
    """

    def __init__(self, directory: Path, authority: SmallAuthority) -> None:
        self.directory = directory
        directory.mkdir(exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        (directory / "key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        (directory / "responder").write_bytes(authority.responder(key).public_bytes(Encoding.PEM))
        (directory / "authority").write_bytes(authority.pem)

    def issued(self, certificate: bytes, revoked: datetime | None = None) -> None:
        """Know of a certificate (DER), and whether it is revoked."""
        with (self.directory / "index").open("a") as index:
            index.write(_row(x509.load_der_x509_certificate(certificate), revoked))

    def answer(self, request: bytes) -> bytes:
        """The answer to a request, both DER."""
        here = self.directory
        (here / "request").write_bytes(request)
        run("ocsp", "-index", here / "index", "-CA", here / "authority", "-rsigner", here / "responder", "-rkey",
            here / "key", "-nmin", "30", "-reqin", here / "request", "-respout", here / "answer")  # fmt: skip
        return (here / "answer").read_bytes()

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        """Answer over HTTP (RFC 6960, appendix A)."""
        assert (request.method, request.content_type) == ("POST", "application/ocsp-request")
        answer = await asyncio.to_thread(self.answer, await request.read())
        return web.Response(body=answer, content_type="application/ocsp-response")


def _row(certificate: x509.Certificate, revoked: datetime | None) -> str:
    """One line of openssl's index (ca(1))."""
    end = f"{certificate.not_valid_after_utc:%y%m%d%H%M%SZ}"
    status, since = ("R", f"{revoked:%y%m%d%H%M%SZ},keyCompromise") if revoked else ("V", "")
    serial = f"{certificate.serial_number:X}"
    return f"{status}\t{end}\t{since}\t{serial.zfill(len(serial) + len(serial) % 2)}\tunknown\t/CN=SIMULATION\n"


class Lists(Protocol):
    """An authority that signs lists, as far as they are made from it."""

    @property
    def name(self) -> x509.Name: ...

    @property
    def key(self) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey: ...


def revocation_list(
    authority: Lists,
    revoked: Mapping[bytes, datetime] | None = None,
    *,
    age: timedelta = timedelta(minutes=5),
    life: timedelta = HOUR,
    signed_by: Lists | None = None,
    keeps_since: datetime | None = None,
    more: Sequence[x509.ExtensionType] = (),
) -> bytes:
    """A list (DER) of certificates (DER) revoked at these times; ``keeps_since`` is its expiredCertsOnCRL.

    ``more`` are other extensions, critical ones.
    """
    begin = datetime.now(UTC) - age
    builder = x509.CertificateRevocationListBuilder().issuer_name(authority.name).last_update(begin)
    builder = builder.next_update(begin + life)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    builder = builder.add_extension(identifier, critical=False).add_extension(x509.CRLNumber(7), critical=False)
    if keeps_since:
        time_der = b"\x18\x0f" + f"{keeps_since:%Y%m%d%H%M%SZ}".encode()
        kept = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.60"), time_der)
        builder = builder.add_extension(kept, critical=False)
    for extension in more:
        builder = builder.add_extension(extension, critical=True)
    for certificate, at in (revoked or {}).items():
        entry = x509.RevokedCertificateBuilder().revocation_date(at)
        entry = entry.serial_number(x509.load_der_x509_certificate(certificate).serial_number)
        why = x509.CRLReason(x509.ReasonFlags.key_compromise)
        builder = builder.add_revoked_certificate(entry.add_extension(why, critical=False).build())
    return builder.sign((signed_by or authority).key, SHA256()).public_bytes(Encoding.DER)


def ocsp_answer(
    authority: SmallAuthority,
    certificate: bytes,
    *,
    by: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None = None,
    age: timedelta = timedelta(minutes=5),
    life: timedelta | None = HOUR,
    beside: Sequence[x509.Certificate] = (),
) -> bytes:
    """An answer (DER) that says good; ``by`` is who signs it, the authority itself where it is honest.

    ``beside`` are further certificates that come with it.
    """
    (signer, key), begin = by or (authority.certificate, authority.key), datetime.now(UTC) - age
    subject = x509.load_der_x509_certificate(certificate)
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=subject,
        issuer=authority.certificate,
        algorithm=SHA1(),
        cert_status=ocsp.OCSPCertStatus.GOOD,
        this_update=begin,
        next_update=None if life is None else begin + life,
        revocation_time=None,
        revocation_reason=None,
    )
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, signer)
    builder = builder.certificates([signer, *beside])
    return builder.sign(key, SHA256()).public_bytes(Encoding.DER)


@dataclass
class Served:
    """An HTTP server on loopback: bytes by path, or what a handler does; ``asked`` counts requests by path."""

    answers: dict[str, bytes] = field(default_factory=dict)
    handlers: dict[str, Handler] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)
    ocsp_type: str = "application/ocsp-response"
    port: int = field(default_factory=free_port)
    _runner: web.AppRunner | None = None

    def url(self, path: str) -> str:
        """Where this path is."""
        return f"http://127.0.0.1:{self.port}/{path}"

    async def __aenter__(self) -> Self:
        application = web.Application()
        application.router.add_route("*", "/{path}", self._answer)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner:
            with contextlib.suppress(TimeoutError):
                await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"]
        self.asked[path] = self.asked.get(path, 0) + 1
        if path in self.handlers:
            return await self.handlers[path](request)
        if path not in self.answers:
            raise web.HTTPNotFound
        kind = self.ocsp_type if request.method == "POST" else "application/pkix-crl"
        return web.Response(body=self.answers[path], content_type=kind)
