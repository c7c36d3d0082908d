"""The servers that want a certificate: their TLS, the authorities whose certificates they take, and who came."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from aiohttp import web
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding

from cardd.errors import InvalidRequest
from cardd_simulators.cards.store import Store
from cardd_simulators.xmldsig import MALFORMED

PATH_MAX = 5


def server_context(identity: Path, authorities: Sequence[x509.Certificate]) -> ssl.SSLContext:
    """TLS 1.2 and 1.3, with a certificate of the authorities on the other side; ``identity`` is a PEM with its key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(identity)
    for authority in authorities:
        context.load_verify_locations(cadata=authority.public_bytes(Encoding.DER))
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_of(request: web.Request) -> x509.Certificate:
    """Return the client's certificate, which TLS has verified."""
    connection = request.get_extra_info("ssl_object")
    return x509.load_der_x509_certificate(connection.getpeercert(binary_form=True))


def authorities_of(store: Store, more: Path | None) -> list[x509.Certificate]:
    """Return the simulation's own authorities, and those of a PEM file. Raises InvalidRequest."""
    own = x509.load_pem_x509_certificates(store.chain.read_bytes())
    if more is None:
        return own
    try:
        return [*own, *x509.load_pem_x509_certificates(more.read_bytes())]
    except (OSError, ValueError) as fault:
        raise InvalidRequest(where="authorities", why=str(fault)) from fault


def is_issued(certificate: x509.Certificate, authorities: Sequence[x509.Certificate], now: datetime) -> bool:
    """Return whether a path of authorities, each valid now, leads from a certificate to one that signed itself."""
    for _ in range(PATH_MAX):
        if certificate.issuer == certificate.subject:
            return certificate in authorities
        above = next((each for each in authorities if _has_signed(each, certificate, now)), None)
        if above is None:
            return False
        certificate = above
    return False


def _has_signed(authority: x509.Certificate, certificate: x509.Certificate, now: datetime) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
        limits = authority.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (*MALFORMED, InvalidSignature, x509.ExtensionNotFound):
        return False
    return limits.ca and authority.not_valid_before_utc <= now <= authority.not_valid_after_utc
