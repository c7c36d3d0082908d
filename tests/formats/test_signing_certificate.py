"""Which certificates may sign a document: every format asks the same."""

from __future__ import annotations

from datetime import datetime, timedelta
from io import BytesIO

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from cardd.errors import (
    AlgorithmUnsupported,
    SigningCertificateExpired,
    SigningCertificateNotYetValid,
    SigningCertificateUsage,
)
from cardd.formats.cades import prepare_cades, prepare_cades_digest
from cardd.formats.jws import prepare_jws
from cardd.formats.signer import require_signing_certificate
from cardd.model import Algorithm
from tests.rig.pens import Pen, SmallAuthority, card_pen

DAY = timedelta(days=1)


@pytest.mark.parametrize("generation", ["cps3", "cps4"])
def test_a_cards_authentication_certificate_may_not(generation: str, now: datetime) -> None:
    with pytest.raises(SigningCertificateUsage):
        require_signing_certificate(card_pen(generation, "authentication").signer, now)


def test_a_certificate_is_good_from_its_first_second_to_its_last(card: Pen, now: datetime) -> None:
    first, last = _validity(card)
    require_signing_certificate(card.signer, first)
    require_signing_certificate(card.signer, last)
    second = timedelta(seconds=1)
    with pytest.raises(SigningCertificateNotYetValid) as early:
        require_signing_certificate(card.signer, first - second)
    with pytest.raises(SigningCertificateExpired) as late:
        require_signing_certificate(card.signer, last + second)
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
            require_signing_certificate(authority.pen(key, algorithm).signer, now)


def test_each_format_asks_before_anything_is_signed(
    authority: SmallAuthority, rsa_key: rsa.RSAPrivateKey, now: datetime
) -> None:
    signer = authority.pen(rsa_key, Algorithm.RS256, days=(-20, -10)).signer
    with pytest.raises(SigningCertificateExpired):
        prepare_cades(BytesIO(b"SIMULATION"), signer, now)
    with pytest.raises(SigningCertificateExpired):
        prepare_cades_digest(bytes(32), signer, now)
    with pytest.raises(SigningCertificateExpired):
        prepare_jws(BytesIO(b"SIMULATION"), signer, now)


def _validity(pen: Pen) -> tuple[datetime, datetime]:
    from cryptography.x509 import load_der_x509_certificate

    certificate = load_der_x509_certificate(pen.signer.certificate)
    return certificate.not_valid_before_utc, certificate.not_valid_after_utc
