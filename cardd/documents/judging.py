"""Whether a signature can be trusted: its certificate's path at the time that counts, and revocation.

The time that counts is a trusted timestamp's: only that shows that the signature was there while the certificate was
good. Without one it is now. The signer's own claim shows nothing. After ETSI EN 319 102-1, section 5.2, but that a
certificate revoked before the time that counts makes the signature INVALID, whether or not a timestamp tells the time.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from asn1crypto import x509
from pyhanko_certvalidator.path import ValidationPath

from cardd.documents.verdicts import (
    WEIGHTS,
    Chain,
    Judged,
    Reason,
    Signer,
    Timestamp,
    Verdict,
    Verification,
    worst,
)
from cardd.errors import CarddError, DocumentMalformed
from cardd.formats.certificate import Use, facts_of
from cardd.formats.pdf.wire import Later
from cardd.formats.revocation import Revocations
from cardd.formats.trust import NoPath, TrustedAuthorities, name_of
from cardd.formats.verified import Format, Revocation, Scope, Status, VerifiedSignature, VerifiedTimestamp
from cardd.identity.holders import identity_of, is_test
from cardd.model import Identity
from cardd.values import replace

SKEW = timedelta(minutes=1)
USES = {
    Use.AUTHENTICATION: ("usage_authentication", Verdict.INVALID),
    Use.OTHER: ("usage", Verdict.INVALID),
    Use.UNSAID: ("usage_unsaid", Verdict.UNDETERMINED),
}
WITHOUT_PATH = {
    NoPath.AUTHORITY: ("untrusted", Verdict.UNDETERMINED),
    NoPath.REFUSED: ("path_refused", Verdict.INVALID),
    NoPath.EARLY: ("not_yet_valid", Verdict.INVALID),
    NoPath.EXPIRED: ("expired", Verdict.UNDETERMINED),  # it may have been signed before: nothing tells
}
LATER = {
    Later.SIGNATURES: ("signed_later", Verdict.VALID),
    Later.FILLED_AS_ALLOWED: ("filled_later", Verdict.VALID),
    Later.FILLED: ("filled_later", Verdict.UNDETERMINED),
    Later.FORBIDDEN: ("changed_later", Verdict.INVALID),
}
Path = ValidationPath | NoPath


class Judge:
    """``stampers`` are the authorities of timestamps, which may be others than those of signers.

    ``simulated`` (DER) are authorities that do not exist: nobody is asked whether they revoked anything.
    """

    def __init__(
        self,
        authorities: TrustedAuthorities,
        stampers: TrustedAuthorities,
        revocations: Revocations,
        now: Callable[[], datetime],
        simulated: Iterable[bytes] = (),
    ) -> None:
        self._authorities = authorities
        self._stampers = stampers
        self._revocations = revocations
        self._now = now
        self._simulated = frozenset(simulated)

    async def verification(self, found: Sequence[VerifiedSignature]) -> Verification:
        """The verdict on a document with these signatures. Raises as ``judged``."""
        judged = tuple([await self.judged(signature) for signature in found])
        reasons = tuple(_of_document(judged))
        verdict = worst([*(one.verdict for one in judged), *(reason.verdict for reason in reasons)])
        return Verification(verdict, reasons, judged)

    async def judged(self, found: VerifiedSignature) -> Judged:
        """The verdict. Raises DocumentMalformed for a certificate that cannot be read."""
        signer = await asyncio.to_thread(_signer, found.certificate)
        timestamp = await self._timestamp(found.timestamp) if found.timestamp else None
        stamped = timestamp is not None and timestamp.trusted
        at = timestamp.time if timestamp is not None and stamped else self._now()
        path = await asyncio.to_thread(self._authorities.path, found.certificate, found.chain, at)
        if self._is_simulated(path):
            signer = replace(signer, is_test=True)  # whatever the certificate says of itself
        revocation = await self._revocation(path, at) if found.intact else None
        reasons = (
            *_of_signature(found),
            *_of_timestamp(timestamp),
            *_of_path(path, signer, stamped=stamped),
            *_of_named_path(path, found.path_named),
            *_of_revocation(revocation, at),
        )
        verdict = worst([reason.verdict for reason in reasons])
        return Judged(verdict, reasons, found, at, stamped, signer, _chain(path), revocation, timestamp)

    async def _timestamp(self, stamp: VerifiedTimestamp) -> Timestamp:
        path: Path = NoPath.EARLY  # no honest clock is ahead of ours
        if stamp.time <= self._now() + SKEW:
            path = await asyncio.to_thread(self._stampers.path, stamp.certificate, stamp.chain, stamp.time)
        revocation = await self._revocation(path, self._now()) if stamp.intact else None
        is_good = revocation is None or revocation.status is Status.GOOD
        trusted = stamp.intact and isinstance(path, ValidationPath) and is_good
        subject = name_of(x509.Certificate.load(stamp.certificate))
        return Timestamp(stamp.time, stamp.intact, trusted, subject, _chain(path), revocation)

    async def _revocation(self, path: Path, at: datetime) -> Revocation | None:
        """Return the revocation of the path's certificate of which the worst is known."""
        if not isinstance(path, ValidationPath) or self._is_simulated(path):
            return None
        found = await self._revocations.of(path)
        return max(found, key=lambda one: _weight(one, at), default=None)

    def _is_simulated(self, path: Path) -> bool:
        return isinstance(path, ValidationPath) and path.first.dump() in self._simulated


def _weight(revocation: Revocation, at: datetime) -> tuple[int, bool]:
    verdict = worst([reason.verdict for reason in _of_revocation(revocation, at)])
    return WEIGHTS.index(verdict), revocation.status is not Status.GOOD


def _of_signature(found: VerifiedSignature) -> Iterable[Reason]:
    if found.flaw is not None:
        yield Reason(f"flaw_{found.flaw}", Verdict.INVALID)
    if found.format is not Format.PADES and found.scope is Scope.PART:
        yield Reason("part", Verdict.UNDETERMINED)
    if found.later in LATER:
        yield Reason(*LATER[found.later])
    if not found.names_certificate:
        yield Reason("certificate_unnamed", Verdict.UNDETERMINED)
    facts = facts_of(found.certificate)
    if facts.use in USES:
        yield Reason(*USES[facts.use])
    if facts.has_weak_key:
        yield Reason("weak_key", Verdict.INVALID, (("bits", str(facts.key_bits)),))


def _of_timestamp(timestamp: Timestamp | None) -> Iterable[Reason]:
    """Yield why a timestamp does not count: a bad one takes nothing from the signature, and gives it nothing."""
    if timestamp is not None and not timestamp.trusted:
        yield Reason("timestamp_untrusted" if timestamp.intact else "timestamp_broken", Verdict.VALID)


def _of_path(path: Path, signer: Signer, *, stamped: bool) -> Iterable[Reason]:
    if signer.is_test:
        yield Reason("test", Verdict.VALID)
    if isinstance(path, NoPath):
        code, verdict = WITHOUT_PATH[path]
        if path is NoPath.EXPIRED and stamped:
            code, verdict = "expired_when_signed", Verdict.INVALID
        yield Reason(code, verdict, (("issuer", signer.issuer), ("date", _date(signer.not_after))))


def _of_named_path(path: Path, named: Iterable[tuple[str, bytes]]) -> Iterable[Reason]:
    """Yield why a path is not the one that the signer named (RFC 5035, section 3; ETSI EN 319 102-1, 5.2.4)."""
    if isinstance(path, NoPath):
        return
    certificates = [one.dump() for one in path.iter_certs(include_root=True)]
    for name, digest in named:
        if digest not in [hashlib.new(name, one, usedforsecurity=False).digest() for one in certificates]:
            yield Reason("path_other", Verdict.UNDETERMINED)
            return


def _of_revocation(revocation: Revocation | None, at: datetime) -> Iterable[Reason]:
    if revocation is None or revocation.status is Status.GOOD:
        return
    about = ("subject", revocation.subject)
    if revocation.revoked_at is None:
        yield Reason(f"revocation_{revocation.why}", Verdict.UNDETERMINED, (about,))
    elif revocation.revoked_at > at:
        yield Reason("revoked_later", Verdict.VALID, (about, ("date", _date(revocation.revoked_at))))
    else:
        yield Reason("revoked", Verdict.INVALID, (about, ("date", _date(revocation.revoked_at))))


def _chain(path: Path) -> Chain:
    if isinstance(path, NoPath):
        return Chain(trusted=False, problem=str(path))
    return Chain(trusted=True, authority=name_of(path.first))


def _of_document(judged: tuple[Judged, ...]) -> Iterator[Reason]:
    if not judged:
        yield Reason("unsigned", Verdict.INVALID)


def _signer(certificate: bytes) -> Signer:
    try:
        facts = facts_of(certificate)
    except CarddError as fault:
        raise DocumentMalformed(format="X.509") from fault
    return Signer(
        certificate,
        str(facts.subject),
        str(facts.issuer),
        facts.serial,
        facts.not_before,
        facts.not_after,
        is_test(facts),
        _holder(certificate),
    )


def _holder(certificate: bytes) -> Identity | None:
    """Return who it speaks for, where it says so as the cards' certificates do: any other has a common name too."""
    try:
        identity = identity_of(certificate)
    except CarddError:
        return None
    return identity if identity.card_type is not None or identity.family_name else None


def _date(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
