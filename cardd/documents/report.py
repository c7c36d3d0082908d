"""A verification as plain values, the same for the API and for ``cardctl verify --json``; sentences in one language."""

from __future__ import annotations

from cardd.documents.verdicts import Chain, Judged, Reason, Signer, Timestamp, Verification
from cardd.formats.verified import Revocation
from cardd.model import Identity
from cardd.values import asdict

Value = object


def report(found: Verification, language: str) -> dict[str, Value]:
    """Return all of a verification; what nothing is known of is left out. Byte values are bytes, times are aware."""
    return {
        "verdict": found.verdict,
        "sentence": found.verdict.sentence(language),
        "reasons": _reasons(found.reasons, language),
        "signatures": [_signature(one, language) for one in found.signatures],
    }


def _signature(one: Judged, language: str) -> dict[str, Value]:
    found = one.found
    return _known(
        {
            "format": found.format,
            "verdict": one.verdict,
            "reasons": _reasons(one.reasons, language),
            "intact": found.intact,
            "flaw": found.flaw,
            "scope": found.scope,
            "algorithm": found.algorithm,
            "digest": found.digest,
            "submission_set": asdict(found.submission_set) if found.submission_set else None,
            "signed_at": found.signed_at,
            "judged_at": one.at,
            "judged_by": "timestamp" if one.stamped else "clock",
            "signer": _signer(one.signer),
            "chain": _chain(one.chain),
            "revocation": _revocation(one.revocation),
            "timestamp": _timestamp(one.timestamp),
        }
    )


def _reasons(reasons: tuple[Reason, ...], language: str) -> list[dict[str, Value]]:
    return [{"code": reason.code, "verdict": reason.verdict, "text": reason.sentence(language)} for reason in reasons]


def _signer(signer: Signer) -> dict[str, Value]:
    return _known({**asdict(signer), "holder": _holder(signer.holder)})


def _holder(identity: Identity | None) -> dict[str, Value] | None:
    if identity is None:
        return None
    told = {**asdict(identity), "card_type_name": identity.card_type_name}
    return {name: value for name, value in told.items() if name not in ("organisation", "is_declared")}


def _chain(chain: Chain) -> dict[str, Value]:
    return _known(asdict(chain))


def _revocation(revocation: Revocation | None) -> dict[str, Value] | None:
    return _known(asdict(revocation)) if revocation else None


def _timestamp(stamp: Timestamp | None) -> dict[str, Value] | None:
    if stamp is None:
        return None
    told = {"chain": _chain(stamp.chain), "revocation": _revocation(stamp.revocation)}
    return _known({**asdict(stamp), **told})


def _known(told: dict[str, Value]) -> dict[str, Value]:
    return {name: value for name, value in told.items() if value is not None}
