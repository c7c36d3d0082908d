"""What a verification says: of the document, and of each signature who made it, when, and whether that can be trusted.

VALID: everything that is relied on was checked. INVALID: something is wrong, whatever else is found. UNDETERMINED:
nothing is known to be wrong, and something could not be checked; ``reasons`` say what.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from cardd.formats.verified import Revocation, VerifiedSignature
from cardd.i18n import N_, Domain
from cardd.model import Identity
from cardd.values import Value

_ = Domain("verdicts")


class Verdict(StrEnum):
    """The verdict on a signature or on a document; the worst of a document's signatures is the document's."""

    VALID = "valid"
    UNDETERMINED = "undetermined"
    INVALID = "invalid"

    def sentence(self, language: str) -> str:
        """Return the verdict for people."""
        return _(SENTENCES[self], language)


SENTENCES = {
    Verdict.VALID: N_("The signature is VALID."),
    Verdict.UNDETERMINED: N_("The signature is intact, but it is NOT KNOWN whether it can be trusted."),
    Verdict.INVALID: N_("The signature is NOT valid."),
}
REASONS = {
    "unsigned": N_("There is no signature in this file."),
    "part": N_("The signature covers only a part of this file: the rest may come from anybody."),
    "signed_later": N_("Others signed this file after it: what this signature covers is unchanged."),
    "filled_later": N_("Fields of the form were filled in after this signature: it does not cover what they say."),
    "changed_later": N_("The file was changed after this signature, in a way that it does not allow."),
    "flaw_content": N_("What was signed is not what is here: it was changed since."),
    "flaw_signature": N_("The signature value is not of this certificate and this content."),
    "flaw_certificate": N_("The signature names another certificate than the one that comes with it."),
    "flaw_attributes": N_("The signature has no signed attributes: it could have been made for something else."),
    "flaw_context": N_(
        "These bytes are what a signature of another format signs: it could have been made for another text."
    ),
    "flaw_weak": N_("The signature uses SHA-1 or MD5, which are broken: others can make such a document."),
    "certificate_unnamed": N_(
        "The signature does not name its certificate: another one of the same key could stand in its place."
    ),
    "flaw_imprint": N_("The timestamp covers something else."),
    "usage": N_("This certificate is not made for signing documents."),
    "usage_authentication": N_("This certificate only proves who somebody is: no document is signed with it."),
    "usage_unsaid": N_("This certificate does not say what its key may be used for."),
    "weak_key": N_("The certificate's key of {bits} bits is too short: others may have found it."),
    "timestamp_untrusted": N_(
        "The timestamp is intact, but its authority is not known to be trusted: it does not count."
    ),
    "timestamp_broken": N_("The timestamp is broken: it does not count."),
    "test": N_("This is a TEST certificate: it binds nobody."),
    "untrusted": N_("No trusted authority stands behind the certificate, issued by {issuer}."),
    "path_refused": N_("The path to the authority breaks a rule, from {issuer}."),
    "path_other": N_("The signature names a certificate that is not in its path to the authority."),
    "not_yet_valid": N_("At the time that counts, the certificate or its authority's was not valid yet."),
    "expired": N_(
        "The certificate (until {date}) or its authority's has expired, and no trusted timestamp shows that it was "
        "signed before."
    ),
    "expired_when_signed": N_("The certificate (until {date}) or its authority's had expired when it was signed."),
    "revoked": N_("The certificate of {subject} is revoked since {date}, before the time that counts."),
    "revoked_later": N_("The certificate of {subject} was revoked on {date}, after it was signed."),
    "revocation_no_source": N_("Not known whether revoked: the certificate of {subject} does not tell whom to ask."),
    "revocation_offline": N_("Not known whether revoked: nobody was asked about {subject} (offline)."),
    "revocation_unreachable": N_("Not known whether revoked: the authority of {subject} does not answer."),
    "revocation_stale": N_("Not known whether revoked: the authority's answer about {subject} is not of now."),
    "revocation_partial": N_("Not known whether revoked: the list about {subject} is a delta or an indirect one."),
    "revocation_garbled": N_("Not known whether revoked: the answer about {subject} is not one that counts."),
    "revocation_expired": N_(
        "Not known whether revoked: the certificate of {subject} has expired, and its authority no longer tells."
    ),
}


class Reason(Value):
    """One reason for a verdict: ``code`` (of ``REASONS``) for programs, with the words that its sentence needs."""

    code: str
    verdict: Verdict
    params: tuple[tuple[str, str], ...] = ()

    def sentence(self, language: str) -> str:
        """Return the reason for people."""
        return _(REASONS[self.code], language, **dict(self.params))


class Chain(Value):
    """The path to an authority that is trusted: its name, or in ``problem`` why there is none (``NoPath``)."""

    trusted: bool
    authority: str | None = None
    problem: str | None = None


class Signer(Value):
    """The certificate that signed; ``holder`` where it is a health professional's, as cards have them."""

    certificate: bytes
    subject: str
    issuer: str
    serial: str
    not_before: datetime
    not_after: datetime
    is_test: bool
    holder: Identity | None = None


class Timestamp(Value):
    """An RFC 3161 timestamp. It is ``trusted`` when it is intact, its authority is, and is known not to be revoked."""

    time: datetime
    intact: bool
    trusted: bool
    authority: str
    chain: Chain
    revocation: Revocation | None = None


class Judged(Value):
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


class Verification(Value):
    """The document's verdict, with its own reasons, and its signatures."""

    verdict: Verdict
    reasons: tuple[Reason, ...]
    signatures: tuple[Judged, ...]


WEIGHTS = list(Verdict)


def worst(verdicts: list[Verdict]) -> Verdict:
    """Return the verdict that counts; VALID when there is none."""
    return max(verdicts, key=WEIGHTS.index, default=Verdict.VALID)
