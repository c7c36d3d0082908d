"""PAdES-B and -T (ETSI EN 319 142-1): a CMS message inside the PDF that it signs, invisible or visible on a page.

The PDF is read and appended to in a process of its own (``cardd.formats.pdf``); the CMS message is made here, and read.
Read: each signature, and whether it covers the whole file or what the file was before others wrote on.
"""

from __future__ import annotations

import io
import os
from datetime import datetime
from typing import TYPE_CHECKING, BinaryIO, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cardd.errors import (
    CardGarbled,
    DocumentEmpty,
    DocumentMalformed,
    DocumentUnsupported,
    InternalError,
    PdfNoRoom,
    PdfPictureTooLarge,
)
from cardd.formats.cades import CadesPrepared, verify_cms
from cardd.formats.certificate import require_signing
from cardd.formats.cms import SignerPart, signer_part
from cardd.formats.document import new_document, size_of
from cardd.formats.options import PadesOptions
from cardd.formats.pdf.process import PdfProcess
from cardd.formats.pdf.wire import Found, List, Listed, Place, Placed, Stamp
from cardd.formats.prepared import Signer
from cardd.formats.verified import Flaw, Format, Scope, VerifiedSignature
from cardd.i18n import Domain
from cardd.model import Identity, Message
from cardd.tlv import announced_size
from cardd.values import Value, replace

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_ = Domain("stamp")

PICTURE_MAX = 1024 * 1024  # bytes
ROOM = 16 * 1024  # bytes, beside the certificates: the attributes, the value, and a timestamp with its own certificates
PADES = "/ETSI.CAdES.detached"
KINDS = (PADES, "/adbe.pkcs7.detached")
Range = tuple[int, int]


def stamp_lines(identity: Identity, now: datetime, language: str) -> tuple[str, ...]:
    """Return what a visible signature says: name, profession, number, time in Paris with its zone.

    Name and number are those of the professional whose key signs. Where an organisation's key signs they are the
    organisation's, and nothing is said of the person, who is only declared there.
    """
    here = _in_paris(now)
    name, title, number = f"{identity.given_name} {identity.family_name}", identity.title, identity.national_id
    if identity.is_declared and identity.organisation is not None:
        name, title, number = identity.organisation.name, None, identity.organisation.identifier
    lines = (
        name,
        title or "",
        _("No. {number}", language, number=number),
        _("Signed on {date} at {time}", language, date=here.strftime(_("%Y-%m-%d", language)), time=f"{here:%H:%M %Z}"),
    )
    return tuple(line for line in lines if line)


def _in_paris(now: datetime) -> datetime:
    try:
        return now.astimezone(ZoneInfo("Europe/Paris"))
    except ZoneInfoNotFoundError:  # pragma: no cover - a machine without a table of zones
        return now


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


class PadesPrepared(Value):
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


def verify_pades(document: BinaryIO, process: PdfProcess) -> list[VerifiedSignature]:
    """Each signature of a PDF, oldest first; none for a PDF that has none.

    ``Scope.PART`` tells that the file was written on after the signature, ``Later`` what was changed. ``Flaw.CONTENT``
    also tells that the signature leaves out more than itself. Blocks. Raises DocumentMalformed, DocumentUnsupported,
    PdfError's classes.
    """
    answer = process.ask(document, List())
    if not isinstance(answer, Listed):
        raise InternalError(why=type(answer).__name__)
    return [_verified(document, found) for found in answer.signatures]


def _verified(document: BinaryIO, found: Found) -> VerifiedSignature:
    if found.kind not in KINDS:
        raise DocumentUnsupported(format="PDF", what=found.kind)
    before, after = _ranges(found)
    covered = cast(BinaryIO, io.BufferedReader(_Ranges(document, (before, after))))
    with new_document(_message(found.contents)) as message, covered:
        signatures = verify_cms(message, covered)
    if len(signatures) != 1:
        raise DocumentUnsupported(format="PDF", what=f"{len(signatures)} SignerInfos")
    whole = sum(after) == size_of(document)
    return replace(
        signatures[0],
        format=Format.PADES,
        scope=Scope.WHOLE if whole else Scope.PART,
        signed_at=found.when or signatures[0].signed_at,
        later=found.later,
        names_certificate=found.kind != PADES or signatures[0].names_certificate,
        flaw=signatures[0].flaw or (None if _leaves_out_itself(document, before, after, found) else Flaw.CONTENT),
    )


def _ranges(found: Found) -> tuple[Range, Range]:
    """ByteRange as two ranges, each an offset and a length (ISO 32000-1, section 12.8.1)."""
    if len(found.ranges) != 4 or min(found.ranges) < 0:
        raise DocumentMalformed(format="PDF")
    first, size, second, rest = found.ranges
    return (first, size), (second, rest)


def _leaves_out_itself(document: BinaryIO, before: Range, after: Range, found: Found) -> bool:
    """Return whether the gap is just the string with this message and zeros: nothing else can be hidden in it."""
    size = 2 * len(found.contents) + 2
    if before[0] != 0 or sum(before) + size != after[0] or sum(after) > size_of(document):
        return False
    document.seek(before[1])
    gap = document.read(size)
    room = found.contents[len(_message(found.contents)) :]
    is_string = gap[:1] == b"<" and gap[-1:] == b">" and gap[1:-1].lower() == found.contents.hex().encode()
    return is_string and not room.strip(b"\0")


def _message(contents: bytes) -> bytes:
    """Return the contents without the zeros that fill the room."""
    try:
        return contents[: announced_size(contents)]
    except CardGarbled as fault:
        raise DocumentMalformed(format="CMS") from fault


class _Ranges(io.RawIOBase):
    """Parts of a file, as one."""

    def __init__(self, document: BinaryIO, ranges: tuple[Range, ...]) -> None:
        self._document = document
        self._ranges = ranges
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: sum(size for _, size in self._ranges)}
        self._position = base[whence] + offset
        return self._position

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        passed = 0
        room = memoryview(buffer)
        for start, size in self._ranges:
            if self._position < passed + size:
                within = self._position - passed
                self._document.seek(start + within)
                content = self._document.read(min(len(room), size - within))
                room[: len(content)] = content
                self._position += len(content)
                return len(content)
            passed += size
        return 0
