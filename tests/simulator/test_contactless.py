"""The simulated CPS3 near a contactless reader, and the simulated Vitale: what little they do."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from cardd_simulators.cards.card import SimulatedContactless
from cardd_simulators.cards.vitale import SimulatedVitale
from tests.rig.simulator import issue
from tests.simulator import openssl
from tests.simulator.terminal import DIGEST_INFO_SHA256, Terminal

DOCUMENT = b"SIMULATION"
DIGEST_INFO = DIGEST_INFO_SHA256 + hashlib.sha256(DOCUMENT).hexdigest()


@pytest.fixture
def terminal() -> Terminal:
    return Terminal(SimulatedContactless(issue()))


def test_the_contactless_card_has_the_contactless_application_only(terminal: Terminal) -> None:
    assert terminal.all("00A4040C0DE828BD080F8025000001FF0020", "00A4040C0DE828BD080F8025000001FF0010") == [
        "9000",
        "6A82",
    ]


def test_the_contactless_card_has_no_passwords_and_no_data_object_of_an_update(terminal: Terminal) -> None:
    absent = ["00A4090C043F00D010", "00A4090C063F0000017001", "00A4090C063F0000027001"]
    assert terminal.all(*absent) == ["6A82"] * 3
    assert terminal.all("00200001", "00200001043132333400", "0024000108", "002C020104") == ["6D00"] * 4
    assert terminal("00CB3FFF0A4D087006BF810102A08000") == "6A88"


def test_the_contactless_cards_technical_key_signs_without_a_login(terminal: Terminal, tmp_path: Path) -> None:
    assert terminal("002241A406800102840183") == "9000"
    proof = terminal.read(f"0088000033{DIGEST_INFO}00")
    assert openssl.accepts(proof, DOCUMENT, terminal.card.issued.technical, tmp_path)


def test_the_contactless_card_has_none_of_the_holders_keys(terminal: Terminal) -> None:
    keys = ["002241B606800142840181", "002241A406800102840182", "002241B606800142840183"]
    assert terminal.all(*keys) == ["6A88"] * 3


def test_a_vitale_has_its_answer_to_reset_and_nothing_else() -> None:
    card = SimulatedVitale()
    assert card.process(bytes.fromhex("00A40000023F00")) == b""
    assert card.power_on().hex().upper() == "3B751300004309EA9000"
    for apdu, answer in (("00A40000023F00", "6A82"), ("00B0000000", "6D00"), ("00", "6D00"), ("", "6D00")):
        assert card.process(bytes.fromhex(apdu)).hex().upper() == answer
    card.power_off()
    assert card.process(bytes.fromhex("00B0000000")) == b""
