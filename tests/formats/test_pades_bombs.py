"""PDF files made to cost more than they should: each ends in its time, and harms no document that comes after it."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial

import pytest

from cardd.errors import PdfError
from cardd.formats.document import new_document
from cardd.formats.options import PadesOptions
from cardd.formats.pades import prepare_pades
from cardd.formats.pdf.process import PdfProcess
from cardd.model import Identity
from tests.rig.pdf import HEAD, pdf
from tests.rig.pens import Pen

WHO = Identity("899000000010", "SIMULATION-MÉDECIN", "CAMILLE", title="Médecin")
MEMORY = 200 * 1024 * 1024  # for the PDF process: less than its own, so that less work fills it
PATIENT, HASTY = 100.0, 2.0  # seconds: nothing takes so long; what only a limit ends
MANY = 450_000  # entries: one document leaves so much behind that there is no room for another


def sign(process: PdfProcess, pen: Pen, now: datetime, content: bytes) -> bytes:
    with new_document(content) as document:
        return pen.write(prepare_pades(document, pen.signer, now, PadesOptions(), process=process, who=WHO))


def unpacking(size: int) -> bytes:
    """A cross-reference stream that is this long when it is unpacked, and a thousandth of it in the file."""
    packed = zlib.compress(bytes(size), 9)
    body = HEAD + b"1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n2 0 obj\n<< /Type /Pages /Kids [] >>\nendobj\n"
    head = b"3 0 obj\n<< /Type /XRef /Root 1 0 R /Size %d /W [1 4 1] /Filter /FlateDecode /Length %d >>\nstream\n"
    stream = head % (size // 6, len(packed)) + packed + b"\nendstream\nendobj\n"
    return body + stream + b"startxref\n%d\n%%%%EOF\n" % len(body)


def many_entries(count: int) -> bytes:
    """A cross-reference table with this many entries that no one needs."""
    whole = pdf()
    table = whole.index(b"xref\n0 4\n")
    trailer = whole.index(b"trailer")
    entries = whole[table + 9 : trailer] + b"0000000009 00000 n \n" * count
    size = b"%d" % (count + 4)
    return whole[:table] + b"xref\n0 " + size + b"\n" + entries + whole[trailer:].replace(b"/Size 4", b"/Size " + size)


def doubling_fields(depth: int) -> bytes:
    """A tree of fields of which each is twice the child of the one before."""
    fields = [b"<< /T (f%d) /Kids [%d 0 R %d 0 R] >>" % (number, number, number) for number in range(5, 5 + depth)]
    return pdf(extra=[*fields, b"<< /T (last) /FT /Sig >>"], catalogue=b"/AcroForm << /Fields [4 0 R] >>")


@pytest.fixture
def process() -> Iterator[PdfProcess]:
    running = PdfProcess(limit=PATIENT)
    yield running
    running.close()


@pytest.mark.parametrize(
    ("bomb", "limit"),
    [
        (partial(unpacking, 300 * 1024 * 1024), PATIENT),
        (partial(doubling_fields, 40), HASTY),
        (partial(pdf, catalogue=b"/AcroForm 4 0 R", extra=[b"5 0 R", b"4 0 R"]), PATIENT),
        (lambda: pdf().replace(b"xref\n0 4", b"xref\n0 99999999"), PATIENT),
        (partial(pdf, catalogue=b"/AcroForm << /Fields [4 0 R] >>", extra=[b"<< /T (a) /Kids [4 0 R] >>"]), PATIENT),
    ],
    ids=["unpacking", "doubling", "references in a circle", "table that is not there", "fields in a circle"],
)
def test_a_bomb_is_refused_and_the_next_document_is_signed(
    process: PdfProcess, card: Pen, now: datetime, bomb: Callable[[], bytes], limit: float
) -> None:
    content, process.limit = bomb(), limit
    with pytest.raises(PdfError):
        sign(process, card, now, content)
    process.limit = PATIENT
    assert sign(process, card, now, pdf())


def test_what_a_heavy_document_leaves_in_memory_is_not_held_against_the_next(card: Pen, now: datetime) -> None:
    process, heavy = PdfProcess(limit=120.0, memory=MEMORY), many_entries(MANY)
    assert sign(process, card, now, heavy)
    assert sign(process, card, now, heavy)
    assert sign(process, card, now, pdf())
    process.close()
