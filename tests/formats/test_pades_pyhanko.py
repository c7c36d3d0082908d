"""PAdES signatures, judged by pyHanko's own validator: its reading shares no code with how the message is made here."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pytest
from pyhanko.sign.validation.status import PdfSignatureStatus

from cardd.formats.document import new_document
from cardd.formats.options import PadesOptions, Visible
from cardd.formats.pades import prepare_pades
from cardd.formats.pdf.process import PdfProcess
from cardd.model import Identity
from tests.rig.pdf import pdf, pyhanko_says
from tests.rig.pens import Pen, card_pen

WHO = Identity("899000000010", "SIMULATION-MÉDECIN", "CAMILLE", title="Médecin")
SHOWN = PadesOptions(visible=Visible((40.0, 40.0, 260.0, 120.0)))


@pytest.fixture(scope="module")
def process() -> Iterator[PdfProcess]:
    running = PdfProcess()
    yield running
    running.close()


def signed_by(pen: Pen, content: bytes, process: PdfProcess, now: datetime, options: PadesOptions) -> bytes:
    return pen.write(prepare_pades(new_document(content), pen.signer, now, options, process=process, who=WHO))


def judged(content: bytes, pen: Pen) -> list[PdfSignatureStatus]:
    """What pyHanko says of each signature."""
    return pyhanko_says(content, pen.roots)


@pytest.mark.parametrize("options", [PadesOptions(), SHOWN], ids=["invisible", "visible"])
def test_pyhanko_accepts_it_whole(process: PdfProcess, pen: Pen, now: datetime, options: PadesOptions) -> None:
    [status] = judged(signed_by(pen, pdf(), process, now, options), pen)
    assert (status.intact, status.valid, status.trusted, status.bottom_line) == (True, True, True, True)


def test_pyhanko_refuses_a_tampered_copy(process: PdfProcess, card: Pen, now: datetime) -> None:
    signed = signed_by(card, pdf(), process, now, PadesOptions())
    [status] = judged(signed.replace(b"[0 0 595 842]", b"[0 0 595 841]"), card)
    assert not status.intact


def test_pyhanko_sees_a_second_signature_as_a_change_that_the_first_allows(
    process: PdfProcess, card: Pen, now: datetime
) -> None:
    first = signed_by(card, pdf(), process, now, PadesOptions())
    both = judged(signed_by(card_pen("cps4"), first, process, now, PadesOptions()), card)
    assert [(status.intact, status.valid, status.docmdp_ok) for status in both] == [(True, True, True)] * 2
