"""``cardctl sign``: raw RS256 signatures of files, with the session of ``cardctl login``."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from cardd.cli.context import Context
from cardd.cli.exits import Exit
from cardd.cli.parser import Parser
from cardd.cli.waiting import waiting
from cardd.client import Signature, ToSign

DOCUMENT_MAX = 8 * 1024 * 1024  # larger files are hashed here: the API limits a request's size
CHUNK = 1024 * 1024


def arguments(parser: Parser) -> None:
    """Files, and where signatures go."""
    parser.add_argument("files", metavar=parser.words("file"), nargs="+", type=Path, help=parser.words("sign.files"))
    parser.add_argument("--output", "-o", metavar="PATH", type=Path, help=parser.words("sign.output"))
    parser.add_argument("--certificate", action="store_true", help=parser.words("sign.certificate"))
    parser.add_argument("--patient", metavar=parser.words("name"), help=parser.words("sign.patient"))


async def run(context: Context) -> int:
    """Sign all under one consent, then write."""
    files: list[Path] = context.arguments.files
    outputs = _outputs(context)
    session = context.kept.open_session()
    items = [_to_sign(file, context.arguments.patient) for file in files]
    async with (
        context.client(context.kept.secret) as cardd,
        waiting(context, context.words("sign.waiting"), cardd),
    ):
        signatures = await cardd.session(*session).sign_many(items)
    done = [
        {"file": str(file), **_write(context, output, signature)}
        for file, output, signature in zip(files, outputs, signatures, strict=True)
    ]
    lines = [
        context.words("sign.done", file=str(file), output=str(output))
        for file, output in zip(files, outputs, strict=True)
    ]
    context.answer({"signed": done}, lines)
    return Exit.OK


def _outputs(context: Context) -> list[Path]:
    """Where the signatures go, known to be writable before anything is signed. Raises OSError."""
    files: list[Path] = context.arguments.files
    given: Path | None = context.arguments.output
    if given and len(files) > 1:
        from cardd.errors import InvalidRequest  # noqa: PLC0415 - only for this mistake

        raise InvalidRequest(where="--output", why=context.words("sign.one_output"))
    outputs = [given] if given else [_beside(file, ".sig") for file in files]
    for output in outputs:
        if not os.access(output if output.exists() else output.absolute().parent, os.W_OK):
            raise PermissionError(13, os.strerror(13), str(output))
    return outputs


def _to_sign(file: Path, patient: str | None) -> ToSign:
    if file.stat().st_size <= DOCUMENT_MAX:
        return ToSign(file.name, document=file.read_bytes(), patient=patient)
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while part := content.read(CHUNK):
            digest.update(part)
    return ToSign(file.name, digest=digest.digest(), patient=patient)


def _write(context: Context, output: Path, signature: Signature) -> dict[str, str]:
    output.write_bytes(signature.signature)
    if not context.arguments.certificate:
        return {"signature": str(output)}
    import ssl  # noqa: PLC0415 - knows how to write PEM, and little else is needed of it

    beside = output.with_suffix(".pem")
    chain = (signature.certificate, *signature.chain)
    beside.write_text("".join(ssl.DER_cert_to_PEM_cert(certificate) for certificate in chain))
    return {"signature": str(output), "certificate": str(beside)}


def _beside(file: Path, suffix: str) -> Path:
    return file.with_name(file.name + suffix)
