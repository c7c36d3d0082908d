"""Who signs, and the authorities that judge."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from cardd.model import Algorithm
from tests.rig.pens import Pen, SmallAuthority, card_pen
from tests.rig.tsa import OpensslTsa

SIGNERS = ("cps3-RS256", "cps4-RS256", "rsa-PS256", "p256-ES256")


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(scope="session")
def authority() -> SmallAuthority:
    return SmallAuthority()


@pytest.fixture(scope="session")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="session")
def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(params=SIGNERS)
def pen(
    request: pytest.FixtureRequest,
    authority: SmallAuthority,
    rsa_key: rsa.RSAPrivateKey,
    ec_key: ec.EllipticCurvePrivateKey,
) -> Pen:
    """Each kind of key that cardd meets."""
    match request.param:
        case "rsa-PS256":
            return authority.pen(rsa_key, Algorithm.PS256)
        case "p256-ES256":
            return authority.pen(ec_key, Algorithm.ES256)
        case _:
            return card_pen(request.param.partition("-")[0])


@pytest.fixture(scope="session")
def card() -> Pen:
    """The signature key of a simulated CPS3."""
    return card_pen()


@pytest.fixture
def tsa(tmp_path: Path) -> OpensslTsa:
    """A timestamp authority of openssl's."""
    (tmp_path / "tsa").mkdir()
    return OpensslTsa(tmp_path / "tsa", SmallAuthority("AC HORODATAGE SIMULATION"))
