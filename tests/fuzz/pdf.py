"""PDF files, which the PDF process reads, and what that process and the daemon say to each other."""

from __future__ import annotations

import io
import os
import time
from datetime import UTC, datetime
from typing import BinaryIO

from cardd.errors import CarddError
from cardd.formats.pades import verify_pades
from cardd.formats.pdf.host import SharedFile, _answered
from cardd.formats.pdf.process import PdfProcess, _error
from cardd.formats.pdf.wire import Answer, Place, Refused, Request, Stamp, receive_answer, receive_request
from cardd.frames import Broken, framed
from tests.fuzz.parser import Parser
from tests.fuzz.talking import answering
from tests.rig.pdf import pdf

LIMIT = 5.0  # seconds
WHEN = datetime(2026, 12, 1, tzinfo=UTC)
PDF_WORDS = (
    b"%PDF-1.7",
    b"/ByteRange [",
    b"/Contents <",
    b"/Type /Sig",
    b"/SubFilter /ETSI.CAdES.detached",
    b"/Prev ",
    b"xref",
    b"trailer",
    b"startxref",
    b"/AcroForm",
    b"/Fields [",
    b"/Kids [",
    b"/Parent ",
    b"/ObjStm",
    b"/XRef",
    b" 0 R",
    b"obj",
    b"stream\n",
    b"/Filter /FlateDecode",
    b"/Encrypt",
    b"/Perms",
    b"/DocMDP",
    b"/Reference [",
    b"/V ",
    b"%%EOF",
)


def opened(data: bytes) -> BinaryIO:
    """The bytes as an open file that has a number."""
    file = os.memfd_create("document")
    os.write(file, data)
    return os.fdopen(file, "r+b")


class _Here(PdfProcess):
    """The PDF process's work, in this process."""

    def ask(self, document: BinaryIO, request: Request) -> Answer:
        """Answer as it does."""
        answer = _answered(request, io.BufferedRandom(SharedFile(os.dup(document.fileno()))))
        if isinstance(answer, Refused):
            raise _error(answer)
        return answer


class _Broken(_Here):
    """A PDF process that the document has taken over, and that says ``told``."""

    def __init__(self, told: bytes) -> None:
        super().__init__()
        self._told = told

    def ask(self, _: BinaryIO, __: Request) -> Answer:
        """Answer as it wants."""
        told = answering(framed(self._told), lambda link: receive_answer(link, time.monotonic() + LIMIT))
        answer: Answer = told.answer  # type: ignore[attr-defined]
        if isinstance(answer, Refused):
            raise _error(answer)
        return answer


def _pdf(data: bytes) -> None:
    with opened(data) as document:
        verify_pades(document, _Here())


def _pdf_to_sign(data: bytes) -> None:
    stamp = Stamp(1, (10.0, 10.0, 90.0, 40.0), ("SIMULATION",), None)
    for asked in (Place(WHEN, 4096), Place(WHEN, 4096, field="signature", reason="SIMULATION", stamp=stamp)):
        with opened(data) as document:
            _Here().ask(document, asked)


def _picture(data: bytes) -> None:
    """The bytes as the picture of a visible signature."""
    with opened(pdf()) as document:
        _Here().ask(document, Place(WHEN, 4096, stamp=Stamp(1, (10.0, 10.0, 90.0, 40.0), ("SIMULATION",), data)))


def _pdf_process(data: bytes) -> None:
    with opened(pdf()) as document:
        verify_pades(document, _Broken(data))


def _asked_of_pdf(data: bytes) -> None:
    """The bytes as the daemon's request, which has no file here."""
    answering(data, receive_request)


_PDF = ("cardd.formats.pades", "cardd.formats.pdf.fields", "cardd.formats.pdf.updates")
_LEFT = (CarddError, Broken)

PARSERS: dict[str, Parser] = {
    "read": Parser(_pdf, _PDF, longest=65_536, words=PDF_WORDS),
    "to_sign": Parser(_pdf_to_sign, (*_PDF, "cardd.formats.pdf.appearance"), longest=65_536, words=PDF_WORDS),
    "picture": Parser(_picture, ("cardd.formats.pdf.appearance",), longest=16_384),
    "process": Parser(_pdf_process, ("cardd.formats.pdf.wire", "cardd.formats.pades"), _LEFT, longest=16_384),
    "asked": Parser(_asked_of_pdf, ("cardd.formats.pdf.wire", "cardd.frames"), (*_LEFT, ValueError)),
}
