"""The authorities above a certificate, found among those that are configured."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from cardd.identity.chain import KnownAuthorities
from cardd.model import Algorithm
from tests.rig.pens import SmallAuthority


@pytest.fixture
def root() -> SmallAuthority:
    return SmallAuthority("AC RACINE SIMULATION")


def leaf(authority: SmallAuthority) -> bytes:
    return authority.pen(ec.generate_private_key(ec.SECP256R1()), Algorithm.ES256).signer.certificate


def test_they_are_found_the_nearest_first_in_whatever_order_they_are_configured(
    root: SmallAuthority, tmp_path: Path
) -> None:
    between, other = SmallAuthority("AC INTERMEDIAIRE SIMULATION", root), SmallAuthority("AC AUTRE SIMULATION")
    for order in ((root, other, between), (between, root, other)):
        (tmp_path / "authorities.pem").write_bytes(b"".join(one.pem for one in order))
        assert KnownAuthorities(tmp_path / "authorities.pem").above(leaf(between)) == between.chain
        assert KnownAuthorities(tmp_path / "authorities.pem", [root.chain[0]]).above(leaf(root)) == root.chain


def test_one_of_the_same_name_that_did_not_sign_is_not_taken(root: SmallAuthority) -> None:
    assert KnownAuthorities(others=SmallAuthority("AC RACINE SIMULATION").chain).above(leaf(root)) == ()


def test_without_a_readable_file_none_is_known(root: SmallAuthority, tmp_path: Path) -> None:
    (tmp_path / "broken.pem").write_text("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n")
    for file in (None, tmp_path / "missing.pem", tmp_path / "broken.pem"):
        assert KnownAuthorities(file).above(leaf(root)) == ()
    assert KnownAuthorities(others=root.chain).above(b"no certificate") == ()
