"""CMS messages crafted field by field: what a signer signs, how, and which certificate is meant; openssl judges too."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import new, sha256
from io import BytesIO
from pathlib import Path

import pytest
from asn1crypto import cms, core, x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from cardd.errors import DocumentMalformed, DocumentUnsupported
from cardd.formats.cades import verify_cms
from cardd.formats.verified import Flaw, Format, Scope, VerifiedSignature
from cardd.model import Algorithm
from tests.rig.openssl import accepts_cms
from tests.rig.pens import Pen, SmallAuthority

Fields = Mapping[str, object]
DOCUMENT = b"compte rendu SIMULATION\n"
HASHED = {
    "md5": hashes.MD5(),
    "sha1": hashes.SHA1(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
CONTENT: Fields = {"type": "content_type", "values": ["data"]}
DIGEST: Fields = {"type": "message_digest", "values": [sha256(DOCUMENT).digest()]}


@pytest.fixture
def mine(authority: SmallAuthority, rsa_key: rsa.RSAPrivateKey) -> Pen:
    return authority.pen(rsa_key, Algorithm.RS256)


def crafted(pen: Pen, *attributes: Fields, by: str = "sha256", **fields: object) -> bytes:
    """A message with these signed attributes, signed as ``by`` and the signature's algorithm say."""
    signed = cms.CMSAttributes(attributes or (CONTENT, DIGEST))
    own = x509.Certificate.load(pen.signer.certificate)
    info: dict[str, object] = {
        "version": "v1",
        "sid": {"issuer_and_serial_number": {"issuer": own.issuer, "serial_number": own.serial_number}},
        "digest_algorithm": {"algorithm": by},
        "signed_attrs": signed,
        "signature_algorithm": {"algorithm": "ecdsa" if pen.signer.algorithm is Algorithm.ES256 else "rsassa_pkcs1v15"},
        **fields,
    }
    if "signature" not in fields:
        info["signature"] = value_of(pen, signed.dump(), by, is_pss="pss" in str(info["signature_algorithm"]))
    data = {
        "version": "v1",
        "digest_algorithms": [{"algorithm": by}],
        "encap_content_info": {"content_type": "data", "content": DOCUMENT},
        "certificates": [x509.Certificate.load(der) for der in (*pen.signer.chain, pen.signer.certificate)],
        "signer_infos": [info],
    }
    return bytes(cms.ContentInfo({"content_type": "signed_data", "content": cms.SignedData(data)}).dump())


def value_of(pen: Pen, octets: bytes, by: str, *, is_pss: bool = False) -> bytes:
    if isinstance(pen.key, ec.EllipticCurvePrivateKey):
        return pen.key.sign(octets, ec.ECDSA(HASHED[by]))
    scheme = padding.PSS(padding.MGF1(HASHED[by]), 32) if is_pss else padding.PKCS1v15()
    return pen.key.sign(octets, scheme, HASHED[by])


def pss(by: str = "sha256", mask: str = "sha256", trailer: int = 1) -> Fields:
    """The algorithm with the parameters of RSASSA-PSS (RFC 4055, section 3.1)."""
    generator = {"algorithm": "mgf1", "parameters": {"algorithm": mask}}
    told = {"hash_algorithm": {"algorithm": by}, "mask_gen_algorithm": generator, "salt_length": 32}
    return {"algorithm": "rsassa_pss", "parameters": {**told, "trailer_field": trailer}}


def ess(kind: str, *certificates: Fields) -> Fields:
    """The attribute that names certificates (RFC 5035)."""
    return {"type": kind, "values": [{"certs": list(certificates)}]}


def named(certificate: bytes, by: str | None = "sha256", **more: object) -> Fields:
    """One certificate by its digest; ``by`` is None for the first version, which has SHA-1 alone."""
    digest = new(by or "sha1", certificate, usedforsecurity=False).digest()
    return {"cert_hash": digest, **({"hash_algorithm": {"algorithm": by}} if by else {}), **more}


def read(message: bytes) -> VerifiedSignature:
    (found,) = verify_cms(BytesIO(message))
    return found


def openssl(directory: Path, message: bytes, pen: Pen) -> bool:
    (file := directory / "message").write_bytes(message)
    return accepts_cms(file, pen.roots)


def test_a_message_of_what_must_be_signed_and_nothing_more_is_read(mine: Pen) -> None:
    found = read(crafted(mine))
    assert (found.format, found.flaw, found.algorithm, found.scope) == (Format.CADES, None, "RS256", Scope.WHOLE)
    assert (found.certificate, found.chain) == (mine.signer.certificate, mine.signer.chain)
    assert (found.digest, found.signed_at, found.timestamp) == (sha256(DOCUMENT).digest(), None, None)
    assert (found.names_certificate, found.path_named) == (False, ())


@pytest.mark.parametrize("by", ["sha256", "sha384", "sha512"])
def test_each_hash_is_read_with_each_kind_of_key(
    mine: Pen, authority: SmallAuthority, ec_key: ec.EllipticCurvePrivateKey, by: str
) -> None:
    digest = {"type": "message_digest", "values": [new(by, DOCUMENT).digest()]}
    curve = authority.pen(ec_key, Algorithm.ES256)
    size = by[3:]
    for pen, kind, told in (
        (mine, "rsassa_pkcs1v15", "RS"),
        (mine, f"{by}_rsa", "RS"),
        (curve, f"{by}_ecdsa", "ES"),
    ):
        found = read(crafted(pen, CONTENT, digest, by=by, signature_algorithm={"algorithm": kind}))
        assert (found.algorithm, found.intact) == (told + size, True)
    found = read(crafted(mine, CONTENT, digest, by=by, signature_algorithm=pss(by, by)))
    assert (found.algorithm, found.intact) == (f"PS{size}", True)


@pytest.mark.parametrize(
    ("by", "algorithm", "told"),
    [
        ("sha1", {"algorithm": "rsassa_pkcs1v15"}, "RS1"),
        ("md5", {"algorithm": "rsassa_pkcs1v15"}, "RSMD5"),
        ("sha256", {"algorithm": "sha1_rsa"}, "RS1"),
        ("sha256", pss("sha256", "sha1"), "PS1"),
        ("sha256", pss("sha1", "sha256"), "PS1"),
    ],
    ids=["SHA-1", "MD5", "the key's", "the mask's", "PSS's"],
)
def test_a_broken_hash_anywhere_makes_it_weak(mine: Pen, by: str, algorithm: Fields, told: str) -> None:
    found = read(crafted(mine, CONTENT, DIGEST, by=by, signature_algorithm=algorithm, signature=bytes(256)))
    assert (found.flaw, found.algorithm, found.names_certificate) == (Flaw.WEAK, told, True)


@pytest.mark.parametrize(
    ("algorithm", "what"),
    [
        ({"algorithm": "sha512_rsa"}, "sha512_rsa, sha256"),
        ({"algorithm": "sha512_ecdsa"}, "sha512_ecdsa, sha256"),
        ({"algorithm": "sha256_dsa"}, "sha256_dsa, sha256"),
        (pss("sha256", "sha512"), "rsassa_pss, sha256"),
        (pss("sha512", "sha512"), "rsassa_pss, sha256"),
    ],
    ids=["RSA", "ECDSA", "DSA", "the mask's", "PSS's"],
)
def test_an_algorithm_of_another_hash_is_refused_by_its_name(mine: Pen, algorithm: Fields, what: str) -> None:
    with pytest.raises(DocumentUnsupported) as refused:
        read(crafted(mine, CONTENT, DIGEST, signature_algorithm=algorithm))
    assert refused.value.params == {"format": "CMS", "what": what}


def test_another_trailer_of_pss_is_malformed(mine: Pen) -> None:
    message = crafted(mine, signature_algorithm=pss(trailer=2))
    with pytest.raises(DocumentMalformed) as refused:
        read(message)
    assert refused.value.params == {"format": "CMS"}


def test_what_is_signed_is_of_this_content_and_its_type(mine: Pen, tmp_path: Path) -> None:
    reference = ess("signing_certificate_v2", named(mine.signer.certificate))
    type_of_another = {"type": "content_type", "values": ["signed_data"]}
    digest_of_another = {"type": "message_digest", "values": [sha256(b"another document").digest()]}
    for attributes, flaw, by_openssl in (
        ((CONTENT, DIGEST), None, True),
        ((type_of_another, DIGEST), Flaw.CONTENT, True),  # RFC 5652, section 5.6, refuses what openssl passes over
        ((CONTENT, digest_of_another), Flaw.CONTENT, False),
    ):
        message = crafted(mine, *attributes, reference)
        assert (read(message).flaw, openssl(tmp_path, message, mine)) == (flaw, by_openssl)


@pytest.mark.parametrize(
    "attributes",
    [
        (CONTENT,),
        (DIGEST,),
        (CONTENT, DIGEST, DIGEST),
        (CONTENT, {"type": "message_digest", "values": [bytes(32)] * 2}),
        (CONTENT, {"type": "message_digest", "values": []}),
    ],
    ids=["no digest", "no type", "twice", "two values", "no value"],
)
def test_each_signed_attribute_that_must_be_there_is_there_once_with_one_value(
    mine: Pen, attributes: tuple[Fields, ...]
) -> None:
    with pytest.raises(DocumentMalformed) as refused:
        read(crafted(mine, *attributes))
    assert refused.value.params == {"format": "CMS"}


@pytest.mark.parametrize("kind", ["content_type", "message_digest", "signing_time"])
def test_what_has_to_be_signed_does_not_stand_unsigned(mine: Pen, kind: str) -> None:
    time = cms.Time({"utc_time": datetime(2026, 1, 1, tzinfo=UTC)})
    value = {"content_type": "data", "message_digest": bytes(32), "signing_time": time}[kind]
    with pytest.raises(DocumentMalformed):
        read(crafted(mine, unsigned_attrs=[{"type": kind, "values": [value]}]))


def test_the_certificate_is_the_one_that_each_reference_names(mine: Pen) -> None:
    own, other = mine.signer.certificate, mine.signer.chain[0]
    certificate = x509.Certificate.load(own)
    number = {"issuer": [x509.GeneralName("directory_name", certificate.issuer)]}
    subject = {"issuer": [x509.GeneralName("directory_name", certificate.subject)]}
    right = {**number, "serial_number": certificate.serial_number}
    first, second = "signing_certificate", "signing_certificate_v2"
    for attributes, flaw in (
        ([ess(first, named(own, None))], None),
        ([ess(first, named(other, None))], Flaw.CERTIFICATE),
        ([ess(second, named(own))], None),
        ([ess(second, named(own, "sha512"))], None),
        ([ess(second, named(other, "sha512"))], Flaw.CERTIFICATE),
        ([ess(second, named(other), named(own))], Flaw.CERTIFICATE),
        ([ess(first, named(own, None)), ess(second, named(own))], None),
        ([ess(first, named(other, None)), ess(second, named(own))], Flaw.CERTIFICATE),
        ([ess(first, named(own, None)), ess(second, named(other))], Flaw.CERTIFICATE),
        ([ess(second, named(own, issuer_serial=right))], None),
        ([ess(second, named(own, issuer_serial={**right, "serial_number": 7}))], Flaw.CERTIFICATE),
        ([ess(second, named(own, issuer_serial={**right, **subject}))], Flaw.CERTIFICATE),
        ([ess(second, named(own, issuer_serial={**right, "issuer": []}))], Flaw.CERTIFICATE),
    ):
        found = read(crafted(mine, CONTENT, DIGEST, *attributes))
        assert (found.flaw, found.names_certificate) == (flaw, True)


def test_the_further_certificates_that_are_named_are_told_with_their_hash(mine: Pen) -> None:
    own, other = mine.signer.certificate, mine.signer.chain[0]
    old = ess("signing_certificate", named(own, None), named(other, None))
    new_one = ess("signing_certificate_v2", named(own), named(other, "sha512"), named(b"third"))
    found = read(crafted(mine, CONTENT, DIGEST, old, new_one))
    assert found.path_named == (
        ("sha1", new("sha1", other, usedforsecurity=False).digest()),
        ("sha512", new("sha512", other).digest()),
        ("sha256", sha256(b"third").digest()),
    )
    unknown = ess("signing_certificate_v2", named(own), named(other, "sha224"))
    with pytest.raises(DocumentUnsupported) as refused:
        read(crafted(mine, CONTENT, DIGEST, unknown))
    assert refused.value.params == {"format": "CMS", "what": "sha224"}


def test_the_signer_is_found_by_issuer_and_number_or_by_the_key_s_identifier(mine: Pen) -> None:
    own = x509.Certificate.load(mine.signer.certificate)
    known = {"issuer": own.issuer, "serial_number": own.serial_number}
    for sid, is_there in (
        (cms.SignerIdentifier("subject_key_identifier", own.key_identifier), True),
        (cms.SignerIdentifier("subject_key_identifier", b"other"), False),
        ({"issuer_and_serial_number": known}, True),
        ({"issuer_and_serial_number": {**known, "issuer": own.subject}}, False),
        ({"issuer_and_serial_number": {**known, "serial_number": 7}}, False),
    ):
        message = crafted(mine, sid=sid)
        if is_there:
            assert read(message).certificate == mine.signer.certificate
        else:
            with pytest.raises(DocumentUnsupported) as refused:
                read(message)
            assert refused.value.params == {"format": "CMS", "what": "certificate"}


def test_the_time_that_the_signer_claims_is_told_in_utc(mine: Pen) -> None:
    time = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    claimed = {"type": "signing_time", "values": [cms.Time({"utc_time": time})]}
    assert read(crafted(mine, CONTENT, DIGEST, claimed)).signed_at == time


def test_another_value_than_the_key_s_is_told(mine: Pen, tmp_path: Path) -> None:
    reference = ess("signing_certificate_v2", named(mine.signer.certificate))
    others = cms.CMSAttributes((CONTENT, DIGEST)).dump()
    message = crafted(mine, CONTENT, DIGEST, reference, signature=value_of(mine, others, "sha256"))
    assert (read(message).flaw, openssl(tmp_path, message, mine)) == (Flaw.SIGNATURE, False)


def test_without_signed_attributes_a_value_could_be_one_of_something_else(mine: Pen) -> None:
    value = value_of(mine, DOCUMENT, "sha256")
    found = read(crafted(mine, signed_attrs=None, signature=value))
    assert (found.flaw, found.names_certificate) == (Flaw.ATTRIBUTES, True)


def test_a_pss_value_has_the_salt_that_its_parameters_say(mine: Pen) -> None:
    assert isinstance(mine.key, rsa.RSAPrivateKey)
    attributes = cms.CMSAttributes((CONTENT, DIGEST)).dump()
    for salt in (20, 32):
        scheme = padding.PSS(padding.MGF1(hashes.SHA256()), salt)
        value = mine.key.sign(attributes, scheme, hashes.SHA256())
        found = read(crafted(mine, signature_algorithm=pss(), signature=value))
        assert found.flaw is (None if salt == 32 else Flaw.SIGNATURE)


def test_a_curve_s_value_needs_no_hash_in_its_algorithm(
    authority: SmallAuthority, ec_key: ec.EllipticCurvePrivateKey
) -> None:
    for kind in ("ecdsa", "sha256_ecdsa"):
        found = read(crafted(authority.pen(ec_key, Algorithm.ES256), signature_algorithm={"algorithm": kind}))
        assert (found.flaw, found.algorithm) == (None, "ES256")


def test_unsigned_attributes_that_need_no_signature_change_nothing(mine: Pen) -> None:
    unsigned = [{"type": "1.2.3.4", "values": [core.OctetString(b"x")]}]
    assert read(crafted(mine, unsigned_attrs=unsigned)).intact
