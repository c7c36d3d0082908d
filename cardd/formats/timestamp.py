"""Timestamps by RFC 3161: the request, what is checked of the answer, and the token that is in it.

The token of a wrong answer never gets into a document: its signature, its certificate's purpose, what it covers, the
nonce and the time are checked first. Whether its certificate has a path to a configured authority is for
``TrustedAuthorities`` to say.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from hashlib import new, sha256
from typing import TYPE_CHECKING

from asn1crypto import cms, tsp, x509

from cardd.errors import (
    CardGarbled,
    DocumentError,
    TimestampMalformed,
    TimestampMismatch,
    TimestampRefused,
    TimestampTime,
    TimestampUntrusted,
)
from cardd.formats.certificate import facts_of
from cardd.formats.cms import DIGESTS, Judged, certificates_of, judge
from cardd.formats.document import reading
from cardd.formats.verified import Flaw, VerifiedTimestamp
from cardd.tlv import parse_one
from cardd.values import Value

if TYPE_CHECKING:
    from cardd.formats.trust import TrustedAuthorities

SKEW = timedelta(minutes=1)  # a clock that is further off is a fault
GRANTED = ("granted", "granted_with_mods")
CONTENT_TYPE = "tst_info"
PURPOSE = "time_stamping"
Exchange = Callable[[bytes], Awaitable[bytes]]
"""Sends a timestamp request and gives the answer, both DER."""


class TimestampRequest(Value):
    """One request: what goes to the authority (DER), and what its answer must repeat."""

    der: bytes
    digest: bytes
    nonce: int


def request_for(covered: bytes) -> TimestampRequest:
    """Ask for a timestamp of these bytes: by their SHA-256, with a nonce, and the authority's certificate."""
    digest, nonce = sha256(covered).digest(), secrets.randbits(63)
    imprint = {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": digest}
    fields = {"version": "v1", "message_imprint": imprint, "nonce": nonce, "cert_req": True}
    return TimestampRequest(tsp.TimeStampReq(fields).dump(), digest, nonce)


def token_of(answer: bytes, request: TimestampRequest, authorities: TrustedAuthorities, now: datetime) -> bytes:
    """The TimeStampToken (DER) of a good answer.

    Raises TimestampRefused, TimestampMalformed, TimestampMismatch, TimestampTime, TimestampUntrusted.
    """
    token = _granted(answer)
    read = _read(token)
    if read.imprint != ("sha256", request.digest):
        raise TimestampMismatch(what="imprint")
    if read.nonce != request.nonce:
        raise TimestampMismatch(what="nonce")
    if abs(ahead := read.time - now) > SKEW:
        raise TimestampTime(seconds=round(ahead.total_seconds()))
    if read.flaw:
        raise TimestampUntrusted(why="signature")
    _require_authority(read.judged.certificate, read.time)
    if not authorities.trust(read.judged.certificate.dump(), read.chain, read.time):
        raise TimestampUntrusted(why="path")
    return token


def verified(token: bytes, covered: bytes) -> VerifiedTimestamp:
    """Return what a document's token (DER) says of the bytes that it should cover. Raises TimestampMalformed."""
    read = _read(token)
    algorithm, digest = read.imprint
    flaw = read.flaw
    if algorithm not in DIGESTS or new(algorithm, covered).digest() != digest:
        flaw = Flaw.IMPRINT
    if flaw is None and not _is_authority(read.judged.certificate):
        flaw = Flaw.CERTIFICATE
    return VerifiedTimestamp(read.time, read.judged.certificate.dump(), read.chain, flaw)


class _Read(Value):
    time: datetime
    imprint: tuple[str, bytes]
    nonce: int | None
    judged: Judged
    chain: tuple[bytes, ...]
    flaw: Flaw | None


def _granted(answer: bytes) -> bytes:
    with reading(TimestampMalformed(), CardGarbled):
        first, *others = parse_one(answer).children  # asn1crypto's type wants a token in refusals too
        status = tsp.PKIStatusInfo.load(first.encode())
        is_granted, told = status["status"].native in GRANTED, _told(status)
        token = others[0].encode() if is_granted else b""
    if not is_granted:
        raise TimestampRefused(answer=told)
    return token


def _told(status: tsp.PKIStatusInfo) -> str:
    """The status and what failed, in the words of RFC 3161: the authority's own text is not repeated."""
    failed = status["fail_info"].native or ()
    return " ".join([status["status"].native, *sorted(failed)])


def _read(token: bytes) -> _Read:
    with reading(TimestampMalformed(), DocumentError, CardGarbled):
        return _read_token(token)


def _read_token(token: bytes) -> _Read:
    message = cms.ContentInfo.load(token, strict=True)["content"]
    (info,) = message["signer_infos"]
    encapsulated = message["encap_content_info"]
    if encapsulated["content_type"].native != CONTENT_TYPE:
        raise TimestampMalformed
    content = encapsulated["content"]
    judged = judge(info, message, lambda name: new(name, bytes(content)).digest())
    stamped = content.parsed
    imprint = stamped["message_imprint"]
    others = tuple(found.dump() for found in certificates_of(message) if found is not judged.certificate)
    weak = Flaw.WEAK if facts_of(judged.certificate.dump()).has_weak_key else None  # others could tell any time with it
    return _Read(
        time=stamped["gen_time"].native,
        imprint=(imprint["hash_algorithm"]["algorithm"].native, imprint["hashed_message"].native),
        nonce=stamped["nonce"].native,
        judged=judged,
        chain=others,
        flaw=judged.flaw or weak,
    )


def _require_authority(certificate: x509.Certificate, at: datetime) -> None:
    if not _is_authority(certificate):
        raise TimestampUntrusted(why="usage")
    if not certificate.not_valid_before <= at <= certificate.not_valid_after:
        raise TimestampUntrusted(why="validity")


def _is_authority(certificate: x509.Certificate) -> bool:
    """RFC 3161, section 2.3: timestamping is its only purpose, and that is critical."""
    usage = certificate.extended_key_usage_value
    critical = "extended_key_usage" in certificate.critical_extensions
    return usage is not None and usage.native == [PURPOSE] and critical


class CheckedStamper:
    """One timestamp authority."""

    def __init__(self, exchange: Exchange, authorities: TrustedAuthorities, now: Callable[[], datetime]) -> None:
        self._exchange = exchange
        self._authorities = authorities
        self._now = now

    async def stamp(self, covered: bytes) -> bytes:
        """The TimeStampToken (DER) for these bytes, checked. Raises TimestampError's classes."""
        request = request_for(covered)
        answer = await self._exchange(request.der)
        return await asyncio.to_thread(token_of, answer, request, self._authorities, self._now())
