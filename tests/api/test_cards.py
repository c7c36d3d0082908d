"""What is inserted, and whose it is."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

from cardd.api.parts import ApiLimits
from cardd.errors import CardMute
from cardd.formats.certificate import serial_of
from cardd.model import Choice
from cardd_simulators.cards.behaviour import behaving
from cardd_simulators.cards.card import SimulatedCard, SimulatedContactless
from tests.api.workbench import PAGE, Json, Workbench
from tests.rig.simulator import PIN, issue, simulated_card
from tests.rig.waiting import eventually

VITALE_ATR = bytes.fromhex("3B751300004309EA9000")
CPS2TER_ATR = bytes.fromhex("3BAC00402A001225006480820212009000")


async def test_readers_and_cards_as_they_are(api: Workbench) -> None:
    secret = await api.pair()
    cards = await api.call("GET", "/v1/cards", bearer=secret)
    identifier = cards.text("cards", 0, "id")
    assert cards.json == {
        "cards": [{"id": identifier, "reader": "Lecteur A", "kind": "cps3", "atr": api.card.atr.hex().upper()}]
    }
    readers = await api.call("GET", "/v1/readers", via="unix")
    assert readers.json == {"readers": [{"name": "Lecteur A", "card": identifier}, {"name": "Lecteur B", "card": None}]}


async def test_listing_cards_asks_them_nothing(api: Workbench) -> None:
    before = api.card.count
    await api.call("GET", "/v1/cards", via="unix")
    await api.call("GET", "/v1/readers", headers={"Origin": PAGE})
    assert api.card.count == before


async def test_the_state_of_the_pin_is_told_when_asked_for(api: Workbench) -> None:
    got = await api.call("GET", "/v1/cards?pin=true", via="unix")
    assert got.json["cards"] == [
        {
            **(await api.call("GET", "/v1/cards", via="unix")).json["cards"][0],  # type: ignore[index]
            "pin": {"state": "ready", "tries_left": 3, "minimum": 4, "maximum": 4},
        }
    ]
    wrong = await api.call("GET", "/v1/cards?pin=1234", via="unix")
    assert (wrong.code, wrong.text("where")) == ("request.invalid", "?pin")


async def test_a_patients_card_and_a_mute_one_are_told_as_such(api: Workbench) -> None:
    secret = await api.pair()
    api.reader.remove()
    await eventually(lambda: not api.readers.cards())
    api.readers.card_inserted("Lecteur A", b"")
    api.readers.card_inserted("Lecteur B", VITALE_ATR)
    listed = await api.call("GET", "/v1/cards?pin=true", bearer=secret)
    assert [listed.text("cards", n, "problem") for n in (0, 1)] == ["card.mute", "card.vitale"]
    assert all(listed.text("cards", n, name) for n in (0, 1) for name in ("detail", "remedy"))
    mute, vitale = (listed.text("cards", n, "id") for n in (0, 1))
    for card, code in ((mute, "card.mute"), (vitale, "card.vitale")):
        assert (await api.call("GET", f"/v1/cards/{card}/certificates", bearer=secret)).code == code
        assert (await api.call("POST", "/v1/sessions", {"method": "cpx", "card": card}, bearer=secret)).code == code


async def test_a_card_read_without_contact_is_told_as_such_and_only_identifies_itself(api: Workbench) -> None:
    secret = await api.pair()
    api.other_reader.insert(SimulatedContactless(issue()))
    await eventually(lambda: len(api.readers.cards()) == 2)
    listed = await api.call("GET", "/v1/cards", bearer=secret)
    card = listed.text("cards", 1, "id")
    assert (listed.text("cards", 1, "kind"), listed.text("cards", 1, "problem")) == (
        "cps3-contactless",
        "card.contactless",
    )
    told = await api.call("GET", f"/v1/cards/{card}/certificates", bearer=secret)
    assert told.json["holder"] is None
    assert told.text("certificates", 0, "purpose") == "technical"
    refused = await api.call("POST", "/v1/sessions", {"method": "cpx", "card": card}, bearer=secret)
    assert (refused.status, refused.code) == (422, "card.contactless")
    opened = await api.call("POST", "/v1/sessions", {"method": "cpx"}, bearer=secret)
    assert opened.status == 201  # the inserted one is the only card for that


async def test_the_type_of_card_and_test_cards_are_told(api: Workbench) -> None:
    got = await api.call("POST", "/v1/sessions", {"method": "cpx"}, bearer=await api.pair())
    identity = got.json["identity"]
    assert isinstance(identity, dict)
    assert (identity["card_type"], identity["card_type_name"], identity["is_test"]) == ("0", "CPS", True)


async def test_a_card_of_an_old_generation_is_told_as_such(api: Workbench) -> None:
    secret = await api.pair()
    api.reader.remove()
    await eventually(lambda: not api.readers.cards())
    api.readers.card_inserted("Lecteur B", CPS2TER_ATR)
    listed = await api.call("GET", "/v1/cards?pin=true", bearer=secret)
    assert (listed.text("cards", 0, "kind"), listed.text("cards", 0, "problem")) == ("cps2ter", "card.unsupported")
    english = {"Accept-Language": "en"}
    refused = await api.call("POST", "/v1/sessions", {"method": "cpx"}, bearer=secret, headers=english)
    assert refused.code == "card.unsupported"
    assert "CPS2TER" in refused.text("detail")


async def test_a_card_that_no_driver_knows_says_so_when_it_is_opened(api: Workbench) -> None:
    api.readers.card_inserted("Lecteur B", bytes.fromhex("3B00"))
    got = await api.call("GET", "/v1/cards?pin=true", via="unix")
    assert got.text("cards", 1, "kind") == "unknown"
    assert got.text("cards", 1, "problem") in ("card.unrecognised", "card.removed", CardMute.code)


async def test_certificates_are_shown_once_the_user_consents(api: Workbench) -> None:
    secret = await api.pair()
    card = (await api.call("GET", "/v1/cards", bearer=secret)).text("cards", 0, "id")
    api.person.choice = Choice.NO
    refused = await api.call("GET", f"/v1/cards/{card}/certificates", bearer=secret)
    assert (refused.status, refused.code) == (403, "consent.refused")
    api.person.choice = Choice.YES
    for _ in range(2):
        got = await api.call("GET", f"/v1/cards/{card}/certificates", bearer=secret)
        assert got.status == 200
        assert got.text("holder", "family_name").startswith("SIMULATION")
        assert [got.text("certificates", n, "purpose") for n in (0, 1)] == ["authentication", "signature"]
        assert got.text("certificates", 0, "serial") == serial_of(_der(got.text("certificates", 0, "der")))
    assert api.person.topics() == ["pair", "certificates", "certificates"]


async def test_certificates_are_for_clients_and_of_cards_that_are_there(api: Workbench) -> None:
    card = (await api.call("GET", "/v1/cards", via="unix")).text("cards", 0, "id")
    assert (await api.call("GET", f"/v1/cards/{card}/certificates", via="unix")).code == "client.unknown"
    page = {"Origin": PAGE}
    assert (await api.call("GET", f"/v1/cards/{card}/certificates", headers=page)).status == 200
    gone = await api.call("GET", "/v1/cards/0123/certificates", headers=page)
    assert (gone.status, gone.code) == (404, "card.unknown")


async def test_without_reader_service_the_lists_say_so(api: Workbench) -> None:
    for name in ("Lecteur A", "Lecteur B"):
        api.readers.reader_removed(name)
    api.readers.readers_available(False)
    for path in ("/v1/readers", "/v1/cards"):
        got = await api.call("GET", path, via="unix")
        assert (got.status, got.code) == (503, "reader.pcsc_unavailable")


async def test_a_card_that_does_not_tell_how_its_pin_stands_holds_up_no_list(
    started: Callable[[Workbench], Awaitable[Workbench]], tmp_path: Path
) -> None:
    api = await started(Workbench(tmp_path, limits=ApiLimits(pin_state=0.2)))
    api.other_reader.insert(SlowCard(issue("pharmacien", len(PIN)), pin=PIN))
    await eventually(lambda: len(api.readers.cards()) == 2)
    got = await api.call("GET", "/v1/cards?pin=true", via="unix")
    first, second = cast(list[Json], got.json["cards"])
    assert (first.get("problem"), second.get("problem"), second.get("pin")) == (None, "card.timeout", None)


class SlowCard(SimulatedCard):
    """Takes its time over everything."""

    def process(self, apdu: bytes) -> bytes:
        time.sleep(0.1)
        return super().process(apdu)


async def test_the_last_try_is_told_until_another_card_is_there(api: Workbench) -> None:
    secret = await api.pair()
    api.person.pins = ["9999", "9998", "9997"]
    await api.call("POST", "/v1/sessions", {"method": "cpx"}, bearer=secret)
    got = await api.call("GET", "/v1/cards?pin=true", via="unix")
    assert got.json["cards"][0]["pin"]["state"] == "last_try"  # type: ignore[index]
    api.reader.remove()
    await eventually(lambda: not api.readers.cards())
    api.reader.insert(simulated_card(pin=PIN))
    await eventually(lambda: bool(api.readers.cards()))
    got = await api.call("GET", "/v1/cards?pin=true", via="unix")
    assert got.json["cards"][0]["pin"]["state"] == "ready"  # type: ignore[index]


def _der(text: str) -> bytes:
    from base64 import b64decode

    return b64decode(text, validate=True)


async def test_a_card_that_names_nobody_shows_its_certificates_and_no_holder(api: Workbench) -> None:
    secret = await api.pair()
    api.reader.remove()
    api.other_reader.insert(simulated_card(behaviour=behaving(["no-national-id"])))
    await eventually(lambda: [card.reader for card in api.readers.cards()] == ["Lecteur B"])
    card = (await api.call("GET", "/v1/cards", bearer=secret)).text("cards", 0, "id")
    told = await api.call("GET", f"/v1/cards/{card}/certificates", bearer=secret)
    assert told.json["holder"] is None
    assert "SIM PORTEUR" in told.text("certificates", 0, "subject")
    refused = await api.call("POST", "/v1/sessions", {"method": "cpx"}, bearer=secret)
    assert (refused.status, refused.code) == (422, "card.holder_unknown")
