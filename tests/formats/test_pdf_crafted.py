"""What came after a signature of a PDF, in crafted files: each kind of change is told for what it is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from io import BytesIO

import pytest
from asn1crypto import keys as asn1_keys
from asn1crypto import x509 as asn1
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign.fields import FieldMDPAction, FieldMDPSpec, MDPPerm, SigSeedSubFilter
from pyhanko.sign.signers import PdfSignatureMetadata, PdfTimeStamper, sign_pdf
from pyhanko.sign.timestamps import DummyTimeStamper
from pyhanko.sign.validation.dss import DocumentSecurityStore

from cardd.formats.document import new_document
from cardd.formats.options import PadesOptions, Visible
from cardd.formats.pades import prepare_pades, verify_pades
from cardd.formats.pdf.wire import Later
from cardd.model import Algorithm, Identity
from tests.rig.pdf import pdf
from tests.rig.pdf_changes import (
    empty_field,
    field_filled,
    fields_drawn_otherwise,
    name,
    note_laid_over,
    page_replaced,
    picture,
    picture_of_a_timestamp,
    updated,
)
from tests.rig.pdf_here import PdfHere, author_signed, signer_of
from tests.rig.pens import Pen, SmallAuthority

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
WHO = Identity("899000000010", "SIMULATION", "CAMILLE")
TEXT = b"<< /FT /Tx /T (dose) /V (1) /Type /Annot /Subtype /Widget /Rect [10 10 90 30] /P 3 0 R >>"
DEEP = b"<< /T (doses) /FT /Tx /Kids [5 0 R] >>"
INSIDE = b"<< /T (dose) /Parent 4 0 R /V (1) /Type /Annot /Subtype /Widget /Rect [10 10 90 30] /P 3 0 R >>"
Change = Callable[[IncrementalPdfFileWriter], None]


@pytest.fixture(scope="module")
def mine() -> Pen:
    return SmallAuthority().pen(ec.generate_private_key(ec.SECP256R1()), Algorithm.ES256)


def form(*fields: bytes, kids: bytes = b"4 0 R") -> bytes:
    return pdf(extra=fields or [TEXT], catalogue=b"/AcroForm << /Fields [" + kids + b"] /DA (/Helv 0 Tf) >>")


def signed(pen: Pen, content: bytes, options: PadesOptions | None = None) -> bytes:
    """By cardd."""
    document = new_document(content)
    now, wanted = datetime.now(UTC), options or PadesOptions()
    return pen.write(prepare_pades(document, pen.signer, now, wanted, process=PdfHere(), who=WHO))


def later(content: bytes) -> list[Later]:
    """What came after each signature."""
    with new_document(content) as document:
        return [found.later for found in verify_pades(document, PdfHere())]


# --- what came after a signature


def revocation_data(content: bytes) -> bytes:
    """Added for those who verify in some years."""
    file = BytesIO(content)
    writer = IncrementalPdfFileWriter(file)
    DocumentSecurityStore.supply_dss_in_writer(writer, None, certs=[asn1.Certificate.load(STAMPER[0])])
    writer.write_in_place()
    return file.getvalue()


def stamper() -> tuple[bytes, asn1_keys.PrivateKeyInfo]:
    authority, key = SmallAuthority("AC HORODATAGE SIMULATION"), rsa.generate_private_key(65537, 2048)
    certificate = authority.timestamping(key)
    private = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.DER), asn1_keys.PrivateKeyInfo.load(private)


STAMPER = stamper()


def archived(content: bytes) -> bytes:
    """With a document timestamp that shows nothing."""
    stamping = DummyTimeStamper(asn1.Certificate.load(STAMPER[0]), STAMPER[1], fixed_dt=NOW)
    done = PdfTimeStamper(stamping).timestamp_pdf(IncrementalPdfFileWriter(BytesIO(content)), "sha256")
    return bytes(done.getvalue())


def titled(writer: IncrementalPdfFileWriter) -> None:
    writer.set_info(writer.add_object(generic.DictionaryObject({name("/Title"): generic.TextStringObject("other")})))


def field_with(**entries: generic.PdfObject | Callable[[IncrementalPdfFileWriter], generic.PdfObject]) -> Change:
    """A signature field of nobody's on the page, with these entries."""

    def change(writer: IncrementalPdfFileWriter) -> None:
        picture(writer)
        fields = writer.root["/AcroForm"]["/Fields"]
        field = fields[-1].get_object()
        del field["/AP"]
        for key, value in entries.items():
            field[name(f"/{key}")] = value(writer) if callable(value) else value

    return change


def box(*edges: int) -> generic.ArrayObject:
    return generic.ArrayObject(map(generic.NumberObject, edges))


def drawing(content: bytes) -> Callable[[IncrementalPdfFileWriter], generic.DictionaryObject]:
    def made(writer: IncrementalPdfFileWriter) -> generic.DictionaryObject:
        head = {name("/Type"): name("/XObject"), name("/Subtype"): name("/Form"), name("/BBox"): box(0, 0, 9, 9)}
        return generic.DictionaryObject(
            {name("/N"): writer.add_object(generic.StreamObject(head, stream_data=content))}
        )

    return made


def _in_front(writer: IncrementalPdfFileWriter) -> None:
    picture(writer)
    fields = writer.root["/AcroForm"]["/Fields"]
    fields.insert(0, fields.pop())


def _deep(writer: IncrementalPdfFileWriter, *, named: bool) -> None:
    """The picture in a field, or a widget, of a field that says what both are."""
    picture(writer)
    fields = writer.root["/AcroForm"]["/Fields"]
    reference = fields.pop()
    inner = reference.get_object()
    del inner["/FT"]
    if not named:
        del inner["/T"]
    outer = generic.DictionaryObject({name("/FT"): name("/Sig"), name("/T"): generic.TextStringObject("outer")})
    outer[name("/Kids")] = generic.ArrayObject([reference])
    added = writer.add_object(outer)
    inner[name("/Parent")] = added
    fields.append(added)


ACTION = generic.DictionaryObject({name("/S"): name("/Named"), name("/N"): name("/NextPage")})
AFTER: dict[str, tuple[bytes, Change, Later]] = {
    "its information": (pdf(), titled, Later.NOTHING),
    "an empty field": (pdf(), empty_field, Later.SIGNATURES),
    "a field without a picture": (pdf(), field_with(), Later.SIGNATURES),
    "a field whose picture is empty": (pdf(), field_with(AP=drawing(b" \n")), Later.SIGNATURES),
    "a field that draws": (pdf(), field_with(AP=drawing(b"1 g 0 0 9 9 re f")), Later.FORBIDDEN),
    "a field that draws on no place": (
        pdf(), field_with(AP=drawing(b"1 g"), Rect=box(5, 0, 5, 9)), Later.SIGNATURES,
    ),
    "a field that draws on a line": (pdf(), field_with(AP=drawing(b"1 g"), Rect=box(0, 5, 9, 5)), Later.SIGNATURES),
    "a field with a border": (pdf(), field_with(MK=generic.DictionaryObject()), Later.FORBIDDEN),
    "a field that does something": (pdf(), field_with(A=ACTION, Rect=box(0, 0, 0, 0)), Later.FORBIDDEN),
    "a field that does something as it is shown": (
        pdf(), field_with(AA=generic.DictionaryObject({name("/PO"): ACTION}), Rect=box(0, 0, 0, 0)), Later.FORBIDDEN,
    ),
    "a picture": (pdf(), picture, Later.FORBIDDEN),
    "a timestamp's picture": (pdf(), picture_of_a_timestamp, Later.FORBIDDEN),
    "another page": (pdf(), page_replaced, Later.FORBIDDEN),
    "a note": (pdf(), note_laid_over, Later.FORBIDDEN),
    "a value": (form(), field_filled, Later.FILLED),
    "another font of a form": (form(), fields_drawn_otherwise, Later.FILLED),
    "another font of a form that has no other fields": (pdf(), fields_drawn_otherwise, Later.SIGNATURES),
    "another font of a form whose fields are deep": (form(DEEP, INSIDE), fields_drawn_otherwise, Later.FILLED),
    "another font of a form whose fields are deep, and of a kind only there": (
        form(DEEP.replace(b"/FT /Tx ", b""), INSIDE.replace(b"<<", b"<< /FT /Tx")), fields_drawn_otherwise,
        Later.FILLED,
    ),
    "a drawing in front of other fields": (form(), _in_front, Later.FORBIDDEN),
    "a drawing that is deep": (pdf(), lambda writer: _deep(writer, named=True), Later.FORBIDDEN),
    "a drawing of a field's widget": (pdf(), lambda writer: _deep(writer, named=False), Later.FORBIDDEN),
}  # fmt: skip


@pytest.mark.parametrize("name", AFTER)
def test_what_came_after_a_signature_is_told(mine: Pen, name: str) -> None:
    content, change, told = AFTER[name]
    assert later(updated(signed(mine, content), change)) == [told]


@pytest.mark.parametrize("add", [revocation_data, archived, lambda content: archived(revocation_data(content))])
def test_what_is_kept_for_later_verifiers_is_nothing_that_is_seen(mine: Pen, add: Callable[[bytes], bytes]) -> None:
    assert later(add(signed(mine, pdf()))) == [Later.NOTHING]


def test_another_signature_is_told_of_the_first_only(mine: Pen) -> None:
    twice = signed(mine, signed(mine, pdf()))
    assert later(twice) == [Later.SIGNATURES, Later.NOTHING]
    assert later(updated(twice, page_replaced)) == [Later.FORBIDDEN, Later.FORBIDDEN]


def test_what_is_behind_the_end_is_forbidden_but_for_a_line_s_end(mine: Pen) -> None:
    whole = signed(mine, pdf())
    assert later(whole) == later(whole + b"\r\n") == [Later.NOTHING]
    assert later(whole + b"9 0 obj\n") == [Later.FORBIDDEN]


@pytest.mark.parametrize(
    ("allowing", "change", "told"),
    [
        (MDPPerm.NO_CHANGES, field_filled, Later.FORBIDDEN),
        (MDPPerm.NO_CHANGES, empty_field, Later.FORBIDDEN),
        (MDPPerm.FILL_FORMS, field_filled, Later.FILLED_AS_ALLOWED),
        (MDPPerm.FILL_FORMS, titled, Later.NOTHING),
        (MDPPerm.FILL_FORMS, page_replaced, Later.FORBIDDEN),
        (MDPPerm.ANNOTATE, field_filled, Later.FILLED_AS_ALLOWED),
        (MDPPerm.ANNOTATE, fields_drawn_otherwise, Later.FILLED_AS_ALLOWED),
        (MDPPerm.ANNOTATE, note_laid_over, Later.FORBIDDEN),
    ],
)
def test_what_a_certification_allows_is_told_as_such(mine: Pen, allowing: MDPPerm, change: Change, told: Later) -> None:
    assert later(updated(author_signed(mine, form(), allowing), change)) == [told]


def test_a_certified_file_may_be_signed_where_that_is_allowed(mine: Pen) -> None:
    assert later(signed(mine, author_signed(mine, form(), MDPPerm.FILL_FORMS))) == [Later.SIGNATURES, Later.NOTHING]


@pytest.mark.parametrize(
    ("lock", "told"),
    [
        (FieldMDPSpec(FieldMDPAction.ALL), Later.FORBIDDEN),
        (FieldMDPSpec(FieldMDPAction.INCLUDE, ["dose"]), Later.FORBIDDEN),
        (FieldMDPSpec(FieldMDPAction.INCLUDE, ["other"]), Later.FILLED),
        (FieldMDPSpec(FieldMDPAction.EXCLUDE, ["dose"]), Later.FILLED),
        (FieldMDPSpec(FieldMDPAction.EXCLUDE, ["other"]), Later.FORBIDDEN),
    ],
)
def test_a_field_that_a_signature_locks_may_not_be_filled(mine: Pen, lock: FieldMDPSpec, told: Later) -> None:
    assert later(updated(author_signed(mine, form(), locked=lock), field_filled)) == [told]


def test_a_form_with_a_locked_field_keeps_its_looks(mine: Pen) -> None:
    locked = author_signed(mine, form(), locked=FieldMDPSpec(FieldMDPAction.INCLUDE, ["dose"]))
    assert later(updated(locked, fields_drawn_otherwise)) == [Later.FORBIDDEN]


def test_a_lock_of_the_field_counts_as_one_of_the_signature(mine: Pen) -> None:
    for action, told in ((b"/All", Later.FORBIDDEN), (b"/Include /Fields [(other)]", Later.FILLED)):
        lock = b"/Lock << /Type /SigFieldLock /Action " + action + b" >>"
        for done in (signed_in_place(mine, lock), signed_in_place(mine, lock).replace(b"/FieldMDP", b"/FieldXDP")):
            assert later(updated(done, field_filled)) == [told]


def signed_in_place(pen: Pen, lock: bytes) -> bytes:
    """A form that pyHanko signed in a field that has this lock."""
    place = b"<< /FT /Sig /T (Signature1) /Type /Annot /Subtype /Widget /Rect [0 0 0 0] /P 3 0 R " + lock + b" >>"
    content = form(TEXT, place, kids=b"4 0 R 5 0 R")
    about = PdfSignatureMetadata(field_name="Signature1", subfilter=SigSeedSubFilter.PADES)
    return bytes(sign_pdf(IncrementalPdfFileWriter(BytesIO(content)), about, signer_of(pen)).getvalue())


def test_a_drawing_beside_another_s_signature_is_forbidden(mine: Pen) -> None:
    assert later(updated(signed(mine, signed(mine, pdf())), _in_front))[0] is Later.FORBIDDEN


def test_another_s_signature_may_show_who_signed(mine: Pen) -> None:
    visible = PadesOptions(visible=Visible((40.0, 40.0, 260.0, 120.0)))
    assert later(signed(mine, signed(mine, pdf()), visible)) == [Later.SIGNATURES, Later.NOTHING]


def test_a_drawing_that_was_there_before_the_signature_is_covered_by_it(mine: Pen) -> None:
    assert later(updated(signed(mine, updated(form(), picture_of_a_timestamp)), titled)) == [Later.NOTHING]
    drawn = updated(form(), picture)
    assert later(updated(signed(mine, drawn), titled)) == [Later.NOTHING]
    assert later(updated(signed(mine, drawn), field_filled)) == [Later.FILLED]
    stamp = generic.DictionaryObject({name("/Type"): name("/DocTimeStamp"), name("/Filter"): name("/Adobe.PPKLite")})

    def stamped(writer: IncrementalPdfFileWriter) -> None:
        field = next(one for one in writer.root["/AcroForm"]["/Fields"] if one.get_object()["/T"] == "laid over")
        field.get_object()[name("/V")] = writer.add_object(stamp)
        writer.mark_update(field.reference)

    assert later(updated(signed(mine, drawn), stamped))[0] is Later.FORBIDDEN


def test_a_form_that_has_a_field_twice_is_forbidden(mine: Pen) -> None:
    def twice(writer: IncrementalPdfFileWriter) -> None:
        fields = writer.root["/AcroForm"]["/Fields"]
        fields.append(fields[0])
        writer.update_container(fields)

    assert later(updated(signed(mine, form()), twice)) == [Later.FORBIDDEN]
