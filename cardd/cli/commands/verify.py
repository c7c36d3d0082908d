"""``cardctl verify``: whose signatures a file has, and whether they can be trusted.

The command works without the daemon and without a card: with the authorities of the configuration, or those that are
named.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from cardd.cli.command import Command, Context
from cardd.cli.parser import PATH, Exit, Parser, named_files
from cardd.cli.wording import holder_in_words
from cardd.documents.report import report
from cardd.documents.requests import ToVerify
from cardd.documents.verdicts import Judged, Reason, Verdict, Verification, worst
from cardd.documents.verification import Anchors, Verifier
from cardd.errors import ConfigInvalid, DocumentError, InvalidRequest
from cardd.files import open_file, read_file
from cardd.formats.pdf.process import PdfProcess
from cardd.formats.verified import Revocation
from cardd.i18n import N_, Domain

_ = Domain("cli")

if TYPE_CHECKING:
    from cardd.config import Config

BESIDE = (".sig", ".p7s")  # as ``cardctl sign`` names what stands beside its document
VALUE_MAX = 1024  # bytes of a bare value; a signature that holds a certificate is longer
EXITS = {Verdict.VALID: Exit.OK, Verdict.INVALID: Exit.FAILED, Verdict.UNDETERMINED: Exit.UNDETERMINED}
SCOPES = {"whole": N_("all of the file"), "part": N_("a part of the file"), "detached": N_("the document beside it")}
STATUSES = {"good": N_("not revoked"), "revoked": N_("REVOKED"), "unknown": N_("not known")}
BY_STAMP, BY_CLOCK = N_("the timestamp's time"), N_("now")
SIMULATION = Path("simulation")
COLOURS = {Verdict.VALID: "green", Verdict.UNDETERMINED: "yellow", Verdict.INVALID: "red"}


def _arguments(parser: Parser) -> None:
    """Declare the file, what belongs to it, and whom to trust."""
    parser.add_argument("file", metavar=N_("FILE"), type=Path, help=N_("the signed file"))
    parser.add_argument("--content", metavar=PATH, type=Path, help=N_("the document that FILE is the signature of"))
    parser.add_argument(
        "--signature",
        metavar=PATH,
        type=Path,
        help=N_("the signature of FILE: detached, or a raw value; FILE.sig or FILE.p7s where it is there"),
    )
    parser.add_argument(
        "--certificate",
        metavar=PATH,
        type=Path,
        help=N_("the certificate of a raw signature, PEM or DER; beside the signature, as .pem, by default"),
    )
    parser.add_argument(
        "--document",
        metavar="OID=PATH",
        action="append",
        default=[],
        help=N_("a document of the DMP submission set that FILE is the signature of; once for each"),
    )
    parser.add_argument(
        "--authorities",
        metavar=PATH,
        type=Path,
        help=N_(
            "a PEM file of the authorities to trust, or simulation, for those of simulated cards; those of the "
            "configuration by default"
        ),
    )
    parser.add_argument(
        "--offline",
        action="store_true",
        help=N_("ask nobody whether a certificate was revoked; what was answered before still counts in its time"),
    )
    parser.add_argument("--config", metavar=PATH, type=Path, help=N_("a configuration file, in place of /etc/cardd"))
    parser.gives = {"document": "file", "documents": "document"}


async def _verify(context: Context) -> int:
    """Verify, and say who signed."""
    with ExitStack() as files:
        given, around = _given(context, files)
        found = await _verified(context, given)
        if around is not None:
            found = _together(found, await _inside(context, around))
    told = report(found, context.language)
    context.answer(told, _lines(context, found))
    return EXITS[found.verdict]


async def _inside(context: Context, document: BinaryIO) -> Verification | None:
    """Return what is found of the signatures that a document holds itself, if it is one that holds any."""
    try:
        return await _verified(context, ToVerify(document))
    except DocumentError:
        return None


def _together(beside: Verification, inside: Verification | None) -> Verification:
    """Return both, by the worse verdict: who may write beside a file must not hide a broken signature that is in it."""
    if inside is None or not inside.signatures:
        return beside
    verdict = worst([beside.verdict, inside.verdict])
    return Verification(verdict, (*beside.reasons, *inside.reasons), (*beside.signatures, *inside.signatures))


def _given(context: Context, files: ExitStack) -> tuple[ToVerify, BinaryIO | None]:
    """Return the file by itself or, where a signature stands beside it, that one and its document.

    The document once more where nobody named its signature: it may hold others. Raises OSError.
    """
    asked = context.arguments
    file, of_file = asked.file, asked.signature
    is_named = of_file or asked.content or asked.document
    if not is_named and (signed := _signed_beside(file)):
        file, of_file = signed, file
    document = files.enter_context(open_file(file))
    content = files.enter_context(open_file(asked.content)) if asked.content else None
    if documents := named_files(context.language, asked.document):
        of_set = {name: files.enter_context(open_file(path)) for name, path in documents.items()}
        return ToVerify(document, content, _bytes(asked.signature), _bytes(asked.certificate), of_set), None
    signature: Path | None = of_file or (None if content else _beside(file))
    if signature is None:
        return ToVerify(document, content, certificate=_bytes(asked.certificate)), None
    around = None if is_named else document
    certificate = asked.certificate or _certificate_of(signature)
    if certificate is not None:
        return ToVerify(document, content, read_file(signature), _bytes(certificate)), around
    if content is not None:
        raise InvalidRequest(where="--content", why=_("the signature is of FILE already", context.language))
    return ToVerify(files.enter_context(open_file(signature)), document), around


def _beside(file: Path) -> Path | None:
    paths = (file.with_name(file.name + suffix) for suffix in BESIDE)
    return next((path for path in paths if path.exists()), None)


def _signed_beside(signature: Path) -> Path | None:
    """Return the document beside its signature, where the signature was named for the file."""
    document = signature.with_suffix("")
    return document if signature.suffix in BESIDE and document.is_file() else None


def _certificate_of(signature: Path) -> Path | None:
    """Return the certificate beside a bare value; any other signature holds its own, whatever stands beside it."""
    beside = signature.with_suffix(".pem")
    return beside if beside.exists() and signature.stat().st_size <= VALUE_MAX else None


def _bytes(path: Path | None) -> bytes | None:
    return read_file(path) if path else None


async def _verified(context: Context, given: ToVerify) -> Verification:
    from cardd.system.host import SystemClock  # noqa: PLC0415
    from cardd.system.outgoing import RevocationCache, RevocationHttp, outward_of  # noqa: PLC0415
    from cardd.system.secrets import OsSecrets  # noqa: PLC0415

    asked, config = context.arguments, _config(context)
    http = RevocationHttp(outward=outward_of(config.network, OsSecrets()))
    pdf = PdfProcess(confinement=config.sandbox.confinement)
    anchors = _anchors(asked.authorities, config)
    is_online = config.trust.revocation == "online" and not asked.offline
    verifier = Verifier(anchors, http if is_online else None, RevocationCache(_cache()), pdf, SystemClock())
    try:
        return await verifier.verify(given)
    finally:
        await http.close()
        await asyncio.to_thread(pdf.close)


def _anchors(wanted: Path | None, config: Config) -> Anchors:
    """Return whom to trust. Raises SimulatorsMissing."""
    if wanted == SIMULATION:
        from cardd.cli.simulators import authorities  # noqa: PLC0415 - only where it is asked for

        return Anchors(simulated=authorities())
    return Anchors(wanted or config.trust.authorities, config.timestamp.authorities)


def _config(context: Context) -> Config:
    """Return the service's settings; the defaults where this user may not read them, as ``doctor`` tells."""
    from cardd.config import Config  # noqa: PLC0415
    from cardd.config.loading import load  # noqa: PLC0415

    try:
        return load(context.arguments.config)
    except ConfigInvalid:
        if context.arguments.config:
            raise
        return Config()


def _cache() -> Path:
    given = os.environ.get("XDG_CACHE_HOME")
    return (Path(given) if given else Path.home() / ".cache") / "cardd" / "revocation"


# --- for people


def _lines(context: Context, found: Verification) -> Iterator[str]:
    """Tell the verdict, then each signature, then why."""
    yield _sentence(context, found.verdict)
    yield from _why(context, found.reasons)
    for number, one in enumerate(found.signatures, 1):
        if len(found.signatures) > 1:
            yield ""
            yield f"{number}. {_sentence(context, one.verdict)}"
        facts = [(_(name, context.language), told) for name, told in _facts(context, one) if told]
        yield from context.terminal.pairs(facts)
        yield from _why(context, one.reasons)


def _sentence(context: Context, verdict: Verdict) -> str:
    return context.terminal.styled(verdict.sentence(context.language), COLOURS[verdict])


def _why(context: Context, reasons: tuple[Reason, ...]) -> Iterator[str]:
    for reason in reasons:
        yield f"→ {reason.sentence(context.language)}"


def _facts(context: Context, one: Judged) -> Iterator[tuple[str, str | None]]:
    signer, found, stamp = one.signer, one.found, one.timestamp
    judged_by = BY_STAMP if one.stamped else BY_CLOCK
    yield N_("Holder"), holder_in_words(context, signer.holder) if signer.holder else signer.subject
    yield N_("Subject"), signer.subject if signer.holder else None
    yield N_("Issuer"), signer.issuer
    yield N_("Authority"), one.chain.authority
    yield N_("Serial number"), signer.serial
    yield N_("Valid"), f"{signer.not_before:%Y-%m-%d} – {signer.not_after:%Y-%m-%d}"
    yield N_("Format"), f"{found.format}, {found.algorithm}, {_(SCOPES[found.scope], context.language)}"
    yield N_("SHA-256"), found.digest.hex()
    if found.submission_set:
        yield N_("Set"), f"{found.submission_set.unique_id}: {', '.join(found.submission_set.documents)}"
        yield N_("CHANGED"), ", ".join(found.submission_set.changed)
    yield N_("Signed, it claims"), _time(found.signed_at) if found.signed_at else None
    yield N_("Timestamp"), f"{_time(stamp.time)}, {stamp.authority}" if stamp else None
    yield N_("Judged for"), f"{_time(one.at)}, {_(judged_by, context.language)}"
    yield N_("Revocation"), _revocation(context, one.revocation) if one.revocation else None


def _revocation(context: Context, revocation: Revocation) -> str:
    told = _(STATUSES[revocation.status], context.language)
    source = f"{(revocation.source or '').upper()} {_time(revocation.as_of)}" if revocation.as_of else ""
    return f"{told} ({source})" if source else told


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


COMMANDS = {"verify": Command(_verify, _arguments)}
