"""What is read of CMS messages: openssl's in its many shapes, changed and hostile ones."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pytest
from asn1crypto import cms, core, x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from cardd.errors import (
    DocumentEmpty,
    DocumentMalformed,
    DocumentUnsupported,
)
from cardd.formats.cades import AROUND_MAX, ENTRIES_MAX, CadesPrepared, prepare_cades, verify_cms
from cardd.formats.cms import signer_part
from cardd.formats.verified import Flaw
from cardd.model import Algorithm
from cardd.tlv import encode
from cardd.values import replace
from tests.rig.openssl import accepts_cms, run
from tests.rig.others import key_and_certificate, openssl_cms
from tests.rig.pens import Pen, SmallAuthority

DOCUMENT = b"compte rendu SIMULATION\n" * 5000


def test_a_changed_signing_time_is_told(card: Pen, now: datetime) -> None:
    signed = card.write(prepare_cades(BytesIO(DOCUMENT), card.signer, now))
    told = f"{now:%y%m%d%H%M%SZ}".encode()
    assert signed.count(told) == 1
    (found,) = verify_cms(BytesIO(signed.replace(told, b"20" + told[2:])))
    assert found.flaw is Flaw.SIGNATURE


def test_another_certificate_of_the_same_key_is_told(
    authority: SmallAuthority, rsa_key: rsa.RSAPrivateKey, now: datetime
) -> None:
    """What the signing-certificate attribute is for: same key, issuer and number, another name."""
    mine = authority.pen(rsa_key, Algorithm.RS256)
    signed = mine.write(prepare_cades(BytesIO(DOCUMENT), mine.signer, now))
    assert signed.count(b"PERSONNE SIMULATION") == 1
    (found,) = verify_cms(BytesIO(signed.replace(b"PERSONNE SIMULATION", b"QUELQU'UN D'AUTRE..")))
    assert found.flaw is Flaw.CERTIFICATE


# --- by openssl


@pytest.mark.parametrize(
    ("options", "algorithm"),
    [
        ((), "RS256"),
        (("-nodetach",), "RS256"),
        (("-stream", "-nodetach"), "RS256"),
        (("-keyid",), "RS256"),
        (("-md", "sha512"), "RS512"),
        (("-cades", "-md", "sha384"), "RS384"),
        (("-keyopt", "rsa_padding_mode:pss"), "PS256"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else value,
)
def test_what_openssl_signs_is_read(card: Pen, tmp_path: Path, options: tuple[str, ...], algorithm: str) -> None:
    content = None if "-nodetach" in options else BytesIO(DOCUMENT)
    (found,) = verify_cms(BytesIO(openssl_cms(card, tmp_path, DOCUMENT, *options)), content)
    assert (found.intact, found.algorithm, found.certificate) == (True, algorithm, card.signer.certificate)
    assert found.digest == sha256(DOCUMENT).digest()


def test_each_of_two_signers_is_told(
    card: Pen, authority: SmallAuthority, ec_key: ec.EllipticCurvePrivateKey, tmp_path: Path
) -> None:
    second = authority.pen(ec_key, Algorithm.ES256)
    (tmp_path / "first").write_bytes(openssl_cms(card, tmp_path, DOCUMENT, "-nodetach"))
    signer = key_and_certificate(second, tmp_path / "second")
    run("cms", "-resign", "-binary", "-inform", "DER", "-in", tmp_path / "first", "-outform", "DER",
        "-out", tmp_path / "both", "-signer", signer, "-nodetach")  # fmt: skip
    found = verify_cms(BytesIO((tmp_path / "both").read_bytes()))
    assert {signature.certificate for signature in found} == {card.signer.certificate, second.signer.certificate}
    assert all(signature.intact for signature in found)


def test_sha1_is_told_to_be_broken(card: Pen, tmp_path: Path) -> None:
    (found,) = verify_cms(BytesIO(openssl_cms(card, tmp_path, DOCUMENT, "-nodetach", "-md", "sha1")))
    assert (found.flaw, found.algorithm) == (Flaw.WEAK, "RS1")


def test_a_signature_without_signed_attributes_could_be_one_of_something_else(card: Pen, tmp_path: Path) -> None:
    (found,) = verify_cms(BytesIO(openssl_cms(card, tmp_path, DOCUMENT, "-nodetach", "-noattr")))
    assert found.flaw is Flaw.ATTRIBUTES


def test_a_signature_without_its_certificate_is_not_taken(card: Pen, tmp_path: Path) -> None:
    with pytest.raises(DocumentUnsupported) as refused:
        verify_cms(BytesIO(openssl_cms(card, tmp_path, DOCUMENT, "-nodetach", "-nocerts")))
    assert refused.value.params["what"] == "certificate"


def test_an_encrypted_message_is_not_taken(card: Pen, tmp_path: Path) -> None:
    (tmp_path / "document").write_bytes(DOCUMENT)
    run("cms", "-encrypt", "-binary", "-in", tmp_path / "document", "-outform", "DER", "-aes128",
        "-out", tmp_path / "sealed", key_and_certificate(card, tmp_path / "card.pem"))  # fmt: skip
    with pytest.raises(DocumentUnsupported) as refused:
        verify_cms(BytesIO((tmp_path / "sealed").read_bytes()))
    assert refused.value.params["what"] == "enveloped_data"


def test_a_pss_value_has_the_salt_that_is_said(card: Pen, tmp_path: Path) -> None:
    signed = openssl_cms(
        card, tmp_path, DOCUMENT, "-nodetach", "-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:32"
    )
    said = bytes.fromhex("a203020120")
    assert signed.count(said) == 1
    (found,) = verify_cms(BytesIO(signed))
    assert found.intact
    (found,) = verify_cms(BytesIO(signed.replace(said, said[:-1] + b"\x14")))
    assert found.flaw is Flaw.SIGNATURE


# --- damaged and hostile


def test_a_message_of_nothing_is_empty(card: Pen, tmp_path: Path) -> None:
    with pytest.raises(DocumentEmpty):
        verify_cms(BytesIO(openssl_cms(card, tmp_path, b"", "-nodetach")))


@pytest.mark.parametrize(
    "depth", range(5), ids=["message", "type's content", "SignedData", "content's info", "content"]
)
def test_a_wrong_tag_that_hides_the_document_from_others_is_malformed(card: Pen, now: datetime, depth: int) -> None:
    signed = card.write(prepare_cades(BytesIO(DOCUMENT), card.signer, now))
    data = bytes.fromhex("06092a864886f70d010701")
    before = signed.index(data)
    heads = [0, signed.index(b"\xa0"), signed.index(b"\xa0") + 5, before - 5, before + len(data)]
    assert [signed[place] for place in heads] == [0x30, 0xA0, 0x30, 0x30, 0xA0]
    changed = bytearray(signed)
    changed[heads[depth]] ^= 0x01 if changed[heads[depth]] == 0x30 else 0x03
    with pytest.raises(DocumentMalformed):
        verify_cms(BytesIO(bytes(changed)))


@pytest.mark.parametrize(
    "content",
    [
        b"%PDF-1.7\n",
        b"\x30\x80" * 200,
        b"\x30\x84\xff\xff\xff\xff",
        encode(0x30, encode(0x06, b"\x2a") * 100_000),
        b"\x30\x80" + b"\x30\x00" * 600_000 + b"\0\0",
    ],
    ids=["pdf", "deep", "long", "wide", "many"],
)
def test_what_is_no_cms_is_malformed(content: bytes) -> None:
    with pytest.raises(DocumentMalformed):
        verify_cms(BytesIO(content))


def changed(signed: bytes, change: Callable[[cms.SignedData], None]) -> BytesIO:
    message = cms.ContentInfo.load(signed)
    change(message["content"])
    return BytesIO(message.dump(force=True))


def doubled(data: cms.SignedData) -> None:
    info = data["signer_infos"][0]
    info["signed_attrs"] = [*info["signed_attrs"], info["signed_attrs"][0]]


def crowded(data: cms.SignedData) -> None:
    data["certificates"] = [*data["certificates"], *[data["certificates"][0]] * ENTRIES_MAX]


def swollen(data: cms.SignedData) -> None:
    attribute = {"type": "1.2.3.4", "values": [core.OctetString(bytes(AROUND_MAX))]}
    data["signer_infos"][0]["unsigned_attrs"] = cms.CMSAttributes([attribute])


@pytest.mark.parametrize("change", [doubled, crowded, swollen])
def test_an_attribute_twice_and_too_much_around_the_content_are_malformed(
    card: Pen, now: datetime, change: Callable[[cms.SignedData], None]
) -> None:
    signed = card.write(prepare_cades(BytesIO(DOCUMENT), card.signer, now))
    with pytest.raises(DocumentMalformed):
        verify_cms(changed(signed, change))


def test_a_content_that_is_no_octet_string_is_malformed(card: Pen, now: datetime) -> None:
    signed = card.write(prepare_cades(BytesIO(DOCUMENT), card.signer, now))
    held = encode(0x04, DOCUMENT)
    assert held in signed
    with pytest.raises(DocumentMalformed):
        verify_cms(BytesIO(signed.replace(held, b"\x02" + held[1:])))


def test_an_algorithm_of_another_hash_than_the_signers_is_not_taken(card: Pen, now: datetime) -> None:
    def otherwise(data: cms.SignedData) -> None:
        data["signer_infos"][0]["signature_algorithm"] = {"algorithm": "sha512_rsa"}

    with pytest.raises(DocumentUnsupported):
        verify_cms(changed(card.write(prepare_cades(BytesIO(DOCUMENT), card.signer, now)), otherwise))


def without_hashes(data: cms.SignedData) -> None:
    data["digest_algorithms"] = cms.DigestAlgorithms([])


def with_another_hash(data: cms.SignedData) -> None:
    data["digest_algorithms"] = cms.DigestAlgorithms([{"algorithm": "sha512"}])


def with_a_digest_that_nobody_signed(data: cms.SignedData) -> None:
    attribute = {"type": "message_digest", "values": [sha256(b"another document").digest()]}
    data["signer_infos"][0]["unsigned_attrs"] = cms.CMSAttributes([attribute])


def with_attributes_in_another_order(signed: bytes) -> bytes:
    attributes = cms.ContentInfo.load(signed)["content"]["signer_infos"][0]["signed_attrs"]
    turned = encode(0xA0, b"".join(reversed([attribute.dump() for attribute in attributes])))
    return signed.replace(attributes.dump(), turned)


def with_another_number_of_its_certificate(pen: Pen, now: datetime) -> bytes:
    """The attribute names the certificate by its digest, and by a serial number that it has not."""
    part = signer_part(pen.signer, sha256(DOCUMENT).digest(), now)
    attributes = cms.CMSAttributes.load(part.attributes)
    (named,) = (attribute for attribute in attributes if attribute["type"].native == "signing_certificate_v2")
    certificate = x509.Certificate.load(pen.signer.certificate)
    issuer = x509.GeneralName("directory_name", certificate.issuer)
    named["values"][0]["certs"][0]["issuer_serial"] = {"issuer": [issuer], "serial_number": 12345}
    return pen.write(CadesPrepared(replace(part, attributes=attributes.dump(force=True)), BytesIO(DOCUMENT)))


def test_what_openssl_refuses_too_is_refused(card: Pen, now: datetime, tmp_path: Path) -> None:
    signed = card.write(prepare_cades(BytesIO(DOCUMENT), card.signer, now))
    crafted = {
        change.__name__: changed(signed, change).read()
        for change in (without_hashes, with_another_hash, with_a_digest_that_nobody_signed)
    }
    crafted["with_attributes_in_another_order"] = with_attributes_in_another_order(signed)
    for name, message in crafted.items():
        (tmp_path / name).write_bytes(message)
        assert (name, accepts_cms(tmp_path / name, card.roots)) == (name, False)
        with pytest.raises(DocumentMalformed):
            verify_cms(BytesIO(message))
    attributes = cms.ContentInfo.load(signed)["content"]["signer_infos"][0]["signed_attrs"].contents
    longer = signed.replace(attributes, attributes[:1] + bytes([attributes[1] + 60]) + attributes[2:])
    with pytest.raises(DocumentMalformed):
        verify_cms(BytesIO(longer))
    other = tmp_path / "number"
    other.write_bytes(with_another_number_of_its_certificate(card, now))
    (found,) = verify_cms(BytesIO(other.read_bytes()))
    assert (found.flaw, accepts_cms(other, card.roots)) == (Flaw.CERTIFICATE, False)


def test_what_follows_the_message_is_not_passed_over(card: Pen, now: datetime) -> None:
    signed = card.write(prepare_cades(BytesIO(DOCUMENT), card.signer, now))
    with pytest.raises(DocumentMalformed):
        verify_cms(BytesIO(signed + b"and more"))
