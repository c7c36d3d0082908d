"""A verification as people read it: the verdict, then each signature, then why."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from cardd.cli.context import Context
from cardd.cli.holders import shown
from cardd.cli.terminal import pairs
from cardd.documents.verdicts import Judged, Reason, Verdict, Verification
from cardd.formats.revocation.status import Revocation
from cardd.i18n import text

COLOURS = {Verdict.VALID: "green", Verdict.UNDETERMINED: "yellow", Verdict.INVALID: "red"}


def lines(context: Context, found: Verification) -> Iterator[str]:
    """Line by line."""
    yield _sentence(context, found.verdict)
    yield from _why(context, found.reasons)
    for number, one in enumerate(found.signatures, 1):
        if len(found.signatures) > 1:
            yield ""
            yield f"{number}. {_sentence(context, one.verdict)}"
        yield from pairs((context.words(f"verify.{name}"), told) for name, told in _facts(context, one) if told)
        yield from _why(context, one.reasons)


def _sentence(context: Context, verdict: Verdict) -> str:
    return context.terminal.styled(text(f"verdict.{verdict}", context.language), COLOURS[verdict])


def _why(context: Context, reasons: tuple[Reason, ...]) -> Iterator[str]:
    for reason in reasons:
        yield f"→ {reason.sentence(context.language)}"


def _facts(context: Context, one: Judged) -> Iterator[tuple[str, str | None]]:
    signer, found, stamp = one.signer, one.found, one.timestamp
    yield "holder", shown(context, signer.holder) if signer.holder else signer.subject
    yield "subject", signer.subject if signer.holder else None
    yield "issuer", signer.issuer
    yield "authority", one.chain.authority
    yield "serial", signer.serial
    yield "validity", f"{signer.not_before:%Y-%m-%d} – {signer.not_after:%Y-%m-%d}"
    yield "format", f"{found.format}, {found.algorithm}, {context.words(f'verify.scope.{found.scope}')}"
    yield "digest", found.digest.hex()
    if found.submission_set:
        yield "set", f"{found.submission_set.unique_id}: {', '.join(found.submission_set.documents)}"
        yield "changed", ", ".join(found.submission_set.changed)
    yield "claimed", _time(found.signed_at) if found.signed_at else None
    yield "stamped", f"{_time(stamp.time)}, {stamp.authority}" if stamp else None
    yield "judged", f"{_time(one.at)}, {context.words('verify.by_stamp' if one.stamped else 'verify.by_clock')}"
    yield "revocation", _revocation(context, one.revocation) if one.revocation else None


def _revocation(context: Context, revocation: Revocation) -> str:
    told = context.words(f"verify.status.{revocation.status}")
    source = f"{(revocation.source or '').upper()} {_time(revocation.as_of)}" if revocation.as_of else ""
    return f"{told} ({source})" if source else told


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
