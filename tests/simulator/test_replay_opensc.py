"""OpenSC 0.23's sequences, as the facts have them, replayed byte by byte (T=0, GET RESPONSE included)."""

from __future__ import annotations

from pathlib import Path

from tests.simulator import openssl
from tests.simulator.terminal import DIGEST_INFO_SHA256, Terminal

MASTER_FCP = "622882013883023F0084088025000001FF0100A1128C077BFFFFFFFFFFFF9C077BFFFFFFFFFFFF8A01059000"
APPLICATION_FCP = "622D82013883020001840DE828BD080F8025000001FF0010A1128C077BFFFFFFFFFFFF9C077BFFFFFFFFFFFF8A01059000"
EF_ATR_FCP = "62258002003982010183022F018801E8A1128C077B45FFFFFF45009C077B45FFFFFF45008A01059000"
ABSENT = "6A80"
HOLDER_PIN = "7016BF810112A0109A01039B0103A1088C06F3000013FF009000"
AUTHENTICATION_KEY = "7015BF900211A00F80020100A1098C0773FF1111FFFF009000"


def test_the_probe(terminal: Terminal) -> None:
    assert terminal.all("00A40904043F002F01", "00C0000027") == ["6127", EF_ATR_FCP]
    ef_atr = terminal.read("00B0000039")
    assert len(ef_atr) == 57
    assert ef_atr.startswith(bytes.fromhex("804301B846"))
    assert terminal("00A40404088025000001FF0100") == "612A"
    assert terminal("00B09C00C0").startswith("5A0A802500000199")


def test_the_probe_by_get_response_of_no_stated_length(terminal: Terminal) -> None:
    assert terminal.all("00A40904043F002F01", "00C0000000") == ["6127", EF_ATR_FCP]


def test_reading_what_the_token_and_its_pin_are(terminal: Terminal) -> None:
    assert terminal.all("00A40204023F00", "00C000002A") == ["612A", MASTER_FCP]
    assert terminal("0020000100") == "63C3"
    assert terminal.all("00A40904023F00", "00C000002A") == ["612A", MASTER_FCP]
    assert terminal("00CB3FFF0B4D097007BF8101037F4180") == ABSENT
    assert terminal.all("00CB3FFF0A4D087006BF810102A080", "00C0000018") == ["6118", HOLDER_PIN]
    assert terminal("0020000104 31323334") == "9000"
    assert terminal("0020000100") == "9000"


def test_signing_with_the_authentication_key_in_10_apdus(terminal: Terminal, tmp_path: Path) -> None:
    terminal.login()
    before = terminal.card.count
    digest_info = DIGEST_INFO_SHA256 + "9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08"
    assert terminal.all("00A404040DE828BD080F8025000001FF0010", "00C000002F") == ["612F", APPLICATION_FCP]
    assert terminal.all("00A40904043F000001", "00C000002F") == ["612F", APPLICATION_FCP]
    assert terminal("00CB3FFF0B4D097007BF9002037F4880") == ABSENT
    assert terminal.all("00CB3FFF0A4D087006BF900202A080", "00C0000017") == ["6117", AUTHENTICATION_KEY]
    assert terminal.all("002241A406840182800102", f"0088000033{digest_info}") == ["9000", "6100"]
    signature = terminal.read("00C0000000")
    assert terminal.card.count - before == 10
    assert openssl.accepts(signature, b"test", terminal.card.issued.authentication, tmp_path)


def test_the_signature_keys_security_object(terminal: Terminal) -> None:
    asked = terminal.all("00CB3FFF0A4D087006BF900102A080", "00C0000000")
    assert asked == ["6117", "7015BF900111A00F80020100A1098C077311FFFFFFFF009000"]


def test_the_pins_security_object_counts_the_tries_left(terminal: Terminal) -> None:
    terminal.login(b"0000")
    terminal("00CB3FFF0A4D087006BF810102A080")
    assert terminal("00C0000000") == "7016BF810112A0109A01039B0102A1088C06F3000013FF009000"
    terminal("00CB3FFF0A4D087006BF810202A080")
    assert terminal("00C0000000") == "7016BF810212A0109A010A9B010AA1088C06F3000013FF009000"


def test_deciphering_with_a_chained_command(terminal: Terminal) -> None:
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

    cryptogram = terminal.card.issued.authentication.key.public_key().encrypt(b"clef SIMULATION", PKCS1v15()).hex()
    body = "81" + cryptogram
    terminal.login()
    assert terminal("002241B80684018280011A") == "9000"
    assert terminal(f"102A8086FF{body[:510]}") == "9000"
    assert terminal(f"002A808602{body[510:]}") == "610F"
    assert terminal.read("00C000000F") == b"clef SIMULATION"


def test_changing_and_unblocking_the_pin(terminal: Terminal) -> None:
    assert terminal.login() == "9000"
    assert terminal("0024000108 31323334 34333231") == "9000"
    assert terminal.login(b"1234") == "63C2"
    assert terminal("002C020104 35353535") == "6982"
    assert terminal("0020000208 3132333435363738") == "9000"
    assert terminal("002C020104 35353535") == "9000"
    assert terminal.login(b"5555") == "9000"
