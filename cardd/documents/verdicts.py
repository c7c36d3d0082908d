"""What a verification says: of the document, and of each signature who made it, when, and whether that can be trusted.

VALID: everything that is relied on was checked. INVALID: something is wrong, whatever else is found. UNDETERMINED:
nothing is known to be wrong, and something could not be checked; ``reasons`` say what.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cardd.formats.verified import Revocation, VerifiedSignature
from cardd.i18n import text
from cardd.model import Identity


class Verdict(StrEnum):
    """The worst of a document's signatures is the document's."""

    VALID = "valid"
    UNDETERMINED = "undetermined"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why: ``code`` for programs, with the words that its sentence needs. The catalogue ``verdicts`` has it."""

    code: str
    verdict: Verdict
    params: tuple[tuple[str, str], ...] = ()

    def sentence(self, language: str) -> str:
        """For people, in ``fr`` or ``en``."""
        return text(f"verdict.because.{self.code}", language, **dict(self.params))


@dataclass(frozen=True, slots=True)
class Chain:
    """The path to an authority that is trusted: its name, or in ``problem`` why there is none (``NoPath``)."""

    trusted: bool
    authority: str | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Signer:
    """The certificate that signed; ``holder`` where it is a health professional's, as cards have them."""

    certificate: bytes
    subject: str
    issuer: str
    serial: str
    not_before: datetime
    not_after: datetime
    is_test: bool
    holder: Identity | None = None


@dataclass(frozen=True, slots=True)
class Timestamp:
    """An RFC 3161 timestamp. It is ``trusted`` when it is intact, its authority is, and is known not to be revoked."""

    time: datetime
    intact: bool
    trusted: bool
    authority: str
    chain: Chain
    revocation: Revocation | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """One signature. ``at`` is the time that it was judged for: a trusted timestamp's (``stamped``), else now.

    ``revocation`` is the signer's or, where that tells more, of an authority between; None when there was no path to
    ask about, or the signature is broken anyway.
    """

    verdict: Verdict
    reasons: tuple[Reason, ...]
    found: VerifiedSignature
    at: datetime
    stamped: bool
    signer: Signer
    chain: Chain
    revocation: Revocation | None = None
    timestamp: Timestamp | None = None


@dataclass(frozen=True, slots=True)
class Verification:
    """The document's verdict, with its own reasons, and its signatures."""

    verdict: Verdict
    reasons: tuple[Reason, ...]
    signatures: tuple[Judged, ...]


WEIGHTS = list(Verdict)


def worst(verdicts: list[Verdict]) -> Verdict:
    """The one that counts; VALID when there is none."""
    return max(verdicts, key=WEIGHTS.index, default=Verdict.VALID)
