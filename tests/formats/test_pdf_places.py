"""Where a signature stands in a PDF, which files take one, and what is read of it: crafted files, in this process."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from io import BytesIO

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from PIL import Image
from pyhanko.pdf_utils.misc import PdfReadError
from pyhanko.pdf_utils.reader import PdfFileReader

from cardd import errors
from cardd.formats.document import new_document
from cardd.formats.options import PadesOptions, Visible
from cardd.formats.pades import PICTURE_MAX, ROOM, prepare_pades, stamp_lines, verify_pades
from cardd.formats.pdf.fields import SIGNATURES_MAX, listed, open_pdf, place
from cardd.formats.pdf.process import PdfProcess
from cardd.formats.pdf.wire import Answer, Found, Later, List, Listed, Place, Placed, Request, Stamp
from cardd.formats.verified import Flaw, Format, Scope, VerifiedSignature
from cardd.model import Algorithm, Identity, Organisation
from cardd.values import replace
from tests.rig.pdf import pdf
from tests.rig.pdf_here import PdfHere
from tests.rig.pens import Pen, SmallAuthority, finished

NOON = datetime(2026, 12, 1, 12, 30, tzinfo=UTC)
WHO = Identity("899000000010", "SIMULATION-MÉDECIN", "CAMILLE", title="Médecin")
CORNER = (40.0, 40.0, 260.0, 120.0)
VALUE = b"<< /Type /Sig /Filter /Adobe.PPKLite /SubFilter /ETSI.CAdES.detached /Contents <00> /ByteRange [0 1 2 3] @ >>"


@pytest.fixture(scope="module")
def mine() -> Pen:
    return SmallAuthority().pen(ec.generate_private_key(ec.SECP256R1()), Algorithm.ES256)


def value(more: bytes = b"", *, contents: bytes = b"00", ranges: bytes = b"0 1 2 3") -> bytes:
    """A signature's dictionary."""
    made = VALUE.replace(b"@", more).replace(b"<00>", b"<" + contents + b">")
    return made.replace(b"0 1 2 3", ranges)


def transform(method: bytes, parameters: bytes) -> bytes:
    return b"/Reference [<< /Type /SigRef /TransformMethod /%b /TransformParams << %b >> >>]" % (method, parameters)


def fielded(*values: bytes, more: bytes = b"", catalogue: bytes = b"") -> bytes:
    """A PDF with a signature field of each value."""
    fields = b" ".join(b"%d 0 R" % (4 + 2 * number) for number in range(len(values)))
    extra = []
    for number, one in enumerate(values):
        extra += [b"<< /FT /Sig /T (s%d) /V %d 0 R %b >>" % (number, 5 + 2 * number, more), one]
    return pdf(extra=extra, catalogue=b"/AcroForm << /SigFlags 3 /Fields [" + fields + b"] >> " + catalogue)


def placed(content: bytes, request: Place | None = None) -> tuple[Placed, bytes]:
    """Where the place is, and the file."""
    file = BytesIO(content)
    found = place(file, request or Place(NOON, 100))
    return found, file.getvalue()


def signature_of(content: bytes) -> dict[str, object]:
    """The last field's signature, as pyHanko reads it."""
    found = PdfFileReader(BytesIO(content)).root["/AcroForm"]["/Fields"][-1].get_object()
    return dict(found["/V"]) | {"/T": str(found["/T"])}


# --- a place for a signature


def test_a_place_has_its_room_and_the_digest_of_all_around_it() -> None:
    found, content = placed(pdf())
    assert content.startswith(pdf())
    assert content[found.start : found.end] == b"<" + b"0" * 200 + b">"
    assert found.digest == sha256(content[: found.start] + content[found.end :]).digest()
    one = signature_of(content)
    assert (one["/T"], one["/SubFilter"], one["/Filter"]) == ("Signature1", "/ETSI.CAdES.detached", "/Adobe.PPKLite")
    ranges = [0, found.start, found.end, len(content) - found.end]
    assert (one["/M"], one["/ByteRange"]) == ("D:20261201123000Z", ranges)
    assert not {"/Reason", "/Location"} & {*one}
    assert PdfFileReader(BytesIO(content)).root["/Extensions"]["/ESIC"]["/ExtensionLevel"] == 1


def test_reason_and_location_stand_in_it() -> None:
    _, content = placed(pdf(), Place(NOON, 100, "Nom", "Compte rendu", "SIMULATION"))
    one = signature_of(content)
    assert (one["/T"], one["/Reason"], one["/Location"]) == ("Nom", "Compte rendu", "SIMULATION")


def test_what_is_made_again_is_the_same_file_and_anything_else_another() -> None:
    def identifier(content: bytes) -> list[bytes]:
        return [bytes(half) for half in PdfFileReader(BytesIO(content)).trailer["/ID"]]

    first, again = placed(pdf())[1], placed(pdf())[1]
    assert first == again
    later, named = placed(pdf(), Place(NOON + timedelta(seconds=1), 100)), placed(pdf(), Place(NOON, 100, "Signature1"))
    longer = placed(pdf(pages=2))
    halves = [half for content in (first, later[1], named[1], longer[1]) for half in identifier(content)]
    assert (len(halves), len({*halves}), {len(half) for half in halves}) == (8, 8, {16})
    old, new = identifier(placed(pdf(trailer=b"/ID [<01> <02>]"))[1])
    assert (old, len(new)) == (b"\1", 16)
    assert b"/ModDate (D\\07220261201123000Z)" in first


def test_a_field_has_a_name_that_is_new() -> None:
    once = placed(pdf())[1]
    assert signature_of(placed(once)[1])["/T"] == "Signature2"
    assert signature_of(placed(placed(pdf(), Place(NOON, 100, "Signature2"))[1])[1])["/T"] == "Signature1"
    for taken in ("Signature1", "Signature1.inner"):
        with pytest.raises(errors.PdfFieldTaken) as refused:
            placed(once, Place(NOON, 100, taken))
        assert refused.value.params == {"field": taken}
    assert placed(once, Place(NOON, 100, "Signature"))
    nameless = pdf(extra=[b"<< /FT /Tx >>"], catalogue=b"/AcroForm << /Fields [4 0 R] >>")
    assert signature_of(placed(nameless)[1])["/T"] == "Signature1"


# --- which files are taken


@pytest.mark.parametrize("content", [b"PK\3\4", b" %PDF-1.7", b"%PDF", b"%pdf-1.7"])
def test_what_does_not_begin_like_a_pdf_is_none(content: bytes) -> None:
    with pytest.raises(errors.DocumentMalformed) as refused:
        open_pdf(BytesIO(content))
    assert refused.value.params == {"format": "PDF"}


def test_a_file_is_read_from_its_beginning_strictly() -> None:
    file = BytesIO(pdf())
    file.seek(100)
    assert open_pdf(file).root["/Type"] == "/Catalog"
    with pytest.raises(errors.PdfEncrypted):
        open_pdf(BytesIO(pdf(trailer=b"/Encrypt << /Filter /Standard /V 1 /R 2 >>")))
    with pytest.raises(PdfReadError):
        open_pdf(BytesIO(pdf()[:-40]))


PERMITTED = b"/Perms << /DocMDP 4 0 R >>"


@pytest.mark.parametrize(
    ("content", "refusal"),
    [
        (pdf(catalogue=b"/AcroForm << /XFA (x) /Fields [] >>"), errors.PdfXfa),
        (fielded(value(transform(b"DocMDP", b"/P 1 /V /1.2"))), errors.PdfCertified),
        (fielded(value(transform(b"DocMDP", b"/P 2 /V /1.2"))), None),
        (fielded(value(), value(transform(b"DocMDP", b"/P 1 /V /1.2"))), errors.PdfCertified),
        (fielded(value(transform(b"DocMDP", b"/P 1")), catalogue=b"/Perms << /DocMDP 5 0 R >>"), errors.PdfCertified),
        (pdf(extra=[value(transform(b"DocMDP", b"/P 1"))], catalogue=PERMITTED), errors.PdfCertified),
        (pdf(extra=[value(transform(b"DocMDP", b"/P 3"))], catalogue=PERMITTED), None),
        (fielded(value(transform(b"FieldMDP", b"/Action /All"))), errors.PdfFieldLocked),
        (fielded(value(transform(b"FieldMDP", b"/Action /Include /Fields [(Nom)]"))), errors.PdfFieldLocked),
        (fielded(value(transform(b"FieldMDP", b"/Action /Include /Fields [(Other)]"))), None),
        (fielded(value(), more=b"/Lock << /Action /All >>"), errors.PdfFieldLocked),
        (fielded(value(), more=b"/Lock << /Action /Exclude /Fields [(Nom)] >>"), None),
        (fielded(value()), None),
    ],
)  # fmt: skip
def test_what_earlier_signatures_forbid_is_not_signed(content: bytes, refusal: type[errors.CarddError] | None) -> None:
    request = Place(NOON, 100, "Nom")
    if refusal is None:
        assert signature_of(placed(content, request)[1])["/T"] == "Nom"
        return
    with pytest.raises(refusal) as refused:
        placed(content, request)
    assert refused.value.params == ({"field": "Nom"} if refusal is errors.PdfFieldLocked else {})


# --- where a visible one stands


def stamped(content: bytes, page: int = 1, rectangle: tuple[float, float, float, float] = CORNER) -> bytes:
    return placed(content, Place(NOON, 100, stamp=Stamp(page, rectangle, ("CAMILLE", "SIMULATION"), None)))[1]


@pytest.mark.parametrize(("page", "index"), [(1, 0), (3, 2), (-1, 2), (-3, 0), (2, 1)])
def test_a_page_counts_from_one_or_from_the_end(page: int, index: int) -> None:
    reader = PdfFileReader(BytesIO(stamped(pdf(pages=3), page)))
    pages = reader.root["/Pages"]["/Kids"]
    assert [number for number, one in enumerate(pages) if "/Annots" in one.get_object()] == [index]
    field = pages[index].get_object()["/Annots"][0].get_object()
    assert ([float(edge) for edge in field["/Rect"]], field["/TU"]) == ([*CORNER], "CAMILLE, SIMULATION")
    assert all(line.hex().encode() in field["/AP"]["/N"].data for line in (b"CAMILLE", b"SIMULATION"))


@pytest.mark.parametrize("page", [0, 4, -4])
def test_a_page_that_is_not_there_is_told_with_how_many_are(page: int) -> None:
    with pytest.raises(errors.PdfPageMissing) as refused:
        stamped(pdf(pages=3), page)
    assert refused.value.params == {"page": page, "pages": 3}


@pytest.mark.parametrize(
    ("rectangle", "fits"),
    [
        ((0, 0, 595, 842), True),
        ((-1, -1, 596, 843), True),
        ((-1.1, 0, 595, 842), False),
        ((0, -1.1, 595, 842), False),
        ((0, 0, 596.1, 842), False),
        ((0, 0, 595, 843.1), False),
        ((50, 0, 50, 842), False),
        ((0, 50, 595, 50), False),
        ((60, 0, 50, 842), False),
        ((0, 60, 595, 50), False),
    ],
)
def test_a_rectangle_is_inside_its_page_by_a_point(rectangle: tuple[float, float, float, float], fits: bool) -> None:
    if fits:
        assert stamped(pdf(), 1, rectangle)
        return
    with pytest.raises(errors.PdfRectangleOutside) as refused:
        stamped(pdf(), 1, rectangle)
    assert refused.value.params == {"page": "0 0 595 842"}


def test_a_page_may_begin_elsewhere_than_at_zero() -> None:
    content = _again(pdf().replace(b"[0 0 595 842]", b"[10 500 595 842]"))
    assert stamped(content, 1, (20, 510, 30, 520))
    for rectangle in ((0, 510, 30, 520), (20, 490, 30, 520)):
        with pytest.raises(errors.PdfRectangleOutside) as refused:
            stamped(content, 1, rectangle)
        assert refused.value.params == {"page": "10 500 595 842"}


@pytest.mark.parametrize(("rotate", "upright"), [(0, 1), (90, 0), (180, -1), (270, 0), (-90, 0), (450, 0), (540, -1)])
def test_what_is_shown_is_upright_and_as_large_as_its_place_on_a_turned_page(rotate: int, upright: int) -> None:
    inherited = pdf().replace(b"/Rotate 0", b"").replace(b"/Kids", b"/Rotate %d /Kids" % rotate)
    for content in (pdf(rotate=rotate), _again(inherited)):
        page = PdfFileReader(BytesIO(stamped(content))).root["/Pages"]["/Kids"][0].get_object()
        normal = page["/Annots"][0].get_object()["/AP"]["/N"]
        size = (220, 80) if rotate % 180 == 0 else (80, 220)
        assert (tuple(map(float, normal["/BBox"])), float(normal["/Matrix"][0])) == ((0, 0, *size), upright)
        assert "/XObject" not in normal["/Resources"]


def test_a_picture_is_shown_beside_the_words() -> None:
    drawn = BytesIO()
    Image.new("RGB", (60, 40), "navy").save(drawn, "PNG")
    stamp = Stamp(1, CORNER, ("CAMILLE",), drawn.getvalue())
    page = PdfFileReader(BytesIO(placed(pdf(), Place(NOON, 100, stamp=stamp))[1])).root["/Pages"]["/Kids"][0]
    normal = page.get_object()["/Annots"][0].get_object()["/AP"]["/N"]
    assert (normal["/Resources"]["/XObject"]["/P"]["/Width"], b"/P Do" in normal.data) == (60, True)


@pytest.mark.parametrize(
    ("boxes", "page"),
    [
        (b"/MediaBox [0 0 20 30]", "0 0 20 30"),
        (b"/MediaBox [0 0 595 842] /CropBox [1 2 20.5 30]", "1 2 20.5 30"),
        (b"/MediaBox [0 0 595 842] /CropBox [20 30 1 2]", "1 2 20 30"),
    ],
)
def test_the_part_of_a_page_counts_that_is_shown(boxes: bytes, page: str) -> None:
    for content in (
        pdf().replace(b"/MediaBox [0 0 595 842]", boxes),
        pdf().replace(b"/MediaBox [0 0 595 842]", b"").replace(b"/Kids", boxes + b" /Kids"),
    ):
        with pytest.raises(errors.PdfRectangleOutside) as refused:
            stamped(_again(content), 1, CORNER)
        assert refused.value.params == {"page": page}


def _again(content: bytes) -> bytes:
    """The file with its table of places made anew."""
    places = [found.start() for found in re.finditer(rb"^\d+ 0 obj$", content, re.MULTILINE)]
    head, _, tail = content.partition(b"xref\n")
    table = b"xref\n0 %d\n0000000000 65535 f \n" % (len(places) + 1) + b"".join(
        b"%010d 00000 n \n" % at for at in places
    )
    trailer = tail[tail.index(b"trailer") : tail.index(b"startxref")]
    return head + table + trailer + b"startxref\n%d\n%%%%EOF\n" % len(head)


# --- which signatures are there


def test_each_signature_is_told_as_it_stands_there_the_smallest_first() -> None:
    older = value(b"/M (D:20261201123000Z)", contents=b"3000ff", ranges=b"0 1 2 30")
    newer = value(b"/M (yesterday)", ranges=b"0 1 2 40").replace(b"ETSI.CAdES", b"adbe.pkcs7")
    stamp = value().replace(b"/Type /Sig", b"/Type /DocTimeStamp")
    found = listed(BytesIO(fielded(newer, stamp, older))).signatures
    assert [(one.kind, one.ranges, one.contents, one.when, one.later) for one in found] == [
        ("/ETSI.CAdES.detached", (0, 1, 2, 30), b"0\0\xff", NOON, Later.FORBIDDEN),
        ("/adbe.pkcs7.detached", (0, 1, 2, 40), b"\0", None, Later.FORBIDDEN),
    ]
    assert listed(BytesIO(pdf())) == Listed(())


def test_so_many_signatures_are_read_and_no_more() -> None:
    assert len(listed(BytesIO(fielded(*[value()] * SIGNATURES_MAX))).signatures) == SIGNATURES_MAX
    with pytest.raises(errors.DocumentUnsupported) as refused:
        listed(BytesIO(fielded(*[value()] * (SIGNATURES_MAX + 1))))
    assert refused.value.params == {"format": "PDF", "what": "65 signatures"}


# --- the message inside


class Says(PdfProcess):
    """Answers what it was told to, and remembers the request."""

    request: Request

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self._answer = answer

    def ask(self, document: object, request: Request) -> Answer:
        self.request = request
        return self._answer


def signed(pen: Pen, options: PadesOptions | None = None) -> bytes:
    document = new_document(pdf())
    made = prepare_pades(document, pen.signer, datetime.now(UTC), options or PadesOptions(), process=PdfHere(), who=WHO)
    return pen.write(made)


def read(content: bytes, of: bytes | None = None, **changed: object) -> VerifiedSignature:
    """The only signature as the process tells it of another file, or with something else told of it."""
    (found,) = listed(BytesIO(of or content)).signatures
    told = {name: getattr(found, name) for name in Found.__struct_fields__} | changed
    (one,) = verify_pades(BytesIO(content), Says(Listed((Found(**told),))))
    return one


def test_a_signature_is_told_with_what_it_covers(mine: Pen) -> None:
    content = signed(mine)
    found = read(content)
    assert (found.format, found.scope, found.flaw, found.later) == (Format.PADES, Scope.WHOLE, None, Later.NOTHING)
    assert (found.certificate, found.names_certificate) == (mine.signer.certificate, True)
    assert read(content, when=NOON).signed_at == NOON
    assert read(content, when=None).signed_at is None
    assert read(content, later=Later.FILLED).later is Later.FILLED
    assert read(content, kind="/adbe.pkcs7.detached").names_certificate
    longer = read(content + b"\n")
    assert (longer.scope, longer.flaw) == (Scope.PART, None)


def test_a_gap_that_holds_more_than_the_signature_is_a_flaw(mine: Pen) -> None:
    content = signed(mine)
    (found,) = listed(BytesIO(content)).signatures
    first, size, second, rest = found.ranges
    assert (first, second) == (0, size + 2 * len(found.contents) + 2)
    for ranges in ((0, size - 1, second, rest), (0, size, second + 1, rest - 1), (1, size - 1, second, rest)):
        assert read(content, ranges=ranges).flaw is Flaw.CONTENT
    full = found.contents[:-1] + b"\1"
    words = content[: second - 3] + b"01>" + content[second:]
    assert read(words, content, contents=full).flaw is Flaw.CONTENT
    upper = content[: size + 1] + content[size + 1 : second - 1].upper() + content[second - 1 :]
    assert read(upper).flaw is None
    for at, other in ((size, b"("), (second - 1, b")"), (size + 1, b"4")):
        assert read(content[:at] + other + content[at + 1 :], content).flaw is Flaw.CONTENT


@pytest.mark.parametrize(
    ("ranges", "flaw"),
    [
        (lambda first, second, rest: (0, first, second, rest), None),
        (lambda first, second, rest: (1, first - 1, second, rest), Flaw.CONTENT),
        (lambda first, second, rest: (0, first, second + 3, rest - 3), Flaw.CONTENT),
        (lambda first, second, rest: (0, first - 3, second, rest), Flaw.CONTENT),
        (lambda first, second, rest: (0, first, second, rest + 1), Flaw.CONTENT),
    ],
    ids=["only itself", "the first byte", "behind it", "in front of it", "behind the end"],
)
def test_a_signature_that_holds_leaves_out_only_itself(
    mine: Pen, ranges: Callable[[int, int, int], tuple[int, ...]], flaw: Flaw | None
) -> None:
    head, tail, size = b"a" * 30_000, b"b" * 20_000, 16_000
    whole = head + b"<" + b"0" * size + b">" + tail
    told = ranges(len(head), len(head) + size + 2, len(tail))
    digest = sha256(whole[told[0] : told[0] + told[1]] + whole[told[2] : told[2] + told[3]]).digest()
    says = Says(Placed(len(head), len(head) + size + 2, digest))
    made = prepare_pades(BytesIO(whole), mine.signer, datetime.now(UTC), PadesOptions(), process=says, who=WHO)
    content = finished(made, mine.sign(made.message))
    contents = bytes.fromhex(content[len(head) + 1 : len(head) + 1 + size].decode())
    found = Found("/ETSI.CAdES.detached", told, contents, NOON, Later.NOTHING)
    (one,) = verify_pades(BytesIO(content), Says(Listed((found,))))
    assert one.flaw is flaw


@pytest.mark.parametrize("ranges", [(), (0, 1, 2), (0, 1, 2, 3, 4), (-1, 1, 2, 3), (0, 1, 2, -3)])
def test_ranges_that_are_not_two_are_malformed(mine: Pen, ranges: tuple[int, ...]) -> None:
    with pytest.raises(errors.DocumentMalformed) as refused:
        read(signed(mine), ranges=ranges)
    assert refused.value.params == {"format": "PDF"}


def test_a_kind_that_is_not_known_and_a_message_that_is_none_are_refused(mine: Pen) -> None:
    content = signed(mine)
    with pytest.raises(errors.DocumentUnsupported) as refused:
        read(content, kind="/adbe.x509.rsa_sha1")
    assert refused.value.params == {"format": "PDF", "what": "/adbe.x509.rsa_sha1"}
    for contents in (b"", b"\x30\x80"):
        with pytest.raises(errors.DocumentMalformed) as malformed:
            read(content, contents=contents)
        assert malformed.value.params == {"format": "CMS"}


def test_an_answer_of_another_kind_is_a_fault_of_ours(mine: Pen) -> None:
    now, options = datetime.now(UTC), PadesOptions()
    with pytest.raises(errors.InternalError) as read_fault:
        verify_pades(BytesIO(pdf()), Says(Placed(0, 1, b"")))
    with pytest.raises(errors.InternalError) as placed_fault:
        prepare_pades(BytesIO(pdf()), mine.signer, now, options, process=Says(Listed(())), who=WHO)
    assert (read_fault.value.params, placed_fault.value.params) == ({"why": "Placed"}, {"why": "Listed"})


def test_the_process_is_asked_for_what_was_asked_and_for_room_for_the_certificates(mine: Pen) -> None:
    says, now = Says(Placed(0, 9, bytes(32))), datetime.now(UTC)
    shown = Visible(CORNER, 2, b"x" * PICTURE_MAX, "en")
    options = PadesOptions("why", "where", "Nom", shown)
    prepare_pades(BytesIO(pdf()), mine.signer, now, options, process=says, who=WHO)
    room = ROOM + len(mine.signer.certificate) + sum(map(len, mine.signer.chain))
    stamp = Stamp(2, CORNER, stamp_lines(WHO, now, "en"), b"x" * PICTURE_MAX)
    assert says.request == Place(now, room, "Nom", "why", "where", stamp)
    verify_pades(BytesIO(pdf()), nothing := Says(Listed(())))
    assert nothing.request == List()
    larger = PadesOptions(visible=replace(shown, picture=b"x" * (PICTURE_MAX + 1)))
    with pytest.raises(errors.PdfPictureTooLarge) as refused:
        prepare_pades(BytesIO(pdf()), mine.signer, now, larger, process=says, who=WHO)
    assert refused.value.params == {"limit": "1024 KiB"}
    with pytest.raises(errors.DocumentEmpty):
        prepare_pades(BytesIO(), mine.signer, now, options, process=says, who=WHO)
    with pytest.raises(errors.SigningCertificateExpired):
        prepare_pades(BytesIO(pdf()), mine.signer, now + timedelta(days=999), options, process=says, who=WHO)


def test_a_message_may_fill_its_room_and_no_more(mine: Pen) -> None:
    content = pdf()

    def prepared(size: int) -> bytes:
        document = BytesIO(content + b"<" + b"0" * size + b">" + b"behind")
        says = Says(Placed(len(content), len(content) + size + 2, bytes(32)))
        made = prepare_pades(document, mine.signer, datetime.now(UTC), PadesOptions(), process=says, who=WHO)
        number = int.from_bytes(b"\1" * 32, "big")
        assert made.stamped(b"\1" * 64) == encode_dss_signature(number, number)
        return finished(made, b"\1" * 64)

    whole = prepared(8000)
    size = len(whole[len(content) + 1 : -7].rstrip(b"0"))
    size += size % 2
    assert prepared(size)[-7:] == b">behind"
    with pytest.raises(errors.PdfNoRoom):
        prepared(size - 2)


def test_what_a_visible_signature_shows_is_the_holder_s_at_the_time_in_paris() -> None:
    assert stamp_lines(WHO, NOON, "fr") == (
        *("CAMILLE SIMULATION-MÉDECIN", "Médecin"),
        *("N° 899000000010", "Signé le 01/12/2026 à 13:30 CET"),
    )
    summer = NOON.replace(month=7)
    assert stamp_lines(replace(WHO, title=None), summer, "en") == (
        *("CAMILLE SIMULATION-MÉDECIN", "No. 899000000010"),
        "Signed on 2026-07-01 at 14:30 CEST",
    )
    office = Organisation("1999999999", "finess", "CABINET FICTIF")
    assert stamp_lines(replace(WHO, organisation=office), NOON, "en")[0] == "CAMILLE SIMULATION-MÉDECIN"
    assert stamp_lines(replace(WHO, organisation=office, is_declared=True), NOON, "en")[:2] == (
        "CABINET FICTIF",
        "No. 1999999999",
    )
    assert stamp_lines(replace(WHO, is_declared=True), NOON, "en")[1] == "Médecin"
