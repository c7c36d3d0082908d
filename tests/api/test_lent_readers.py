"""A reader that a remote desktop's agent lends: its user's alone by every call, whoever sits at the machine."""

from __future__ import annotations

import pytest

from cardd.model import Choice
from tests.api.test_events import stream
from tests.api.workbench import Workbench

DOCTOR, REMOTE, ROOT = 1000, 1001, 0


@pytest.fixture
def lent(api: Workbench) -> Workbench:
    """A workbench at which the doctor sits, with the card in a reader of somebody's remote desktop."""
    api.seat(DOCTOR)
    api.readers.reader_removed(api.reader.name)
    api.readers.reader_added(api.reader, REMOTE)
    api.readers.card_inserted(api.reader.name, api.card.atr)
    return api


@pytest.mark.parametrize("uid", [DOCTOR, ROOT])
async def test_who_sits_there_and_root_have_nothing_of_a_lent_reader(lent: Workbench, uid: int) -> None:
    api, card, sent = lent, lent.readers.cards()[0], lent.card.count
    api.person.choices = [Choice.YES] * 9
    api.turn_to(uid)
    secret = await api.pair()
    told = [(await api.call("GET", path, bearer=secret)).raw for path in ("/v1/readers", "/v1/cards?pin=true")]
    async with stream(api) as events:
        told.append(str((await events())[1]).encode())
    assert not any(name.encode() in each for each in told for name in (card.id, card.reader))
    codes = [
        (await api.call(method, path, body, bearer=secret, via=via)).code  # type: ignore[arg-type]
        for method, path, body, via in (
            ("POST", "/v1/sessions", {"method": "cpx"}, "v4"),
            ("POST", "/v1/sessions", {"method": "cpx", "card": card.id}, "v4"),
            ("GET", f"/v1/cards/{card.id}/certificates", None, "v4"),
            ("POST", f"/v1/cards/{card.id}/pin-changes", {}, "unix"),
            ("POST", f"/v1/cards/{card.id}/pin-unblocks", {}, "unix"),
        )
    ]
    assert codes == ["card.absent", *["card.unknown"] * 4]
    assert (api.person.pin_questions, api.card.count) == ([], sent)


async def test_the_user_of_a_lent_reader_logs_in_and_signs_whoever_sits_there_then(lent: Workbench) -> None:
    api = lent
    api.turn_to(REMOTE)
    listed = await api.call("GET", "/v1/readers", via="unix")
    assert [listed.text("readers", 0, "name")] == [api.reader.name]
    path, token = await api.logged_in()
    api.seat(REMOTE)
    api.seat(DOCTOR)
    assert [session.state for session in api.sessions.of(REMOTE)] == ["active"]
    sign = {"document_name": "cr.txt", "document": "Y3I="}
    assert (await api.call("POST", f"{path}/signatures", sign, bearer=token)).status == 200
    api.readers.reader_removed(api.reader.name)
    assert (await api.call("GET", path, bearer=token)).status == 401
    assert (await api.call("GET", "/v1/cards", via="unix")).code == "reader.not_yours"


async def test_a_lent_reader_without_a_card_says_so_to_its_user(lent: Workbench) -> None:
    api = lent
    api.readers.card_removed(api.reader.name)
    api.turn_to(REMOTE)
    secret = await api.pair()
    assert (await api.call("GET", "/v1/cards", bearer=secret)).json == {"cards": []}
    assert (await api.call("POST", "/v1/sessions", {"method": "cpx"}, bearer=secret)).code == "card.absent"
