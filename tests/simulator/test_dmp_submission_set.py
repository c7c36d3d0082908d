"""The DMP's judge of submission sets accepts what cardd signs, and finds what was changed before signing."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from io import BytesIO

import pytest
from lxml import etree

from cardd.formats.options import SetDocument, SubmissionSetOptions
from cardd.formats.submission_set import prepare_submission_set
from cardd_simulators.dmp.submission_set import wrong_in_submission_set
from tests.rig.saml import Key, card_key
from tests.rig.xml_judges import Element, at

DS = "{http://www.w3.org/2000/09/xmldsig#}"
NOW = datetime.now(UTC)
SET = "2.25.9100"
CDA = b'<?xml version="1.0"?><!-- SIMULATION --><ClinicalDocument xmlns="urn:hl7-org:v3" b="2" a=\'1\'/>'
DOCUMENTS = {"2.25.9101": CDA, "2.25.9102": b"%PDF SIMULATION"}
KEY = card_key()
C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments"


def made(key: Key = KEY, *, now: datetime = NOW, has_chain: bool = True) -> bytes:
    """A signature as cardd makes it."""
    listed = tuple(SetDocument(name, BytesIO(each), is_xml=each is CDA) for name, each in DOCUMENTS.items())
    return key.finish(prepare_submission_set(SubmissionSetOptions(SET, listed, has_chain), key.signer, now))


def resigned(document: bytes, key: Key = KEY) -> bytes:
    """Return the set with the references' digests and the value made anew, by hand."""
    root = etree.fromstring(document)
    for reference in root.findall(f"{DS}SignedInfo/{DS}Reference"):
        part = at(root, f".//*[@Id='{reference.attrib['URI'][1:]}']")
        digest = hashlib.sha256(_canonical(part, comments=False)).digest()
        at(reference, f"{DS}DigestValue").text = b64encode(digest).decode()
    value = key.sign(_canonical(at(root, f"{DS}SignedInfo"), comments=True))
    at(root, f"{DS}SignatureValue").text = b64encode(value).decode()
    return etree.tostring(root)


def _canonical(part: Element, *, comments: bool) -> bytes:
    read_again = etree.fromstring(etree.tostring(part, with_tail=False))
    return etree.tostring(read_again, method="c14n", with_comments=comments)


@pytest.mark.parametrize("has_chain", [True, False])
def test_the_judge_of_sets_accepts_what_cardd_signs(has_chain: bool) -> None:
    assert wrong_in_submission_set(made(has_chain=has_chain), SET, DOCUMENTS, NOW, KEY.certificate) == []


def test_the_judge_of_sets_accepts_what_was_signed_anew() -> None:
    assert wrong_in_submission_set(resigned(made()), SET, DOCUMENTS, NOW) == []


@pytest.mark.parametrize(
    ("pattern", "replacement", "wrong"),
    [
        (rb">AA==<", b">AQ==<", "set.set"),
        (rb"urn:oid:2.25.9102", b"urn:oid:2.25.9103", "set.documents"),
        (rb"1\.2\.840\.10065\.1\.12\.1\.14", b"1.2.840.10065.1.12.1.5", "set.purpose"),
        (rb' Target="#SIG-[0-9a-f]+"', b' Target="#SIG-0"', "set.purpose"),
        (rb"<SignaturePolicyImplied/>", b"", "set.policy"),
        (rb"<SignedDataObjectProperties/>", b"", "set.data_object_properties"),
        (rb"(<SigningTime>)20", rb"\g<1>21", "set.time"),
        (rb"(<SigningTime>)20", rb"\g<1>x", "set.malformed"),
        (rb"(<CertDigest>.*?<DigestValue[^>]*>)....", rb"\1AAAA", "set.signing_certificate"),
        (rb"(CanonicalizationMethod Algorithm=\")[^\"]+", rb"\1http://www.w3.org/2001/10/xml-exc-c14n#", "set.canon"),
        (rb"xmldsig#Manifest", b"xmldsig#Object", "set.reference"),
        (rb"2001/04/xmldsig-more#rsa-sha256", b"2001/04/xmldsig-more#rsa-md5", "set.method"),
        (rb"<X509Data>.*?</X509Data>", b"", "set.certificate"),
        (rb"<Reference URI=\"#IHEManifest\".*?</Reference>", b"", "set.references"),
        (rb"(xmldsig#Manifest\">)", rb"\1<Transforms/>", "set.transforms"),
        (rb"<SignedSignatureProperties.*</SignedSignatureProperties>", b"", "set.properties"),
        (rb"(QualifyingProperties[^>]* Target=\")", rb"\1#X", "set.properties.target"),
        (rb"REC-xml-c14n-20010315#WithComments(\"/></Transforms>)", rb"REC-xml-c14n-20010315\1", "set.malformed"),
    ],
)  # fmt: skip
def test_the_judge_of_sets_finds_what_may_not_stand_there(pattern: bytes, replacement: bytes, wrong: str) -> None:
    good = made()
    bad = re.sub(pattern, replacement, good, count=1, flags=re.DOTALL)
    assert bad != good

    found = wrong_in_submission_set(resigned(bad), SET, DOCUMENTS, NOW)

    assert any(word.startswith(wrong) for word in found)


def test_the_judge_of_sets_finds_the_wrong_key_and_an_old_certificate() -> None:
    later = NOW + timedelta(days=400)
    other = card_key(non_repudiation=False)
    document = made().replace(b64encode(KEY.signer.certificate), b64encode(other.signer.certificate))

    assert "set.certificate.dates" in wrong_in_submission_set(made(), SET, DOCUMENTS, later)
    assert "set.certificate.key_usage" in wrong_in_submission_set(document, SET, DOCUMENTS, NOW)
    assert "set.signer" in wrong_in_submission_set(made(), SET, DOCUMENTS, NOW, other.certificate)


def test_the_value_is_held_against_the_certificate() -> None:
    bad = re.sub(rb"(<SignatureValue[^>]*>\s*)....", rb"\1AAAA", made())

    assert wrong_in_submission_set(bad, SET, DOCUMENTS, NOW) == ["set.value"]


def test_a_comment_in_xml_counts_and_the_way_it_is_written_does_not() -> None:
    written = CDA.replace(b"'1'", b'"1"')
    commented = CDA.replace(b"<!-- SIMULATION -->", b"<!-- AUTRE -->")

    assert wrong_in_submission_set(made(), SET, DOCUMENTS | {"2.25.9101": written}, NOW) == []
    assert wrong_in_submission_set(made(), SET, DOCUMENTS | {"2.25.9101": commented}, NOW) == ["set.document"]
