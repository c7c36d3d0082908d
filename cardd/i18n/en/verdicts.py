"""What was found of a signature, and why the verdict is what it is."""

from __future__ import annotations

TEXTS: dict[str, str] = {
    "verdict.valid": "The signature is VALID.",
    "verdict.undetermined": "The signature is intact, but it is NOT KNOWN whether it can be trusted.",
    "verdict.invalid": "The signature is NOT valid.",
    "verdict.because.unsigned": "There is no signature in this file.",
    "verdict.because.part": "The signature covers only a part of this file: the rest may come from anybody.",
    "verdict.because.flaw_content": "What was signed is not what is here: it was changed since.",
    "verdict.because.flaw_signature": "The signature value is not of this certificate and this content.",
    "verdict.because.flaw_certificate": "The signature names another certificate than the one that comes with it.",
    "verdict.because.flaw_imprint": "The timestamp covers something else.",
    "verdict.because.usage": "This certificate is not made for signatures.",
    "verdict.because.timestamp_untrusted": (
        "The timestamp is intact, but its authority is not known to be trusted: it does not count."
    ),
    "verdict.because.timestamp_broken": "The timestamp is broken: it does not count.",
    "verdict.because.test": "This is a TEST certificate: it binds nobody.",
    "verdict.because.untrusted": "No trusted authority stands behind the certificate, issued by {issuer}.",
    "verdict.because.path_refused": "The path to the authority breaks a rule, from {issuer}.",
    "verdict.because.not_yet_valid": "At the time that counts, the certificate or its authority's was not valid yet.",
    "verdict.because.expired": (
        "The certificate (until {date}) or its authority's has expired, and no trusted timestamp shows that it was "
        "signed before."
    ),
    "verdict.because.expired_when_signed": (
        "The certificate (until {date}) or its authority's had expired when it was signed."
    ),
    "verdict.because.revoked": "The certificate of {subject} is revoked since {date}, before the time that counts.",
    "verdict.because.revoked_later": "The certificate of {subject} was revoked on {date}, after it was signed.",
    "verdict.because.revocation_no_source": (
        "Not known whether revoked: the certificate of {subject} does not tell whom to ask."
    ),
    "verdict.because.revocation_offline": "Not known whether revoked: nobody was asked about {subject} (offline).",
    "verdict.because.revocation_unreachable": "Not known whether revoked: the authority of {subject} does not answer.",
    "verdict.because.revocation_stale": (
        "Not known whether revoked: the authority's answer about {subject} is not of now."
    ),
    "verdict.because.revocation_garbled": (
        "Not known whether revoked: the answer about {subject} is not one that counts."
    ),
    "verdict.because.revocation_expired": (
        "Not known whether revoked: the certificate of {subject} has expired, and its authority no longer tells."
    ),
}
