"""Whom to ask whether a certificate was revoked, as the certificate itself says: OCSP first, then revocation lists."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

from asn1crypto import ocsp, x509
from pyhanko_certvalidator.authority import Authority

from cardd.formats.revocation.status import Source

OF_EACH = 2  # addresses: a certificate with more of them names mirrors
URL_MAX = 1024
HTTP = "http://"  # answers are signed; https would need a certificate checked, and with it this very question


@dataclass(frozen=True, slots=True)
class Query:
    """One question: a GET, or a POST of ``body``."""

    source: Source
    url: str
    body: bytes | None = None

    @property
    def key(self) -> str:
        """A name for its answer."""
        return sha256(self.url.encode() + b"\0" + (self.body or b"")).hexdigest()


def queries(certificate: x509.Certificate, issuer: Authority) -> list[Query]:
    """What may be asked about this certificate, in order; nothing where it names no address that is usable."""
    request = _request(certificate, issuer)
    asked = [Query(Source.OCSP, url, request) for url in _usable(certificate.ocsp_urls)]
    lists = [Query(Source.CRL, url) for url in _usable(_lists(certificate))]
    return [*asked, *lists]


def _usable(urls: Iterator[str] | list[str]) -> list[str]:
    return [url for url in urls if url.lower().startswith(HTTP) and len(url) <= URL_MAX][:OF_EACH]


def _lists(certificate: x509.Certificate) -> Iterator[str]:
    for point in certificate.crl_distribution_points_value or ():
        name = point["distribution_point"]
        for general in name.chosen if name.name == "full_name" else ():
            if general.name == "uniform_resource_identifier":
                yield general.native


def _request(certificate: x509.Certificate, issuer: Authority) -> bytes:
    """RFC 5019's: one certificate, by SHA-1, which every responder knows; the answer's own dates tell its age."""
    identifier = {
        "hash_algorithm": {"algorithm": "sha1"},
        "issuer_name_hash": certificate.issuer.sha1,
        "issuer_key_hash": issuer.public_key.sha1,
        "serial_number": certificate.serial_number,
    }
    return bytes(ocsp.OCSPRequest({"tbs_request": {"request_list": [{"req_cert": identifier}]}}).dump())
