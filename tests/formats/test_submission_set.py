"""The signature of a DMP submission set, judged by xmlsec1 and xadesjs: its structure, and its documents."""

from __future__ import annotations

import re
from base64 import b64decode
from datetime import datetime
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pytest
from lxml import etree

from cardd.errors import (
    DocumentAmbiguous,
    DocumentContentMissing,
    DocumentError,
    DocumentMalformed,
    DocumentTimestampForm,
    DocumentUnsupported,
    DocumentXmlDoctype,
    ManifestDocumentDiffers,
    ManifestDocumentMissing,
    ManifestDocumentUnnamed,
)
from cardd.formats.options import SetDocument, SubmissionSetOptions
from cardd.formats.submission_set import prepare_submission_set, verify_submission_set
from cardd.formats.verified import Flaw, Scope, SignedSet
from cardd.formats.xades_read import verify_xades
from cardd.formats.xml import C14N_COMMENTS
from cardd.model import Algorithm
from tests.rig import xml_judges
from tests.rig.pens import Pen
from tests.rig.xml_judges import at, text_at

CDA = b'<?xml version="1.0"?><!-- SIMULATION --><ClinicalDocument xmlns="urn:hl7-org:v3" b="2" a=\'1\'/>'
PDF = b"%PDF-1.7 SIMULATION"
SET, CDA_ID, PDF_ID = "2.25.9100", "2.25.9101", "2.25.9102"
DS = "{http://www.w3.org/2000/09/xmldsig#}"
X = "{http://uri.etsi.org/01903/v1.1.1#}"

judged_by_node = pytest.mark.skipif(not xml_judges.has_xadesjs(), reason="node and xadesjs are not installed")


def asked(listed: list[SetDocument], unique_id: str = SET, *, has_chain: bool = True) -> SubmissionSetOptions:
    return SubmissionSetOptions(unique_id, tuple(listed), has_chain)


def documents() -> list[SetDocument]:
    return [SetDocument(CDA_ID, BytesIO(CDA), is_xml=True), SetDocument(PDF_ID, BytesIO(PDF))]


def given() -> dict[str, BytesIO]:
    return {CDA_ID: BytesIO(CDA), PDF_ID: BytesIO(PDF)}


def sign(pen: Pen, now: datetime, profile: str = "chain") -> bytes:
    return pen.write(prepare_submission_set(asked(documents(), has_chain=profile == "chain"), pen.signer, now))


@pytest.mark.parametrize("profile", ["chain", "signer"])
def test_xmlsec_accepts_the_signature_of_each_key(pen: Pen, tmp_path: Path, now: datetime, profile: str) -> None:
    if pen.signer.algorithm is Algorithm.PS256:
        pytest.skip("xmlsec1 of Debian 12 knows no PSS")
    signed = tmp_path / "set.xml"
    written = sign(pen, now, profile)
    signed.write_bytes(written)
    assert xml_judges.xmlsec_accepts(signed, pen.roots, "--ignore-manifests")
    signed.write_bytes(written.replace(b"AA==", b"AQ=="))
    assert not xml_judges.xmlsec_accepts(signed, pen.roots, "--ignore-manifests")


@judged_by_node
def test_xadesjs_accepts_the_signature(card: Pen, now: datetime) -> None:
    written = sign(card, now)
    assert xml_judges.xadesjs_accepts(written)
    assert not xml_judges.xadesjs_accepts(written.replace(b"AA==", b"AQ=="))


def test_the_structure_is_that_of_the_public_examples(card: Pen, now: datetime) -> None:
    root = etree.fromstring(sign(card, now))
    assert root.tag == f"{DS}Signature"
    assert at(root, f"{DS}SignedInfo/{DS}CanonicalizationMethod").get("Algorithm") == C14N_COMMENTS
    told = [
        (found.get("URI"), found.get("Type"), len(found)) for found in root.findall(f"{DS}SignedInfo/{DS}Reference")
    ]
    assert told == [
        ("#IHEManifest", "http://www.w3.org/2000/09/xmldsig#Manifest", 2),
        ("#S0-SignedProperties", "http://uri.etsi.org/01903/v1.1.1#SignedProperties", 2),
    ]
    assert [held[0].tag for held in root.findall(f"{DS}Object")] == [
        f"{DS}Manifest",
        f"{DS}SignatureProperties",
        f"{X}QualifyingProperties",
    ]
    purpose = at(root, f"{DS}Object/{DS}SignatureProperties/{DS}SignatureProperty")
    assert (purpose.get("Id"), purpose.get("Target")) == ("purposeOfSignature", f"#{root.get('Id')}")
    assert purpose.text == "1.2.840.10065.1.12.1.14"
    assert len(root.findall(f"{DS}KeyInfo/{DS}X509Data/{DS}X509Certificate")) == 1
    assert b64decode(text_at(root, f"{DS}KeyInfo/{DS}X509Data/{DS}X509Certificate")) == card.signer.certificate


def test_the_manifest_names_the_set_by_a_constant_and_each_document_by_its_digest(card: Pen, now: datetime) -> None:
    root = etree.fromstring(sign(card, now))
    of_set, cda, pdf = root.findall(f"{DS}Object/{DS}Manifest/{DS}Reference")
    assert [found.get("URI") for found in (of_set, cda, pdf)] == [f"urn:oid:{name}" for name in (SET, CDA_ID, PDF_ID)]
    assert of_set.findtext(f"{DS}DigestValue") == "AA=="
    assert at(cda, f"{DS}Transforms/{DS}Transform").get("Algorithm") == C14N_COMMENTS
    canonical = b'<!-- SIMULATION -->\n<ClinicalDocument xmlns="urn:hl7-org:v3" a="1" b="2"></ClinicalDocument>'
    assert b64decode(text_at(cda, f"{DS}DigestValue")) == sha256(canonical).digest()
    assert pdf.find(f"{DS}Transforms") is None
    assert b64decode(text_at(pdf, f"{DS}DigestValue")) == sha256(PDF).digest()


@pytest.mark.parametrize("profile", ["chain", "signer"])
def test_the_profile_decides_whether_the_authorities_are_named(card: Pen, now: datetime, profile: str) -> None:
    root = etree.fromstring(sign(card, now, profile))
    properties = at(root, f".//{X}SignedSignatureProperties")
    listed = properties.findall(f"{X}SigningCertificate/{X}Cert")
    every = dict.fromkeys((card.signer.certificate, *card.signer.chain))
    digests = [b64decode(text_at(cert, f"{X}CertDigest/{X}DigestValue")) for cert in listed]
    assert digests == [sha256(found).digest() for found in every][: 1 if profile == "signer" else None]
    assert properties.find(f"{X}SignaturePolicyIdentifier/{X}SignaturePolicyImplied") is not None
    assert text_at(listed[0], f"{X}IssuerSerial/{DS}X509IssuerName").startswith("CN=")


def test_verification_tells_the_signer_the_set_and_its_documents(pen: Pen, now: datetime) -> None:
    found = verify_submission_set(BytesIO(sign(pen, now)), given())
    assert found.submission_set == SignedSet(SET, (CDA_ID, PDF_ID))
    assert found.intact
    assert found.certificate == pen.signer.certificate
    assert found.scope is Scope.DETACHED
    assert found.signed_at == now.replace(microsecond=0)


def test_a_cda_may_be_written_another_way_on_the_road(card: Pen, now: datetime) -> None:
    rewritten = CDA.replace(b"b=\"2\" a='1'/>", b'a="1"\n b="2"></ClinicalDocument>')
    assert rewritten != CDA
    assert verify_submission_set(BytesIO(sign(card, now)), given() | {CDA_ID: BytesIO(rewritten)}).intact


@pytest.mark.parametrize(("name", "other"), [(CDA_ID, CDA.replace(b"SIMULATION", b"simulation")), (PDF_ID, PDF + b".")])
def test_a_changed_document_is_told_by_name(card: Pen, now: datetime, name: str, other: bytes) -> None:
    found = verify_submission_set(BytesIO(sign(card, now)), given() | {name: BytesIO(other)})
    assert found.flaw is Flaw.CONTENT
    assert found.submission_set == SignedSet(SET, (CDA_ID, PDF_ID), (name,))


def test_a_missing_or_foreign_document_is_told_by_name(card: Pen, now: datetime) -> None:
    with pytest.raises(ManifestDocumentMissing) as missing:
        verify_submission_set(BytesIO(sign(card, now)), {CDA_ID: BytesIO(CDA)})
    assert missing.value.params == {"reference": f"urn:oid:{PDF_ID}"}
    with pytest.raises(ManifestDocumentUnnamed) as foreign:
        verify_submission_set(BytesIO(sign(card, now)), given() | {"2.25.9": BytesIO(PDF)})
    assert foreign.value.params == {"reference": "urn:oid:2.25.9"}


def test_a_changed_manifest_or_signing_time_breaks_the_signature(card: Pen, now: datetime) -> None:
    written = sign(card, now)
    for old, new in ((b"urn:oid:2.25.9100", b"urn:oid:2.25.9109"), (b"<SigningTime>2", b"<SigningTime>3")):
        assert verify_submission_set(BytesIO(written.replace(old, new)), given()).flaw is Flaw.CONTENT


TAMPERED: dict[str, tuple[bytes, bytes, type[DocumentError]]] = {
    "another root": (rb"(?s)^.*?(<Signature .*)$", rb"<a>\1</a>", DocumentUnsupported),
    "another digest of the set": (rb"AA==", rb"AQ==", DocumentMalformed),
    "a document twice": (PDF_ID.encode(), CDA_ID.encode(), DocumentMalformed),
    "a name that is no identifier": (b"urn:oid:" + CDA_ID.encode(), b"urn:uuid:1", DocumentMalformed),
    "another transform": (rb"(<Transform Algorithm=)[^>]*", rb'\1"urn:simulation"/', DocumentUnsupported),
}


@pytest.mark.parametrize(("pattern", "new", "error"), TAMPERED.values(), ids=TAMPERED)
def test_what_is_no_submission_set_is_refused(
    card: Pen, now: datetime, pattern: bytes, new: bytes, error: type[DocumentError]
) -> None:
    signed = sign(card, now)
    changed = re.sub(pattern, new, signed)
    assert changed != signed
    with pytest.raises(error):
        verify_submission_set(BytesIO(changed), given())


def test_a_manifest_beside_the_signed_one_is_not_taken_for_it(card: Pen, now: datetime) -> None:
    written = sign(card, now)
    start, end = (
        written.index(b"<Object><Manifest"),
        written.index(b"</Manifest></Object>") + len(b"</Manifest></Object>"),
    )
    forged = written[start:end].replace(b"urn:oid:2.25.9100", b"urn:oid:2.25.9109")
    with pytest.raises(DocumentAmbiguous):
        verify_submission_set(BytesIO(written[:start] + forged + written[start:]), given())
    moved = forged.replace(b"IHEManifest", b"IHEManifest2")
    found = verify_submission_set(BytesIO(written[:start] + moved + written[start:]), given())
    assert found.submission_set
    assert found.submission_set.unique_id == SET


def test_a_set_is_not_taken_for_a_plain_signature(card: Pen, now: datetime) -> None:
    with pytest.raises(DocumentContentMissing):
        verify_xades(BytesIO(sign(card, now)))


def test_nothing_is_signed_of_a_set_that_is_not_whole(card: Pen, now: datetime) -> None:
    with pytest.raises(ManifestDocumentMissing) as missing:
        prepare_submission_set(asked([SetDocument(PDF_ID, None)]), card.signer, now)
    assert missing.value.params == {"reference": f"urn:oid:{PDF_ID}"}
    with pytest.raises(ManifestDocumentDiffers):
        prepare_submission_set(asked([SetDocument(PDF_ID, BytesIO(PDF), digest=bytes(32))]), card.signer, now)
    expected = SetDocument(PDF_ID, BytesIO(PDF), digest=sha256(PDF).digest())
    assert card.write(prepare_submission_set(asked([expected]), card.signer, now))


def test_a_set_of_nothing_of_one_name_twice_or_of_no_oid_is_refused(card: Pen, now: datetime) -> None:
    twice = [SetDocument(PDF_ID, BytesIO(PDF)), SetDocument(PDF_ID, BytesIO(PDF))]
    for unique_id, listed in ((SET, []), (SET, twice), ("2.25.01", documents()), ('2.25"', documents())):
        with pytest.raises(DocumentUnsupported):
            prepare_submission_set(asked(listed, unique_id), card.signer, now)


def test_a_cda_with_a_document_type_is_refused(card: Pen, now: datetime) -> None:
    bomb = SetDocument(CDA_ID, BytesIO(b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'), is_xml=True)
    with pytest.raises(DocumentXmlDoctype):
        prepare_submission_set(asked([bomb]), card.signer, now)


def test_this_version_of_xades_has_no_place_for_a_timestamp(card: Pen, now: datetime) -> None:
    prepared = prepare_submission_set(asked(documents()), card.signer, now)
    with pytest.raises(DocumentTimestampForm):
        prepared.finish(card.sign(prepared.message), b"token")
