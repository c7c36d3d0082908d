"""Commands that only look: status, readers, cards, PIN."""

from __future__ import annotations

from tests.cli.station import Station, User
from tests.rig.ports import free_port
from tests.rig.simulator import inserted, simulated_card
from tests.rig.vcard import VirtualCard

VITALE_ATR = bytes.fromhex("3B75130000 43 09EA9000".replace(" ", ""))


def test_status_tells_the_service_and_that_there_is_no_session(user: User) -> None:
    answer = user.run("status", "--json").json
    assert answer["daemon"] == {"name": "cardd", "version": "0.2.0", "state": "ready"}
    assert answer["session"] is None
    assert "cardctl login" in user.ok("status")


def test_status_works_over_tcp(user: User, station: Station) -> None:
    assert station.daemon.url in User(user.home).ok("status", "--url", station.daemon.url)


def test_readers_and_cards_are_listed(user: User, station: Station) -> None:
    [card] = user.run("cards", "--json").rows("cards")
    assert (card["reader"], card["kind"]) == (station.pcscd.reader_names[0], "cps3")
    table = user.ok("readers").splitlines()
    assert table[0].split() == ["READER", "CARD"]
    assert str(card["id"]) in table[1]
    assert len({line.index(cell) for line, cell in zip(table, ("CARD", str(card["id"])), strict=False)}) == 1


def test_a_patients_card_is_called_one(user: User, station: Station) -> None:
    card = VirtualCard(station.pcscd.ports[1], atr=VITALE_ATR)
    card.insert()
    try:
        station.wait_for_cards(2)
        assert "Carte Vitale" in user.ok("cards", "--lang", "fr")
    finally:
        card.pull()
        station.wait_for_cards(1)


def test_pin_status_tells_the_tries_left_and_spends_none(user: User) -> None:
    for _ in range(2):
        [card] = user.run("pin", "status", "--json").rows("cards")
        assert card["pin"] == {"state": "ready", "tries_left": 3, "minimum": 4, "maximum": 4}
    assert "ESSAIS RESTANTS" in user.ok("--lang", "fr", "pin", "status")


def test_with_two_cards_the_user_picks_one_or_the_command_names_it(user: User, station: Station) -> None:
    with inserted(simulated_card("pharmacien"), station.pcscd, 1):
        station.wait_for_cards(2)
        first, second = [str(card["id"]) for card in user.run("cards", "--json").rows("cards")]
        assert user.run("login").status == 0
        assert any("SIMULATION-MEDECIN" in shown.description for shown in station.pinentry.shown())
        assert user.run("login", "--card", second).status == 0
        ran = user.run("pin", "change")
        assert ran.status == 5
        assert first in ran.err
        assert second in ran.err
    station.wait_for_cards(1)


def test_without_a_daemon_the_remedy_is_told(stranger: User) -> None:
    ran = stranger.run("status", "--url", f"http://127.0.0.1:{free_port()}")
    assert ran.status == 3
    assert "systemctl start cardd.socket" in ran.err
    assert ran.out == ""


def test_an_error_is_json_where_json_is_wanted(stranger: User) -> None:
    ran = stranger.run("cards", "--json", "--socket", stranger.home / "no.sock")
    assert ran.status == 3
    error = ran.json["error"]
    assert isinstance(error, dict)
    assert error["code"] == "daemon.unreachable"
    assert error["remedy"]
    assert ran.err == ""


def test_an_address_elsewhere_is_refused(stranger: User) -> None:
    assert stranger.run("status", "--url", "http://192.0.2.1:17463").status == 2


def test_the_ways_to_log_in_are_listed_with_what_suits_a_use(user: User) -> None:
    told = user.ok("methods", "--use", "establishment", "--lang", "fr").splitlines()
    assert told[0] == "Certificat de structure\N{NARROW NO-BREAK SPACE}: convient le mieux, inutilisable sur ce poste"
    assert told[-1] == "Sur ce poste, maintenant\N{NARROW NO-BREAK SPACE}: Carte CPx."
    mobile = told[next(n for n, line in enumerate(told) if line.startswith("e-CPS")) :]
    assert any(line.startswith("  ! Certificat de structure\N{NARROW NO-BREAK SPACE}: ") for line in mobile)
    answer = user.run("methods", "--use", "lps", "--json").json
    assert answer["advised"] == "cpx"
    assert user.run("methods", "--use", "hopital").status == 2
