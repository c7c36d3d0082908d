"""The authorities above a certificate, found among those that are configured."""

from __future__ import annotations

from pathlib import Path

import pytest
from asn1crypto import pem
from cryptography.hazmat.primitives.asymmetric import ec

from cardd.identity.chain import DEPTH_MAX, KnownAuthorities
from cardd.libcrypto import Certificate
from cardd.model import Algorithm
from tests.rig.pens import SmallAuthority


@pytest.fixture
def root() -> SmallAuthority:
    return SmallAuthority("AC RACINE SIMULATION")


def leaf(authority: SmallAuthority) -> bytes:
    return authority.pen(ec.generate_private_key(ec.SECP256R1()), Algorithm.ES256).signer.certificate


def test_authorities_are_found_the_nearest_first_in_whatever_order_they_are_configured(
    root: SmallAuthority, tmp_path: Path
) -> None:
    between, other = SmallAuthority("AC INTERMEDIAIRE SIMULATION", root), SmallAuthority("AC AUTRE SIMULATION")
    for order in ((root, other, between), (between, root, other)):
        (tmp_path / "authorities.pem").write_bytes(b"".join(one.pem for one in order))
        assert KnownAuthorities(tmp_path / "authorities.pem").above(leaf(between)) == between.chain
        assert KnownAuthorities(tmp_path / "authorities.pem", [root.chain[0]]).above(leaf(root)) == root.chain


def test_one_of_the_same_name_that_did_not_sign_is_not_taken(root: SmallAuthority) -> None:
    assert KnownAuthorities(others=SmallAuthority("AC RACINE SIMULATION").chain).above(leaf(root)) == ()


@pytest.mark.parametrize("days", [(-2000, -1), (1, 2000)], ids=["expired", "not-yet-valid"])
def test_of_an_authority_that_was_renewed_the_one_that_is_valid_now_is_taken(days: tuple[int, int]) -> None:
    root = SmallAuthority("AC RACINE SIMULATION")
    past = SmallAuthority("AC RACINE SIMULATION", key=root.key, days=days)
    assert KnownAuthorities(others=past.chain + root.chain).above(leaf(root)) == root.chain
    assert KnownAuthorities(others=past.chain).above(leaf(root)) == past.chain


def test_authorities_that_vouch_for_each_other_are_told_once() -> None:
    one, other = SmallAuthority("AC UNE SIMULATION"), SmallAuthority("AC AUTRE SIMULATION")
    crossed = SmallAuthority("AC UNE SIMULATION", other, one.key), SmallAuthority("AC AUTRE SIMULATION", one, other.key)
    around = tuple(authority.chain[0] for authority in crossed)
    assert len(around) < DEPTH_MAX
    assert KnownAuthorities(others=around).above(leaf(one)) == around


def test_one_whose_key_nobody_here_knows_leaves_the_others_known(root: SmallAuthority, tmp_path: Path) -> None:
    unknown = root.chain[0].replace(bytes.fromhex("06072a8648ce3d0201"), bytes.fromhex("06072a8648ce3d027f"))
    with pytest.raises(ValueError, match="no certificate"):
        Certificate(unknown)
    (tmp_path / "authorities.pem").write_bytes(pem.armor("CERTIFICATE", unknown) + root.pem)
    assert KnownAuthorities(tmp_path / "authorities.pem").above(leaf(root)) == root.chain


def test_without_a_readable_file_none_is_known(root: SmallAuthority, tmp_path: Path) -> None:
    (tmp_path / "broken.pem").write_text("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n")
    for file in (None, tmp_path / "missing.pem", tmp_path / "broken.pem"):
        assert KnownAuthorities(file).above(leaf(root)) == ()
    assert KnownAuthorities(others=root.chain).above(b"no certificate") == ()
