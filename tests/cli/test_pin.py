"""``cardctl pin change`` and ``unblock``: the codes are typed in the daemon's dialogs, never on the command line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cardd_simulators.cards.card import SimulatedCard
from tests.cli.station import Station, User
from tests.rig.daemon import DaemonProcess
from tests.rig.organisation import make
from tests.rig.pinentry import ScriptedPinentry
from tests.rig.simulator import PIN, inserted, simulated_card

NEW, PUK = "pin:2580", "pin:12345678"
OLD = f"pin:{PIN.decode()}"


@pytest.fixture
def card(station: Station) -> Iterator[SimulatedCard]:
    """A second card, whose PIN these tests spoil."""
    with inserted(simulated_card("pharmacien"), station.pcscd, 1) as card:
        station.wait_for_cards(2)
        yield card
    station.wait_for_cards(1)


def identifier(user: User, station: Station) -> str:
    cards = user.run("cards", "--json").rows("cards")
    return next(str(card["id"]) for card in cards if card["reader"] == station.pcscd.reader_names[1])


def test_the_pin_is_changed_in_the_dialogs_and_the_session_that_holds_the_old_one_ends(
    user: User, station: Station, card: SimulatedCard
) -> None:
    which = identifier(user, station)
    user.ok("login", "--card", which)
    station.pinentry.answer(OLD, NEW, NEW)
    ran = user.run("pin", "change", "--card", which, "--lang", "fr")
    assert "Le code porteur est changé." in ran.out
    assert len(ran.err.splitlines()) == 1, "three dialogs, one sentence"
    shown = [shown.prompt for shown in station.pinentry.shown()][-3:]
    assert shown in (
        ["PIN:", "New PIN:", "The new PIN once more:"],
        ["Code porteur :", "Nouveau code porteur :", "Le nouveau code, encore une fois :"],
    )
    assert "cardctl" in station.pinentry.shown()[-1].description.splitlines()[0], "not the Python that runs it"
    assert card.process(bytes.fromhex("0020000104") + b"2580") == b"\x90\x00"
    assert user.run("status", "--json").json["session"] is None


def test_a_blocked_pin_is_unblocked_in_the_dialogs(user: User, station: Station, card: SimulatedCard) -> None:
    for _ in range(3):
        card.process(bytes.fromhex("0020000104") + b"0000")
    which = identifier(user, station)
    assert user.run("pin", "change", "--card", which).status != 0
    station.pinentry.answer(PUK, NEW, NEW)
    user.ok("pin", "unblock", "--card", which)
    [shown] = [one for one in user.run("pin", "status", "--json").rows("cards") if one["id"] == which]
    assert isinstance(shown["pin"], dict)
    assert shown["pin"]["tries_left"] == 3


def test_an_organisations_key_file_is_no_second_card(tmp_path: Path) -> None:
    keys = make(tmp_path)
    pinentry = ScriptedPinentry(tmp_path)
    nowhere = {"PCSCLITE_CSOCK_NAME": str(tmp_path / "none"), "XDG_CACHE_HOME": str(tmp_path)}
    daemon = DaemonProcess(
        tmp_path,
        pinentry=pinentry.path,
        arguments=("--simulate", "cps3"),
        environment=nowhere,
        extra=f'\n[csa]\nauthentication = "{keys.authentication}"\n',
        is_read=False,
    )
    daemon.start()
    try:
        pinentry.answer("yes", OLD, NEW, NEW)
        User(tmp_path, daemon).ok("pin", "change")
    finally:
        daemon.stop()
