"""A raw signature is no way to a signature of another format: what those sign is refused, and found out."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import new, sha256
from io import BytesIO

import pytest
from asn1crypto import pem, x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cardd.errors import DocumentContentMissing, DocumentIsSignedPart, DocumentMalformed
from cardd.formats.cades import prepare_cades
from cardd.formats.jws import prepare_jws
from cardd.formats.options import JwsOptions, XadesOptions
from cardd.formats.prepared import Prepared
from cardd.formats.raw import ALGORITHMS, CONTENT_MAX, HASHES, accepts, prepare_raw, verify_raw
from cardd.formats.verified import Flaw, Format, Scope
from cardd.formats.xades import prepare_xades
from cardd.model import Algorithm, Message
from tests.rig.pens import Key, Pen, SmallAuthority

NOW = datetime.now(UTC)
PREPARE: dict[str, Callable[[Pen], Prepared]] = {
    "CAdES": lambda pen: prepare_cades(BytesIO(b"x"), pen.signer, NOW),
    "JWS": lambda pen: prepare_jws(BytesIO(b"x"), pen.signer, NOW, JwsOptions()),
    "XAdES": lambda pen: prepare_xades(BytesIO(b"<x/>"), pen.signer, NOW, XadesOptions()),
}


@pytest.fixture(params=PREPARE)
def part(request: pytest.FixtureRequest, card: Pen) -> tuple[str, Message]:
    """What a signature of this format signs."""
    return request.param, PREPARE[request.param](card).message


def test_what_another_format_signs_is_not_signed_raw(part: tuple[str, Message]) -> None:
    name, message = part
    assert message.content is not None
    with pytest.raises(DocumentIsSignedPart) as refused:
        prepare_raw(BytesIO(message.content), None)
    assert refused.value.params["format"] == name


LONG = 17 * 1024 * 1024  # bytes: longer than what is read whole


@pytest.mark.parametrize(
    ("name", "document"),
    [
        (
            "CAdES",
            b"\x31\x84"
            + (LONG + 6).to_bytes(4, "big")
            + b"\x30\x84"
            + LONG.to_bytes(4, "big")
            + b"\x06"
            + bytes(LONG - 1),
        ),
        ("JWS", b"eyJhbGciOiJSUzI1NiJ9." + b"A" * LONG),
        ("JWS", urlsafe_b64encode(b'{"alg":"RS256","x":' + b"[" * 50_000) + b".A"),
        ("XAdES", b"<SignedInfo " + b" " * LONG + b"/>"),
    ],
    ids=["CAdES", "JWS", "a deep JWS", "XAdES"],
)
def test_what_another_format_signs_is_not_signed_raw_however_long_it_is(name: str, document: bytes) -> None:
    with pytest.raises(DocumentIsSignedPart) as refused:
        prepare_raw(BytesIO(document), None)
    assert refused.value.params["format"] == name


def test_a_value_of_another_format_is_no_raw_signature(part: tuple[str, Message], card: Pen) -> None:
    _, message = part
    assert message.content is not None
    found = verify_raw(BytesIO(message.content), card.sign(message), card.signer.certificate)
    assert found.flaw is Flaw.CONTEXT


@pytest.mark.parametrize(
    "document",
    [b"1. a list\n", b"Monsieur.", b"eyJhbGciOiJub25lIn0 is not a header.", b"<order><SignedInfo/></order>", b"1" * 99],
)
def test_documents_that_only_look_a_little_like_it_are_signed(card: Pen, document: bytes) -> None:
    prepared = prepare_raw(BytesIO(document), None)
    assert verify_raw(BytesIO(document), card.sign(prepared.message), card.signer.certificate).intact


@pytest.mark.parametrize("certificates", [b"", b"-----BEGIN SIMULATION-----\nAA==\n-----END SIMULATION-----\n"])
def test_a_value_without_a_certificate_cannot_be_judged(certificates: bytes) -> None:
    with pytest.raises(DocumentMalformed):
        verify_raw(BytesIO(b"SIMULATION"), bytes(256), certificates)


def test_what_only_begins_like_another_format_s_part_is_a_document(card: Pen) -> None:
    content = PREPARE["CAdES"](card).message.content
    assert content is not None
    texts = (urlsafe_b64encode(text).rstrip(b"=") for text in (b'["alg"]', b"7", b'{"x":"alg"}'))
    others = [content + b"and more", *(text + b".A" for text in texts)]
    for document in others:
        assert verify_raw(BytesIO(document), card.sign(prepare_raw(BytesIO(document), None).message), _pem(card)).intact


@pytest.mark.parametrize("more", range(4))
def test_the_header_of_a_jws_is_known_at_any_length(more: int) -> None:
    header = urlsafe_b64encode(b'{"alg":"RS256"}' + b" " * more).rstrip(b"=")
    for payload in (b".A", b".dose 1.5"):  # the second is one of RFC 7797
        with pytest.raises(DocumentIsSignedPart):
            prepare_raw(BytesIO(header + payload), None)


def test_a_key_gets_the_document_and_its_digest_and_of_a_long_one_the_digest_alone() -> None:
    most = bytes(CONTENT_MAX)
    for document, content in ((b"x", b"x"), (most, most), (most + b"x", None)):
        assert prepare_raw(BytesIO(document), None).message == Message(sha256(document).digest(), content)
    prepared = prepare_raw(None, sha256(b"x").digest())
    assert prepared.message == Message(sha256(b"x").digest())
    assert prepared.finish(b"value").read() == prepared.stamped(b"value") == b"value"
    with pytest.raises(DocumentContentMissing):
        prepare_raw(None, None)


HASHED = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}


def test_a_value_holds_by_its_own_algorithm_and_by_no_other(
    rsa_key: rsa.RSAPrivateKey, ec_key: ec.EllipticCurvePrivateKey
) -> None:
    of_rsa, of_curve = _public(rsa_key), _public(ec_key)
    for algorithm in ALGORITHMS:
        kind, by = algorithm[:2], HASHED[algorithm[2:]]
        if kind == "ES":
            value, own = ec_key.sign(b"x", ec.ECDSA(by)), of_curve
        else:
            pss = padding.PSS(padding.MGF1(by), by.digest_size)
            value, own = rsa_key.sign(b"x", pss if kind == "PS" else padding.PKCS1v15(), by), of_rsa
        held = {
            (name, key)
            for key in (of_rsa, of_curve)
            for name in ALGORITHMS
            if accepts(key, name, value, new(HASHES[name[2:]], b"x").digest())
        }
        assert held == {(algorithm, own)}


def test_a_pss_value_has_the_salt_and_the_mask_that_it_must(rsa_key: rsa.RSAPrivateKey) -> None:
    key, digest = _public(rsa_key), sha256(b"x").digest()
    value = rsa_key.sign(b"x", padding.PSS(padding.MGF1(hashes.SHA256()), 20), hashes.SHA256())
    assert [accepts(key, "PS256", value, digest, salt) for salt in (None, 20, 32, 0)] == [True, True, False, False]
    masked = rsa_key.sign(b"x", padding.PSS(padding.MGF1(hashes.SHA512()), 20), hashes.SHA256())
    assert not accepts(key, "PS256", masked, digest)


def test_what_is_no_key_holds_nothing() -> None:
    assert not accepts(b"0\x00", "RS256", bytes(256), bytes(32))


@pytest.mark.parametrize("encoded", ["two numbers", "DER"])
def test_a_value_of_a_curve_is_two_numbers_or_der(
    authority: SmallAuthority, ec_key: ec.EllipticCurvePrivateKey, encoded: str
) -> None:
    pen = authority.pen(ec_key, Algorithm.ES256)
    value = pen.sign(prepare_raw(BytesIO(b"x"), None).message)
    if encoded == "DER":
        value = encode_dss_signature(int.from_bytes(value[:32], "big"), int.from_bytes(value[32:], "big"))
    found = verify_raw(BytesIO(b"x"), value, pen.signer.certificate)
    assert (found.format, found.algorithm, found.intact, found.scope) == (Format.RAW, "ES256", True, Scope.DETACHED)
    assert (found.certificate, found.chain, found.digest) == (pen.signer.certificate, (), sha256(b"x").digest())
    assert verify_raw(BytesIO(b"y"), value, pen.signer.certificate).flaw is Flaw.SIGNATURE


@pytest.mark.parametrize("algorithm", [Algorithm.RS256, Algorithm.PS256])
def test_an_rsa_value_tells_which_of_two_algorithms_made_it(
    authority: SmallAuthority, rsa_key: rsa.RSAPrivateKey, algorithm: Algorithm
) -> None:
    pen = authority.pen(rsa_key, algorithm)
    value = pen.sign(prepare_raw(BytesIO(b"x"), None).message)
    for certificate in (pen.signer.certificate, _with_pss_key(pen.signer.certificate)):
        found = verify_raw(BytesIO(b"x"), value, certificate)
        assert (found.algorithm, found.intact) == (str(algorithm), True)
    short = verify_raw(BytesIO(b"x"), bytes(64), pen.signer.certificate)  # as long as a curve's
    assert (short.algorithm, short.flaw) == ("RS256", Flaw.SIGNATURE)


def test_certificates_in_pem_begin_with_the_signer_s_and_are_sixteen_at_most(card: Pen) -> None:
    value, (above, *_) = card.sign(prepare_raw(BytesIO(b"x"), None).message), card.signer.chain
    secret = pem.armor("PRIVATE KEY", b"SIMULATION")
    chain = pem.armor("CERTIFICATE", above)
    found = verify_raw(BytesIO(b"x"), value, secret + _pem(card) + chain * 15)
    assert (found.intact, found.certificate, found.chain) == (True, card.signer.certificate, (above,) * 15)
    for others in (_pem(card) + chain * 16, card.signer.certificate + b"and more"):
        with pytest.raises(DocumentMalformed) as refused:
            verify_raw(BytesIO(b"x"), value, others)
        assert refused.value.params == {"format": "X.509"}


def _pem(pen: Pen) -> bytes:
    return bytes(pem.armor("CERTIFICATE", pen.signer.certificate))


def _public(key: Key) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _with_pss_key(certificate: bytes) -> bytes:
    """The certificate with a key that is for PSS by its own word (RFC 4055, section 1.2)."""
    told = x509.Certificate.load(certificate)
    told["tbs_certificate"]["subject_public_key_info"]["algorithm"] = {"algorithm": "rsassa_pss"}
    return bytes(told.dump(force=True))


def test_a_digest_info_is_signed_as_a_document_and_is_no_signature_of_what_it_is_the_digest_of(card: Pen) -> None:
    whole = b"another document"
    info = bytes.fromhex("3031300d060960864801650304020105000420") + sha256(whole).digest()  # PKCS #1, section 9.2
    value = card.sign(prepare_raw(BytesIO(info), None).message)
    assert verify_raw(BytesIO(info), value, card.signer.certificate).intact
    assert verify_raw(BytesIO(whole), value, card.signer.certificate).flaw is Flaw.SIGNATURE
