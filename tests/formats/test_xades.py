"""XAdES, judged by xmlsec1, xadesjs and signxml: around, inside and beside the document, of each kind of key."""

from __future__ import annotations

import tracemalloc
from datetime import datetime
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pytest
from lxml import etree
from signxml.exceptions import InvalidDigest
from signxml.verifier import SignatureConfiguration, XMLVerifier

from cardd.errors import (
    DocumentEmpty,
    DocumentError,
    DocumentMalformed,
    DocumentTooLarge,
    DocumentUnsupported,
    DocumentXmlDoctype,
    DocumentXmlLimits,
)
from cardd.formats.document import new_document
from cardd.formats.options import CertificateProperty, Packaging, XadesOptions
from cardd.formats.verified import Scope
from cardd.formats.xades import INSIDE_MAX, prepare_xades, prepare_xades_digest
from cardd.formats.xades_read import verify_xades
from cardd.formats.xml import XML_MAX
from cardd.model import Algorithm
from tests.rig import xml_judges
from tests.rig.pens import Pen, finished
from tests.rig.tsa import OpensslTsa
from tests.rig.xml_judges import at, text_at

DOCUMENT = """<?xml version="1.0" encoding="UTF-8"?>
<!-- SIMULATION --><?style none?>
<cda:ClinicalDocument xmlns:cda="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <cda:title z="2" a='1'>Compte rendu é</cda:title><!-- inside -->
  <cda:value xsi:type="cda:ST"><![CDATA[<b>&]]></cda:value>
</cda:ClinicalDocument>
""".encode()
PLAIN = DOCUMENT.replace(b"<?style none?>", b"")  # xadesjs forgets what is outside the root element
DS = "{http://www.w3.org/2000/09/xmldsig#}"
X = "{http://uri.etsi.org/01903/v1.3.2#}"
FORMS = list(Packaging)

judged_by_node = pytest.mark.skipif(not xml_judges.has_xadesjs(), reason="node and xadesjs are not installed")


@pytest.fixture
def signed(tmp_path: Path) -> Path:
    """Where the signed file goes; the document is beside it."""
    (tmp_path / "document.xml").write_bytes(DOCUMENT)
    return tmp_path / "signed.xml"


def options(form: Packaging, certificate: CertificateProperty = CertificateProperty.V2) -> XadesOptions:
    return XadesOptions(form, uri="document.xml", certificate=certificate)


def beside(form: Packaging, document: bytes = DOCUMENT) -> bytes | None:
    return document if form is Packaging.DETACHED else None


def sign(pen: Pen, form: Packaging, now: datetime, document: bytes = DOCUMENT) -> bytes:
    return pen.write(prepare_xades(BytesIO(document), pen.signer, now, options(form)))


# --- the judges accept


@pytest.mark.parametrize("form", FORMS)
def test_xmlsec_accepts_each_form_of_each_key_for_older_readers(
    pen: Pen, signed: Path, now: datetime, form: Packaging
) -> None:
    if pen.signer.algorithm is Algorithm.PS256:
        pytest.skip("xmlsec1 of Debian 12 knows no PSS: signxml judges it")
    signed.write_bytes(
        pen.write(prepare_xades(BytesIO(DOCUMENT), pen.signer, now, options(form, CertificateProperty.V1)))
    )
    assert xml_judges.xmlsec_accepts(signed, pen.roots)


@judged_by_node
@pytest.mark.parametrize("form", FORMS)
def test_xadesjs_accepts_each_form_of_each_key(pen: Pen, now: datetime, form: Packaging) -> None:
    if pen.signer.algorithm is Algorithm.PS256:
        pytest.skip("xadesjs knows another PSS: signxml judges it")
    assert xml_judges.xadesjs_accepts(sign(pen, form, now, PLAIN), beside(form, PLAIN))


@pytest.mark.parametrize("form", [Packaging.ENVELOPED, Packaging.ENVELOPING])
def test_signxml_accepts_what_it_can_reach(pen: Pen, now: datetime, form: Packaging) -> None:
    signed = sign(pen, form, now, PLAIN)
    assert _parts_that_signxml_verifies(signed) == 2
    with pytest.raises(InvalidDigest):
        _parts_that_signxml_verifies(signed.replace(b"<xades:SigningTime>2", b"<xades:SigningTime>3"))


def _parts_that_signxml_verifies(document: bytes) -> int:
    wanted = SignatureConfiguration(expect_references=2)
    certificate = etree.fromstring(document).findtext(f".//{DS}X509Certificate")
    found = XMLVerifier().verify(document, x509_cert=certificate, expect_config=wanted)
    return len(found) if isinstance(found, list) else 1


def test_a_digest_alone_makes_the_detached_signature_of_its_document(pen: Pen, signed: Path, now: datetime) -> None:
    if pen.signer.algorithm is Algorithm.PS256:
        pytest.skip("xmlsec1 of Debian 12 knows no PSS")
    prepared = prepare_xades_digest(sha256(DOCUMENT).digest(), pen.signer, now, options(Packaging.DETACHED))
    signed.write_bytes(pen.write(prepared))
    assert xml_judges.xmlsec_accepts(signed, pen.roots)


@pytest.mark.parametrize(
    "document",
    [
        b"<a/>",
        b"<a></a>",
        b"<a> </a >\n\n",
        b"<a><b/></a><!-- </a> --><?pi </a>?>",
        '<?xml version="1.0" encoding="ISO-8859-1"?><a>é</a>'.encode("latin-1"),
        '<?xml version="1.0" encoding="UTF-16"?><a>é</a>'.encode("utf-16"),
        b'\xef\xbb\xbf<a xmlns="urn:x"><b xmlns=""/></a>',
        b'<a xmlns="urn:x" xmlns:ds="urn:y" ds:c="1" xml:lang="fr"/>',
    ],
    ids=["empty", "open", "space", "comment", "latin-1", "utf-16", "namespaces", "prefix"],
)
def test_xmlsec_accepts_the_signature_in_documents_of_each_ending_and_encoding(
    card: Pen, signed: Path, now: datetime, document: bytes
) -> None:
    signed.write_bytes(sign(card, Packaging.ENVELOPED, now, document))
    assert xml_judges.xmlsec_accepts(signed, card.roots)


def test_nothing_but_the_signature_is_added_to_the_octets_of_a_document(card: Pen, now: datetime) -> None:
    written = sign(card, Packaging.ENVELOPED, now)
    start, end = written.index(b"<ds:Signature "), written.index(b"</ds:Signature>") + len(b"</ds:Signature>")
    assert written[:start] + written[end:] == DOCUMENT


# --- the judges refuse


@judged_by_node
@pytest.mark.parametrize("form", FORMS)
def test_xadesjs_refuses_a_changed_document(card: Pen, now: datetime, form: Packaging) -> None:
    changed = _changed(sign(card, form, now, PLAIN), form)
    assert not xml_judges.xadesjs_accepts(changed, beside(form, PLAIN.replace(b"Compte", b"COMPTE")))


@judged_by_node
def test_both_refuse_another_signing_time(card: Pen, signed: Path, now: datetime) -> None:
    changed = sign(card, Packaging.ENVELOPED, now, PLAIN).replace(b"<xades:SigningTime>2", b"<xades:SigningTime>3")
    signed.write_bytes(changed)
    assert not xml_judges.xmlsec_accepts(signed, card.roots)
    assert not xml_judges.xadesjs_accepts(changed)


def _changed(document: bytes, form: Packaging) -> bytes:
    if form is Packaging.ENVELOPED:
        return document.replace(b"Compte", b"COMPTE", 1)
    if form is Packaging.ENVELOPING:
        return document.replace(b'base64">PD94', b'base64">PD95', 1)
    return document


# --- what is in it


def test_the_signed_properties_are_those_of_the_baseline(pen: Pen, now: datetime) -> None:
    root = etree.fromstring(pen.write(prepare_xades(BytesIO(DOCUMENT), pen.signer, now)))
    signature = at(root, f"{DS}Signature")
    properties = at(signature, f"{DS}Object/{X}QualifyingProperties/{X}SignedProperties")
    time = properties.findtext(f"{X}SignedSignatureProperties/{X}SigningTime")
    assert time == now.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert properties.find(f"{X}SignedSignatureProperties/{X}SigningCertificateV2/{X}Cert") is not None
    data = at(properties, f"{X}SignedDataObjectProperties/{X}DataObjectFormat")
    assert data.findtext(f"{X}MimeType") == "text/xml"
    first, second = signature.findall(f"{DS}SignedInfo/{DS}Reference")
    assert data.get("ObjectReference") == f"#{first.get('Id')}"
    assert second.get("Type") == "http://uri.etsi.org/01903#SignedProperties"
    held = signature.findall(f"{DS}KeyInfo/{DS}X509Data/{DS}X509Certificate")
    assert len(held) == len({pen.signer.certificate, *pen.signer.chain})


def test_an_older_reader_gets_the_issuer_and_the_serial_number(card: Pen, now: datetime) -> None:
    prepared = prepare_xades(BytesIO(DOCUMENT), card.signer, now, options(Packaging.DETACHED, CertificateProperty.V1))
    root = etree.fromstring(card.write(prepared))
    issuer = text_at(root, f".//{X}SigningCertificate/{X}Cert/{X}IssuerSerial/{DS}X509IssuerName")
    assert issuer.startswith("CN=")
    assert issuer.endswith(",C=FR")
    assert int(text_at(root, f".//{X}IssuerSerial/{DS}X509SerialNumber")) > 0


@pytest.mark.parametrize("form", FORMS)
def test_a_timestamp_gets_its_place_among_the_unsigned_properties(
    card: Pen, signed: Path, tsa: OpensslTsa, now: datetime, form: Packaging
) -> None:
    prepared = prepare_xades(BytesIO(DOCUMENT), card.signer, now, options(form))
    value = card.sign(prepared.message)
    covered = prepared.stamped(value)
    token = tsa.token(covered)
    signed.write_bytes(finished(prepared, value, token))
    assert xml_judges.xmlsec_accepts(signed, card.roots)
    root = etree.parse(signed)
    path = f".//{X}UnsignedSignatureProperties/{X}SignatureTimeStamp"
    assert len(root.findall(f"{path}/{X}EncapsulatedTimeStamp")) == 1
    (place,) = root.iter(f"{DS}SignatureValue")
    assert etree.tostring(place, method="c14n", exclusive=True) == covered


# --- limits


def test_an_empty_document_is_not_signed(card: Pen, now: datetime) -> None:
    for form in FORMS:
        with pytest.raises(DocumentEmpty):
            sign(card, form, now, b"")


def test_documents_too_large_to_be_in_one_file_with_their_signature_are_refused(card: Pen, now: datetime) -> None:
    for form, limit in ((Packaging.ENVELOPED, XML_MAX), (Packaging.ENVELOPING, INSIDE_MAX)):
        with pytest.raises(DocumentTooLarge) as refused:
            sign(card, form, now, b" " * (limit + 1))
        assert refused.value.params == {"format": "XAdES", "limit": limit}


def test_the_largest_document_inside_is_still_read_by_xmlsec(card: Pen, signed: Path, now: datetime) -> None:
    signed.write_bytes(sign(card, Packaging.ENVELOPING, now, b"\xa5" * INSIDE_MAX))
    assert xml_judges.xmlsec_accepts(signed, card.roots)


def test_a_hundred_megabytes_apart_are_signed_without_filling_the_memory(card: Pen, now: datetime) -> None:
    with new_document() as document:
        document.seek(100 * 1024 * 1024 - 1)
        document.write(b"\0")
        tracemalloc.start()
        try:
            card.write(prepare_xades(document, card.signer, now, XadesOptions(Packaging.DETACHED)))
            assert tracemalloc.get_traced_memory()[1] < 4 * 1024 * 1024
        finally:
            tracemalloc.stop()


def test_a_document_that_has_a_signature_already_gets_no_second_one_inside(card: Pen, now: datetime) -> None:
    with pytest.raises(DocumentUnsupported) as refused:
        sign(card, Packaging.ENVELOPED, now, sign(card, Packaging.ENVELOPED, now))
    assert refused.value.params == {"format": "XAdES", "what": "ds:Signature"}


@pytest.mark.parametrize(
    ("document", "refusal"),
    [
        (b"<!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;</a>", DocumentXmlDoctype),
        (b"<a><b></a>", DocumentMalformed),
        (b"<a>" * 300 + b"</a>" * 300, DocumentXmlLimits),
        (b'<a xmlns:b="not/absolute"/>', DocumentMalformed),
    ],
    ids=["entities", "malformed", "deep", "relative namespace"],
)
def test_xml_that_cannot_be_read_safely_gets_no_signature_inside(
    card: Pen, now: datetime, document: bytes, refusal: type[DocumentError]
) -> None:
    with pytest.raises(refusal):
        sign(card, Packaging.ENVELOPED, now, document)
    assert sign(card, Packaging.ENVELOPING, now, document)


def test_what_a_prefix_means_that_only_a_value_has_is_signed_too(card: Pen, now: datetime, tmp_path: Path) -> None:
    document = b'<order xmlns:t="urn:a" kind="t:low">10</order>'
    signed = sign(card, Packaging.ENVELOPED, now, document)
    file = tmp_path / "signed.xml"
    for written, accepted in ((signed, True), (signed.replace(b"urn:a", b"urn:b"), False)):
        file.write_bytes(written)
        (found,) = verify_xades(BytesIO(written))
        assert (found.intact, found.scope) == (accepted, Scope.WHOLE)
        assert xml_judges.xmlsec_accepts(file, card.roots) is accepted
