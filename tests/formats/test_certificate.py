"""What is read of a certificate, and which may sign: every format asks the same."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

from cardd.errors import (
    AlgorithmUnsupported,
    SigningCertificateExpired,
    SigningCertificateNotYetValid,
    SigningCertificateUsage,
)
from cardd.formats.certificate import KEYWORDS, facts_of, require_signing
from cardd.model import Algorithm
from tests.rig.pens import Pen, SmallAuthority, card_pen, der

DAY = timedelta(days=1)
COMMON, UNIT, SERIAL = NameOID.COMMON_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.SERIAL_NUMBER


def _name(*parts: x509.NameAttribute[str] | list[x509.NameAttribute[str]]) -> x509.Name:
    return x509.Name([x509.RelativeDistinguishedName(part if isinstance(part, list) else [part]) for part in parts])


def _named(name: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime) -> bytes:
    """A certificate of this name."""
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now - DAY, now + DAY)
    return der(builder.sign(key, SHA256()))


@pytest.mark.parametrize(
    "name",
    [
        _name(x509.NameAttribute(NameOID.COUNTRY_NAME, "FR"), x509.NameAttribute(COMMON, "AC SIMULATION")),
        _name(*(x509.NameAttribute(COMMON, text) for text in ("a,b", "a+b", 'a"b', "a\\b", "<a>", "a;b", "é"))),
        _name(*(x509.NameAttribute(UNIT, text) for text in (" a", "#a", "a ", " ", "# a "))),
        _name([x509.NameAttribute(COMMON, "several"), x509.NameAttribute(UNIT, "parts")]),
        _name(x509.NameAttribute(SERIAL, "8")),
    ],
    ids=["plain", "special", "ends", "several", "no keyword"],
)
def test_a_name_is_written_as_cryptography_does(
    name: x509.Name, ec_key: ec.EllipticCurvePrivateKey, now: datetime
) -> None:
    certificate = _named(name, ec_key, now)
    subject = facts_of(certificate).subject
    assert str(subject) == x509.load_der_x509_certificate(certificate).subject.rfc4514_string()
    assert subject.values(COMMON.dotted_string) == tuple(found.value for found in name.get_attributes_for_oid(COMMON))


def test_an_attribute_without_a_keyword_is_written_in_hex_where_rfc_4514_is_followed_strictly(
    ec_key: ec.EllipticCurvePrivateKey, now: datetime
) -> None:
    subject = facts_of(_named(_name(x509.NameAttribute(SERIAL, "8")), ec_key, now)).subject
    assert subject.written(KEYWORDS, is_strict=True) == "2.5.4.5=#130138"


@pytest.mark.parametrize("generation", ["cps3", "cps4"])
def test_a_cards_authentication_certificate_may_not(generation: str, now: datetime) -> None:
    with pytest.raises(SigningCertificateUsage):
        require_signing(card_pen(generation, "authentication").signer, now)


def test_a_certificate_is_good_from_its_first_second_to_its_last(card: Pen, now: datetime) -> None:
    first, last = _validity(card)
    require_signing(card.signer, first)
    require_signing(card.signer, last)
    second = timedelta(seconds=1)
    with pytest.raises(SigningCertificateNotYetValid) as early:
        require_signing(card.signer, first - second)
    with pytest.raises(SigningCertificateExpired) as late:
        require_signing(card.signer, last + second)
    assert early.value.params == {"not_before": first.isoformat()}
    assert late.value.params == {"not_after": last.isoformat()}


def test_an_algorithm_of_another_kind_of_key_is_refused(
    authority: SmallAuthority, rsa_key: rsa.RSAPrivateKey, ec_key: ec.EllipticCurvePrivateKey, now: datetime
) -> None:
    larger = ec.generate_private_key(ec.SECP384R1())
    for key, algorithm in (
        (rsa_key, Algorithm.ES256),
        (ec_key, Algorithm.RS256),
        (ec_key, Algorithm.PS256),
        (larger, Algorithm.ES256),
    ):
        with pytest.raises(AlgorithmUnsupported):
            require_signing(authority.pen(key, algorithm).signer, now)


def _validity(pen: Pen) -> tuple[datetime, datetime]:
    from cryptography.x509 import load_der_x509_certificate

    certificate = load_der_x509_certificate(pen.signer.certificate)
    return certificate.not_valid_before_utc, certificate.not_valid_after_utc
