"""One-time codes of support: enrolment, what they are demanded for, and what does not pass for one."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from multidict import CIMultiDict

from cardd.config import Config, Support
from cardd.errors import SecretStoreUnavailable
from cardd.secret import Secret
from tests.api.workbench import PAGE, SOFTWARE, Got, Workbench
from tests.rig.memory import MemorySecrets, SwitchedSecrets, SwitchedStore
from tests.rig.phone import Phone

ENROLMENT = "/v1/support/enrolment"
CONFIRMATION = f"{ENROLMENT}/confirmation"
SOMEBODY, ROOT = 1000, 0
STEP, DAY = 30, 86400
RESTARTED = "r"

Start = Callable[[Workbench], Awaitable[Workbench]]
DEMANDED = Config(support=Support(totp=True, label="poste SIMULATION"))


@pytest_asyncio.fixture
async def station(started: Start, tmp_path: Path) -> Workbench:
    """A workstation that demands codes."""
    return await started(Workbench(tmp_path, DEMANDED))


@pytest_asyncio.fixture
async def phone(station: Workbench) -> Phone:
    """The phone that it was enrolled with; the code of this step is used up."""
    return await enrolled(station)


async def enrolled(station: Workbench, code: str | None = None) -> Phone:
    begun = await ask(station, "POST", ENROLMENT, code)
    assert begun.status == 201, begun.raw
    phone = Phone(begun.text("address"))
    confirmed = await ask(station, "POST", CONFIRMATION, phone.code(station.clock.now()))
    assert confirmed.status == 204, confirmed.raw
    return phone


async def ask(station: Workbench, method: str, path: str, code: str | None = None) -> Got:
    headers = {} if code is None else {"Cardd-Support-Code": code}
    return await station.call(method, path, {} if method == "POST" else None, via="unix", headers=headers)


async def client_of_somebody(station: Workbench) -> str:
    """The path of a program that another user paired; root calls from now on."""
    become(station, SOMEBODY)
    identifier = (await station.call("POST", "/v1/clients", SOFTWARE)).text("client_id")
    become(station, ROOT)
    return f"/v1/clients/{identifier}"


def become(station: Workbench, uid: int) -> None:
    station.uid = uid
    station.forget_connections()


def rows(station: Workbench) -> list[tuple[str, str | None]]:
    return [(entry.action, entry.code) for entry in station.audit.entries if entry.action.startswith("support.")]


async def after_a_restart(station: Workbench, started: Start) -> Workbench:
    """Another daemon on the same state directory and keyring, at the same time of day."""
    directory = station.directory if station.directory.name != RESTARTED else station.directory.parents[1]
    directory = directory / str(len(list(directory.iterdir()))) / RESTARTED  # a socket's path is short
    directory.mkdir(parents=True)
    store, secrets = SwitchedStore(), SwitchedSecrets()
    store.documents, secrets.values = dict(station.store.documents), dict(station.secrets.values)
    again = Workbench(directory, DEMANDED, clock=station.clock, store=store, secrets=secrets, uid=station.uid)
    return await started(again)


# --- what a code is demanded for ---


async def test_root_unpairs_anothers_program_with_a_code_only(station: Workbench, phone: Phone) -> None:
    client = await client_of_somebody(station)
    station.clock.seconds += STEP
    refused = await ask(station, "DELETE", client)
    assert (refused.status, refused.code) == (403, "support_code.required")
    assert refused.text("remedy")
    assert (await ask(station, "DELETE", client, phone.code(station.clock.now()))).status == 204
    assert (await ask(station, "DELETE", client, phone.code(station.clock.now(), 1))).code == "client.not_found"


async def test_a_user_and_a_program_unpair_what_is_theirs_without_any(station: Workbench, phone: Phone) -> None:
    become(station, SOMEBODY)
    one, two = [await station.call("POST", "/v1/clients", SOFTWARE) for _ in range(2)]
    assert (await ask(station, "DELETE", f"/v1/clients/{one.text('client_id')}")).status == 204
    by_itself = await station.call("DELETE", f"/v1/clients/{two.text('client_id')}", bearer=two.text("client_secret"))
    assert by_itself.status == 204


async def test_a_code_gives_no_right_that_its_bearer_has_not(station: Workbench, phone: Phone) -> None:
    client = await client_of_somebody(station)
    become(station, 1001)
    station.clock.seconds += STEP
    code = phone.code(station.clock.now())
    assert (await ask(station, "DELETE", client, code)).code == "client.not_found"
    for method, path in (("POST", ENROLMENT), ("POST", CONFIRMATION), ("DELETE", ENROLMENT)):
        assert (await ask(station, method, path, code)).code == "support_code.administrator"
    become(station, ROOT)
    assert (await ask(station, "DELETE", client, code)).status == 204  # and it was not used up


async def test_a_request_with_two_codes_is_refused_and_uses_up_neither(station: Workbench, phone: Phone) -> None:
    client = await client_of_somebody(station)
    station.clock.seconds += STEP
    code = phone.code(station.clock.now())
    for codes in (("000000", code), (code, code)):
        several = CIMultiDict([("Cardd-Support-Code", each) for each in codes])
        got = await station.call("DELETE", client, via="unix", headers=several)
        assert (got.status, got.code) == (422, "request.invalid")
        assert "Cardd-Support-Code" in got.text("detail")
    assert (await ask(station, "DELETE", client, code)).status == 204


async def test_a_locked_program_is_let_in_again_with_a_code_only(station: Workbench, phone: Phone) -> None:
    become(station, SOMEBODY)
    paired = await station.call("POST", "/v1/clients", SOFTWARE)
    lock, secret = f"/v1/clients/{paired.text('client_id')}/lock", paired.text("client_secret")
    assert (await ask(station, "POST", lock)).status == 204
    station.clock.seconds += STEP
    assert (await ask(station, "DELETE", lock)).code == "support_code.required"
    assert (await station.call("GET", "/v1/methods", bearer=secret)).code == "client.locked"
    assert (await ask(station, "DELETE", lock, phone.code(station.clock.now()))).status == 204
    assert (await station.call("GET", "/v1/methods", bearer=secret)).status == 200
    assert rows(station)[-1:] == [("support.unlock", None)]


async def test_an_unlocking_of_a_program_that_is_not_ones_own_is_no_row(api: Workbench) -> None:
    client = await client_of_somebody(api)
    become(api, SOMEBODY + 1)
    assert (await ask(api, "DELETE", f"{client}/lock")).code == "client.not_found"
    assert rows(api) == []


async def test_where_codes_are_demanded_and_nobody_enrolled_nothing_is_done(station: Workbench) -> None:
    client = await client_of_somebody(station)
    for code in (None, "123456"):
        got = await ask(station, "DELETE", client, code)
        assert (got.status, got.code) == (409, "support_code.not_enrolled")


async def test_where_none_is_demanded_none_is_asked_for(api: Workbench) -> None:
    client = await client_of_somebody(api)
    assert (await ask(api, "DELETE", client)).status == 204
    assert (await ask(api, "POST", ENROLMENT)).code == "support_code.off"
    assert rows(api) == [("support.unpair_others", None)]


# --- enrolment ---


async def test_the_first_code_of_the_phone_ends_the_enrolment(station: Workbench) -> None:
    assert (await ask(station, "GET", ENROLMENT)).json == {"demanded": True, "enrolled": False, "locked": 0}
    begun = await ask(station, "POST", ENROLMENT)
    phone = Phone(begun.text("address"))
    assert phone.label == "cardd:poste SIMULATION"
    assert (await ask(station, "POST", CONFIRMATION)).code == "support_code.required"
    wrong = await ask(station, "POST", CONFIRMATION, phone.other_code(station.clock.now()))
    assert wrong.code == "support_code.wrong"
    assert station.secrets.values == {}
    assert (await ask(station, "POST", CONFIRMATION, phone.code(station.clock.now()))).status == 204
    assert (await ask(station, "GET", ENROLMENT)).json == {"demanded": True, "enrolled": True, "locked": 0}
    assert station.secrets.values == {"support-totp": phone.secret.encode()}


async def test_an_enrolment_waits_ten_minutes_for_its_first_code(station: Workbench) -> None:
    phone = Phone((await ask(station, "POST", ENROLMENT)).text("address"))
    station.clock.seconds += 600
    for _ in range(2):
        got = await ask(station, "POST", CONFIRMATION, phone.code(station.clock.now()))
        assert got.code == "support_code.not_enrolled"
    assert station.secrets.values == {}


async def test_a_second_enrolment_needs_a_code_of_the_first(station: Workbench, phone: Phone) -> None:
    assert (await ask(station, "POST", ENROLMENT)).code == "support_code.required"
    station.clock.seconds += STEP
    assert (await ask(station, "POST", ENROLMENT, phone.other_code(station.clock.now()))).code == "support_code.wrong"
    other = await enrolled(station, phone.code(station.clock.now()))
    assert other.secret != phone.secret
    station.clock.seconds += STEP
    assert (await ask(station, "DELETE", ENROLMENT, phone.code(station.clock.now()))).code == "support_code.wrong"
    assert (await ask(station, "DELETE", ENROLMENT, other.code(station.clock.now()))).status == 204


async def test_until_it_is_confirmed_the_first_one_serves(station: Workbench, phone: Phone) -> None:
    station.clock.seconds += STEP
    begun = await ask(station, "POST", ENROLMENT, phone.code(station.clock.now()))
    station.clock.seconds += STEP
    new = Phone(begun.text("address"))
    assert (await ask(station, "DELETE", ENROLMENT, new.code(station.clock.now()))).code == "support_code.wrong"
    assert (await ask(station, "DELETE", ENROLMENT, phone.code(station.clock.now()))).status == 204


async def test_a_workstation_whose_secret_was_removed_is_not_enrolled_any_more(
    station: Workbench, phone: Phone
) -> None:
    station.clock.seconds += STEP
    assert (await ask(station, "DELETE", ENROLMENT)).code == "support_code.required"
    assert (await ask(station, "DELETE", ENROLMENT, phone.code(station.clock.now()))).status == 204
    assert station.secrets.values == {}
    assert (await ask(station, "DELETE", ENROLMENT)).code == "support_code.not_enrolled"
    await enrolled(station)


async def test_with_the_phone_lost_the_configuration_opens_the_way(
    station: Workbench, phone: Phone, started: Start
) -> None:
    (station.directory / "off").mkdir()
    off = await started(Workbench(station.directory / "off", store=station.store, secrets=station.secrets))
    assert (await ask(off, "DELETE", ENROLMENT)).status == 204
    assert off.secrets.values == {}
    assert rows(off) == [("support.remove", None)]


async def test_enrolment_is_for_the_unix_socket_only(station: Workbench) -> None:
    secret = await station.pair()
    for method, path in (("GET", ENROLMENT), ("POST", ENROLMENT), ("POST", CONFIRMATION), ("DELETE", ENROLMENT)):
        body: object = {} if method == "POST" else None
        assert (await station.call(method, path, body, bearer=secret)).code == "request.forbidden"
        assert (await station.call(method, path, body, headers={"Origin": PAGE})).code == "request.forbidden"


@pytest.mark.parametrize("who", ["root", "the service's own user"])
async def test_root_and_the_services_own_user_enrol(station: Workbench, who: str) -> None:
    become(station, ROOT if who == "root" else os.geteuid())
    await enrolled(station)


class Credential(MemorySecrets):
    """A secret that systemd passes, on a machine without a keyring."""

    async def delete(self, name: str) -> None:
        raise SecretStoreUnavailable(why="keyring.backends.fail.Keyring")


async def test_a_secret_that_systemd_passes_serves_and_is_not_ours_to_change(started: Start, tmp_path: Path) -> None:
    passed = Credential()
    bench = await started(Workbench(tmp_path, DEMANDED, secrets=SwitchedSecrets(passed)))
    phone = Phone("otpauth://totp/cardd?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")
    passed.values["support-totp"] = phone.secret.encode()
    client = await client_of_somebody(bench)
    now = bench.clock.now()
    assert (await ask(bench, "DELETE", client, phone.code(now, -1))).status == 204
    for method, code in (("POST", None), ("DELETE", phone.code(now))):
        got = await ask(bench, method, ENROLMENT, code)
        assert (got.status, got.code) == (409, "support_code.fixed")


async def test_of_two_confirmations_at_once_one_enrols(station: Workbench) -> None:
    phone = Phone((await ask(station, "POST", ENROLMENT)).text("address"))
    code = phone.code(station.clock.now())
    got = await asyncio.gather(*(ask(station, "POST", CONFIRMATION, code) for _ in range(2)))
    assert sorted(answer.status for answer in got) == [204, 409]
    assert station.secrets.values == {"support-totp": phone.secret.encode()}
    assert (await ask(station, "DELETE", ENROLMENT, phone.code(station.clock.now(), 1))).status == 204


class NoKeyring(MemorySecrets):
    """A machine whose keyring does not encrypt, or is not there."""

    async def get(self, name: str) -> Secret | None:
        raise SecretStoreUnavailable(why="keyring.backends.fail.Keyring")


async def test_a_secret_that_could_not_lie_encrypted_is_not_made(started: Start, tmp_path: Path) -> None:
    bench = await started(Workbench(tmp_path, DEMANDED, secrets=SwitchedSecrets(NoKeyring())))
    got = await ask(bench, "POST", ENROLMENT)
    assert (got.status, got.code) == (503, "secrets.unavailable")
    assert "credential" in got.text("remedy")
    assert b"otpauth" not in got.raw
    assert (await ask(bench, "DELETE", await client_of_somebody(bench), "123456")).code == "secrets.unavailable"
    assert (await ask(bench, "GET", ENROLMENT)).json["enrolled"] is False


# --- what does not pass for a code ---


async def test_a_code_serves_once_also_after_a_restart(station: Workbench, phone: Phone, started: Start) -> None:
    client = await client_of_somebody(station)
    used = phone.code(station.clock.now())  # it ended the enrolment
    got = await ask(station, "DELETE", client, used)
    assert (got.status, got.code) == (403, "support_code.replayed")
    assert 0 < int(str(got.json["retry_after"])) <= STEP
    again = await after_a_restart(station, started)
    assert (await ask(again, "DELETE", client, used)).code == "support_code.replayed"
    again.clock.seconds += int(str(got.json["retry_after"]))
    assert (await ask(again, "DELETE", client, phone.code(again.clock.now()))).status == 204


async def test_of_two_requests_with_one_code_one_is_refused(station: Workbench, phone: Phone) -> None:
    one, two = await client_of_somebody(station), await client_of_somebody(station)
    station.clock.seconds += STEP
    code = phone.code(station.clock.now())
    got = await asyncio.gather(*(ask(station, "DELETE", client, code) for client in (one, two)))
    assert sorted(answer.status for answer in got) == [204, 403]


async def test_no_code_serves_after_a_newer_one(station: Workbench, phone: Phone) -> None:
    one, two = await client_of_somebody(station), await client_of_somebody(station)
    station.clock.seconds += STEP
    assert (await ask(station, "DELETE", one, phone.code(station.clock.now(), 1))).status == 204
    assert (await ask(station, "DELETE", two, phone.code(station.clock.now()))).code == "support_code.replayed"


@pytest.mark.parametrize("code", ["12345", "1234567", "abcdef", "0x1234", "-12345", "1" * 4000])
async def test_what_is_no_code_is_a_wrong_one(station: Workbench, phone: Phone, code: str) -> None:
    client = await client_of_somebody(station)
    assert (await ask(station, "DELETE", client, code)).code == "support_code.wrong"


async def test_an_empty_header_is_no_code(station: Workbench, phone: Phone) -> None:
    assert (await ask(station, "DELETE", await client_of_somebody(station), "")).code == "support_code.required"


async def own_lock(station: Workbench) -> str:
    """The path of the lock of a program that whoever asks has paired."""
    paired = await station.call("POST", "/v1/clients", SOFTWARE)
    return f"/v1/clients/{paired.text('client_id')}/lock"


async def guess(station: Workbench, phone: Phone, times: int, lock: str) -> list[str]:
    """The codes of the refusals that so many wrong codes get."""
    wrong = phone.other_code(station.clock.now())
    return [str((await ask(station, "DELETE", lock, wrong)).code) for _ in range(times)]


async def test_anothers_wrong_codes_lock_neither_the_workstation_nor_its_users(
    station: Workbench, phone: Phone
) -> None:
    client = await client_of_somebody(station)
    become(station, 1001)
    assert (await guess(station, phone, 7, await own_lock(station)))[4:] == [
        "support_code.wrong",
        *["support_code.locked"] * 2,
    ]
    become(station, ROOT)
    station.clock.seconds += STEP
    assert (await ask(station, "GET", ENROLMENT)).json["locked"] == 0
    become(station, SOMEBODY)
    assert (await ask(station, "POST", f"{client}/lock")).status == 204
    assert (await ask(station, "DELETE", f"{client}/lock", phone.code(station.clock.now()))).status == 204
    station.clock.seconds += STEP
    become(station, ROOT)
    assert (await ask(station, "DELETE", client, phone.code(station.clock.now()))).status == 204


async def test_a_program_that_guesses_keeps_no_other_program_of_its_user_out(station: Workbench, phone: Phone) -> None:
    client = await client_of_somebody(station)
    become(station, SOMEBODY)
    usual, station.program = station.program, "/opt/guesser"
    assert (await guess(station, phone, 6, f"{client}/lock"))[-1] == "support_code.locked"
    station.program = usual
    station.forget_connections()
    station.clock.seconds += STEP
    assert (await ask(station, "POST", f"{client}/lock")).status == 204
    assert (await ask(station, "DELETE", f"{client}/lock", phone.code(station.clock.now()))).status == 204


async def test_who_guesses_under_ever_new_names_is_locked_for_minutes(
    station: Workbench, phone: Phone, started: Start
) -> None:
    become(station, SOMEBODY)
    lock = await own_lock(station)
    for number in range(60):
        station.program = f"/opt/guesser-{number}"
        station.forget_connections()
        await guess(station, phone, 1, lock)
    assert await guess(station, phone, 1, lock) == ["support_code.locked"]
    station = await after_a_restart(station, started)
    assert 0 < int(str((await ask(station, "GET", ENROLMENT)).json["locked"])) <= 601
    become(station, ROOT)
    assert (await ask(station, "GET", ENROLMENT)).json["locked"] == 0


async def test_five_wrong_codes_lock_the_workstation_for_longer_each_time(
    station: Workbench, phone: Phone, started: Start
) -> None:
    client = await client_of_somebody(station)
    station.clock.seconds += STEP
    for _ in range(5):
        wrong = phone.other_code(station.clock.now())
        assert (await ask(station, "DELETE", client, wrong)).code == "support_code.wrong"
    waits = []
    for _ in range(13):
        locked = await ask(station, "DELETE", client, phone.code(station.clock.now()))
        assert (locked.status, locked.code) == (429, "support_code.locked")
        assert locked.headers["Retry-After"] == str(locked.json["retry_after"])
        waits.append(int(str(locked.json["retry_after"])))
        station = await after_a_restart(station, started)
        assert (await ask(station, "DELETE", client)).code == "support_code.locked"
        assert (await ask(station, "GET", ENROLMENT)).json["locked"] == waits[-1]
        station.clock.seconds += waits[-1]
        assert (await ask(station, "DELETE", client)).code == "support_code.required"
        wrong = phone.other_code(station.clock.now())
        assert (await ask(station, "DELETE", client, wrong)).code == "support_code.wrong"
    assert waits[:3] == [61, 121, 241]
    assert waits == sorted(waits)
    assert waits[-1] == DAY + 1
    station.clock.seconds += waits[-1]
    assert (await ask(station, "DELETE", client, phone.code(station.clock.now()))).status == 204
    assert (await ask(station, "GET", ENROLMENT)).json["locked"] == 0


async def test_guesses_side_by_side_are_five_at_most(station: Workbench, phone: Phone) -> None:
    client = await client_of_somebody(station)
    guesses = [phone.other_code(station.clock.now())] * 30
    got = await asyncio.gather(*(ask(station, "DELETE", client, guess) for guess in guesses))
    assert [answer.code for answer in got].count("support_code.wrong") == 5


async def test_a_lock_is_for_the_workstation_not_for_its_caller(station: Workbench, phone: Phone) -> None:
    client = await client_of_somebody(station)
    for _ in range(5):
        await ask(station, "DELETE", client, phone.other_code(station.clock.now()))
    become(station, os.geteuid())
    for method in ("POST", "DELETE"):
        assert (await ask(station, method, ENROLMENT, phone.code(station.clock.now(), 1))).code == "support_code.locked"


async def test_a_clock_that_went_back_makes_no_lock_longer(station: Workbench, phone: Phone) -> None:
    client = await client_of_somebody(station)
    station.clock.seconds += 10 * DAY
    for _ in range(5):
        await ask(station, "DELETE", client, phone.other_code(station.clock.now()))
    station.clock.seconds -= 9 * DAY
    assert (await ask(station, "DELETE", client)).json["retry_after"] == 61


# --- the record ---


async def test_every_attempt_is_a_row_and_no_row_has_a_code(station: Workbench, phone: Phone) -> None:
    client = await client_of_somebody(station)
    station.clock.seconds += STEP
    right, wrong = phone.code(station.clock.now()), phone.other_code(station.clock.now())
    for code in (None, wrong, right, right):
        await ask(station, "DELETE", client, code)
        client = client if code != right else await client_of_somebody(station)
    assert rows(station) == [
        ("support.confirm", None),
        ("support.unpair_others", "support_code.wrong"),
        ("support.unpair_others", None),
        ("support.unpair_others", "support_code.replayed"),
    ]
    [done] = [entry for entry in station.audit.entries if entry.action == "support.unpair_others" and not entry.code]
    assert (done.uid, done.caller) == (ROOT, "local:0")
    assert done.document
    kept = f"{station.audit.entries}{json.dumps(station.store.documents)}"
    assert not [secret for secret in (right, wrong, phone.secret) if secret in kept]


async def test_without_a_row_nothing_is_done(station: Workbench, phone: Phone) -> None:
    client = await client_of_somebody(station)
    station.clock.seconds += STEP
    station.audit.is_full = True
    assert (await ask(station, "DELETE", client, phone.code(station.clock.now()))).code == "audit.unavailable"
    station.audit.is_full = False
    station.clock.seconds += STEP
    assert (await ask(station, "DELETE", client, phone.code(station.clock.now()))).status == 204
