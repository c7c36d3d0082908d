"""``cardctl sign``: signatures of files in any format, with the session of ``cardctl login``."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
from functools import partial
from pathlib import Path

from cardd.cli.batches import HELD_AT_ONCE, LISTED_MAX, Done, HandOver, Job, in_batches
from cardd.cli.command import Command, Context
from cardd.cli.parser import PATH, TEXT, Exit, Parser, as_text, named_files
from cardd.client import Form, ToSign
from cardd.errors import CarddError, InvalidRequest
from cardd.files import open_file, read_file
from cardd.i18n import N_, Domain

_ = Domain("cli")

CHUNK = 1024 * 1024
DOCUMENT_MAX = 8 * CHUNK
XML = ".xml"
SET = "submission_set"
FORMATS = ("raw", "jws", "cades", "xades", "pades", SET)
ALGORITHMS = ("RS256", "PS256", "ES256")
PACKAGINGS = ("enveloped", "enveloping", "detached")
SUFFIXES = {
    "raw": ".sig",
    "jws": ".jws",
    "cades": ".p7m",
    "xades": ".xades.xml",
    "pades": ".signed.pdf",
    SET: ".xades.xml",
}
OF_FORMAT = {
    "detached": ("jws", "cades", "xades"),
    "timestamp": ("jws", "cades", "xades", "pades"),
    "json_form": ("jws",),
    "packaging": ("xades",),
    **dict.fromkeys(("set", "signer_alone"), (SET,)),
    **dict.fromkeys(("visible", "page", "picture", "reason", "location"), ("pades",)),
}

GIVES = {
    "jws.serialization": "json_form",
    "xades.packaging": "packaging",
    "submission_set.unique_id": "set",
    "submission_set.certificates": "signer_alone",
    "pades.visible": "visible",
    "pades.visible.page": "page",
    "pades.visible.picture": "picture",
    "pades.reason": "reason",
    "pades.location": "location",
}


def _arguments(parser: Parser) -> None:
    """Declare the files, where signatures go, and in which format."""
    parser.add_argument(
        "files",
        metavar=N_("FILE"),
        nargs="+",
        help=N_("what to sign; several have one consent, up to the number that the service allows"),
    )
    parser.add_argument(
        "--output", "-o", metavar=PATH, type=Path, help=N_("where the signature goes; by default beside FILE")
    )
    parser.add_argument(
        "--certificate", action="store_true", help=N_("also write the certificate beside the signature, as .pem")
    )
    parser.add_argument(
        "--patient", metavar=N_("NAME"), help=N_("the patient whom it concerns, shown when you are asked to agree")
    )
    _form_arguments(parser)
    parser.gives = GIVES


async def _sign(context: Context) -> int:
    """Sign the files, as many under one consent as the service allows, and write the signatures."""
    form = _form_of(context.arguments)
    named = named_files(context.language, context.arguments.files) if form["format"] == SET else {}
    files = [*named.values()] or [Path(file) for file in context.arguments.files]
    outputs = _outputs(context, files, form)
    if named:
        jobs = [Job(context.arguments.set, outputs[0], partial(_set_to_sign, context, named, form))]
    else:
        patient = context.arguments.patient
        jobs = [
            Job(str(file), output, partial(_to_sign, file, form, patient))
            for file, output in zip(files, outputs, strict=True)
        ]
    done: list[Done] = []
    try:
        async with context.client(context.remembered.secret) as cardd:
            await in_batches(context, cardd, jobs, LISTED_MAX if _is_unsent(form) else HELD_AT_ONCE, done)
    except (CarddError, OSError, asyncio.CancelledError):
        _tell_done(context, done, len(jobs))
        raise
    context.answer({"signed": done}, _lines(context, done))
    return Exit.OK


def _lines(context: Context, done: list[Done]) -> list[str]:
    return [
        _("{file}: signed, {signature}", context.language, file=one["file"], signature=one["signature"]) for one in done
    ]


def _tell_done(context: Context, done: list[Done], total: int) -> None:
    """Say what was signed before the command failed."""
    if done:
        context.partial["signed"] = done
        if not context.wants_json:
            context.terminal.say(_lines(context, done))
        told = _("{number} of {total} files are signed.", context.language, number=len(done), total=total)
        context.terminal.tell([told])


def _outputs(context: Context, files: list[Path], form: Form) -> list[Path]:
    """Return where the signatures go, known to be writable before anything is signed. Raises OSError."""
    given: Path | None = context.arguments.output
    outputs = [_output_of(file, form) for file in files]
    if form["format"] == SET:
        outputs = [files[0].with_name(context.arguments.set + SUFFIXES[SET])]
    if given and len(outputs) > 1:
        raise InvalidRequest(where="--output", why=_("several files have several signatures", context.language))
    outputs = [given] if given else outputs
    for output in outputs:
        if not os.access(output if output.exists() else output.absolute().parent, os.W_OK):
            raise PermissionError(13, os.strerror(13), str(output))
    return outputs


# --- formats


def _form_arguments(parser: Parser) -> None:
    """Declare the format, and what belongs to it."""
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="raw",
        help=N_("what to make: the bare value (raw, the default), JWS, CAdES, XAdES, PAdES, or a DMP set's"),
    )
    parser.add_argument("--algorithm", choices=ALGORITHMS, help=N_("how the key signs; its best by default"))
    parser.add_argument("--detached", action="store_true", help=N_("leave the document out of the signature"))
    parser.add_argument(
        "--timestamp", action="store_true", help=N_("with a timestamp of the configured authority (RFC 3161)")
    )
    jws = parser.add_argument_group("JWS")
    jws.add_argument("--json-form", action="store_true", help=N_("the JSON form; compact by default"))
    xades = parser.add_argument_group("XAdES")
    xades.add_argument(
        "--packaging",
        choices=PACKAGINGS,
        help=N_("the signature in the XML (enveloped, by default), around the document, or apart"),
    )
    of_set = parser.add_argument_group("submission_set")
    of_set.add_argument(
        "--set",
        metavar="OID",
        type=_oid,
        help=N_("the set's uniqueId; each FILE is then OID=PATH, by the document's own"),
    )
    of_set.add_argument(
        "--signer-alone", action="store_true", help=N_("name the signer's certificate without its authorities")
    )
    pades = parser.add_argument_group("PAdES")
    pades.add_argument(
        "--visible", metavar="L,B,R,T", type=_rectangle, help=N_("show it: left, bottom, right and top, in points")
    )
    pades.add_argument(
        "--page", metavar="N", type=int, help=N_("on this page; from the end when negative, the last by default")
    )
    pades.add_argument("--picture", metavar=PATH, type=Path, help=N_("with this PNG or JPEG"))
    pades.add_argument("--reason", metavar=TEXT, help=N_("why it is signed"))
    pades.add_argument("--location", metavar=TEXT, help=N_("where it is signed"))


def _form_of(told: argparse.Namespace) -> Form:
    """Return the choices as the API has them. Raises InvalidRequest for what belongs to another format, OSError."""
    for name, formats in OF_FORMAT.items():
        if getattr(told, name) and told.format not in formats:
            raise InvalidRequest(where=f"--{name.replace('_', '-')}", why="not_of_format")
    if told.format == SET and not told.set:
        raise InvalidRequest(where="--set", why="missing")
    form: dict[str, object] = {"format": told.format, "timestamp": told.timestamp}
    if told.algorithm:
        form["algorithm"] = told.algorithm
    match told.format:
        case "jws":
            form |= {"detached": told.detached, "jws": {"serialization": "json" if told.json_form else "compact"}}
        case "cades":
            form |= {"detached": told.detached}
        case "xades":
            form |= {"xades": {"packaging": "detached" if told.detached else told.packaging or "enveloped"}}
        case "pades":
            form |= {"pades": _pades(told)}
    return form  # type: ignore[return-value]  # JSON, as built above


def _is_unsent(form: Form) -> bool:
    """Return whether no document need be handed over: its digest is enough, or it stands in the request."""
    packaging = form.get("xades")
    return (
        form["format"] == "raw"
        or (form["format"] == "cades" and form.get("detached") is True)
        or (isinstance(packaging, dict) and packaging["packaging"] == "detached")
    )


def _output_of(file: Path, form: Form) -> Path:
    """Return the path beside ``file`` that the signed document goes to."""
    kind = str(form["format"])
    if kind == "pades":
        return file.with_suffix(SUFFIXES[kind])
    return file.with_name(file.name + (".p7s" if kind == "cades" and form.get("detached") else SUFFIXES[kind]))


def _pades(told: argparse.Namespace) -> dict[str, object]:
    pades: dict[str, object] = {name: value for name in ("reason", "location") if (value := getattr(told, name))}
    if told.visible:
        picture = {"picture": read_file(told.picture)} if told.picture else {}
        pades["visible"] = {"rectangle": told.visible, "page": told.page or -1, **picture}
    elif told.picture or told.page:
        raise InvalidRequest(where="--visible", why="missing")
    return pades


def _oid(text: str) -> str:
    if not text.replace(".", "").isdigit():
        raise ValueError(text)
    return text


def _rectangle(text: str) -> tuple[float, ...]:
    edges = tuple(float(edge) for edge in text.split(","))
    if len(edges) != 4:
        raise ValueError(text)
    return edges


# --- what is sent


async def _set_to_sign(context: Context, documents: dict[str, Path], form: Form, hand_over: HandOver) -> ToSign:
    """Hand every document of a DMP submission set over; XML is signed in its canonical form, as the DMP wants a CDA."""
    listed = []
    for name, path in documents.items():
        held = await hand_over(path)
        listed.append({"unique_id": name, "document_id": held, "is_xml": path.suffix.lower() == XML})
    asked = context.arguments
    told = {"unique_id": asked.set, "documents": listed, "certificates": "signer" if asked.signer_alone else "chain"}
    name = _.plural(
        "Submission set {id} ({number} document)",
        "Submission set {id} ({number} documents)",
        len(listed),
        context.language,
        id=asked.set,
    )
    return ToSign(name, patient=asked.patient, form={**form, "submission_set": told})


async def _to_sign(file: Path, form: Form, patient: str | None, hand_over: HandOver) -> ToSign:
    """Name the document by its digest where that is enough, else hand it over: no request holds a document."""
    if _is_unsent(form):
        return _unsent(file, form, patient)
    return ToSign(as_text(file.name), document_id=await hand_over(file), patient=patient, form=form)


def _unsent(file: Path, form: Form, patient: str | None) -> ToSign:
    if form["format"] == "raw" and file.stat().st_size <= DOCUMENT_MAX:  # some cards hash the end of it themselves
        return ToSign(as_text(file.name), document=read_file(file), patient=patient, form=form)
    return ToSign(as_text(file.name), digest=_digest(file), patient=patient, form=form)


def _digest(file: Path) -> bytes:
    digest = hashlib.sha256()
    with open_file(file) as content:
        while part := content.read(CHUNK):
            digest.update(part)
    return digest.digest()


COMMANDS = {"sign": Command(_sign, _arguments)}
