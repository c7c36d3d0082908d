"""The simulated CPS4: the sequences of the facts, and what it refuses."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from cardd_simulators.cards.behaviour import Behaviour
from tests.rig.simulator import simulated_cps4
from tests.simulator import openssl
from tests.simulator.terminal import DIGEST_INFO_SHA256, Terminal

DOCUMENT = b"ordonnance SIMULATION"
DIGEST = hashlib.sha256(DOCUMENT).hexdigest()
OPEN = "01A4040C088025000001FF0100"
LOGIN = "012000010431323334"
PADDED = f"0001{'FF' * 202}00{DIGEST_INFO_SHA256}{DIGEST}"


@pytest.fixture
def terminal() -> Terminal:
    """The channel is open."""
    terminal = Terminal(simulated_cps4())
    assert terminal(OPEN) == "9000"
    return terminal


def test_selecting_the_root_opens_channel_1_and_nothing_else_does() -> None:
    terminal = Terminal(simulated_cps4())
    assert terminal.all("01200001", "01A40800022F0000", "0020000100", OPEN) == ["6881", "6881", "6E00", "9000"]
    assert terminal("01200001") == "63C3"
    terminal.card.reset()
    assert terminal("01200001") == "6881"


def test_a_card_may_want_its_other_applications_selected_first() -> None:
    terminal = Terminal(simulated_cps4(behaviour=Behaviour(detour=True)))
    way = ("01A4040C07A0000001510000", "00A4040C088025000001FF0002", OPEN)
    assert terminal.all(OPEN, *way, "01200001") == ["6985", "9000", "9000", "9000", "63C3"]
    assert terminal.all(*way, "01200001") == ["9000", "9000", "9000", "63C3"]  # the way leads there again


def test_select_by_path_answers_an_fci(terminal: Terminal) -> None:
    assert terminal.read("01A40800022F0000").startswith(b"\x6f")
    assert terminal.read("01A40000023F0000").startswith(b"\x6f")
    assert terminal.read("01A408000400015031" + "00").startswith(b"\x6f")
    assert terminal.read("01B0000000").startswith(b"\xa8\x0a")


def test_files_have_no_short_identifiers_as_far_as_anybody_knows(terminal: Terminal) -> None:
    assert terminal.all("01B09C0000", "01B09E0000") == ["6A82"] * 2


@pytest.mark.parametrize(
    ("algorithm", "digest", "pss"),
    [("28", "sha256", False), ("2C", "sha256", True), ("0A", "sha1", False), ("15", "sha1", True)],
)
def test_the_signature_key_signs_in_every_way_it_knows(
    terminal: Terminal, algorithm: str, digest: str, pss: bool, tmp_path: Path
) -> None:
    value = hashlib.new(digest, DOCUMENT).digest()
    assert terminal.all(LOGIN, f"012281B6049102{algorithm}A1") == ["9000", "9000"]
    signature = terminal.read(f"012A9E9A{len(value):02X}{value.hex()}00")
    assert openssl.accepts(signature, DOCUMENT, terminal.card.issued.signature, tmp_path, digest, pss=pss)


def test_the_authentication_key_does_raw_rsa_on_a_chained_block(terminal: Terminal, tmp_path: Path) -> None:
    assert terminal.all(LOGIN, "012241B803830120") == ["9000", "9000"]
    assert terminal(f"112A8086FF{PADDED[:510]}") == "9000"
    signature = terminal.read(f"012A808601{PADDED[510:]}00")
    assert openssl.accepts(signature, DOCUMENT, terminal.card.issued.authentication, tmp_path)


def test_keys_are_used_only_after_the_pin(terminal: Terminal) -> None:
    terminal.all("012281B604910228A1", "012241B803830120", f"112A8086FF{PADDED[:510]}")
    assert terminal.all(f"012A808601{PADDED[510:]}00", f"012A9E9A20{DIGEST}00") == ["6982", "6982"]


def test_each_key_serves_only_its_own_purpose(terminal: Terminal) -> None:
    assert terminal.all("012281B604910228A0", "012241B803830121") == ["6A88"] * 2
    assert terminal.all("012281B60491022821", "012281B604910242A1", "012281B603830121") == ["6A80"] * 3
    assert terminal.all("012241B604910228A1", "012241A406800102840120", "012241AA03800140") == ["6A86"] * 3


def test_there_is_no_internal_authenticate_and_no_hash_on_the_card(terminal: Terminal) -> None:
    assert terminal.all(f"0188000033{DIGEST_INFO_SHA256}{DIGEST}00", "012A90A0059000800141") == ["6D00", "6A86"]


def test_a_digest_or_a_block_of_the_wrong_size_is_refused(terminal: Terminal) -> None:
    terminal.all(LOGIN, "012281B604910228A1", "012241B803830120")
    assert terminal.all(f"012A9E9A14{'11' * 20}00", "012A9E9A00", f"012A808620{DIGEST}00") == ["6A80"] * 3
    assert terminal(f"112A8086FF{'FF' * 255}") == "9000"
    assert terminal("012A808601FF00") == "6A80"  # larger than the modulus


def test_three_wrong_pins_block_it_with_63c0(terminal: Terminal) -> None:
    wrong = "012000010430303030"
    assert terminal.all(wrong, wrong, wrong, wrong, LOGIN, "01200001") == ["63C2", "63C1", *["63C0"] * 4]


def test_a_pin_is_changed_after_a_login_by_the_new_one_alone(terminal: Terminal) -> None:
    assert terminal("012401010435353535") == "6982"
    assert terminal.all(LOGIN, "012401010435353535") == ["9000", "9000"]
    terminal.card.reset()
    assert terminal.all(OPEN, LOGIN, "012000010435353535") == ["9000", "63C2", "9000"]


def test_the_puk_gives_the_tries_back_and_then_a_new_pin_is_set(terminal: Terminal) -> None:
    terminal.all(*["012000010430303030"] * 3)
    assert terminal("012C0381") == "6982"
    assert terminal.all("01200002083132333435363738", "012C0381", "01200001") == ["9000", "9000", "63C3"]
    assert terminal.all("012401010435353535", "012401010436363636") == ["9000", "6982"]
    assert terminal("012000010435353535") == "9000"


def test_the_right_to_set_a_new_pin_ends_with_a_reset(terminal: Terminal) -> None:
    terminal.all("01200002083132333435363738", "012C0381")
    terminal.card.reset()
    assert terminal.all(OPEN, "012401010435353535", LOGIN) == ["9000", "6982", "9000"]


def test_a_cps4_is_another_card_than_the_cps3_of_the_same_holder() -> None:
    from tests.rig.simulator import issue

    assert issue("medecin", 4, "cps4").serial != issue("medecin", 4).serial
