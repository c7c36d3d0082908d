"""What XAdES of each age tells of the signer and of the time, where it stands, and what means nothing."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from asn1crypto import cms, tsp
from asn1crypto import keys as asn1_keys
from asn1crypto import x509 as asn1
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pyhanko.sign.timestamps import DummyTimeStamper

from cardd.errors import DocumentMalformed
from cardd.formats.verified import Flaw, Scope, VerifiedSignature
from cardd.formats.xades_read import VERSIONS
from cardd.formats.xml import C14N
from cardd.formats.xmldsig import DS, XADES
from cardd.model import Algorithm
from tests.formats.xml_signing import (
    EXCLUSIVE,
    HASHES,
    ORDER,
    WHOLE,
    properties,
    read,
    signature,
    with_properties,
)
from tests.rig.pens import Pen, SmallAuthority

TIME = "<SigningTime>2026-01-02T03:04:05Z</SigningTime>"
TOLD = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
WITH_COMMENTS = f"{EXCLUSIVE}WithComments"


@pytest.fixture
def mine(authority: SmallAuthority, ec_key: ec.EllipticCurvePrivateKey) -> Pen:
    return authority.pen(ec_key, Algorithm.ES256)


@pytest.fixture(scope="module")
def stamper() -> DummyTimeStamper:
    """A timestamp authority in this process."""
    authority, key = SmallAuthority("AC HORODATAGE SIMULATION"), rsa.generate_private_key(65537, 2048)
    private = asn1_keys.PrivateKeyInfo.load(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    return DummyTimeStamper(asn1.Certificate.load(authority.timestamping(key).public_bytes(Encoding.DER)), private)


@pytest.mark.parametrize("space", VERSIONS)
def test_xades_of_each_age_names_its_certificate_and_its_time(mine: Pen, space: str) -> None:
    told = properties(mine.signer.certificate, time=TIME, name="SigningCertificate", space=space)
    found = read(with_properties(mine, told, space=space))
    assert (found.flaw, found.signed_at, found.scope) == (None, TOLD, Scope.WHOLE)
    other = properties(b"another", time=TIME, name="SigningCertificate", space=space)
    assert read(with_properties(mine, other, space=space)).flaw is Flaw.CERTIFICATE


def test_properties_of_a_name_space_that_is_not_known_mean_nothing_and_are_more_than_a_signature_is_made_of(
    mine: Pen,
) -> None:
    told = properties(b"another", time=TIME, space="urn:other")
    found = read(with_properties(mine, told, space="urn:other"))
    assert (found.flaw, found.signed_at, found.certificate) == (None, None, mine.signer.certificate)
    assert found.scope is Scope.PART


def test_the_newer_name_of_the_certificate_goes_before_the_older(mine: Pen) -> None:
    own, above = mine.signer.certificate, mine.signer.chain[0]
    newer = properties(own)
    older = properties(above, name="SigningCertificate")
    begin, end = "<SignedSignatureProperties>", "</SignedSignatureProperties>"
    inside = older[older.index(begin) + len(begin) : older.index(end)]
    both = newer.replace(begin, begin + inside)
    found = read(with_properties(mine, both))
    assert (found.flaw, found.certificate) == (None, own)


def test_properties_beside_something_else_in_an_object_mean_nothing(mine: Pen) -> None:
    told = properties(b"another", time=TIME)
    document = with_properties(mine, told)
    found = read(document.replace("</QualifyingProperties>", "</QualifyingProperties><X509Data></X509Data>"))
    assert (found.flaw, found.signed_at, found.certificate) == (None, None, mine.signer.certificate)


def test_properties_that_are_there_twice_are_malformed(mine: Pen) -> None:
    document = with_properties(mine, properties(mine.signer.certificate))
    begin, end = document.index("<Object>"), document.index("</Signature>")
    with pytest.raises(DocumentMalformed) as refused:
        read(document[:end] + document[begin:end] + document[end:])
    assert refused.value.params == {"format": "XAdES"}


def test_an_object_may_have_no_properties_and_properties_no_time_or_certificate(mine: Pen) -> None:
    for told in ("", f'<SignedProperties xmlns="{XADES}" Id="s"></SignedProperties>'):
        found = read(with_properties(mine, told, covered=bool(told)))
        assert (found.flaw, found.signed_at, found.timestamp) == (None, None, None)
        assert found.certificate == mine.signer.certificate


def test_a_digest_of_the_certificate_without_a_method_or_a_value_names_none(mine: Pen) -> None:
    told = properties(mine.signer.certificate)
    method = f'<DigestMethod xmlns="{DS}" Algorithm="{HASHES["256"]}"></DigestMethod>'
    assert method in told
    with pytest.raises(DocumentMalformed):
        read(with_properties(mine, told.replace(method, "")))
    begin, end = told.index("<DigestValue"), told.index("</CertDigest>")
    assert read(with_properties(mine, told[:begin] + told[end:])).flaw is Flaw.CERTIFICATE


# --- timestamps


def token_of(stamper: DummyTimeStamper, octets: bytes) -> bytes:
    """The authority's token of these octets."""
    request = tsp.TimeStampReq(
        {
            "version": "v1",
            "message_imprint": {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": sha256(octets).digest()},
            "cert_req": True,
        }
    )
    answer = stamper.request_tsa_response(request)
    token: cms.ContentInfo = answer["time_stamp_token"]
    return bytes(token.dump())


def stamped(document: str, *tokens: bytes, form: str = "", space: str = XADES, beside: str = "") -> VerifiedSignature:
    """The signature of a document with these timestamps, each in an Object of its own."""
    objects = ""
    for token in tokens:
        method = f'<CanonicalizationMethod xmlns="{DS}" Algorithm="{form}"/>' if form else ""
        inside = f"{method}<EncapsulatedTimeStamp>{b64encode(token).decode()}</EncapsulatedTimeStamp>"
        unsigned = f"<UnsignedSignatureProperties><SignatureTimeStamp>{inside}</SignatureTimeStamp>"
        written = f"<UnsignedProperties>{unsigned}</UnsignedSignatureProperties></UnsignedProperties>"
        objects += (
            f'<Object><QualifyingProperties xmlns="{space}" Target="#x">{written}</QualifyingProperties></Object>'
        )
    return read(document.replace("</Signature>", f"{beside}{objects}</Signature>"))


def value_in(document: str) -> str:
    return document[document.index("<SignatureValue") : document.index("<KeyInfo")]


@pytest.mark.parametrize("form", ["", C14N, EXCLUSIVE, WITH_COMMENTS])
def test_a_timestamp_covers_the_value_in_its_canonical_form(mine: Pen, stamper: DummyTimeStamper, form: str) -> None:
    document = ORDER.replace("<order ", '<order xmlns:p="urn:p" ').replace("@", signature(mine, WHOLE))
    spaces = ' xmlns:p="urn:p"' if form in ("", C14N) else ""
    octets = value_in(document).replace("<SignatureValue", f'<SignatureValue xmlns="{DS}"{spaces}').encode()
    found = stamped(document, token_of(stamper, octets), form=form).timestamp
    assert found is not None
    assert (found.flaw, abs(found.time - datetime.now(UTC)) < timedelta(minutes=5)) == (None, True)
    other = stamped(document, token_of(stamper, octets + b" "), form=form).timestamp
    assert other is not None
    assert other.flaw is Flaw.IMPRINT


@pytest.mark.parametrize("space", VERSIONS)
def test_the_first_timestamp_counts_of_xades_of_each_age(mine: Pen, stamper: DummyTimeStamper, space: str) -> None:
    document = ORDER.replace("@", signature(mine, WHOLE))
    octets = value_in(document).replace("<SignatureValue", f'<SignatureValue xmlns="{DS}"').encode()
    good = token_of(stamper, octets)
    found = stamped(document, good, form=EXCLUSIVE, space=space, beside="<Object></Object>").timestamp
    assert found is not None
    assert found.flaw is None
    assert stamped(document, good, form=EXCLUSIVE, space="urn:other").timestamp is None


def test_a_timestamp_without_a_token_or_of_a_form_that_is_not_known_is_malformed(
    mine: Pen, stamper: DummyTimeStamper
) -> None:
    document = ORDER.replace("@", signature(mine, WHOLE))
    good = token_of(stamper, b"")
    for token, form in ((b"", EXCLUSIVE), (good[:-1], EXCLUSIVE), (good, "urn:unknown")):
        with pytest.raises(DocumentMalformed) as refused:
            stamped(document, token, form=form)
        assert refused.value.params == {"format": "XAdES"}
