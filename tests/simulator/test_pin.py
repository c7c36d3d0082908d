"""The PIN of a simulated card: what it counts, and what power and reset do to it."""

from __future__ import annotations

from tests.rig.simulator import PIN, simulated_card
from tests.simulator.terminal import Terminal

STATUS = "0020000100"
PUK = "3132333435363738"
WRONG_PUK = "3030303030303030"


def test_an_empty_verify_tells_the_tries_left_and_spends_none(terminal: Terminal) -> None:
    assert terminal.all(STATUS, STATUS, "00200001", "0020000200") == ["63C3", "63C3", "63C3", "63CA"]


def test_wrong_pins_are_counted_down_until_the_pin_is_blocked(terminal: Terminal) -> None:
    assert [terminal.login(b"0000") for _ in range(4)] == ["63C2", "63C1", "63C0", "6983"]
    assert terminal.login() == "6983"
    assert terminal(STATUS) == "6983"


def test_the_right_pin_gives_all_tries_back(terminal: Terminal) -> None:
    terminal.login(b"0000")
    assert terminal.login() == "9000"
    assert terminal(STATUS) == "9000"
    terminal.card.reset()
    assert terminal(STATUS) == "63C3"


def test_a_wrong_pin_ends_the_login(terminal: Terminal) -> None:
    terminal.login()
    terminal.login(b"0000")
    assert terminal(STATUS) == "63C2"


def test_a_reset_ends_the_login_and_keeps_the_counters(terminal: Terminal) -> None:
    terminal.login(b"0000")
    terminal.card.reset()
    assert terminal(STATUS) == "63C2"
    terminal.card.power_off()
    terminal.card.power_on()
    assert terminal(STATUS) == "63C2"


def test_a_blocked_pin_stays_blocked_without_power(terminal: Terminal) -> None:
    for _ in range(3):
        terminal.login(b"0000")
    terminal.card.power_off()
    terminal.card.power_on()
    assert terminal.login() == "6983"


def test_the_change_of_a_pin_lasts(terminal: Terminal) -> None:
    assert terminal("0024000108 31323334 39393939") == "9000"
    terminal.card.reset()
    assert terminal.login(b"9999") == "9000"


def test_a_change_with_the_wrong_old_pin_costs_a_try(terminal: Terminal) -> None:
    assert terminal("0024000108 30303030 39393939") == "63C2"


def test_a_new_pin_of_a_length_that_the_directory_forbids_is_refused(terminal: Terminal) -> None:
    assert terminal("0024000107 31323334 393939") == "6A80"
    assert terminal("0024000109 31323334 3939393939") == "6A80"
    assert terminal("0024000108 31323334 41414141") == "6A80"
    assert terminal.login() == "9000"


def test_the_puk_has_ten_tries_of_its_own(terminal: Terminal) -> None:
    assert terminal(f"0020000208{WRONG_PUK}") == "63C9"
    assert terminal(STATUS) == "63C3"
    for _ in range(9):
        terminal(f"0020000208{WRONG_PUK}")
    assert terminal(f"0020000208{PUK}") == "6983"


def test_unblocking_needs_the_puk_since_the_last_reset(terminal: Terminal) -> None:
    terminal(f"0020000208{PUK}")
    terminal.card.reset()
    assert terminal("002C020104 35353535") == "6982"


def test_there_is_no_third_pin(terminal: Terminal) -> None:
    assert terminal.all("0020000300", "0020800104 31323334", "002C020204 31323334") == ["6A88", "6A86", "6A86"]


def test_a_longer_pin_is_another_card_whose_directory_says_so() -> None:
    card = simulated_card(pin=b"123456")
    terminal = Terminal(card)
    assert card.issued.serial != simulated_card(pin=PIN).issued.serial
    assert terminal.login() == "63C2"
    assert terminal("0020000106 313233343536") == "9000"
    terminal("00A4020C023F00")
    terminal("00A4090C063F0000017001")
    assert bytes.fromhex("020104020106020106800101") in terminal.read("00B0000000")


def test_the_log_keeps_no_body_with_a_pin(terminal: Terminal) -> None:
    terminal.login()
    terminal("0024000108 31323334 39393939")
    terminal(f"0020000208{PUK}")
    terminal("002C020104 31323334")
    assert [apdu.hex().upper() for apdu in terminal.card.log] == ["00200001", "00240001", "00200002", "002C0201"]
    assert "31323334" not in repr(terminal.card)
