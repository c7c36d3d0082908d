"""The official middleware's sequences (Cryptolib CPS 5.2.2), as the facts have them: it cannot be here itself."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.simulator import openssl
from tests.simulator.terminal import DIGEST_INFO_SHA256, Terminal

DOCUMENT = b"ordonnance SIMULATION"
DIGEST = hashlib.sha256(DOCUMENT).hexdigest()
LOGIN = ("00A4020C023F00", "002000010431323334")
SELECT = "00A4090C043F000001"


def _fetch(terminal: Terminal) -> bytes:
    """256 bytes, as it fetches them: at most E7 at a time."""
    first = terminal("00C00000E7")
    assert first.endswith("6119")
    return bytes.fromhex(first[:-4]) + terminal.read("00C0000019")


def _counted(terminal: Terminal, work: Callable[[], bytes]) -> tuple[bytes, int]:
    before = terminal.card.count
    return work(), terminal.card.count - before


def test_files_of_the_card_are_where_it_looks_for_them(terminal: Terminal) -> None:
    assert terminal.all("00A4090C043F002F00", "00A4090C043F00D003") == ["9000", "9000"]
    serial = terminal.read("00B000000C")
    assert serial.startswith(bytes.fromhex("5A0A8025000001"))
    assert serial[7:11].hex() == terminal.card.issued.serial
    assert terminal("00A4090C043F00D010") == "6A82"


def test_a_certificate_is_read_in_parts_of_e7_bytes(terminal: Terminal) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding

    der = terminal.card.issued.signature.certificate.public_bytes(Encoding.DER)
    assert terminal("00A4090C063F000001B001") == "9000"
    parts = [terminal.read(f"00B0{offset:04X}E7") for offset in range(0, len(der), 0xE7)]
    assert b"".join(parts) == der


def test_login_in_2_apdus(terminal: Terminal) -> None:
    assert terminal.all(*LOGIN) == ["9000", "9000"]


def test_signing_with_the_authentication_key_in_5_apdus(terminal: Terminal, tmp_path: Path) -> None:
    terminal.all(*LOGIN)

    def sign() -> bytes:
        operation = f"0088000033{DIGEST_INFO_SHA256}{DIGEST}"
        assert terminal.all(SELECT, "002241A406800102840182", operation) == ["9000", "9000", "6100"]
        return _fetch(terminal)

    signature, apdus = _counted(terminal, sign)
    assert apdus == 5
    assert openssl.accepts(signature, DOCUMENT, terminal.card.issued.authentication, tmp_path)


def test_signing_a_digest_with_the_signature_key_in_5_apdus(terminal: Terminal, tmp_path: Path) -> None:
    terminal.all(*LOGIN)

    def sign() -> bytes:
        assert terminal.all(SELECT, "002241B606800142840181", f"002A9E9A20{DIGEST}") == ["9000", "9000", "6100"]
        return _fetch(terminal)

    signature, apdus = _counted(terminal, sign)
    assert apdus == 5
    assert openssl.accepts(signature, DOCUMENT, terminal.card.issued.signature, tmp_path)


def test_signing_with_the_last_block_hashed_on_the_card_in_5_apdus(terminal: Terminal, tmp_path: Path) -> None:
    terminal.all(*LOGIN)

    def sign() -> bytes:
        hashed = f"002A90A0{len(DOCUMENT) + 4:02X}900080{len(DOCUMENT):02X}{DOCUMENT.hex()}"
        assert terminal.all(SELECT, "002241AA03800140", hashed) == ["9000", "9000", "9000"]
        assert terminal("002241B606800142840181") == "9000"
        return terminal.read("002A9E9A00")

    signature, apdus = _counted(terminal, sign)
    assert apdus == 5
    assert openssl.accepts(signature, DOCUMENT, terminal.card.issued.signature, tmp_path)


def test_signing_a_sha1_digest(terminal: Terminal, tmp_path: Path) -> None:
    terminal.all(*LOGIN)
    digest = hashlib.sha1(DOCUMENT).hexdigest()
    assert terminal.all(SELECT, "002241B606800112840181", f"002A9E9A14{digest}") == ["9000", "9000", "6100"]
    assert openssl.accepts(_fetch(terminal), DOCUMENT, terminal.card.issued.signature, tmp_path, "sha1")


@pytest.mark.parametrize("reselects", [True, False])
def test_cryptolib_verifies_again_on_6982_without_selecting_the_application_or_hashing_again(
    terminal: Terminal, tmp_path: Path, reselects: bool
) -> None:
    hashed = f"002A90A0{len(DOCUMENT) + 4:02X}900080{len(DOCUMENT):02X}{DOCUMENT.hex()}"
    terminal.all(SELECT, "002241AA03800140", hashed)
    assert terminal.all("002241B606800142840181", "002A9E9A00") == ["9000", "6982"]
    terminal.all(*(LOGIN if reselects else LOGIN[1:]))
    assert terminal("002241B606800142840181") == "9000"
    signature = terminal.read("002A9E9A00")
    assert openssl.accepts(signature, DOCUMENT, terminal.card.issued.signature, tmp_path)


def test_local_keys_resolve_from_the_master_file(terminal: Terminal) -> None:
    terminal.all(*LOGIN)
    assert terminal.all("002241B606800142840181", f"002A9E9A20{DIGEST}") == ["9000", "6100"]


def test_unblocking_through_the_security_officers_login(terminal: Terminal) -> None:
    for _ in range(3):
        terminal.login(b"0000")
    assert terminal.login() == "6983"
    assert terminal.all("00200002083132333435363738", "002C02010434333231") == ["9000", "9000"]
    assert terminal.login(b"4321") == "9000"


def test_writing_cps_data_in_two_commands(terminal: Terminal) -> None:
    first, second = bytes(range(255)).hex(), b"SIMULATION".hex()
    assert terminal("00A4090C063F000001D107") == "9000"
    assert terminal.all(f"00D60000FF{first}", f"00D600FF0A{second}") == ["9000", "9000"]
    assert terminal.read("00B00000E7") == bytes(range(0xE7))
    assert terminal.read("00B000FF0A") == b"SIMULATION"


def test_situations_are_read_behind_the_pin(terminal: Terminal) -> None:
    assert terminal.all("00A4090C063F000001D120", "00B0000000") == ["9000", "6982"]
    terminal.login()
    activity = terminal.read("00B0000000")
    assert activity[0] == 0xEE
    assert b"\x86\x04SA07" in activity
