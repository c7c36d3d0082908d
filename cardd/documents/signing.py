"""Documents signed with a session's key: every one is prepared before anybody is asked, and all leave, or none.

The order: what is wrong with a document, the certificate or the configuration is told first; then consent, PIN, card
and audit row (``cardd.core.signing``); then the timestamp; then the signed documents. Whatever fails on the way, no
half signed document exists: each is made whole at the end.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Protocol

from cardd.core.attempts import Attempt, SignedMeanwhile
from cardd.core.consents import Batch, SignatureRequest
from cardd.core.session import Session
from cardd.core.signing import Signed, Signing
from cardd.documents.requests import FormatOptions, SignedDocument, ToSign
from cardd.errors import DocumentEmpty, DocumentTimestampForm, TimestampUnconfigured
from cardd.formats.certificate import require_signing
from cardd.formats.document import sha256_of, with_space
from cardd.formats.options import RawOptions, SubmissionSetOptions
from cardd.formats.pdf.process import PdfProcess
from cardd.formats.prepared import Prepared, Signer
from cardd.model import Identity
from cardd.ports import Clock
from cardd.values import Record, Value

NOTHING = hashlib.sha256().digest()  # of a document without content


class Stamper(Protocol):
    """Where timestamps come from."""

    async def stamp(self, covered: bytes) -> bytes:
        """The TimeStampToken (DER) for these bytes, checked. Raises TimestampError's classes."""
        ...


class Exchange(Protocol):
    """The way to the authority."""

    async def exchange(self, request: bytes) -> bytes:
        """The authority's answer to a timestamp request, both DER. Raises TimestampUnavailable."""
        ...


class TimestampAuthority(Record):
    """The configured timestamp authority, made when the first timestamp is wanted.

    ``authorities`` is a PEM file of those that its certificate may end at; None is a fault of the configuration.
    """

    http: Exchange
    authorities: Path | None
    clock: Clock
    _stamper: Stamper | None = None

    async def stamper(self) -> Stamper:
        """Return what asks for timestamps and checks them. Raises TimestampUnconfigured, ConfigInvalid."""
        if self.authorities is None:
            raise TimestampUnconfigured
        if self._stamper is None:
            # 200 ms, when the first timestamp is wanted
            from cardd.formats.timestamp import CheckedStamper  # noqa: PLC0415
            from cardd.formats.trust import TrustedAuthorities, authorities_of  # noqa: PLC0415

            trusted = TrustedAuthorities(authorities_of(self.authorities))
            self._stamper = CheckedStamper(self.http.exchange, trusted, self.clock.now)
        return self._stamper


class _Ready(Value):
    """A document that only lacks its signature; ``digest`` is the document's."""

    request: ToSign
    prepared: Prepared
    digest: bytes


class DocumentSigning:
    """Signs documents; ``stamper`` makes the way to the timestamp authority at its first use, None without one."""

    def __init__(
        self,
        signing: Signing,
        clock: Clock,
        pdf: PdfProcess,
        stamper: Callable[[], Awaitable[Stamper]] | None = None,
    ) -> None:
        self._signing = signing
        self._clock = clock
        self._pdf = pdf
        self._stamper = stamper

    async def sign(
        self, session: Session, requests: Sequence[ToSign], batch: Batch | None, attempt: Attempt
    ) -> list[SignedDocument]:
        """Sign all the requests under one consent, or none of them; files given in them are not closed.

        What the ``attempt`` has signed before is not signed again. Raises the formats' errors (DocumentError),
        TimestampError's classes, and what ``Signing.sign`` raises.
        """
        self._signing.check_size(len(requests), batch)  # before the work on as many documents
        stamper = await self._stamper_for(requests)
        try:
            return await self._signed(session, requests, batch, attempt, stamper)
        except SignedMeanwhile:
            return await self._signed(session, requests, batch, attempt, stamper)

    async def _signed(
        self,
        session: Session,
        requests: Sequence[ToSign],
        batch: Batch | None,
        attempt: Attempt,
        stamper: Stamper | None,
    ) -> list[SignedDocument]:
        done: list[SignedDocument] = []
        with ExitStack() as undo:
            ready = [await self._prepared(session, request, attempt.at, undo) for request in requests]
            values = await self._signing.sign(session, [_asked(one) for one in ready], batch, attempt)
            for one, value in zip(ready, values, strict=True):
                done.append(await _finished(one, value, stamper))
                undo.callback(done[-1].content.close)
            undo.pop_all()
        return done

    async def _stamper_for(self, requests: Sequence[ToSign]) -> Stamper | None:
        wanting = [request for request in requests if request.timestamp]
        for options in (request.options for request in wanting):
            if isinstance(options, RawOptions | SubmissionSetOptions):
                raise DocumentTimestampForm(format=options.format)
        if not wanting:
            return None
        if self._stamper is None:
            raise TimestampUnconfigured
        return await self._stamper()

    async def _prepared(self, session: Session, request: ToSign, at: datetime, undo: ExitStack) -> _Ready:
        credential, algorithm = self._signing.signer(session, request.algorithm)
        signer = Signer(credential.certificate, credential.chain, algorithm)
        options = request.options
        if request.digest == NOTHING:
            raise DocumentEmpty
        if isinstance(options, RawOptions):
            from cardd.formats.raw import prepare_raw  # noqa: PLC0415 - with the first signature

            require_signing(signer, at)
            prepared = prepare_raw(request.document, request.digest)
            return _Ready(request, prepared, prepared.message.digest)
        return await asyncio.to_thread(self._with_libraries, request, options, (signer, session.identity, at), undo)

    def _with_libraries(
        self, request: ToSign, options: FormatOptions, who: tuple[Signer, Identity, datetime], undo: ExitStack
    ) -> _Ready:
        from cardd.documents.formats import Signatory, prepare  # noqa: PLC0415 - when the first document is signed

        with with_space():
            prepared = prepare(request, options, Signatory(*who), self._pdf, undo)
            digest = request.digest or (sha256_of(request.document) if request.document else prepared.message.digest)
        return _Ready(request, prepared, digest)


def _asked(ready: _Ready) -> SignatureRequest:
    request = ready.request
    return SignatureRequest(
        request.algorithm,
        ready.prepared.message,
        request.name,
        request.patient,
        format=request.options.format,
        digest=ready.digest,
        is_seen=request.digest is None,
    )


async def _finished(ready: _Ready, signed: Signed, stamper: Stamper | None) -> SignedDocument:
    request, prepared, value = ready.request, ready.prepared, signed.signature
    if isinstance(request.options, RawOptions):
        return SignedDocument(request.options, signed, prepared.finish(value))
    token = await stamper.stamp(prepared.stamped(value)) if stamper and request.timestamp else None
    with with_space():
        content = await asyncio.to_thread(prepared.finish, value, token)
    return SignedDocument(request.options, signed, content)
