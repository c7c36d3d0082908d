"""PAdES-B and -T (ETSI EN 319 142-1): a CMS message inside the PDF that it signs, invisible or visible on a page.

The PDF is read and appended to in a process of its own (``cardd.formats.pdf``); the CMS message is made here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from cardd.errors import DocumentEmpty, InternalError, PdfNoRoom, PdfPictureTooLarge
from cardd.formats.cades import CadesPrepared
from cardd.formats.certificate import require_signing
from cardd.formats.cms import SignerPart, signer_part
from cardd.formats.document import size_of
from cardd.formats.options import PadesOptions
from cardd.formats.pdf.process import PdfProcess
from cardd.formats.pdf.wire import Place, Placed, Stamp
from cardd.formats.prepared import Signer
from cardd.i18n import Domain
from cardd.model import Identity, Message

_ = Domain("stamp")

PICTURE_MAX = 1024 * 1024  # bytes
ROOM = 16 * 1024  # bytes, beside the certificates: the attributes, the value, and a timestamp with its own certificates


def stamp_lines(identity: Identity, now: datetime, language: str) -> tuple[str, ...]:
    """What a visible signature says: name, profession, number, time (UTC).

    They are those of the professional whose key signs; where an organisation's does, its own, and nothing of the
    person, who is only declared there.
    """
    name, title, number = f"{identity.given_name} {identity.family_name}", identity.title, identity.national_id
    if identity.is_declared and identity.organisation is not None:
        name, title, number = identity.organisation.name, None, identity.organisation.identifier
    lines = (
        name,
        title or "",
        _("No. {number}", language, number=number),
        _("Signed on {date} at {time} UTC", language, date=now.strftime(_("%Y-%m-%d", language)), time=f"{now:%H:%M}"),
    )
    return tuple(line for line in lines if line)


def prepare_pades(
    document: BinaryIO, signer: Signer, now: datetime, options: PadesOptions, *, process: PdfProcess, who: Identity
) -> PadesPrepared:
    """Append a signature field to this document, which is a file of its own; ``now`` is the signing time claimed.

    ``who`` is shown in a visible signature. What was there before stays, byte by byte: earlier signatures stay valid.
    Blocks; when it raises, the document may have half a field at its end and is to be thrown away. Raises
    DocumentEmpty, DocumentMalformed, DocumentUnsupported, PdfError's classes, and as ``require_signing``.
    """
    require_signing(signer, now)
    if size_of(document) == 0:
        raise DocumentEmpty
    room = ROOM + len(signer.certificate) + sum(map(len, signer.chain))
    placed = process.ask(document, _request(options, now, room, who))
    if not isinstance(placed, Placed):
        raise InternalError(why=type(placed).__name__)
    # the time stands in the PDF: the attribute must not repeat it (EN 319 142-1, section 6.3)
    return PadesPrepared(signer_part(signer, placed.digest, None), document, placed.start, placed.end)


@dataclass(frozen=True, slots=True)
class PadesPrepared:
    """A PDF with a place for the CMS message: a hexadecimal string between these two positions, brackets included."""

    part: SignerPart
    document: BinaryIO
    start: int
    end: int

    @property
    def message(self) -> Message:
        """The signed attributes."""
        return self.part.message

    def stamped(self, value: bytes) -> bytes:
        """The signature value."""
        return self.part.stamped(value)

    def finish(self, value: bytes, timestamp: bytes | None = None) -> BinaryIO:
        """The signed PDF: the same file. Raises PdfNoRoom when the timestamp is larger than any should be."""
        with CadesPrepared(self.part, None).finish(value, timestamp) as message:
            written = message.read().hex().encode()
        if len(written) > self.end - self.start - 2:
            raise PdfNoRoom
        self.document.seek(self.start + 1)
        self.document.write(written)
        self.document.flush()
        self.document.seek(0)
        return self.document


def _request(options: PadesOptions, now: datetime, room: int, who: Identity) -> Place:
    visible = options.visible
    stamp = None
    if visible is not None:
        if visible.picture is not None and len(visible.picture) > PICTURE_MAX:
            raise PdfPictureTooLarge(limit=f"{PICTURE_MAX // 1024} KiB")
        lines = stamp_lines(who, now, visible.language)
        stamp = Stamp(visible.page, visible.rectangle, lines, visible.picture)
    return Place(now, room, options.field, options.reason, options.location, stamp)
