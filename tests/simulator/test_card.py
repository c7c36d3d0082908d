"""What a simulated card does besides the sequences of the two known stacks: selection, transmission, refusals."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import ClassVar

import pytest

from cardd.apdu import Protocol
from cardd_simulators.cards.behaviour import Behaviour
from cardd_simulators.cards.card import SimulatedCard
from tests.rig.simulator import issue, simulated_card
from tests.simulator import openssl
from tests.simulator.terminal import DIGEST_INFO_SHA256, Terminal

DIGEST = "11" * 32
SIGN = ("002241B606800142840181", f"002A9E9A20{DIGEST}")
INSIDE = "00A4040C0DE828BD080F8025000001FF0010"


class CardOfT1(SimulatedCard):
    """What a contactless or CPS4 card changes first."""

    protocol: ClassVar[Protocol] = Protocol.T1


def test_select_by_name_refuses_to_give_an_fci_as_real_cards_do(terminal: Terminal) -> None:
    assert terminal("00A404000DE828BD080F8025000001FF0010") == "6A86"


def test_what_does_not_exist_is_not_found(terminal: Terminal) -> None:
    absent = ["00A4040C0DE828BD080F8025000001FF0020", "00A4090C043F000002", "00A4090C063F002F0000FF", "00B0950000"]
    assert terminal.all(*absent) == ["6A82"] * 4


def test_a_failed_select_leaves_the_card_where_it_was(terminal: Terminal) -> None:
    terminal("00A4090C043F00D003")
    assert terminal("00A4090C043F00D010") == "6A82"
    assert terminal("00B000000C").startswith("5A0A80")


def test_short_identifiers_belong_to_the_current_folder(terminal: Terminal) -> None:
    assert terminal("00B0910000") == "6A82"
    terminal(INSIDE)
    assert terminal("00B0910000").startswith("A80A3008")
    assert terminal("00B09C0000") == "6A82"


def test_reading_ends_at_the_end_of_the_file(terminal: Terminal) -> None:
    terminal("00A4090C043F00D003")
    assert terminal("00B0000A00") == terminal("00B0000A02")
    assert terminal("00B0000C00") == "6B00"


def test_nothing_is_read_before_a_file_is_selected(terminal: Terminal) -> None:
    assert terminal("00B0000000") == "6986"


def test_only_cps_data_can_be_written_and_within_its_size(terminal: Terminal) -> None:
    assert terminal.all("00A4090C063F000001D101", "00D600000141") == ["9000", "6982"]
    assert terminal.all("00A4090C043F002F00", "00D600000141") == ["9000", "6982"]
    assert terminal.all("00A4090C063F000001D107", "00D601FF0141", "00D601FF024141") == ["9000", "9000", "6A84"]


def test_what_was_written_outlives_power(terminal: Terminal) -> None:
    terminal.all("00A4090C063F000001D107", "00D600000453494D55")
    terminal.card.power_off()
    terminal.card.power_on()
    terminal("00A4090C063F000001D107")
    assert terminal.read("00B0000004") == b"SIMU"


def test_without_power_the_card_says_nothing(terminal: Terminal) -> None:
    terminal.card.power_off()
    assert terminal("00B09C0000") == ""


def test_unknown_commands_and_classes_are_refused(terminal: Terminal) -> None:
    assert terminal.all("0099000000", "80B09C0000", "0022F301", "00CA9F7F00") == ["6D00", "6E00", "6A86", "6D00"]


def test_an_answer_waits_only_for_the_very_next_command(terminal: Terminal) -> None:
    assert terminal("00A40904043F002F01") == "6127"
    terminal("00B0000001")
    assert terminal("00C0000027") == "6985"


def test_under_t0_too_short_a_length_is_corrected(terminal: Terminal) -> None:
    terminal.login()
    assert terminal.all(*SIGN)[-1] == "6100"
    assert terminal("00C0000010").endswith("61F0")
    body = f"90008001{'41'}"
    terminal.all("002241AA03800140", f"002A90A0{len(body) // 2:02X}{body}")
    assert terminal("002A9E9A10") == "6C00"


def test_under_t1_data_comes_with_the_answer(tmp_path: Path) -> None:
    terminal = Terminal(CardOfT1(issue()))
    document = b"SIMULATION"
    terminal.login()
    assert terminal("00A404040DE828BD080F8025000001FF001000").endswith("9000")
    terminal(SIGN[0])
    signature = terminal.read(f"002A9E9A20{hashlib.sha256(document).hexdigest()}00")
    assert openssl.accepts(signature, document, terminal.card.issued.signature, tmp_path)
    assert terminal("00200001") == "9000"


def test_keys_are_used_only_after_the_pin(terminal: Terminal) -> None:
    terminal.all("002241A406800102840182", "002241B80684018280011A", SIGN[0])
    operations = [SIGN[1], f"0088000033{DIGEST_INFO_SHA256}{DIGEST}", f"002A808602{'8100'}"]
    assert terminal.all(*operations) == ["6982"] * 3


def test_each_key_serves_only_its_own_purpose(terminal: Terminal) -> None:
    assert terminal.all("002241B606800142840182", "002241A406800102840181", "002241B606800142840101") == ["6A88"] * 3
    assert terminal.all("002241B606800102840181", "002241AA03800142", "002241C103800142") == ["6A80"] * 3


def test_an_operation_needs_its_environment(terminal: Terminal) -> None:
    terminal.login()
    operations = [SIGN[1], f"0088000033{DIGEST_INFO_SHA256}{DIGEST}", "002A9E9A00", "002A90A0059000800141"]
    assert terminal.all(*operations) == ["6985"] * 4


def test_internal_authenticate_takes_at_most_40_percent_of_the_modulus(terminal: Terminal) -> None:
    terminal.login()
    terminal("002241A406800102840182")
    assert terminal(f"0088000066{'41' * 102}") == "6100"
    assert terminal(f"0088000067{'41' * 103}") == "6A80"


def test_a_digest_of_the_wrong_length_is_refused(terminal: Terminal) -> None:
    terminal.login()
    assert terminal.all(SIGN[0], f"002A9E9A14{'11' * 20}") == ["9000", "6A80"]


def test_a_strict_card_finds_its_keys_only_inside_the_application() -> None:
    terminal = Terminal(simulated_card(behaviour=Behaviour(strict_references=True)))
    terminal.login()
    assert terminal(SIGN[0]) == "6A88"
    assert terminal.all(INSIDE, *SIGN) == ["9000", "9000", "6100"]


def test_a_strict_card_forgets_its_environment_at_a_select() -> None:
    terminal = Terminal(simulated_card(behaviour=Behaviour(strict_references=True)))
    terminal.login()
    terminal.all(INSIDE, SIGN[0])
    assert terminal.all(INSIDE, SIGN[1]) == ["9000", "6985"]


def test_a_card_may_refuse_digests_that_it_did_not_compute(tmp_path: Path) -> None:
    terminal = Terminal(simulated_card(behaviour=Behaviour(hashes_itself=True)))
    terminal.login()
    assert terminal.all(*SIGN) == ["9000", "6A80"]
    terminal.all("002241AA03800140", "002A90A0059000800141", SIGN[0])
    signature = terminal.read("002A9E9A00")
    assert openssl.accepts(signature, b"A", terminal.card.issued.signature, tmp_path)


@pytest.mark.parametrize(
    "body",
    ["", "9000", "80014190 00", "900080 00", "900180800141", f"9028{'00' * 40}800141", f"900080 41{'41' * 65}"],
)
def test_on_card_hashing_refuses_what_it_cannot_finish(terminal: Terminal, body: str) -> None:
    data = bytes.fromhex(body)
    assert terminal("002241AA03800140") == "9000"
    assert terminal(f"002A90A0{len(data):02X}{data.hex()}" if data else "002A90A0") == "6A80"


def test_chained_parts_belong_together(terminal: Terminal) -> None:
    terminal.login()
    terminal("002241B80684018280011A")
    assert terminal(f"102A8086FF{'81' * 255}") == "9000"
    assert terminal("0020000100") == "9000"
    assert terminal("002A8086028181") == "6A80"
    assert [terminal(f"102A8086FF{'81' * 255}") for _ in range(5)] == ["9000"] * 4 + ["6700"]


def test_every_apdu_is_counted_and_logged(terminal: Terminal) -> None:
    terminal.all("00A4020C023F00", "00B09C000C")
    assert terminal.card.count == 2
    assert [apdu.hex().upper() for apdu in terminal.card.log] == ["00A4020C023F00", "00B09C000C"]
