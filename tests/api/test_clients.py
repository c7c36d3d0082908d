"""Pairing: the user decides, the secret is given once, and belongs to one OS user."""

from __future__ import annotations

import os
from pathlib import Path
from typing import cast

import pytest

from cardd.errors import ConsentTimeout, PromptUnavailable, StateUnavailable
from cardd.model import Choice
from tests.api.relayed import Start
from tests.api.workbench import PAGE, PIN, PROGRAM, SOFTWARE, Got, Json, Workbench
from tests.rig.memory import MemoryStore
from tests.rig.waiting import eventually

ASYNC = {"Prefer": "respond-async"}


async def test_a_program_pairs_and_is_known_by_its_secret(api: Workbench) -> None:
    got = await api.call("POST", "/v1/clients", SOFTWARE)
    assert got.status == 201
    assert got.json.keys() == {"client_id", "client_secret"}
    [question] = api.person.questions
    assert question.topic == "pair"
    assert {key: question.params[key] for key in ("name", "vendor", "program")} == {
        "name": SOFTWARE["name"],
        "vendor": SOFTWARE["vendor"],
        "program": PROGRAM,
    }
    assert (await api.call("GET", "/v1/readers", bearer=got.text("client_secret"))).status == 200
    assert got.text("client_secret") not in api.store.documents["clients"]


async def test_the_dialog_shows_the_code_that_the_program_was_given(api: Workbench) -> None:
    api.person.attentive.clear()
    got = await api.call("POST", "/v1/clients", SOFTWARE, headers=ASYNC)
    assert got.status == 202
    assert got.json["state"] == "pending"
    assert got.json["expires_at"]
    await api.person.is_asked.wait()
    assert api.person.questions[0].params["code"] == got.json["code"]
    assert len(got.text("code")) == 6
    place = got.headers["Location"]
    assert (await api.call("GET", place)).status == 202
    api.person.attentive.set()
    approved = await _until_decided(api, place)
    assert approved.status == 200
    assert (await api.call("GET", "/v1/readers", bearer=approved.text("client_secret"))).status == 200


async def test_a_secret_that_its_program_does_not_come_back_for_is_nobodys(api: Workbench) -> None:
    """The program was ended while its dialog was open: at its next start the person is not told of a namesake."""
    api.parts.clients.unheard = 0.2
    place = (await api.call("POST", "/v1/clients", SOFTWARE, headers=ASYNC)).headers["Location"]
    kept = (await _until_decided(api, place)).text("client_secret")
    lost = (await api.call("POST", "/v1/clients", SOFTWARE, headers=ASYNC)).headers["Location"]
    listed = await api.call("GET", "/v1/clients", via="unix")
    assert len(cast(list[Json], listed.json["clients"])) == 2
    await eventually(lambda: len(api.parts.clients.programs(os.getuid())) == 1)
    assert (await api.call("GET", "/v1/readers", bearer=kept)).status == 200
    assert (await api.call("GET", place)).text("client_secret") == kept
    assert (await api.call("GET", lost)).code == "client.pairing_not_found"


async def test_a_refusal_is_told_to_who_waits_and_to_who_polls(api: Workbench) -> None:
    api.person.choice = Choice.NO
    assert (await api.call("POST", "/v1/clients", SOFTWARE)).code == "client.pairing_refused"
    place = (await api.call("POST", "/v1/clients", SOFTWARE, headers=ASYNC)).headers["Location"]
    assert (await _until_decided(api, place)).code == "client.pairing_refused"
    assert (await api.call("GET", "/v1/clients", via="unix")).json == {"clients": []}


@pytest.mark.parametrize(
    ("fault", "status"), [(ConsentTimeout(), 403), (PromptUnavailable(why="no desktop"), 503)], ids=str
)
async def test_a_dialog_without_answer_pairs_nobody(
    api: Workbench, fault: ConsentTimeout | PromptUnavailable, status: int
) -> None:
    api.person.fault = fault
    got = await api.call("POST", "/v1/clients", SOFTWARE)
    assert (got.status, got.code) == (status, fault.code)
    assert (await api.call("GET", "/v1/clients", via="unix")).json == {"clients": []}


@pytest.mark.parametrize("field", ["name", "vendor"])
@pytest.mark.parametrize("said", ["LPS\u200b", "LPS\u202e", "L\u180bPS", "...", "\u2800"])
async def test_a_name_that_shows_less_than_it_is_pairs_nobody(api: Workbench, field: str, said: str) -> None:
    got = await api.call("POST", "/v1/clients", {**SOFTWARE, field: said})
    assert (got.status, got.json["code"], got.json["where"]) == (422, "request.invalid", f"$.{field}")
    assert api.person.questions == []


async def test_the_dialog_tells_of_a_program_of_the_same_name(api: Workbench) -> None:
    for name in ("Mon LPS", "mon  lps", "Mon autre LPS"):
        await api.pair(name=name)
    api.turn_to((api.uid or 0) + 1)
    await api.pair(name="Mon LPS")  # nothing is told of another user's programs
    assert ["namesake" in question.params for question in api.person.questions] == [False, True, False, False]


async def test_one_pairing_at_a_time(api: Workbench) -> None:
    api.person.attentive.clear()
    await api.call("POST", "/v1/clients", SOFTWARE, headers=ASYNC)
    got = await api.call("POST", "/v1/clients", SOFTWARE)
    assert (got.status, got.code) == (429, "request.too_many")


async def test_a_pairing_is_seen_by_its_own_user_only(api: Workbench) -> None:
    place = (await api.call("POST", "/v1/clients", SOFTWARE, headers=ASYNC)).headers["Location"]
    api.uid = 54321
    api.forget_connections()
    assert (await api.call("GET", place)).code == "client.pairing_not_found"
    assert (await api.call("GET", "/v1/clients/pairings/unknown")).code == "client.pairing_not_found"


async def test_a_secret_is_worthless_to_another_user(api: Workbench) -> None:
    secret = await api.pair()
    api.uid = 54321
    api.forget_connections()
    for via in ("v4", "v6", "unix"):
        assert (await api.call("GET", "/v1/readers", bearer=secret, via=via)).code == "client.unknown"


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "Bearer wrong", "wrong"])
async def test_without_a_secret_nothing_is_told(api: Workbench, header: str) -> None:
    for method, path in (("GET", "/v1/readers"), ("GET", "/v1/cards"), ("GET", "/v1/events"), ("POST", "/v1/sessions")):
        got = await api.call(method, path, headers={"Authorization": header})
        assert (got.status, got.code) == (401, "client.unknown")


async def test_cardctl_lists_and_unpairs_over_the_unix_socket(api: Workbench) -> None:
    secret = await api.pair()
    listed = await api.call("GET", "/v1/clients", via="unix")
    assert listed.text("clients", 0, "kind") == "program"
    assert listed.text("clients", 0, "software_id") == SOFTWARE["software_id"]
    assert secret.encode() not in listed.raw
    identifier = listed.text("clients", 0, "id")
    assert (await api.call("DELETE", f"/v1/clients/{identifier}", via="unix")).status == 204
    assert (await api.call("GET", "/v1/readers", bearer=secret)).code == "client.unknown"
    assert (await api.call("DELETE", f"/v1/clients/{identifier}", via="unix")).code == "client.not_found"


async def test_the_list_is_for_the_unix_socket_only(api: Workbench) -> None:
    secret = await api.pair()
    assert (await api.call("GET", "/v1/clients", bearer=secret)).code == "request.forbidden"
    assert (await api.call("GET", "/v1/clients", headers={"Origin": PAGE})).code == "request.forbidden"
    assert (await api.call("GET", "/v1/sessions", bearer=secret)).code == "request.forbidden"


async def test_a_client_unpairs_itself_and_no_other(api: Workbench) -> None:
    one, two = await api.call("POST", "/v1/clients", SOFTWARE), await api.call("POST", "/v1/clients", SOFTWARE)
    path, token = await api.login(one.text("client_secret"))
    other = await api.call("DELETE", f"/v1/clients/{one.text('client_id')}", bearer=two.text("client_secret"))
    assert (other.status, other.code) == (404, "client.not_found")
    assert (await api.call("GET", path, bearer=token)).status == 200
    own = await api.call("DELETE", f"/v1/clients/{one.text('client_id')}", bearer=one.text("client_secret"))
    assert own.status == 204
    assert (await api.call("GET", path, bearer=token)).code == "session.closed"


async def test_another_user_unpairs_nothing_and_root_anything(api: Workbench) -> None:
    api.uid = 1000
    identifier = (await api.call("POST", "/v1/clients", SOFTWARE)).text("client_id")
    api.uid = 1001
    api.forget_connections()
    assert (await api.call("GET", "/v1/clients", via="unix")).json == {"clients": []}
    assert (await api.call("DELETE", f"/v1/clients/{identifier}", via="unix")).code == "client.not_found"
    api.uid = 0
    api.forget_connections()
    assert (await api.call("DELETE", f"/v1/clients/{identifier}", via="unix")).status == 204


async def test_a_locked_program_is_kept_out_until_it_is_unlocked(api: Workbench) -> None:
    paired = await api.call("POST", "/v1/clients", SOFTWARE)
    secret, lock = paired.text("client_secret"), f"/v1/clients/{paired.text('client_id')}/lock"
    path, token = await api.login(secret)
    assert (await api.call("POST", lock, {}, via="unix")).status == 204
    assert (await api.call("GET", path, bearer=token)).code == "session.closed"
    refused = await api.call("POST", "/v1/sessions", {"method": "cpx"}, bearer=secret)
    assert (refused.status, refused.code) == (403, "client.locked")
    assert "cardctl clients unlock" in refused.text("remedy")
    by_itself = await api.call("DELETE", f"/v1/clients/{paired.text('client_id')}", bearer=secret)
    assert by_itself.code == "client.locked"
    listed = cast(list[Json], (await api.call("GET", "/v1/clients", via="unix")).json["clients"])
    assert [one["locked"] for one in listed] == [True]
    assert (await api.call("DELETE", lock, via="unix")).status == 204
    api.person.pins = [PIN]
    await api.login(secret)


class FullStore(MemoryStore):
    """A disk that takes nothing more."""

    def save(self, name: str, text: str) -> None:
        raise StateUnavailable(file=name, why="No space left on device")


async def test_on_a_full_disk_who_is_shut_out_is_out_and_nobody_is_let_in(api: Workbench) -> None:
    path, token = await api.logged_in()
    listed = await api.call("GET", "/v1/clients", via="unix")
    locked = f"/v1/clients/{listed.text('clients', 0, 'id')}/lock"
    there, api.store.now = api.store.now, FullStore()
    assert (await api.call("POST", locked, {}, via="unix")).code == "state.unavailable"
    assert (await api.call("GET", path, bearer=token)).code == "session.closed"
    assert (await api.call("DELETE", locked, via="unix")).code == "state.unavailable"
    assert (await api.call("POST", "/v1/clients", SOFTWARE)).code == "state.unavailable"
    listed = await api.call("GET", "/v1/clients", via="unix")
    assert [one["locked"] for one in cast(list[Json], listed.json["clients"])] == [True]
    api.store.now = there
    assert (await api.call("DELETE", locked, via="unix")).status == 204


async def test_a_program_stays_locked_when_the_daemon_restarts(api: Workbench, started: Start, tmp_path: Path) -> None:
    paired = await api.call("POST", "/v1/clients", SOFTWARE)
    await api.call("POST", f"/v1/clients/{paired.text('client_id')}/lock", {}, via="unix")
    directory = tmp_path / "again"
    directory.mkdir()
    again = await started(Workbench(directory, store=api.store))
    got = await again.call("GET", "/v1/cards", bearer=paired.text("client_secret"))
    assert got.code == "client.locked"


async def test_only_its_user_and_root_lock_a_program(api: Workbench) -> None:
    api.uid = 1000
    paired = await api.call("POST", "/v1/clients", SOFTWARE)
    lock, secret = f"/v1/clients/{paired.text('client_id')}/lock", paired.text("client_secret")
    assert (await api.call("POST", lock, {}, bearer=secret)).code == "request.forbidden"
    for uid, told in ((1001, "client.not_found"), (0, None)):
        api.uid = uid
        api.forget_connections()
        for method, body in (("POST", {}), ("DELETE", None)):
            got = await api.call(method, lock, body, via="unix")
            assert got.status == 204 if told is None else got.code == told


async def test_a_page_can_neither_pair_nor_poll(api: Workbench) -> None:
    page = {"Origin": PAGE}
    assert (await api.call("POST", "/v1/clients", SOFTWARE, headers=page)).code == "request.invalid"
    assert (await api.call("GET", "/v1/clients/pairings/1", headers=page)).code == "request.forbidden"
    assert (await api.call("POST", "/v1/clients", {}, headers=page)).code == "request.invalid"
    assert (await api.enter(PAGE)).text("origin") == PAGE
    assert api.person.questions == []


async def _until_decided(api: Workbench, place: str) -> Got:
    """Poll as a program does, but without pauses."""
    for _ in range(1000):
        got = await api.call("GET", place)
        if got.status != 202:
            return got
    raise TimeoutError
