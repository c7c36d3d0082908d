"""Which format a document is in, by how it begins, and what is asked of each: nothing of one is read as another."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from hashlib import sha256
from io import BytesIO
from typing import BinaryIO

import pytest
from asn1crypto import pem
from cryptography.hazmat.primitives.asymmetric import ec
from pyhanko.pdf_utils.reader import PdfFileReader

from cardd.documents.formats import HEAD, PEM_MAX, Signatory, prepare, signatures_of
from cardd.documents.requests import FormatOptions, ToSign, ToVerify
from cardd.errors import (
    DocumentAmbiguous,
    DocumentContentMissing,
    DocumentContentTwice,
    DocumentEmpty,
    DocumentMalformed,
    DocumentUnrecognised,
    InvalidRequest,
)
from cardd.formats.document import new_document
from cardd.formats.options import (
    CadesOptions,
    JwsOptions,
    Packaging,
    PadesOptions,
    Serialization,
    SetDocument,
    SubmissionSetOptions,
    Visible,
    XadesOptions,
)
from cardd.formats.pdf.process import PdfProcess
from cardd.formats.raw import prepare_raw
from cardd.formats.verified import Format, Scope, VerifiedSignature
from cardd.model import Algorithm, Identity
from tests.rig.pdf import pdf
from tests.rig.pdf_here import PdfHere
from tests.rig.pens import Pen, SmallAuthority, finished

XML = b"<order><dose>10</dose></order>"
WHO = Identity("899000000010", "SIMULATION", "CAMILLE")
COMPACT, JSON = JwsOptions(), JwsOptions(Serialization.JSON)


@pytest.fixture
def mine(authority: SmallAuthority, ec_key: ec.EllipticCurvePrivateKey) -> Pen:
    return authority.pen(ec_key, Algorithm.ES256)


@pytest.fixture
def here() -> PdfHere:
    return PdfHere()


def asked(request: ToSign, options: FormatOptions, pen: Pen, now: datetime, pdfs: PdfProcess | None = None) -> bytes:
    with ExitStack() as undo:
        return pen.write(prepare(request, options, Signatory(pen.signer, WHO, now), pdfs or PdfHere(), undo))


def signed(options: FormatOptions, pen: Pen, now: datetime, document: bytes = XML) -> bytes:
    return asked(ToSign("SIMULATION", options, BytesIO(document)), options, pen, now)


def read(document: bytes, content: bytes | None = None) -> list[VerifiedSignature]:
    beside = None if content is None else BytesIO(content)
    return signatures_of(ToVerify(BytesIO(document), beside), PdfHere())


FORMATS: dict[str, tuple[FormatOptions, Format, bytes]] = {
    "jws": (COMPACT, Format.JWS, XML),
    "jws in json": (JSON, Format.JWS, XML),
    "cades": (CadesOptions(), Format.CADES, XML),
    "xades": (XadesOptions(), Format.XADES, XML),
    "xades around": (XadesOptions(Packaging.ENVELOPING), Format.XADES, XML),
    "pades": (PadesOptions(), Format.PADES, pdf()),
}
DETACHED: dict[str, FormatOptions] = {
    "jws": JwsOptions(detached=True),
    "jws in json": JwsOptions(Serialization.JSON, detached=True),
    "cades": CadesOptions(detached=True),
    "xades": XadesOptions(Packaging.DETACHED, uri="order.xml"),
}


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_signed_in_a_format_is_read_in_it(mine: Pen, now: datetime, name: str) -> None:
    options, kind, document = FORMATS[name]
    (found,) = read(signed(options, mine, now, document))
    assert (found.format, found.intact, found.scope) == (kind, True, Scope.WHOLE)
    assert found.certificate == mine.signer.certificate


@pytest.mark.parametrize("name", DETACHED)
def test_a_detached_signature_is_read_with_its_document(mine: Pen, now: datetime, name: str) -> None:
    signature = signed(DETACHED[name], mine, now)
    (found,) = read(signature, XML)
    assert (found.intact, found.scope) == (True, Scope.DETACHED)
    (other,) = read(signature, XML + b" ")
    assert other.intact is False
    with pytest.raises(DocumentContentMissing):
        read(signature)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("jws", lambda text: b" \r\n" + text + b"\n"),
        ("jws in json", lambda text: b" \n\t" + text + b"\n"),
        ("xades", lambda text: b"\n\n" + text),
        ("xades", lambda text: b"\xef\xbb\xbf" + text),
        ("xades around", lambda text: b"\xff\xfe" + text.replace(b"UTF-8", b"UTF-16").decode().encode("utf-16-le")),
        ("xades around", lambda text: b"\xfe\xff" + text.replace(b"UTF-8", b"UTF-16").decode().encode("utf-16-be")),
        ("cades", lambda der: pem.armor("CMS", der)),
        ("cades", lambda der: b"\n " + pem.armor("PKCS7", der) + b"\n\n"),
        ("cades", lambda der: pem.armor("CMS", der).replace(b"\n", b"\r\n")),
    ],
)
def test_each_may_be_written_in_several_ways(
    mine: Pen, now: datetime, name: str, change: Callable[[bytes], bytes]
) -> None:
    options, kind, document = FORMATS[name]
    (found,) = read(change(signed(options, mine, now, document)))
    assert (found.format, found.intact) == (kind, True)


def test_cms_in_pem_may_be_beside_its_document(mine: Pen, now: datetime) -> None:
    text = pem.armor("CMS", signed(CadesOptions(detached=True), mine, now))
    (found,) = read(text, XML)
    assert (found.intact, found.scope) == (True, Scope.DETACHED)


@pytest.mark.parametrize(
    "document",
    [
        b"bonjour",
        b"eyJhbGciO",
        b"eyJhbGciOiJ9<",
        b"Zm9v.YmFy.YmF6",
        b"ezJhbGciOiJFUzI1NiJ9",
        b"\xef\xbbeyJ",
        b"#PDF-1.7",
        b"1\x30",
    ],
)
def test_what_begins_like_none_is_not_recognised(document: bytes) -> None:
    with pytest.raises(DocumentUnrecognised):
        read(document)


@pytest.mark.parametrize(
    "document", [b"eyJhbGciOi", b"ewogImFsZyI", b" eyJhbGciOiJ9.e30\n.YQ", b"eyJhbGciOi" + b"A" * HEAD + b"<"]
)
def test_what_begins_as_a_jws_is_read_as_one(document: bytes) -> None:
    with pytest.raises(DocumentMalformed) as refused:
        read(document)
    assert refused.value.params == {"format": "JWS"}


def test_an_empty_document_or_content_is_refused(mine: Pen, now: datetime) -> None:
    for document in (b"", b" \n\t", b" " * HEAD):
        with pytest.raises(DocumentEmpty):
            read(document)
    for options in DETACHED.values():
        with pytest.raises(DocumentEmpty):
            read(signed(options, mine, now), b"")
    for given in (
        ToVerify(BytesIO(XML), documents={"2.25.2": BytesIO(b"")}),
        ToVerify(BytesIO(b""), signature=b"1", certificate=mine.signer.certificate),
    ):
        with pytest.raises(DocumentEmpty):
            signatures_of(given, PdfHere())


def test_a_pdf_has_no_document_beside_it(mine: Pen, now: datetime) -> None:
    with pytest.raises(DocumentContentTwice):
        read(signed(PadesOptions(), mine, now, pdf()), XML)


# --- raw signatures and submission sets


def test_a_raw_signature_is_read_with_its_certificate_and_nothing_else(mine: Pen) -> None:
    value, certificate = mine.sign(prepare_raw(BytesIO(XML), None).message), mine.signer.certificate
    (found,) = signatures_of(ToVerify(BytesIO(XML), signature=value, certificate=certificate), PdfHere())
    assert (found.format, found.intact) == (Format.RAW, True)
    for half, missing in (
        (ToVerify(BytesIO(XML), signature=value), "certificate"),
        (ToVerify(BytesIO(XML), certificate=certificate), "signature"),
    ):
        with pytest.raises(InvalidRequest) as refused:
            signatures_of(half, PdfHere())
        assert refused.value.params == {"where": f"$.{missing}", "why": "missing"}
    with pytest.raises(DocumentContentTwice):
        signatures_of(ToVerify(BytesIO(XML), BytesIO(XML), value, certificate), PdfHere())


def test_a_set_is_read_with_its_documents_and_nothing_else(mine: Pen, now: datetime) -> None:
    options = SubmissionSetOptions("2.25.1", (SetDocument("2.25.2", BytesIO(XML)),))
    signature = asked(ToSign("SIMULATION", options), options, mine, now)

    def given(**more: object) -> ToVerify:
        told: dict[str, object] = {"document": BytesIO(signature), "documents": {"2.25.2": BytesIO(XML)}, **more}
        return ToVerify(**told)  # type: ignore[arg-type]  # as its callers name them

    (found,) = signatures_of(given(), PdfHere())
    assert (found.format, found.intact, found.scope) == (Format.XADES, True, Scope.DETACHED)
    for more in ({"content": BytesIO(XML)}, {"signature": b"1"}, {"certificate": mine.signer.certificate}):
        with pytest.raises(DocumentContentTwice):
            signatures_of(given(**more), PdfHere())


# --- CMS as PEM


@pytest.mark.parametrize(
    "around",
    [
        lambda text: b"Dose: 100\n" + text,
        lambda text: text + b"Dose: 100\n",
        lambda text: text + text,
        lambda text: text.replace(b"CMS-----\n", b"CMS-----\nDose: 100\n\n", 1),
        lambda text: text.rstrip() + b" Dose: 100",
    ],
    ids=["before", "behind", "twice", "headers", "in its last line"],
)
def test_a_text_around_pem_is_not_taken_for_signed(mine: Pen, now: datetime, around: Callable[[bytes], bytes]) -> None:
    with pytest.raises(DocumentAmbiguous) as refused:
        read(around(pem.armor("CMS", signed(CadesOptions(), mine, now))))
    assert refused.value.params == {"what": "PEM", "why": "around"}


def test_pem_that_cannot_be_read_or_is_too_large_is_malformed(mine: Pen, now: datetime) -> None:
    text = pem.armor("CMS", signed(CadesOptions(), mine, now))
    (found,) = read(text.ljust(PEM_MAX))
    assert found.intact
    for odd in (text.ljust(PEM_MAX + 1), b"-----BEGIN CMS-----\nMA==\n", text.replace(b"\nMI", b"\nM\xe9")):
        with pytest.raises(DocumentMalformed) as refused:
            read(odd)
        assert refused.value.params == {"format": "CMS"}


# --- to sign


@pytest.mark.parametrize(
    "options",
    [COMPACT, JSON, CadesOptions(), XadesOptions(), XadesOptions(Packaging.ENVELOPING), PadesOptions()],
    ids=str,
)
def test_a_digest_is_only_for_what_stands_beside_its_document(mine: Pen, now: datetime, options: FormatOptions) -> None:
    with pytest.raises(InvalidRequest) as refused:
        asked(ToSign("SIMULATION", options, digest=bytes(32)), options, mine, now)
    assert refused.value.params == {"where": "$.digest", "why": "document_wanted"}


@pytest.mark.parametrize("name", ["cades", "xades"])
def test_the_digest_of_a_document_makes_the_same_signature_as_the_document(mine: Pen, now: datetime, name: str) -> None:
    options = DETACHED[name]
    (found,) = read(asked(ToSign("", options, digest=sha256(XML).digest()), options, mine, now), XML)
    assert (found.intact, found.scope) == (True, Scope.DETACHED)
    assert found.signed_at == now.replace(microsecond=0)


@pytest.mark.parametrize("by_digest", [False, True], ids=["document", "digest"])
def test_the_kind_that_is_told_stands_in_the_signature(mine: Pen, now: datetime, by_digest: bool) -> None:
    request = ToSign("", COMPACT, None if by_digest else BytesIO(XML), bytes(32) if by_digest else None)
    for options in (
        CadesOptions(detached=True, mime_type="text/x-dose"),
        XadesOptions(Packaging.DETACHED, "text/x-dose", "order.xml"),
    ):
        assert b"text/x-dose" in asked(request, options, mine, now)
    assert b"text/x-dose" in signed(CadesOptions(mime_type="text/x-dose"), mine, now)


def test_the_options_of_a_jws_stand_in_its_header(mine: Pen, now: datetime) -> None:
    header, _, _ = signed(JwsOptions(typ="JOSE", cty="xml"), mine, now).split(b".")
    told = json.loads(urlsafe_b64decode(header + b"=" * (-len(header) % 4)))
    assert (told["typ"], told["cty"]) == ("JOSE", "xml")


def test_a_visible_signature_shows_who_signs(mine: Pen, now: datetime) -> None:
    visible = PadesOptions(visible=Visible((40.0, 40.0, 260.0, 120.0)))
    (field,) = PdfFileReader(BytesIO(signed(visible, mine, now, pdf()))).root["/AcroForm"]["/Fields"]
    assert str(field.get_object()["/TU"]).startswith("CAMILLE SIMULATION, ")


def test_a_pdf_is_signed_in_a_copy_that_is_closed_where_nothing_comes_of_it(
    mine: Pen, now: datetime, here: PdfHere
) -> None:
    given = new_document(pdf())
    request, who = ToSign("", PadesOptions(), given), Signatory(mine.signer, WHO, now)
    with ExitStack() as undo:
        prepared = prepare(request, PadesOptions(), who, here, undo)
        assert not here.last.closed
    assert here.last.closed
    with pytest.raises(ValueError, match="closed"):
        prepared.finish(mine.sign(prepared.message))
    with ExitStack() as undo:
        prepared = prepare(request, PadesOptions(), who, here, undo)
        (found,) = read(finished(prepared, mine.sign(prepared.message)))
        undo.pop_all()
    assert (found.intact, _all(given)) == (True, pdf())


def _all(document: BinaryIO) -> bytes:
    document.seek(0)
    return document.read()
