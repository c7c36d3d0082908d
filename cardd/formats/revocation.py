"""The revocation of a whole path: from answers that are kept, else from the network, else it is told to be unknown.

The certificate itself names whom to ask: OCSP first, then revocation lists. pyhanko-certvalidator judges an answer: it
counts when it is of now and about this certificate, and signed by the certificate's issuer or by whom the issuer has
made its responder.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import Protocol, TypeVar

from asn1crypto import core, crl, ocsp, x509
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.authority import Authority, AuthorityWithCert
from pyhanko_certvalidator.errors import (
    CRLValidationError,
    CRLValidationIndeterminateError,
    OCSPValidationError,
    OCSPValidationIndeterminateError,
    PathError,
    RevokedError,
    ValidationError,
)
from pyhanko_certvalidator.path import ValidationPath
from pyhanko_certvalidator.revinfo.validate_crl import verify_crl
from pyhanko_certvalidator.revinfo.validate_ocsp import verify_ocsp_response

from cardd.formats.document import UNREADABLE
from cardd.formats.trust import UNUSABLE, name_of
from cardd.formats.verified import Revocation, Source, Status, Why
from cardd.values import Value

R = TypeVar("R")

ANSWER_MAX = {
    Source.OCSP: 64 * 1024,
    Source.CRL: 8 * 1024 * 1024,
}  # a list of 100,000 is 5 MB, and 90 MB while it is read
OF_EACH = 2  # addresses: a certificate with more of them names mirrors
URL_MAX = 1024
HTTP = "http://"  # answers are signed; https would need a certificate checked, and with it this very question
SKEW = timedelta(minutes=1)
EXPIRED_CERTIFICATES_ON_LIST = "2.5.29.60"  # X.509: expiredCertsOnCRL


class Network(Protocol):
    """The way to the authorities."""

    async def fetch(self, url: str, body: bytes | None, limit: int) -> bytes | None:
        """The answer to a GET, or to a POST of an OCSP request; None when none comes, or one larger than that."""
        ...


class Answers(Protocol):
    """Answers that counted, kept for a while. Both may be called in any thread, and block."""

    def load(self, key: str) -> bytes | None:
        """The answer of this name, if it is still there."""
        ...

    def save(self, key: str, answer: bytes) -> None:
        """Keep it, in place of older ones if need be."""
        ...


class Revocations:
    """Asks about the certificates of a path; without ``network`` only what is kept is known."""

    def __init__(self, network: Network | None, answers: Answers, now: Callable[[], datetime]) -> None:
        self._network = network
        self._answers = answers
        self._now = now
        self._list = asyncio.Lock()  # only one is read at a time

    async def of(self, path: ValidationPath, stapled: bytes = b"") -> tuple[Revocation, ...]:
        """Return what is known of each certificate below the path's authority, the signer's first.

        ``stapled`` is an OCSP answer about the first one, from whoever showed it; nobody is asked where it counts.
        """
        certificates = [*path.iter_certs(include_root=False)][::-1]
        given = [stapled if 0 < len(stapled) <= ANSWER_MAX[Source.OCSP] else b"", *[b""] * len(certificates)]
        each = zip(certificates, given, strict=False)
        return tuple(await asyncio.gather(*(self._of_one(certificate, path, answer) for certificate, answer in each)))

    async def _of_one(self, certificate: x509.Certificate, path: ValidationPath, stapled: bytes) -> Revocation:
        found = [_unknown(certificate, Why.NO_SOURCE)]
        if stapled:
            told = await asyncio.to_thread(judged, stapled, Source.OCSP, certificate, path, self._now())
            if told.status is not Status.UNKNOWN:
                return told
        for query in await asyncio.to_thread(_queries, certificate, path):
            found.append(await self._answered(query, certificate, path))
            if found[-1].status is not Status.UNKNOWN:
                return found[-1]
        return max(found, key=_tells)

    async def _answered(self, query: Query, certificate: x509.Certificate, path: ValidationPath) -> Revocation:
        """Return an answer that is kept and still of now, else the network's; only what counts is kept."""
        kept = await self._read(query, self._kept, certificate, path)
        if self._network is None or (kept is not None and kept.status is not Status.UNKNOWN):
            return kept or _unknown(certificate, Why.OFFLINE)
        answer = await self._network.fetch(query.url, query.body, ANSWER_MAX[query.source])
        if answer is None:
            return _unknown(certificate, Why.UNREACHABLE)
        return await self._read(query, partial(self._judged, answer), certificate, path)

    async def _read(
        self,
        query: Query,
        reader: Callable[[Query, x509.Certificate, ValidationPath], R],
        certificate: x509.Certificate,
        path: ValidationPath,
    ) -> R:
        async with self._list if query.source is Source.CRL else nullcontext():
            return await asyncio.to_thread(reader, query, certificate, path)

    def _kept(self, query: Query, certificate: x509.Certificate, path: ValidationPath) -> Revocation | None:
        answer = self._answers.load(query.key)
        return None if answer is None else judged(answer, query.source, certificate, path, self._now())

    def _judged(self, answer: bytes, query: Query, certificate: x509.Certificate, path: ValidationPath) -> Revocation:
        found = judged(answer, query.source, certificate, path, self._now())
        if found.status is not Status.UNKNOWN:
            self._answers.save(query.key, answer)
        return found


def _queries(certificate: x509.Certificate, path: ValidationPath) -> list[Query]:
    try:
        return queries(certificate, path.find_issuing_authority(certificate))
    except UNREADABLE:  # an extension that cannot be read names nobody
        return []


def _unknown(certificate: x509.Certificate, why: Why) -> Revocation:
    return Revocation(name_of(certificate), Status.UNKNOWN, why=why)


def _tells(revocation: Revocation) -> int:
    return list(Why).index(revocation.why) if revocation.why else 0


class _BelowAnchor(ValidationPath):
    """A path whose anchor issues lists, also where the anchor is not self-signed: an authority trusted by its word."""

    def truncate_to_issuer_and_append(self, cert: x509.Certificate) -> ValidationPath:
        """Return the path to an issuer of lists; the anchor's is the anchor alone. Raises LookupError."""
        anchor = self.trust_anchor.authority
        if isinstance(anchor, AuthorityWithCert) and anchor.certificate.dump() == cert.dump():
            return ValidationPath(self.trust_anchor, [], None)
        path: ValidationPath = super().truncate_to_issuer_and_append(cert)
        return path


class Query(Value):
    """One question: a GET, or a POST of ``body``."""

    source: Source
    url: str
    body: bytes | None = None

    @property
    def key(self) -> str:
        """A name for its answer."""
        return sha256(self.url.encode() + b"\0" + (self.body or b"")).hexdigest()


def queries(certificate: x509.Certificate, issuer: Authority) -> list[Query]:
    """Return what may be asked about this certificate, in order; nothing where it names no address that is usable."""
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


def judged(
    answer: bytes, source: Source, certificate: x509.Certificate, path: ValidationPath, now: datetime
) -> Revocation:
    """Return what an answer says of a certificate of this path. Never raises. For a thread of its own."""
    subject = name_of(certificate)
    try:
        as_of, kept_since = _of_response(answer) if source is Source.OCSP else _of_list(answer)
    except (_PartialListError, *UNREADABLE) as fault:
        why = Why.PARTIAL if isinstance(fault, _PartialListError) else Why.GARBLED
        return Revocation(subject, Status.UNKNOWN, source, why=why)
    try:
        check = verify_ocsp_response if source is Source.OCSP else verify_crl
        asyncio.run(check(certificate, _below_anchor(path), _context(answer, source, path, now)))
    except RevokedError as revoked:
        since = revoked.revocation_dt.astimezone(UTC)
        return Revocation(subject, Status.REVOKED, source, as_of, since, str(revoked.reason.native))
    except (OCSPValidationIndeterminateError, CRLValidationIndeterminateError) as fault:
        return Revocation(subject, Status.UNKNOWN, source, why=Why.STALE if fault.suspect_stale else Why.GARBLED)
    except (OCSPValidationError, CRLValidationError, PathError, ValidationError, *UNUSABLE):
        return Revocation(subject, Status.UNKNOWN, source, why=Why.GARBLED)
    ended = certificate.not_valid_after
    if as_of > ended and not (kept_since and kept_since <= ended):
        return Revocation(subject, Status.UNKNOWN, source, as_of, why=Why.EXPIRED)
    return Revocation(subject, Status.GOOD, source, as_of)


def _below_anchor(path: ValidationPath) -> ValidationPath:
    *between, last = path.iter_certs(include_root=False)
    return _BelowAnchor(path.trust_anchor, between, last)


def _context(answer: bytes, source: Source, path: ValidationPath, now: datetime) -> ValidationContext:
    return ValidationContext(
        trust_roots=[path.trust_anchor],
        other_certs=list(path.iter_certs(include_root=False)),
        ocsps=[answer] if source is Source.OCSP else None,
        crls=[answer] if source is Source.CRL else None,
        moment=now,
        time_tolerance=SKEW,
        allow_fetching=False,
        revocation_mode="soft-fail",
    )


def _of_response(answer: bytes) -> tuple[datetime, datetime | None]:
    """Return when it was said, and since when it speaks of ended certificates too (RFC 6960, section 4.4.4)."""
    (single,) = ocsp.OCSPResponse.load(answer, strict=True).response_data["responses"]
    kept = [found["extn_value"].parsed.native for found in single["single_extensions"] or ()
            if found["extn_id"].native == "archive_cutoff"]  # fmt: skip
    return single["this_update"].native, kept[0] if kept else None


class _PartialListError(Exception):
    """A list that names only changes, or also other issuers' certificates (RFC 5280, sections 5.2.4 and 5.2.5)."""


def _of_list(answer: bytes) -> tuple[datetime, datetime | None]:
    """Return when the list was made, and since when ended certificates stay on it."""
    certificates = crl.CertificateList.load(answer, strict=True)
    point = certificates.issuing_distribution_point_value
    if certificates.delta_crl_indicator_value is not None or (point is not None and point["indirect_crl"].native):
        raise _PartialListError
    told = certificates["tbs_cert_list"]
    kept = [found["extn_value"].native for found in told["crl_extensions"] or ()
            if found["extn_id"].dotted == EXPIRED_CERTIFICATES_ON_LIST]  # fmt: skip
    return told["this_update"].native, core.GeneralizedTime.load(kept[0]).native if kept else None
