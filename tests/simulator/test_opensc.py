"""OpenSC, through a real pcscd, judges the simulated card."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cardd_simulators.cards.card import SimulatedCard
from tests.rig.pcscd import Pcscd
from tests.rig.simulator import inserted, simulated_card
from tests.simulator import openssl
from tests.simulator.opensc import OpenSc, is_forgetful, logs_in
from tests.simulator.terminal import DIGEST_INFO_SHA256

AUTHENTICATION_ID = "E828BD080F8025000001FF001002"
DIGEST_INFO = bytes.fromhex(DIGEST_INFO_SHA256) + bytes(range(32))


@pytest.fixture
def card(pcscd: Pcscd) -> Iterator[SimulatedCard]:
    with inserted(simulated_card(), pcscd) as card:
        yield card


@pytest.fixture
def opensc(pcscd: Pcscd, card: SimulatedCard, tmp_path: Path) -> OpenSc:
    return OpenSc(tmp_path, pcscd)


def _sign(opensc: OpenSc, directory: Path, pin: str) -> list[str | Path]:
    (directory / "digest-info").write_bytes(DIGEST_INFO)
    files: list[str | Path] = ["-i", directory / "digest-info", "-o", directory / "signature"]
    return ["--login", "--pin", pin, "--sign", "-m", "RSA-PKCS", "--id", AUTHENTICATION_ID, *files]


def _verify_pin(opensc: OpenSc, pin: str) -> str:
    done = opensc("pkcs15-tool", "--verify-pin", "--auth-id", "01", "--pin", pin)
    return done.stderr if done.returncode else "accepted"


def test_opensc_takes_the_card_for_an_ias_ecc_card(opensc: OpenSc) -> None:
    assert opensc.succeeds("opensc-tool", "-n").strip() == "IAS-ECC"


def test_opensc_reads_the_atr_of_a_cps3(opensc: OpenSc) -> None:
    told = opensc.succeeds("opensc-tool", "--atr").strip()
    assert told == "3b:ac:00:40:2a:00:12:25:00:64:80:00:03:10:00:90:00"


def test_opensc_reads_every_directory(opensc: OpenSc, card: SimulatedCard) -> None:
    told = opensc.succeeds("pkcs15-tool", "-D")
    assert f"PKCS#15 Card [CPS3v3-{card.issued.card_number}]" in told
    assert "Flags          : Read-only, Login required" in told
    for found in (
        "PIN [Code porteur]",
        "PIN [Code deblocage]",
        "Private RSA Key [CPS_PRIV_SIG]",
        "Private RSA Key [CPS_PRIV_AUT]",
        "X.509 Certificate [Certificat de Signature CPS]",
        "X.509 Certificate [Certificat d'Authentification CPS]",
        "Data object 'CPS_DATA'",
        "Data object 'CPS_ACTIVITY_01_PS'",
    ):
        assert found in told


def test_opensc_lists_objects_through_pkcs11(opensc: OpenSc) -> None:
    told = opensc.succeeds("pkcs11-tool", "-O")
    assert told.count("Certificate Object; type = X.509 cert") == 2
    assert "CN=899000000010+SN=SIMULATION-MEDECIN" in told


@logs_in
def test_opensc_signs_with_the_authentication_key_and_openssl_verifies(
    opensc: OpenSc, card: SimulatedCard, tmp_path: Path
) -> None:
    opensc.succeeds("pkcs11-tool", *_sign(opensc, tmp_path, "1234"))
    key = openssl.public_key(card.issued.authentication, tmp_path)
    files: list[str | Path] = ["-sigfile", tmp_path / "signature", "-in", tmp_path / "digest-info"]
    assert "Verified Successfully" in openssl.run("pkeyutl", "-verify", "-pubin", "-inkey", key, *files)


@logs_in
def test_opensc_is_told_that_a_pin_is_wrong(opensc: OpenSc, tmp_path: Path) -> None:
    done = opensc("pkcs11-tool", *_sign(opensc, tmp_path, "9999"))
    assert done.returncode == 1
    assert "CKR_PIN_INCORRECT" in done.stderr


@logs_in
def test_opensc_changes_the_pin(opensc: OpenSc) -> None:
    opensc.succeeds("pkcs11-tool", "--login", "--pin", "1234", "--change-pin", "--new-pin", "4321")
    assert "incorrect" in _verify_pin(opensc, "1234")
    assert _verify_pin(opensc, "4321") == "accepted"


@logs_in
def test_opensc_finds_the_pin_blocked_after_three_tries_and_unblocks_it(opensc: OpenSc) -> None:
    assert all("incorrect" in _verify_pin(opensc, "9999") for _ in range(3))
    assert "blocked" in _verify_pin(opensc, "1234")
    opensc.succeeds("pkcs15-tool", "--unblock-pin", "--auth-id", "01", "--puk", "12345678", "--new-pin", "5555")
    assert _verify_pin(opensc, "5555") == "accepted"


@pytest.mark.skipif(not is_forgetful(), reason="this OpenSC logs in")
def test_opensc_0_26_gives_up_before_it_sends_the_pin(opensc: OpenSc, card: SimulatedCard, tmp_path: Path) -> None:
    done = opensc("pkcs11-tool", *_sign(opensc, tmp_path, "9999"))
    assert done.returncode == 1
    assert "CKR_DATA_INVALID" in done.stderr
    assert card.process(bytes.fromhex("0020000100")).hex() == "63c3"
