"""What stands in the audit log beside signatures and logins: who was let in, shut out or locked, who read a holder."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable
from pathlib import Path

from cardd.config import Config, Web
from cardd.errors import ConsentTimeout
from cardd.model import AuditEntry, Choice
from tests.api.workbench import SOFTWARE, Workbench
from tests.rig.waiting import eventually

STRANGER = "https://nouveau.example"


async def rows(api: Workbench, act: str, count: int = 1) -> list[AuditEntry]:
    """The rows of this act, once so many are there."""
    await eventually(lambda: len([one for one in api.audit.entries if one.action == act]) >= count)
    found = [one for one in api.audit.entries if one.action == act]
    assert len(found) == count, api.audit.acts()
    return found


async def test_a_pairing_and_its_refusal_are_rows(api: Workbench) -> None:
    api.person.choices = [Choice.NO]
    assert (await api.call("POST", "/v1/clients", SOFTWARE)).code == "client.pairing_refused"
    api.person.fault = ConsentTimeout()
    assert (await api.call("POST", "/v1/clients", SOFTWARE)).code == "consent.timeout"
    api.person.fault = None
    await api.pair()
    refused, late, done = await rows(api, "client.pair", 3)
    assert (refused.outcome, refused.code, refused.caller_name) == (
        "refused",
        "client.pairing_refused",
        SOFTWARE["name"],
    )
    assert late.code == "consent.timeout"
    assert (done.outcome, done.consent, done.caller_name) == ("done", "dialog", SOFTWARE["name"])


async def test_a_program_that_is_locked_unlocked_and_removed_is_a_row_each(api: Workbench) -> None:
    paired = await api.call("POST", "/v1/clients", SOFTWARE)
    client = paired.text("client_id")
    assert (await api.call("POST", f"/v1/clients/{client}/lock", {}, via="unix")).status == 204
    assert (await api.call("DELETE", f"/v1/clients/{client}/lock", via="unix")).status == 204
    assert (await api.call("DELETE", f"/v1/clients/{client}", via="unix")).status == 204
    for act in ("client.lock", "client.unlock", "client.remove"):
        [row] = await rows(api, act)
        assert (row.caller, row.caller_name, row.uid) == (client, SOFTWARE["name"], api.uid)


async def test_a_page_that_the_person_allows_or_refuses_is_a_row(
    started: Callable[[Workbench], Awaitable[Workbench]], tmp_path: Path
) -> None:
    api = await started(Workbench(tmp_path, Config(web=Web(unknown_origins="ask"))))
    api.person.choices = [Choice.NO, Choice.ALWAYS]
    for origin in (STRANGER, "https://autre.example"):
        await api.enter(origin)
    refused, allowed = await rows(api, "origin.allow", 2)
    assert (refused.caller, refused.outcome) == (STRANGER, "refused")
    assert (allowed.caller, allowed.outcome, allowed.consent) == ("https://autre.example", "done", "always")
    assert allowed.digest == urlsafe_b64decode(api.key.id + "=").hex()  # which browser it was


async def test_reading_the_holder_is_a_row_and_one_a_minute_however_often(api: Workbench) -> None:
    secret = await api.pair()
    card = (await api.call("GET", "/v1/cards", bearer=secret)).text("cards", 0, "id")
    for _ in range(20):
        assert (await api.call("GET", f"/v1/cards/{card}/certificates", bearer=secret)).status == 200
    [row] = await rows(api, "holder.read")
    assert row.certificate


async def test_the_list_of_sites_is_a_row_and_one_a_minute_however_often(api: Workbench) -> None:
    for _ in range(5):
        assert (await api.call("GET", "/v1/origins", via="unix")).status == 200
    [row] = await rows(api, "origin.list")
    assert (row.uid, row.caller, row.outcome) == (api.uid, f"local:{api.uid}", "done")


async def test_a_full_disk_keeps_nobody_from_reading_and_pairing(api: Workbench) -> None:
    api.audit.is_full = True
    secret = await api.pair()
    card = (await api.call("GET", "/v1/cards", bearer=secret)).text("cards", 0, "id")
    assert (await api.call("GET", f"/v1/cards/{card}/certificates", bearer=secret)).status == 200


async def test_locks_by_the_screen_are_rows_and_counted(api: Workbench) -> None:
    path, _ = await api.logged_in()
    for _ in range(5):
        api.sessions.lock_where(lambda _: True)
    [row] = await rows(api, "session.lock")
    assert row.session == path.rpartition("/")[2]
