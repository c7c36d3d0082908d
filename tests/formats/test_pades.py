"""PAdES signatures: judged by poppler's pdfsig and pdftotext; what cannot be signed is told by its own code."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from datetime import datetime
from io import BytesIO
from pathlib import Path
from zlib import crc32

import pytest
from asn1crypto import cms, core
from PIL import Image

from cardd.errors import (
    CarddError,
    DocumentEmpty,
    DocumentMalformed,
    DocumentUnsupported,
    PdfCertified,
    PdfDamaged,
    PdfEncrypted,
    PdfFieldLocked,
    PdfFieldTaken,
    PdfNoRoom,
    PdfNoSandbox,
    PdfPageMissing,
    PdfPictureTooLarge,
    PdfPictureUnreadable,
    PdfProcessFailed,
    PdfRectangleOutside,
    PdfTooComplex,
    PdfXfa,
    SigningCertificateUsage,
)
from cardd.formats.document import new_document
from cardd.formats.options import PadesOptions, Visible
from cardd.formats.pades import PadesPrepared, prepare_pades, verify_pades
from cardd.formats.pdf.process import PdfProcess
from cardd.formats.verified import Flaw, Scope, VerifiedSignature
from cardd.model import UNCONFINED, Confinement, Identity, Organisation
from cardd.values import replace
from tests.rig.pdf import boxes_of, pdf, pdfsig, words_of
from tests.rig.pens import Pen, card_pen, finished
from tests.rig.tsa import OpensslTsa

WHO = Identity("899000000010", "SIMULATION-MÉDECIN", "CAMILLE", title="Médecin")
CORNER = (40.0, 40.0, 260.0, 120.0)


@pytest.fixture(scope="module")
def process() -> Iterator[PdfProcess]:
    running = PdfProcess()
    yield running
    running.close()


@pytest.fixture
def prepare(process: PdfProcess, now: datetime) -> Preparing:
    return Preparing(process, now)


class Preparing:
    def __init__(self, process: PdfProcess, now: datetime) -> None:
        self._process = process
        self._now = now

    def __call__(
        self, content: bytes, pen: Pen, options: PadesOptions | None = None, who: Identity = WHO
    ) -> PadesPrepared:
        document = new_document(content)
        try:
            return prepare_pades(
                document, pen.signer, self._now, options or PadesOptions(), process=self._process, who=who
            )
        except BaseException:
            document.close()
            raise


def found_in(content: bytes, process: PdfProcess) -> list[VerifiedSignature]:
    with new_document(content) as document:
        return verify_pades(document, process)


def picture(width: int = 60, height: int = 40) -> bytes:
    drawn = BytesIO()
    Image.new("RGB", (width, height), "navy").save(drawn, "PNG")
    return drawn.getvalue()


def bomb() -> bytes:
    """A small picture whose head announces 20 000 by 20 000 points."""
    small = picture()
    head = b"IHDR" + 2 * (20_000).to_bytes(4, "big") + small[24:29]
    return small[:12] + head + crc32(head).to_bytes(4, "big") + small[33:]


def test_poppler_accepts_each_kind_of_key(prepare: Preparing, pen: Pen, tmp_path: Path) -> None:
    signed = tmp_path / "signed.pdf"
    signed.write_bytes(pen.write(prepare(pdf(), pen)))
    [judged] = pdfsig(signed)
    assert (judged.is_valid, judged.is_whole, judged.kind) == (True, True, "ETSI.CAdES.detached")


def test_what_was_there_stays_byte_by_byte(prepare: Preparing, card: Pen) -> None:
    original = pdf()
    assert card.write(prepare(original, card)).startswith(original)


def test_a_tampered_copy_is_refused(prepare: Preparing, process: PdfProcess, card: Pen, tmp_path: Path) -> None:
    signed = card.write(prepare(pdf(), card))
    tampered = tmp_path / "tampered.pdf"
    tampered.write_bytes(signed.replace(b"[0 0 595 842]", b"[0 0 595 841]"))
    assert [judged.is_valid for judged in pdfsig(tampered)] == [False]
    assert [found.flaw for found in found_in(tampered.read_bytes(), process)] == [Flaw.CONTENT]


def test_a_visible_one_shows_who_signed_and_keeps_the_rest_of_the_page(
    prepare: Preparing, card: Pen, tmp_path: Path
) -> None:
    options = PadesOptions(reason="Compte rendu", location="SIMULATION", visible=Visible(CORNER, 1, picture()))
    signed = tmp_path / "signed.pdf"
    signed.write_bytes(card.write(prepare(pdf(pages=2), card, options)))
    words = words_of(signed)
    for shown in ("CAMILLE SIMULATION-MÉDECIN", "Médecin", "899000000010"):
        assert shown in words.split("\f")[0]
        assert shown not in words.split("\f")[1]
    assert re.search(r"Signé le \d\d/\d\d/\d{4} à \d\d:\d\d CES?T", words.split("\f")[0])  # Paris time
    assert [judged.is_valid for judged in pdfsig(signed)] == [True]


def test_an_organisation_s_signature_shows_no_person_whom_a_program_declared(
    prepare: Preparing, card: Pen, tmp_path: Path
) -> None:
    who = replace(WHO, is_declared=True, organisation=Organisation("1999999999", "finess", "CABINET FICTIF"))
    signed = tmp_path / "signed.pdf"
    signed.write_bytes(card.write(prepare(pdf(), card, PadesOptions(visible=Visible(CORNER)), who)))
    words = words_of(signed)
    assert "CABINET FICTIF" in words
    assert "1999999999" in words
    assert "CAMILLE" not in words
    assert "899000000010" not in words


def test_a_long_name_is_broken_between_words_where_it_would_be_too_small_to_read(
    prepare: Preparing, card: Pen, tmp_path: Path
) -> None:
    title = "Chirurgien-dentiste, spécialiste qualifiée en orthopédie dento-faciale"
    who = Identity("899000000010", "DE LA SIMULATION-ŒUVRÉE D'ÉTAMPES", "MARIE-ANNE ÉLÉONORE GENEVIÈVE", title=title)
    signed = tmp_path / "signed.pdf"
    signed.write_bytes(card.write(prepare(pdf(), card, PadesOptions(visible=Visible(CORNER)), who)))
    boxes = boxes_of(signed)
    assert boxes.keys() >= {"MARIE-ANNE", "D'ÉTAMPES", "dento-faciale", "899000000010"}
    assert min(low - top for _, top, _, low in boxes.values()) > 6
    assert all(40 <= left < right <= 260 and 722 <= top < low <= 802 for left, top, right, low in boxes.values())


def test_the_smallest_box_holds_its_words(prepare: Preparing, card: Pen, tmp_path: Path) -> None:
    signed = tmp_path / "signed.pdf"
    options = PadesOptions(visible=Visible((40.0, 40.0, 45.0, 42.0), 1, picture()))
    signed.write_bytes(card.write(prepare(pdf(), card, options)))
    assert [judged.is_valid for judged in pdfsig(signed)] == [True]
    assert all(40 <= left < right <= 45 for left, _, right, _ in boxes_of(signed).values())


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_a_turned_page_is_signed_too(prepare: Preparing, card: Pen, tmp_path: Path, rotate: int) -> None:
    signed = tmp_path / "signed.pdf"
    signed.write_bytes(card.write(prepare(pdf(rotate=rotate), card, PadesOptions(visible=Visible(CORNER)))))
    assert [judged.is_valid for judged in pdfsig(signed)] == [True]
    assert "SIMULATION" in words_of(signed)


def test_a_second_signature_leaves_the_first_valid(
    prepare: Preparing, process: PdfProcess, card: Pen, tmp_path: Path
) -> None:
    other = card_pen("cps4")
    first = card.write(prepare(pdf(), card))
    both = tmp_path / "both.pdf"
    both.write_bytes(other.write(prepare(first, other)))
    assert [judged.is_valid for judged in pdfsig(both)] == [True, True]
    found = found_in(both.read_bytes(), process)
    assert [(one.scope, one.intact) for one in found] == [(Scope.PART, True), (Scope.WHOLE, True)]
    assert [one.certificate for one in found] == [card.signer.certificate, other.signer.certificate]


def test_a_timestamp_is_in_it_and_told(
    prepare: Preparing, process: PdfProcess, card: Pen, tsa: OpensslTsa, tmp_path: Path
) -> None:
    prepared = prepare(pdf(), card)
    value = card.sign(prepared.message)
    signed = finished(prepared, value, tsa.token(prepared.stamped(value)))
    [found] = found_in(signed, process)
    assert found.timestamp
    assert found.timestamp.intact
    (tmp_path / "signed.pdf").write_bytes(signed)
    assert [judged.is_valid for judged in pdfsig(tmp_path / "signed.pdf")] == [True]


def test_the_time_of_signing_is_the_pdfs_own(prepare: Preparing, process: PdfProcess, card: Pen, now: datetime) -> None:
    [found] = found_in(card.write(prepare(pdf(), card)), process)
    assert found.signed_at == now.replace(microsecond=0)


def test_an_unsigned_pdf_has_no_signature(process: PdfProcess) -> None:
    assert found_in(pdf(), process) == []


CERTIFIED = (
    b"<< /Type /Sig /Filter /Adobe.PPKLite /SubFilter /ETSI.CAdES.detached /Contents <00> /ByteRange [0 1 2 3]"
    b" /Reference [<< /Type /SigRef /TransformMethod /DocMDP /TransformParams << /P 1 /V /1.2 >> >>] >>"
)
LOCKED = CERTIFIED.replace(b"/DocMDP", b"/FieldMDP").replace(b"/P 1", b"/Type /TransformParams /Action /All")
ALLOWING = CERTIFIED.replace(b"/P 1", b"/P 2")


def fielded(value: bytes, lock: bytes = b"", count: int = 1) -> bytes:
    """A PDF with so many signature fields that hold this value, and lock others."""
    fields = b" ".join(b"%d 0 R" % (5 + number) for number in range(count))
    each = [b"<< /FT /Sig /T (s%d) /V 4 0 R " % number + lock + b">>" for number in range(count)]
    return pdf(extra=[value, *each], catalogue=b"/AcroForm << /SigFlags 3 /Fields [" + fields + b"] >>")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", DocumentEmpty),
        (b"PK\x03\x04", DocumentMalformed),
        (b"%PDF-1.7\nnothing more", PdfDamaged),
        (pdf()[:-40], PdfDamaged),
        (pdf(trailer=b"/Encrypt << /Filter /Standard /V 1 /R 2 >>"), PdfEncrypted),
        (pdf(catalogue=b"/AcroForm << /XFA (x) /Fields [] >>"), PdfXfa),
        (pdf(extra=[CERTIFIED], catalogue=b"/Perms << /DocMDP 4 0 R >>"), PdfCertified),
        (pdf(extra=[LOCKED], catalogue=b"/Perms << /DocMDP 4 0 R >>"), PdfFieldLocked),
        (fielded(ALLOWING, b"/Lock << /Type /SigFieldLock /Action /All >> "), PdfFieldLocked),
        (pdf(trailer=b"/XRefStm 17"), PdfDamaged),
        (pdf(catalogue=b"/AcroForm << /Fields " + b"[" * 5000 + b"]" * 5000 + b" >>"), PdfTooComplex),
    ],
    ids=["empty", "zip", "stub", "cut", "encrypted", "xfa", "certified", "locked", "field-locked", "hybrid", "deep"],
)
def test_a_pdf_that_will_not_do_is_told_by_its_code(
    prepare: Preparing, card: Pen, content: bytes, expected: type[CarddError]
) -> None:
    with pytest.raises(CarddError) as refused:
        prepare(content, card)
    assert type(refused.value) is expected


def test_a_field_that_an_earlier_signature_does_not_lock_is_signed(prepare: Preparing, card: Pen) -> None:
    other = b"/Lock << /Type /SigFieldLock /Action /Include /Fields [(other)] >> "
    assert card.write(prepare(fielded(ALLOWING, other), card))


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (fielded(CERTIFIED, count=65), "65 signatures"),
        (fielded(CERTIFIED.replace(b"<00>", b"<" + bytes(68 * 1024).hex().encode() + b">"), count=64), "Contents"),
    ],
    ids=["many", "large"],
)
def test_more_signatures_than_a_document_has_are_not_read(process: PdfProcess, content: bytes, what: str) -> None:
    with pytest.raises(DocumentUnsupported) as refused:
        found_in(content, process)
    assert refused.value.params["what"] == what


def test_a_page_without_a_size_has_no_place_for_a_visible_signature(prepare: Preparing, card: Pen) -> None:
    with pytest.raises(PdfDamaged):
        prepare(pdf().replace(b"/MediaBox", b"/MediaBoy"), card, PadesOptions(visible=Visible(CORNER)))


def test_a_name_in_letters_that_the_font_lacks_and_a_picture_with_holes_are_shown(
    prepare: Preparing, card: Pen, tmp_path: Path
) -> None:
    drawn = BytesIO()
    Image.new("LA", (60, 40)).save(drawn, "PNG")
    shown = PadesOptions(visible=Visible(CORNER, picture=drawn.getvalue()))
    signed = tmp_path / "signed.pdf"
    signed.write_bytes(card.write(prepare(pdf(), card, shown, replace(WHO, family_name="МЕДИК"))))
    assert "?????" in words_of(signed)


def test_a_timestamp_that_is_too_large_for_its_place_is_told(prepare: Preparing, card: Pen) -> None:
    prepared = prepare(pdf(), card)
    token = cms.ContentInfo({"content_type": "data", "content": core.OctetString(bytes(256 * 1024))}).dump()
    with prepared.document, pytest.raises(PdfNoRoom):
        prepared.finish(bytes(256), token)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (PadesOptions(visible=Visible(CORNER, 2)), PdfPageMissing),
        (PadesOptions(visible=Visible(CORNER, 0)), PdfPageMissing),
        (PadesOptions(visible=Visible((500.0, 40.0, 700.0, 90.0))), PdfRectangleOutside),
        (PadesOptions(visible=Visible((100.0, 40.0, 100.0, 90.0))), PdfRectangleOutside),
        (PadesOptions(visible=Visible(CORNER, picture=b"GIF89a")), PdfPictureUnreadable),
        (PadesOptions(visible=Visible(CORNER, picture=picture()[:60])), PdfPictureUnreadable),
        (PadesOptions(visible=Visible(CORNER, picture=picture(2001, 1))), PdfPictureTooLarge),
        (PadesOptions(visible=Visible(CORNER, picture=bomb())), PdfPictureTooLarge),
        (PadesOptions(visible=Visible(CORNER, picture=bytes(1024 * 1024 + 1))), PdfPictureTooLarge),
    ],
    ids=str,
)
def test_a_place_or_a_picture_that_will_not_do_is_told(
    prepare: Preparing, card: Pen, options: PadesOptions, expected: type[CarddError]
) -> None:
    with pytest.raises(CarddError) as refused:
        prepare(pdf(), card, options)
    assert type(refused.value) is expected


def test_a_field_name_is_taken_once(prepare: Preparing, card: Pen) -> None:
    named = PadesOptions(field="Medecin")
    signed = card.write(prepare(pdf(), card, named))
    with pytest.raises(PdfFieldTaken):
        prepare(signed, card, named)


def test_a_certificate_that_signs_no_documents_is_refused(prepare: Preparing) -> None:
    with pytest.raises(SigningCertificateUsage):
        prepare(pdf(), card_pen(purpose="authentication"))


def test_what_the_library_notes_of_a_document_stays_out_of_the_journal(
    card: Pen, now: datetime, capfd: pytest.CaptureFixture[str]
) -> None:
    process = PdfProcess()
    odd = pdf().replace(b"1 0 obj\n<<", b"1  0 obj<<")
    assert card.write(Preparing(process, now)(odd, card))
    process.close()
    assert capfd.readouterr().err == ""


def test_a_process_that_takes_too_long_is_replaced(card: Pen, now: datetime) -> None:
    hasty = PdfProcess(limit=0.001)
    with pytest.raises(PdfTooComplex):
        Preparing(hasty, now)(pdf(), card)
    hasty.close()


def dying(fatal: str, times: int, tmp_path: Path) -> PdfProcess:
    """A process that dies of ``fatal`` so many times when it has read a request, as if the system ended it."""
    count = tmp_path / "deaths"
    script = (
        "import os, signal, sys; from pathlib import Path; from cardd.formats.pdf import host\n"
        f"count = Path({str(count)!r}); died = len(count.read_text()) if count.exists() else 0\n"
        f"if died < {times}: count.write_text('x' * (died + 1)); {fatal}\n"
        "host.main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])"
    )
    return PdfProcess(command=(sys.executable, "-c", script))


def test_a_process_that_the_system_ends_is_tried_once_more(card: Pen, now: datetime, tmp_path: Path) -> None:
    process = dying("os.kill(os.getpid(), signal.SIGKILL)", 1, tmp_path)
    assert card.write(Preparing(process, now)(pdf(), card))
    process.close()


def test_a_process_that_dies_twice_is_no_fault_of_the_document(card: Pen, now: datetime, tmp_path: Path) -> None:
    process = dying("os.kill(os.getpid(), signal.SIGKILL)", 2, tmp_path)
    with pytest.raises(PdfProcessFailed) as failed:
        Preparing(process, now)(pdf(), card)
    assert failed.value.retryable  # so that no ledger keeps it
    assert card.write(Preparing(process, now)(pdf(), card))
    process.close()


def test_where_a_sandbox_is_demanded_and_cannot_be_made_nothing_is_read(card: Pen, now: datetime) -> None:
    ending = f"import os; os._exit({UNCONFINED})"
    process = PdfProcess(confinement=Confinement.REQUIRED, command=(sys.executable, "-c", ending))
    with pytest.raises(PdfNoSandbox):
        Preparing(process, now)(pdf(), card)
    process.close()


def test_a_document_that_uses_up_the_processor_is_its_own_fault(card: Pen, now: datetime, tmp_path: Path) -> None:
    process = dying("os.kill(os.getpid(), signal.SIGXCPU)", 1, tmp_path)
    with pytest.raises(PdfTooComplex):
        Preparing(process, now)(pdf(), card)
    process.close()


def test_a_process_that_was_ended_is_started_again(card: Pen, now: datetime) -> None:
    process = PdfProcess()
    for _ in range(2):
        assert card.write(Preparing(process, now)(pdf(), card))
        process.close()
