"""What is read of CMS messages: ours, openssl's in its many shapes, damaged and hostile ones."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import load_der_x509_certificate
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import binary, integers

from cardd.errors import (
    DocumentContentMissing,
    DocumentContentTwice,
    DocumentEmpty,
    DocumentError,
    DocumentMalformed,
    DocumentUnsupported,
)
from cardd.formats.cades import prepare_cades, verify_cms
from cardd.formats.verified import Flaw, Format, Scope
from cardd.model import Algorithm
from cardd.tlv import encode
from tests.rig.openssl import run
from tests.rig.pens import Pen, SmallAuthority, finished
from tests.rig.tsa import OpensslTsa

DOCUMENT = b"compte rendu SIMULATION\n" * 5000


def test_our_own_signature_tells_who_what_and_when(pen: Pen, now: datetime) -> None:
    (found,) = verify_cms(BytesIO(pen.write(prepare_cades(BytesIO(DOCUMENT), pen.signer, now))))
    assert (found.format, found.scope, found.flaw, found.intact) == (Format.CADES, Scope.WHOLE, None, True)
    assert found.certificate == pen.signer.certificate
    assert set(found.chain) == set(pen.signer.chain)
    assert found.algorithm == pen.signer.algorithm
    assert found.digest == sha256(DOCUMENT).digest()
    assert found.signed_at == now.replace(microsecond=0)
    assert found.timestamp is None


def test_a_detached_signature_wants_its_document(pen: Pen, now: datetime) -> None:
    signed = pen.write(prepare_cades(BytesIO(DOCUMENT), pen.signer, now, detached=True))
    (found,) = verify_cms(BytesIO(signed), BytesIO(DOCUMENT))
    assert (found.scope, found.intact) == (Scope.DETACHED, True)
    (other,) = verify_cms(BytesIO(signed), BytesIO(DOCUMENT + b"."))
    assert (other.flaw, other.digest) == (Flaw.CONTENT, sha256(DOCUMENT + b".").digest())
    with pytest.raises(DocumentContentMissing):
        verify_cms(BytesIO(signed))


def test_a_document_beside_one_that_is_inside_is_refused(card: Pen, now: datetime) -> None:
    signed = card.write(prepare_cades(BytesIO(DOCUMENT), card.signer, now))
    with pytest.raises(DocumentContentTwice):
        verify_cms(BytesIO(signed), BytesIO(DOCUMENT))


def test_a_changed_document_is_told(pen: Pen, now: datetime) -> None:
    signed = pen.write(prepare_cades(BytesIO(DOCUMENT), pen.signer, now))
    (found,) = verify_cms(BytesIO(signed.replace(b"compte", b"COMPTE", 1)))
    assert found.flaw is Flaw.CONTENT


def test_a_changed_value_is_told(pen: Pen, now: datetime) -> None:
    prepared = prepare_cades(BytesIO(DOCUMENT), pen.signer, now)
    value = bytearray(pen.sign(prepared.message))
    value[-1] ^= 1
    (found,) = verify_cms(BytesIO(finished(prepared, bytes(value))))
    assert found.flaw is Flaw.SIGNATURE


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


def test_a_timestamp_is_told_with_its_time(pen: Pen, tsa: OpensslTsa, now: datetime) -> None:
    prepared = prepare_cades(BytesIO(DOCUMENT), pen.signer, now)
    value = pen.sign(prepared.message)
    (found,) = verify_cms(BytesIO(finished(prepared, value, tsa.token(prepared.stamped(value)))))
    assert found.timestamp is not None
    assert found.timestamp.intact
    assert abs((found.timestamp.time - now).total_seconds()) < 60
    (other,) = verify_cms(BytesIO(finished(prepared, value, tsa.token(b"something else"))))
    assert other.intact
    assert other.timestamp is not None
    assert other.timestamp.flaw is Flaw.IMPRINT


# --- by openssl


@pytest.mark.parametrize(
    ("options", "algorithm"),
    [
        ((), "RS256"),
        (("-nodetach",), "RS256"),
        (("-stream", "-nodetach"), "RS256"),
        (("-noattr",), "RS256"),
        (("-keyid",), "RS256"),
        (("-md", "sha512"), "RS512"),
        (("-cades", "-md", "sha384"), "RS384"),
        (("-keyopt", "rsa_padding_mode:pss"), "PS256"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else value,
)
def test_what_openssl_signs_is_read(card: Pen, tmp_path: Path, options: tuple[str, ...], algorithm: str) -> None:
    content = None if "-nodetach" in options else BytesIO(DOCUMENT)
    (found,) = verify_cms(BytesIO(_openssl(card, tmp_path, *options)), content)
    assert (found.intact, found.algorithm, found.certificate) == (True, algorithm, card.signer.certificate)
    assert found.digest == sha256(DOCUMENT).digest()


def test_each_of_two_signers_is_told(
    card: Pen, authority: SmallAuthority, ec_key: ec.EllipticCurvePrivateKey, tmp_path: Path
) -> None:
    second = authority.pen(ec_key, Algorithm.ES256)
    (tmp_path / "first").write_bytes(_openssl(card, tmp_path, "-nodetach"))
    run("cms", "-resign", "-binary", "-inform", "DER", "-in", tmp_path / "first", "-outform", "DER",
        "-out", tmp_path / "both", "-signer", _pem(second, tmp_path / "second.pem"), "-nodetach")  # fmt: skip
    found = verify_cms(BytesIO((tmp_path / "both").read_bytes()))
    assert {signature.certificate for signature in found} == {card.signer.certificate, second.signer.certificate}
    assert all(signature.intact for signature in found)


def test_sha1_is_not_taken(card: Pen, tmp_path: Path) -> None:
    with pytest.raises(DocumentUnsupported) as refused:
        verify_cms(BytesIO(_openssl(card, tmp_path, "-nodetach", "-md", "sha1")))
    assert "sha1" in str(refused.value.params["what"])


def test_a_signature_without_its_certificate_is_not_taken(card: Pen, tmp_path: Path) -> None:
    with pytest.raises(DocumentUnsupported) as refused:
        verify_cms(BytesIO(_openssl(card, tmp_path, "-nodetach", "-nocerts")))
    assert refused.value.params["what"] == "certificate"


def test_an_encrypted_message_is_not_taken(card: Pen, tmp_path: Path) -> None:
    (tmp_path / "document").write_bytes(DOCUMENT)
    run("cms", "-encrypt", "-binary", "-in", tmp_path / "document", "-outform", "DER", "-aes128",
        "-out", tmp_path / "sealed", _pem(card, tmp_path / "card.pem"))  # fmt: skip
    with pytest.raises(DocumentUnsupported) as refused:
        verify_cms(BytesIO((tmp_path / "sealed").read_bytes()))
    assert refused.value.params["what"] == "enveloped_data"


# --- damaged and hostile


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


def test_nothing_is_no_document() -> None:
    with pytest.raises(DocumentEmpty):
        verify_cms(BytesIO())


def test_what_follows_the_message_is_not_passed_over(card: Pen, now: datetime) -> None:
    signed = card.write(prepare_cades(BytesIO(DOCUMENT), card.signer, now))
    with pytest.raises(DocumentMalformed):
        verify_cms(BytesIO(signed + b"and more"))


@pytest.fixture(scope="module")
def small(card: Pen) -> bytes:
    """A short message, so that damage hits its structure."""
    from datetime import UTC

    return card.write(prepare_cades(BytesIO(b"SIMULATION"), card.signer, datetime.now(UTC)))


@given(place=integers(0, 10_000), bytes_there=binary(min_size=1, max_size=4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
def test_damage_is_told_and_never_believed(card: Pen, small: bytes, place: int, bytes_there: bytes) -> None:
    place %= len(small)
    damaged = small[:place] + bytes_there + small[place + len(bytes_there) :]
    for odd in (damaged, small[:place]):
        try:
            found = verify_cms(BytesIO(odd))
        except DocumentError:
            continue
        for signature in found:
            is_the_same = (signature.certificate, signature.digest) == (
                card.signer.certificate,
                sha256(b"SIMULATION").digest(),
            )
            assert is_the_same or not signature.intact


def _openssl(pen: Pen, directory: Path, *options: str) -> bytes:
    (directory / "document").write_bytes(DOCUMENT)
    (directory / "chain.pem").write_bytes(pen.roots)
    signer = _pem(pen, directory / "signer.pem")
    run("cms", "-sign", "-binary", "-in", directory / "document", "-outform", "DER", "-out", directory / "signed",
        "-signer", signer, "-certfile", directory / "chain.pem", *options)  # fmt: skip
    return (directory / "signed").read_bytes()


def _pem(pen: Pen, path: Path) -> Path:
    """Key and certificate, for openssl."""
    key = pen.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(key + load_der_x509_certificate(pen.signer.certificate).public_bytes(Encoding.PEM))
    return path
