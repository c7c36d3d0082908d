"""What is found in signed XML: what cardd wrote, what was tampered with, what was moved, and what others wrote."""

from __future__ import annotations

import re
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from lxml import etree
from signxml.xades.xades import XAdESSigner

from cardd.errors import (
    DocumentAmbiguous,
    DocumentError,
    DocumentMalformed,
    DocumentUnsupported,
    DocumentXmlDoctype,
)
from cardd.formats.options import CertificateProperty, Packaging, XadesOptions
from cardd.formats.verified import Flaw, Scope, VerifiedSignature
from cardd.formats.xades import prepare_xades
from cardd.formats.xades_read import verify_xades
from cardd.formats.xml import C14N, C14N_11
from cardd.model import Algorithm
from tests.rig.others import xmlsec_part
from tests.rig.pens import Pen, SmallAuthority
from tests.rig.xml_judges import at

DOCUMENT = b'<order xmlns="urn:x" Id="o"><!-- SIMULATION --><amount>10</amount><to>A</to></order>'
CANONICAL = b'<order xmlns="urn:x" Id="o"><amount>10</amount><to>A</to></order>'
SCOPES = {Packaging.ENVELOPED: Scope.WHOLE, Packaging.ENVELOPING: Scope.WHOLE, Packaging.DETACHED: Scope.DETACHED}
DS = "http://www.w3.org/2000/09/xmldsig#"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"


def sign(pen: Pen, now: datetime, form: Packaging = Packaging.ENVELOPED, document: bytes = DOCUMENT) -> bytes:
    return pen.write(prepare_xades(BytesIO(document), pen.signer, now, XadesOptions(form)))


def look(signed: bytes, content: bytes | None = None) -> VerifiedSignature:
    (found,) = verify_xades(BytesIO(signed), None if content is None else BytesIO(content))
    return found


# --- what cardd wrote


@pytest.mark.parametrize("form", list(Packaging))
def test_a_signature_that_names_its_certificate_as_older_readers_want_it_is_found_intact(
    pen: Pen, now: datetime, form: Packaging
) -> None:
    options = XadesOptions(form, certificate=CertificateProperty.V1)
    signed = pen.write(prepare_xades(BytesIO(DOCUMENT), pen.signer, now, options))
    found = look(signed, DOCUMENT if form is Packaging.DETACHED else None)
    assert (found.intact, found.certificate, found.scope) == (True, pen.signer.certificate, SCOPES[form])


# --- tampered with


def test_another_certificate_than_the_one_that_is_named_is_told(pen: Pen, card: Pen, now: datetime) -> None:
    root = etree.fromstring(sign(pen, now))
    data = at(root, f".//{{{DS}}}X509Data")
    other = etree.fromstring(sign(card, now)).findtext(f".//{{{DS}}}X509Certificate")
    for certificate in list(data):
        data.remove(certificate)
    etree.SubElement(data, f"{{{DS}}}X509Certificate").text = other
    found = look(etree.tostring(root))
    assert found.flaw is (None if pen.signer == card.signer else Flaw.CERTIFICATE)


def test_the_named_certificate_is_the_signer_wherever_it_stands(card: Pen, now: datetime) -> None:
    root = etree.fromstring(sign(card, now))
    data = at(root, f".//{{{DS}}}X509Data")
    assert len(data) > 1
    data.append(data[0])
    found = look(etree.tostring(root))
    assert found.intact
    assert found.certificate == card.signer.certificate


def test_what_is_outside_the_signed_properties_claims_no_time(card: Pen, now: datetime) -> None:
    """Properties that the signature does not cover could be anybody's."""
    signed = sign(card, now)
    start, end = signed.index(b"<ds:Object>"), signed.index(b"</ds:Object>") + len(b"</ds:Object>")
    forged = (
        signed[start:end].replace(b"-properties", b"-other").replace(b"<xades:SigningTime>2", b"<xades:SigningTime>3")
    )
    with pytest.raises(DocumentMalformed):
        look(signed[:end] + forged + signed[end:])


@pytest.mark.parametrize("place", ["SigningTime>", "DigestValue>", "SignatureValue", "X509Certificate>"])
def test_a_comment_cannot_cut_a_value_short(card: Pen, now: datetime, place: str) -> None:
    """Canonical XML leaves comments out: the signature would still hold, and the value read another way."""
    signed = sign(card, now)
    where = signed.index(b">", signed.index(place.encode())) + 5
    with pytest.raises(DocumentMalformed):
        look(signed[:where] + b"<!-- -->" + signed[where:])


# --- moved


def test_a_part_is_told_to_be_a_part(card: Pen, tmp_path: Path) -> None:
    signed = xmlsec_part(card, tmp_path, b'<order><part Id="p">10</part><rest/>@</order>', "#p")
    found = look(signed)
    assert (found.intact, found.scope) == (True, Scope.PART)
    assert found.digest == sha256(b'<part Id="p">10</part>').digest()
    assert found.signed_at is None


@pytest.mark.parametrize("form", [C14N, C14N_11, EXCLUSIVE])
def test_names_with_accents_are_signed_in_every_canonical_form(card: Pen, tmp_path: Path, form: str) -> None:
    document = '<order><part Id="p"><médicament dosé="10 µg">é</médicament></part>@</order>'.encode()
    found = look(xmlsec_part(card, tmp_path, document, "#p", form=form))
    assert (found.intact, found.scope) == (True, Scope.PART)


def test_a_signed_part_that_was_wrapped_stays_a_part_whatever_is_around_it(card: Pen, tmp_path: Path) -> None:
    signed = xmlsec_part(card, tmp_path, b'<order><part Id="p">10</part>@</order>', "#p")
    part = b'<part Id="p">10</part>'
    wrapped = signed.replace(part, b'<part Id="q">99</part><old>' + part + b"</old>")
    found = look(wrapped)
    assert (found.intact, found.scope) == (True, Scope.PART)
    assert found.digest == sha256(part).digest()


def test_an_identifier_that_occurs_twice_is_refused(card: Pen, tmp_path: Path) -> None:
    signed = xmlsec_part(card, tmp_path, b'<order><part Id="p">10</part>@</order>', "#p")
    for name in (b"Id", b"ID", b"id", b"xml:id"):
        with pytest.raises(DocumentAmbiguous):
            look(signed.replace(b"<order>", b"<order><part " + name + b'="p">99</part>'))


def test_a_root_that_is_named_is_the_whole_document_until_it_is_wrapped(card: Pen, tmp_path: Path) -> None:
    transforms = (f"{DS}enveloped-signature",)
    signed = xmlsec_part(card, tmp_path, b'<order Id="o"><a/>@</order>', "#o", transforms=transforms)
    assert look(signed).scope is Scope.WHOLE
    order = signed[signed.index(b"<order") :]
    found = look(b'<order Id="new"><a>99</a>' + order.strip() + b"</order>")
    assert found.scope is Scope.PART


def test_a_signed_object_that_was_moved_out_of_its_signature_is_no_longer_whole(card: Pen, now: datetime) -> None:
    signed = sign(card, now, Packaging.ENVELOPING)
    signature = signed[signed.index(b"<ds:Signature ") :]
    found = look(b"<order><amount>99</amount>" + signature + b"</order>")
    assert (found.intact, found.scope) == (True, Scope.PART)


def test_an_object_that_is_not_signed_makes_it_a_part(card: Pen, now: datetime) -> None:
    signed = sign(card, now, Packaging.ENVELOPING)
    added = signed.replace(b"</ds:Signature>", b"<ds:Object>99</ds:Object></ds:Signature>")
    assert look(added).scope is Scope.PART


def test_an_attribute_beside_what_was_signed_in_base64_makes_it_a_part(card: Pen, now: datetime) -> None:
    signed = sign(card, now, Packaging.ENVELOPING)
    changed = signed.replace(b"<ds:Object ", b'<ds:Object dose="100" ', 1)
    assert (look(signed).scope, look(changed).scope) == (Scope.WHOLE, Scope.PART)


@pytest.mark.parametrize("told", ["text/plain", None], ids=["signed", "unsaid"])
def test_another_kind_than_was_signed_for_what_is_in_base64_makes_it_a_part(
    card: Pen, now: datetime, told: str | None
) -> None:
    """The attributes of an Object say how its content is to be read, and nobody signs them."""
    options = XadesOptions(Packaging.ENVELOPING, mime_type=told)
    signed = card.write(prepare_xades(BytesIO(b"<a>10</a>"), card.signer, now, options))
    kind = b' MimeType="text/plain"' if told else b""
    encoding = b' Encoding="http://www.w3.org/2000/09/xmldsig#base64"'
    assert signed.count(kind + encoding) == 1
    assert look(signed).scope is Scope.WHOLE
    for other in (b' MimeType="text/html"' + encoding, kind + b' Encoding="gzip"'):
        changed = look(signed.replace(kind + encoding, other))
        assert (changed.intact, changed.scope) == (True, Scope.PART)


def test_an_element_in_the_signature_that_belongs_to_none_is_refused(card: Pen, now: datetime) -> None:
    """Santuario refuses it too: XML Signature has a place for each of its parts, and for no others."""
    with pytest.raises(DocumentMalformed):
        look(sign(card, now).replace(b"</ds:Signature>", b"<amount>99</amount></ds:Signature>"))


def test_what_is_added_around_an_enveloped_signature_breaks_it(card: Pen, now: datetime) -> None:
    signed = sign(card, now)
    assert look(b"<new>" + signed + b"</new>").flaw is Flaw.CONTENT
    assert look(signed.replace(b"</ds:Signature>", b"</ds:Signature>99")).flaw is Flaw.CONTENT


def test_another_signature_in_the_document_is_covered_by_neither(card: Pen, now: datetime) -> None:
    signed = sign(card, now)
    start, end = signed.index(b"<ds:Signature "), signed.index(b"</ds:Signature>") + len(b"</ds:Signature>")
    second = signed[start:end].replace(b"xades-", b"xadez-")
    found = verify_xades(BytesIO(signed[:end] + second + signed[end:]))
    assert [signature.intact for signature in found] == [False, False]


# --- others' signatures


def test_the_signature_of_signxml_is_understood(card: Pen, now: datetime) -> None:
    private = card.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem = subprocess.run(
        ["openssl", "x509", "-inform", "DER"], input=card.signer.certificate, check=True, capture_output=True
    ).stdout
    signed = XAdESSigner().sign(etree.fromstring(DOCUMENT), key=private, cert=pem.decode())
    found = look(etree.tostring(signed))
    assert found.intact
    assert found.certificate == card.signer.certificate
    assert found.signed_at is not None


# --- what is refused


def _with(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    return lambda signed: signed.replace(old, new, 1)


REFUSED = {
    "HMAC": _with(b"xmldsig-more#rsa-sha256", b"xmldsig-more#hmac-sha256"),
    "XSLT": _with(DS.encode() + b"enveloped-signature", b"http://www.w3.org/TR/1999/REC-xslt-19991116"),
    "XPath": _with(DS.encode() + b"enveloped-signature", b"http://www.w3.org/TR/1999/REC-xpath-19991116"),
    "canonical form": _with(b"xml-exc-c14n#", b"xml-c14n-unknown"),
    "a document elsewhere, transformed": _with(b'URI=""', b'URI="elsewhere.xml"'),
    "many signatures": _with(b"<amount>", b'<Signature xmlns="%s"/>' % DS.encode() * 64 + b"<amount>"),
    "no certificate": lambda signed: signed.replace(b"X509Certificate>", b"X509SKI>"),
}


@pytest.mark.parametrize("change", REFUSED.values(), ids=REFUSED)
def test_what_is_not_accepted_is_refused_by_name(card: Pen, now: datetime, change: Callable[[bytes], bytes]) -> None:
    signed = sign(card, now)
    changed = change(signed)
    assert changed != signed
    with pytest.raises(DocumentUnsupported):
        look(changed)


def test_a_part_whose_canonical_form_takes_attributes_from_above_is_not_taken(card: Pen, now: datetime) -> None:
    signed = sign(card, now, document=DOCUMENT.replace(b"<order ", b'<order xml:lang="fr" '))
    inclusive = b"http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
    with pytest.raises(DocumentUnsupported) as refused:
        look(signed.replace(EXCLUSIVE.encode(), inclusive))
    assert refused.value.params["what"] == "xml:"


@pytest.mark.parametrize(
    ("pattern", "new"),
    [
        (rb"(<ds:SignatureValue[^>]*>[^<]*</ds:SignatureValue>)", rb"\1\1"),
        (rb"(?s).*?(<ds:Signature .*</ds:Signature>).*", rb"\1"),
    ],
    ids=["two values", "enveloped by nothing"],
)
def test_what_two_readers_could_read_in_two_ways_is_refused(
    card: Pen, now: datetime, pattern: bytes, new: bytes
) -> None:
    signed = sign(card, now)
    changed = re.sub(pattern, new, signed)
    assert changed != signed
    with pytest.raises(DocumentAmbiguous):
        look(changed)


@pytest.mark.parametrize(
    ("pattern", "new"),
    [
        (rb"(<ds:SignatureValue[^>]*>[^<]*==)", rb"\1dose100mg00"),
        (rb"(<ds:SignatureValue[^>]*>)", rb"\1*!*"),
        (rb"(<ds:X509Certificate>[^<]*)", b"\\1\xc2\xa0"),
        (rb"(?s)(<ds:SignatureValue.*</ds:SignatureValue>)(<ds:KeyInfo>.*</ds:KeyInfo>)", rb"\2\1"),
        (rb"(?s)(<ds:KeyInfo>.*</ds:KeyInfo>)", rb"\1\1"),
    ],
    ids=["behind the value's end", "among its letters", "behind the certificate", "another order", "two KeyInfo"],
)
def test_a_signature_that_other_verifiers_refuse_is_malformed(
    card: Pen, now: datetime, pattern: bytes, new: bytes
) -> None:
    signed = sign(card, now)
    changed = re.sub(pattern, new, signed, count=1)
    assert changed != signed
    with pytest.raises(DocumentMalformed):
        look(changed)


def test_a_value_with_zeros_before_its_numbers_does_not_hold(
    authority: SmallAuthority, ec_key: ec.EllipticCurvePrivateKey, now: datetime
) -> None:
    signed = sign(authority.pen(ec_key, Algorithm.ES256), now)

    def longer(found: re.Match[bytes]) -> bytes:
        value = b64decode(found[2])
        return found[1] + b64encode(b"\0" + value[:32] + b"\0" + value[32:])

    changed = re.sub(rb"(<ds:SignatureValue[^>]*>)([^<]*)", longer, signed)
    assert (look(signed).intact, look(changed).flaw) == (True, Flaw.SIGNATURE)


@pytest.mark.parametrize(
    ("pattern", "new"),
    [
        (rb"ecdsa-sha256", b"rsa-sha256"),
        (rb"(<ds:SignatureValue[^>]*>)[^<]*", rb"\1AA=="),
        (rb"SigningCertificateV2>", b"SigningCertificateV3>"),
    ],
    ids=["another kind of key", "half a number", "no certificate named"],
)
def test_a_value_that_this_key_cannot_have_made_does_not_hold(
    authority: SmallAuthority, ec_key: ec.EllipticCurvePrivateKey, now: datetime, pattern: bytes, new: bytes
) -> None:
    signed = sign(authority.pen(ec_key, Algorithm.ES256), now)
    changed = re.sub(pattern, new, signed)
    assert changed != signed
    assert not look(changed).intact


def test_a_document_without_signature_has_none() -> None:
    assert verify_xades(BytesIO(DOCUMENT)) == []


def test_a_document_with_entities_is_refused(card: Pen, now: datetime) -> None:
    with pytest.raises(DocumentXmlDoctype):
        look(b"<!DOCTYPE order [<!ENTITY e 'x'>]>" + sign(card, now))


def test_a_broken_signature_is_refused_by_a_name_wherever_it_breaks(card: Pen, now: datetime) -> None:
    """Each element in turn is taken out, and each is emptied."""
    signed = sign(card, now)
    count = sum(1 for _ in etree.fromstring(signed).iter(f"{{{DS}}}*"))
    assert count > 15
    for number in range(1, count):
        for empties in (False, True):
            root = etree.fromstring(signed)
            element = list(root.iter(f"{{{DS}}}*"))[number]
            if empties:
                element.clear()
            else:
                at(element, "..").remove(element)
            with suppress(DocumentError):
                assert not look(etree.tostring(root)).intact or str(element.tag).endswith("X509Certificate")
