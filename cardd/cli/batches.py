"""What of ``cardctl sign`` meets the daemon: files handed over, signed in batches, and their signatures written."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from cardd.cli.command import Context
from cardd.cli.failures import why_of
from cardd.cli.waiting import waiting
from cardd.client import CarddClient, Session, Signature, ToSign
from cardd.errors import CarddError, InvalidRequest
from cardd.files import open_file
from cardd.i18n import Domain
from cardd.values import Value

_ = Domain("cli")

FIELD = re.compile(r"\$\.signatures\[(\d+)\]\.?(.*)")  # of a request
HELD_AT_ONCE = 32  # half of what a session may hold: each signed document is held beside its own
LISTED_MAX = 1000  # signatures in one request

Done = dict[str, str]
HandOver = Callable[[Path], Awaitable[str]]
"""Hands a document over before it is signed, and gives the identifier that the session holds it under."""


class Job(Value):
    """One signature: of what, where it goes, and what prepares it."""

    subject: str
    output: Path
    prepare: Callable[[HandOver], Awaitable[ToSign]]


async def in_batches(context: Context, cardd: CarddClient, jobs: list[Job], size: int, done: list[Done]) -> None:
    """Sign all, so many under one consent, or as many as the service says; ``done`` grows with each batch."""
    session = cardd.session(*context.remembered.open_session())
    _tell_batches(context, len(jobs), size)
    while len(done) < len(jobs):
        batch = jobs[len(done) : len(done) + size]
        try:
            await _sign(context, cardd, session, batch, done)
        except InvalidRequest as error:
            limit = error.params.get("limit")
            if not isinstance(limit, int) or not 0 < limit < len(batch):
                raise _about_file(error, batch, context) from error
            size = limit
            _tell_batches(context, len(jobs) - len(done), size)


def _tell_batches(context: Context, count: int, size: int) -> None:
    if count > size:
        sentence = _(
            "One consent covers {size} of the {count} files at most: you are asked {times} times.",
            context.language,
            size=size,
            count=count,
            times=-(-count // size),
        )
        context.terminal.tell([sentence])


async def _sign(context: Context, cardd: CarddClient, session: Session, batch: list[Job], done: list[Done]) -> None:
    """Sign a batch under one consent, and write its signatures."""
    async with _handing_over(session) as hand_over:
        items = [await job.prepare(hand_over) for job in batch]
        async with waiting(context, _("Agree to the signature in the window that opens.", context.language), cardd):
            signatures = await session.sign_many(items)
    for job, signature in zip(batch, signatures, strict=True):
        await _write(session, job.output, signature)
        more = _certificate(context, job.output, signature)
        done.append({"file": job.subject, "signature": str(job.output), **more})


def _about_file(error: InvalidRequest, batch: list[Job], context: Context) -> InvalidRequest:
    """Return what is told of a field as a person gave it: by an option, or as a file."""
    where = str(error.params.get("where"))
    name = context.arguments.parser.option_for(where)
    if name is None and (found := FIELD.fullmatch(where)):  # else it is about all of the files
        name = subject = batch[int(found[1])].subject
        if found[2] == "document_name":
            name = _("the name of {file}", context.language, file=subject)
    return InvalidRequest(where=name, why=why_of(error, context.language)) if name else error


@asynccontextmanager
async def _handing_over(session: Session) -> AsyncIterator[HandOver]:
    """Hand documents over inside the ``async with``; where that fails, the session forgets them."""
    held: list[str] = []

    async def hand_over(file: Path) -> str:
        with open_file(file) as content:
            held.append((await session.hand_over(content)).id)
        return held[-1]

    try:
        yield hand_over
    except (CarddError, OSError):
        for identifier in held:
            with suppress(CarddError):  # the session may have ended, and they with it
                await session.drop(identifier)
        raise


async def _write(session: Session, output: Path, signature: Signature) -> None:
    with _replacing(output) as whole:
        if signature.document_id is not None:
            await session.fetch(signature.document_id, whole)
            await session.drop(signature.document_id)
        else:
            whole.write(signature.document or signature.signature)


@contextmanager
def _replacing(output: Path) -> Iterator[BinaryIO]:
    """Write the whole file or nothing: the file takes its name when it is complete."""
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
