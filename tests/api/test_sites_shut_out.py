"""A person who shuts a site out is asked nothing more by it, and ever new names and keys of sites wear nobody down."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest

from cardd.config import Config, Web
from cardd.core.origins import EXPECTED, REFUSED_KEYS_MAX, REFUSED_SITES_MAX, TABS_MAX
from cardd.model import Choice
from tests.api.workbench import PAGE, PAGE_WITH_PORT, Got, Workbench
from tests.rig.page_keys import BrowserKey
from tests.rig.waiting import eventually

Start = Callable[[Workbench], Awaitable[Workbench]]

STRANGER = "https://nouveau.example"
HOUR = 3600


@pytest.fixture
async def asking(started: Start, tmp_path: Path) -> Workbench:
    """A workbench that asks the person about sites that it does not know."""
    return await started(Workbench(tmp_path, Config(web=Web(unknown_origins="ask"))))


async def revoke(api: Workbench, origin: str) -> Got:
    return await api.call("DELETE", f"/v1/origins/{quote(origin, safe='')}", via="unix")


async def allow(api: Workbench, origin: str, **said: object) -> Got:
    return await api.call("POST", "/v1/origins", {"origin": origin, **said}, via="unix")


async def keys(api: Workbench, origin: str) -> object:
    listed = (await api.call("GET", "/v1/origins", via="unix")).json["origins"]
    assert isinstance(listed, list)
    return next((one["keys"] for one in listed if one["origin"] == origin), None)


@pytest.mark.parametrize("origin", [PAGE, STRANGER])
async def test_a_site_that_is_shut_out_while_its_dialog_is_open_is_refused_by_it(
    asking: Workbench, origin: str
) -> None:
    asking.person.attentive.clear()
    new = BrowserKey()
    page = asyncio.ensure_future(asking.enter(origin, new))
    await eventually(lambda: asking.person.open == ["origin"])
    assert (await revoke(asking, origin)).status == 204
    assert ((await asyncio.wait_for(page, 5)).code, asking.person.open) == ("client.pairing_refused", [])
    asking.person.attentive.set()
    assert (await asking.enter(origin, new)).code == "client.pairing_refused"
    assert len(asking.person.questions) == 1


async def test_a_site_that_was_let_in_by_command_and_shut_out_again_is_not_let_in_unasked(asking: Workbench) -> None:
    assert (await allow(asking, STRANGER)).status == 201
    assert (await revoke(asking, STRANGER)).status == 204
    assert (await asking.enter(STRANGER, ask=False)).code == "page.consent_needed"


async def test_a_site_that_was_refused_can_be_shut_out_too_and_stays_refused(asking: Workbench) -> None:
    asking.person.choice = Choice.NO
    await asking.enter(STRANGER)
    assert (await revoke(asking, STRANGER)).status == 204
    assert (await asking.enter(STRANGER)).code == "client.pairing_refused"
    assert len(asking.person.questions) == 1


async def test_a_site_of_which_nothing_is_known_cannot_be_shut_out(asking: Workbench) -> None:
    for origin in (STRANGER, f"{PAGE}:8443"):
        got = await revoke(asking, origin)
        assert (got.status, got.code) == (404, "page.site_not_found")


async def test_what_a_page_was_doing_when_it_was_shut_out_says_that_a_consent_is_needed(api: Workbench) -> None:
    api.person.attentive.clear()
    page = {"Origin": PAGE}
    login = asyncio.ensure_future(api.call("POST", "/v1/sessions", {"method": "cpx"}, headers=page))
    await eventually(lambda: api.person.open == ["login"])
    assert (await revoke(api, PAGE)).status == 204
    assert (await asyncio.wait_for(login, 5)).code == "page.consent_needed"  # and no proof, which would ask at once


async def test_what_was_allowed_by_command_waits_for_a_page_that_wants_no_more_than_that(asking: Workbench) -> None:
    assert (await allow(asking, STRANGER, rights=["detect"])).status == 201
    assert (await asking.enter(STRANGER, ask=False)).code == "page.consent_needed"
    assert (await asking.enter(STRANGER, rights=["detect"], ask=False)).status == 201


@pytest.mark.parametrize("days", [0, 1])
async def test_a_site_that_was_let_in_by_command_is_listed_until_its_page_is_late_by_no_clock_that_is_set(
    asking: Workbench, days: int
) -> None:
    asking.person.choice = Choice.ALWAYS
    assert (await allow(asking, STRANGER, rights=["detect"])).json["rights"] == ["detect"]
    assert await keys(asking, STRANGER) == []
    asking.clock.began -= timedelta(days=days)
    asking.clock.seconds += EXPECTED.total_seconds()
    assert await keys(asking, STRANGER) is None  # it would be asked about again
    assert (await asking.enter(STRANGER, rights=["detect"], ask=False)).code == "page.consent_needed"


async def test_ever_new_keys_of_one_site_are_refused_unasked_until_the_person_lets_it_in(api: Workbench) -> None:
    api.person.choice = Choice.NO
    for _ in range(12):
        await api.enter(PAGE, BrowserKey())
        api.clock.seconds += HOUR
    assert len(api.person.questions) == REFUSED_KEYS_MAX
    assert (await api.enter(PAGE)).status == 201  # the browser that the person knows goes on
    api.person.choice = Choice.YES
    assert (await api.enter(PAGE_WITH_PORT, BrowserKey())).status == 201
    assert (await allow(api, PAGE)).status == 201
    assert (await api.enter(PAGE, BrowserKey())).status == 201


async def test_ever_new_names_of_strange_sites_are_refused_unasked_in_the_end(asking: Workbench) -> None:
    asking.person.choice = Choice.NO
    for number in range(3 * REFUSED_SITES_MAX):
        await asking.enter(f"https://h{number}.example")
        asking.clock.seconds += HOUR
    assert len(asking.person.questions) == REFUSED_SITES_MAX
    asking.person.choice = Choice.YES
    assert (await allow(asking, STRANGER)).status == 201
    assert (await asking.enter(STRANGER)).status == 201


async def test_pages_that_the_person_refuses_keep_nobody_from_letting_a_site_in_by_command(asking: Workbench) -> None:
    asking.person.choice = Choice.NO
    for number in range(4):
        await asking.enter(f"https://h{number}.example")
    asking.person.choice = Choice.YES
    assert (await allow(asking, STRANGER)).status == 201


async def test_a_site_whose_tabs_all_wait_for_its_dialog_keeps_no_other_from_asking(asking: Workbench) -> None:
    asking.person.attentive.clear()
    new = BrowserKey()
    tabs = [asyncio.ensure_future(asking.enter(STRANGER, new)) for _ in range(TABS_MAX + 1)]
    await eventually(lambda: sum(tab.done() for tab in tabs) == 1)
    [refused] = [await tab for tab in tabs if tab.done()]
    assert (refused.status, refused.code) == (429, "request.too_many")
    assert (await asking.enter(PAGE)).status == 201
    asking.person.attentive.set()
    assert [(await tab).status for tab in tabs].count(201) == TABS_MAX


async def test_a_site_whose_consent_is_over_is_a_stranger_again(asking: Workbench) -> None:
    assert (await asking.enter(STRANGER)).status == 201
    asking.clock.seconds += 12 * HOUR
    assert await keys(asking, STRANGER) is None
    asking.person.choice = Choice.NO
    for _ in range(4):
        await asking.enter(STRANGER, BrowserKey())
    assert len(asking.person.questions) == 2
    asking.person.choice = Choice.YES
    assert (await asking.enter(PAGE, BrowserKey())).status == 201
