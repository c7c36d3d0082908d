"""``cardctl sign``: signatures of files in any format, with the session of ``cardctl login``."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from cardd.cli.context import Context
from cardd.cli.exits import Exit
from cardd.cli.forms import SET, SUFFIXES, form_arguments, form_of, is_apart, output_of
from cardd.cli.handing import HandOver, handing_over
from cardd.cli.parser import Parser
from cardd.cli.sets import named_files, set_to_sign
from cardd.cli.waiting import waiting
from cardd.client import Form, Session, Signature, ToSign
from cardd.errors import InvalidRequest

CHUNK = 1024 * 1024
DOCUMENT_MAX = 8 * CHUNK


def arguments(parser: Parser) -> None:
    """Files, where signatures go, and in which format."""
    parser.add_argument("files", metavar=parser.words("file"), nargs="+", help=parser.words("sign.files"))
    parser.add_argument("--output", "-o", metavar="PATH", type=Path, help=parser.words("sign.output"))
    parser.add_argument("--certificate", action="store_true", help=parser.words("sign.certificate"))
    parser.add_argument("--patient", metavar=parser.words("name"), help=parser.words("sign.patient"))
    form_arguments(parser)


async def run(context: Context) -> int:
    """Sign all under one consent, then write."""
    form = form_of(context.arguments)
    named = named_files(context, context.arguments.files) if form["format"] == SET else {}
    files = [*named.values()] or [Path(file) for file in context.arguments.files]
    outputs = _outputs(context, files, form)
    async with context.client(context.kept.secret) as cardd:
        session = cardd.session(*context.kept.open_session())
        async with handing_over(session) as hand_over:
            if named:
                items = [await set_to_sign(context, hand_over, named, form)]
            else:
                items = [await _to_sign(hand_over, file, form, context.arguments.patient) for file in files]
            async with waiting(context, context.words("sign.waiting"), cardd):
                signatures = await session.sign_many(items)
        for output, signature in zip(outputs, signatures, strict=True):
            await _write(session, output, signature)
    subjects = [context.arguments.set] if named else [str(file) for file in files]
    done = [
        {"file": file, "signature": str(output), **_certificate(context, output, signature)}
        for file, output, signature in zip(subjects, outputs, signatures, strict=True)
    ]
    lines = [context.words("sign.done", file=one["file"], signature=one["signature"]) for one in done]
    context.answer({"signed": done}, lines)
    return Exit.OK


def _outputs(context: Context, files: list[Path], form: Form) -> list[Path]:
    """Where the signatures go, known to be writable before anything is signed. Raises OSError."""
    given: Path | None = context.arguments.output
    outputs = [output_of(file, form) for file in files]
    if form["format"] == SET:
        outputs = [files[0].with_name(context.arguments.set + SUFFIXES[SET])]
    if given and len(outputs) > 1:
        raise InvalidRequest(where="--output", why=context.words("sign.one_output"))
    outputs = [given] if given else outputs
    for output in outputs:
        if not os.access(output if output.exists() else output.absolute().parent, os.W_OK):
            raise PermissionError(13, os.strerror(13), str(output))
    return outputs


async def _to_sign(hand_over: HandOver, file: Path, form: Form, patient: str | None) -> ToSign:
    """By the digest where that is enough; handed over otherwise, so that no request holds the document."""
    if form["format"] == "raw" or is_apart(form):
        return _unsent(file, form, patient)
    return ToSign(file.name, document_id=await hand_over(file), patient=patient, form=form)


def _unsent(file: Path, form: Form, patient: str | None) -> ToSign:
    if form["format"] == "raw" and file.stat().st_size <= DOCUMENT_MAX:  # some cards hash the end of it themselves
        return ToSign(file.name, document=file.read_bytes(), patient=patient, form=form)
    return ToSign(file.name, digest=_digest(file), patient=patient, form=form)


def _digest(file: Path) -> bytes:
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while part := content.read(CHUNK):
            digest.update(part)
    return digest.digest()


async def _write(session: Session, output: Path, signature: Signature) -> None:
    with _replacing(output) as whole:
        if signature.document_id is not None:
            await session.fetch(signature.document_id, whole)
            await session.drop(signature.document_id)
        else:
            whole.write(signature.document or signature.signature)


@contextmanager
def _replacing(output: Path) -> Iterator[BinaryIO]:
    """The whole file or nothing: it takes its name when it is complete."""
    handle, name = tempfile.mkstemp(dir=output.absolute().parent)
    try:
        with os.fdopen(handle, "wb") as whole:
            yield whole
        Path(name).chmod(0o666 & ~_umask())
        Path(name).replace(output)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _certificate(context: Context, output: Path, signature: Signature) -> dict[str, str]:
    if not context.arguments.certificate:
        return {}
    import ssl  # noqa: PLC0415 - knows how to write PEM, and little else is needed of it

    beside = output.with_suffix(".pem")
    chain = (signature.certificate, *signature.chain)
    beside.write_text("".join(ssl.DER_cert_to_PEM_cert(certificate) for certificate in chain))
    return {"certificate": str(beside)}
