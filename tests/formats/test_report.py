"""A verification as plain values: all that is known is told, and what is not known has no name there."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from cardd.documents.report import report
from cardd.documents.verdicts import Chain, Judged, Reason, Signer, Timestamp, Verdict, Verification
from cardd.formats.verified import (
    Flaw,
    Format,
    Revocation,
    Scope,
    SignedSet,
    Source,
    Status,
    VerifiedSignature,
    VerifiedTimestamp,
    Why,
)
from cardd.model import Identity, Organisation
from cardd.values import replace

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
SIGNER = Signer(b"certificate", "CN=PERSONNE SIMULATION", "CN=AC SIMULATION", "0A", NOON, NOON, is_test=False)
LEAST = Judged(
    Verdict.VALID,
    (),
    VerifiedSignature(Format.CADES, b"certificate", (b"authority",), "ES256", Scope.WHOLE, b"digest"),
    NOON,
    stamped=False,
    signer=SIGNER,
    chain=Chain(trusted=True, authority="AC SIMULATION"),
)
HOLDER = Identity("899000000010", "SIMULATION", "CAMILLE", card_type="0", is_test=True)
TOLD = {
    "national_id": "899000000010",
    "family_name": "SIMULATION",
    "given_name": "CAMILLE",
    "title": None,
    "profession": None,
    "specialty": None,
    "card_number": None,
}
REVOKED = Revocation("AC SIMULATION", Status.REVOKED, Source.CRL, NOON, NOON, "key_compromise")
MOST = Judged(
    Verdict.INVALID,
    (Reason("weak_key", Verdict.INVALID, (("bits", "1024"),)), Reason("test", Verdict.VALID)),
    VerifiedSignature(
        Format.XADES,
        b"certificate",
        (),
        "RS256",
        Scope.DETACHED,
        b"digest",
        NOON,
        VerifiedTimestamp(NOON, b"stamper", ()),
        Flaw.CONTENT,
        SignedSet("2.25.1", ("2.25.2", "2.25.3"), ("2.25.3",)),
    ),
    NOON,
    stamped=True,
    signer=Signer(b"certificate", "CN=P", "CN=A", "0A", NOON, NOON, is_test=True, holder=HOLDER),
    chain=Chain(trusted=False, problem="expired"),
    revocation=REVOKED,
    timestamp=Timestamp(
        NOON, intact=True, trusted=False, authority="HORODATAGE SIMULATION", chain=Chain(trusted=False)
    ),
)


def of_one(signature: Judged) -> dict[str, Any]:
    """What is told of a signature, in English."""
    told: Any = report(Verification(Verdict.VALID, (), (signature,)), "en")
    (one,) = told["signatures"]
    return dict(one)


def test_of_a_good_signature_all_is_told_and_nothing_that_is_not_known() -> None:
    assert report(Verification(Verdict.VALID, (), (LEAST,)), "en") == {
        "verdict": "valid",
        "sentence": "The signature is VALID.",
        "reasons": [],
        "signatures": [
            {
                "format": "cades",
                "verdict": "valid",
                "reasons": [],
                "intact": True,
                "scope": "whole",
                "algorithm": "ES256",
                "digest": b"digest",
                "judged_at": NOON,
                "judged_by": "clock",
                "signer": {
                    "certificate": b"certificate",
                    "subject": "CN=PERSONNE SIMULATION",
                    "issuer": "CN=AC SIMULATION",
                    "serial": "0A",
                    "not_before": NOON,
                    "not_after": NOON,
                    "is_test": False,
                },
                "chain": {"trusted": True, "authority": "AC SIMULATION"},
            }
        ],
    }


def test_of_a_bad_one_it_is_told_what_is_wrong_with_each_of_its_parts() -> None:
    told = of_one(MOST)
    assert told == {
        "format": "xades",
        "verdict": "invalid",
        "reasons": [
            {
                "code": "weak_key",
                "verdict": "invalid",
                "text": "The certificate's key of 1024 bits is too short: others may have found it.",
            },
            {"code": "test", "verdict": "valid", "text": "This is a TEST certificate: it binds nobody."},
        ],
        "intact": False,
        "flaw": "content",
        "scope": "detached",
        "algorithm": "RS256",
        "digest": b"digest",
        "submission_set": {"unique_id": "2.25.1", "documents": ["2.25.2", "2.25.3"], "changed": ["2.25.3"]},
        "signed_at": NOON,
        "judged_at": NOON,
        "judged_by": "timestamp",
        "signer": {
            "certificate": b"certificate",
            "subject": "CN=P",
            "issuer": "CN=A",
            "serial": "0A",
            "not_before": NOON,
            "not_after": NOON,
            "is_test": True,
            "holder": {**TOLD, "card_type": "0", "card_type_name": "CPS", "is_test": True},
        },
        "chain": {"trusted": False, "problem": "expired"},
        "revocation": {
            "subject": "AC SIMULATION",
            "status": "revoked",
            "source": "crl",
            "as_of": NOON,
            "revoked_at": NOON,
            "reason": "key_compromise",
        },
        "timestamp": {
            "time": NOON,
            "intact": True,
            "trusted": False,
            "authority": "HORODATAGE SIMULATION",
            "chain": {"trusted": False},
        },
    }


def test_a_holder_is_told_as_the_card_says_and_nothing_that_was_only_declared() -> None:
    proven = replace(HOLDER, card_type=None, organisation=Organisation("1", "finess", "HÔPITAL"), is_declared=True)
    for identity, told in (
        (HOLDER, {"card_type": "0", "card_type_name": "CPS"}),
        (proven, {"card_type": None, "card_type_name": None}),
    ):
        signer = Signer(b"", "", "", "", NOON, NOON, is_test=True, holder=identity)
        one = Judged(Verdict.VALID, (), LEAST.found, NOON, stamped=False, signer=signer, chain=LEAST.chain)
        holder = of_one(one)["signer"]["holder"]
        assert holder == {**TOLD, "is_test": True, **told}


def test_a_timestamp_s_revocation_is_told_with_why_it_is_not_known() -> None:
    unknown = Revocation("HORODATAGE SIMULATION", Status.UNKNOWN, why=Why.OFFLINE)
    stamp = Timestamp(NOON, intact=True, trusted=False, authority="H", chain=Chain(trusted=True), revocation=unknown)
    one = Judged(Verdict.VALID, (), LEAST.found, NOON, stamped=False, signer=SIGNER, chain=LEAST.chain, timestamp=stamp)
    told = of_one(one)
    assert told["timestamp"]["revocation"] == {
        "subject": "HORODATAGE SIMULATION",
        "status": "unknown",
        "why": "offline",
    }


@pytest.mark.parametrize(
    ("language", "verdict", "sentence", "reason"),
    [
        ("en", Verdict.INVALID, "The signature is NOT valid.", "There is no signature in this file."),
        ("fr", Verdict.INVALID, "La signature n'est PAS valide.", "Il n'y a pas de signature dans ce fichier."),
    ],
)
def test_the_document_s_verdict_and_its_reasons_are_told_in_the_language(
    language: str, verdict: Verdict, sentence: str, reason: str
) -> None:
    told = report(Verification(verdict, (Reason("unsigned", verdict),), ()), language)
    assert (told["verdict"], told["sentence"], told["signatures"]) == ("invalid", sentence, [])
    assert told["reasons"] == [{"code": "unsigned", "verdict": "invalid", "text": reason}]
