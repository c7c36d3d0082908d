"""Signed PDFs: each signature, and whether it covers the whole file or what the file was before others wrote on."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO, cast

from cardd.errors import CardGarbled, DocumentEmpty, DocumentMalformed, DocumentUnsupported, InternalError
from cardd.formats.document import new_document, size_of
from cardd.formats.pdf.process import PdfProcess
from cardd.formats.pdf.wire import Found, List, Listed
from cardd.formats.verified import Flaw, Format, Scope, VerifiedSignature
from cardd.formats.verifying.cms import verify_cms
from cardd.tlv import announced_size

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

KINDS = ("/ETSI.CAdES.detached", "/adbe.pkcs7.detached")
Range = tuple[int, int]


def verify_pades(document: BinaryIO, process: PdfProcess) -> list[VerifiedSignature]:
    """Each signature of a PDF, oldest first; none for a PDF that has none.

    ``Scope.PART`` tells that the file was written on after the signature: what was added is not covered by it, and not
    looked at. ``Flaw.CONTENT`` also tells that the signature leaves out more than itself. Blocks. Raises
    DocumentEmpty, DocumentMalformed, DocumentUnsupported, PdfError's classes.
    """
    if size_of(document) == 0:
        raise DocumentEmpty
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
        flaw=signatures[0].flaw or (None if _leaves_out_itself(document, before, after, found) else Flaw.CONTENT),
    )


def _ranges(found: Found) -> tuple[Range, Range]:
    """ByteRange as two ranges, each an offset and a length (ISO 32000-1, section 12.8.1)."""
    if len(found.ranges) != 4 or min(found.ranges) < 0:
        raise DocumentMalformed(format="PDF")
    first, size, second, rest = found.ranges
    return (first, size), (second, rest)


def _leaves_out_itself(document: BinaryIO, before: Range, after: Range, found: Found) -> bool:
    """Whether the gap is just the string with this message: nothing else can be hidden in it."""
    size = 2 * len(found.contents) + 2
    if before[0] != 0 or sum(before) + size != after[0] or sum(after) > size_of(document):
        return False
    document.seek(before[1])
    gap = document.read(size)
    return gap[:1] == b"<" and gap[-1:] == b">" and gap[1:-1].lower() == found.contents.hex().encode()


def _message(contents: bytes) -> bytes:
    """Without the zeros that fill the room."""
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
