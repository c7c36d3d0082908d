"""A program that is unpaired or locked, and a session that ends, while something is under way for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from urllib.parse import quote

import pytest

from cardd.config import Config, Web
from tests.api.relayed import Start
from tests.api.test_events import stream
from tests.api.workbench import PIN, Got, Workbench
from tests.rig.waiting import eventually

LOGIN = {"method": "cpx"}
SIGN = {"document_name": "compte rendu", "digest": "A" * 43 + "="}
VERIFY = 0x20
PAGE = {"Origin": "https://nouveau.example"}

ShutOut = Callable[[Workbench, str], Awaitable[Got]]


def unpaired(api: Workbench, client: str) -> Awaitable[Got]:
    return api.call("DELETE", f"/v1/clients/{quote(client, safe='')}", via="unix")


def locked(api: Workbench, client: str) -> Awaitable[Got]:
    return api.call("POST", f"/v1/clients/{client}/lock", {}, via="unix")


shut_out_by = pytest.mark.parametrize(
    ("shut_out", "code"), [(unpaired, "client.unknown"), (locked, "client.locked")], ids=["unpaired", "locked"]
)


async def asked(api: Workbench, work: Awaitable[Got]) -> asyncio.Future[Got]:
    """Begin a request, and return it once its dialog is open."""
    api.person.attentive.clear()
    api.person.is_asked.clear()
    request = asyncio.ensure_future(work)
    async with asyncio.timeout(5):
        await api.person.is_asked.wait()
    return request


@shut_out_by
async def test_a_login_that_waits_for_the_pin_is_over(api: Workbench, shut_out: ShutOut, code: str) -> None:
    secret = await api.pair()
    login = await asked(api, api.call("POST", "/v1/sessions", LOGIN, bearer=secret))
    assert (await shut_out(api, secret.partition(".")[0])).status == 204
    assert (await asyncio.wait_for(login, 5)).code == code
    assert (api.person.open, api.sessions.of(api.uid or 0)) == ([], [])


@shut_out_by
async def test_a_login_whose_pin_is_on_its_way_to_the_card_opens_nothing(
    api: Workbench, shut_out: ShutOut, code: str
) -> None:
    begun, gone = threading.Event(), threading.Event()

    def stop_the_card() -> None:
        begun.set()
        assert gone.wait(5)

    secret = await api.pair()
    api.reader.do_during(VERIFY, stop_the_card)
    login = asyncio.ensure_future(api.call("POST", "/v1/sessions", LOGIN, bearer=secret))
    await eventually(begun.is_set)
    assert (await shut_out(api, secret.partition(".")[0])).status == 204
    gone.set()
    assert (await asyncio.wait_for(login, 5)).code == code
    assert api.sessions.of(api.uid or 0) == []


@shut_out_by
async def test_the_events_of_a_program_that_is_shut_out_end(api: Workbench, shut_out: ShutOut, code: str) -> None:
    secret = await api.pair()
    async with stream(api, via="v4", Authorization=f"Bearer {secret}") as next_event:
        await next_event()
        await shut_out(api, secret.partition(".")[0])
        api.reader.remove()
        with pytest.raises(ValueError, match="dictionary"):  # no line comes any more
            await asyncio.wait_for(next_event(), 5)
    assert (await api.call("GET", "/v1/events", bearer=secret)).code == code


async def test_a_dialog_of_a_session_that_was_logged_out_closes(api: Workbench) -> None:
    path, token = await api.logged_in()
    signing = await asked(api, api.call("POST", f"{path}/signatures", SIGN, bearer=token))
    assert (await api.call("DELETE", path, via="unix")).status == 204
    got = await asyncio.wait_for(signing, 5)
    assert (got.code, api.person.open) == ("session.closed", [])
    assert api.audit.entries[-1].code == "session.closed"  # and not that its program hung up


async def test_a_dialog_whose_card_was_taken_out_says_so(api: Workbench) -> None:
    path, token = await api.logged_in()
    signing = await asked(api, api.call("POST", f"{path}/signatures", SIGN, bearer=token))
    api.reader.remove()
    assert (await asyncio.wait_for(signing, 5)).code == "card.removed"


async def test_who_logs_out_to_take_a_dialog_back_is_counted_as_one_that_was_refused(api: Workbench) -> None:
    secret = await api.pair()
    for _ in range(3):
        api.person.attentive.set()
        api.person.pins = [PIN]
        path, token = await api.login(secret)
        signing = await asked(api, api.call("POST", f"{path}/signatures", SIGN, bearer=token))
        await api.call("DELETE", path, bearer=token)
        assert (await asyncio.wait_for(signing, 5)).code == "session.closed"
    assert (await api.call("POST", "/v1/sessions", LOGIN, bearer=secret)).code == "consent.refused_often"


async def test_a_page_that_was_forgotten_reads_no_certificate_unasked_when_it_is_let_in_again(
    started: Start, api: Workbench, tmp_path_factory: pytest.TempPathFactory
) -> None:
    asking = await started(Workbench(tmp_path_factory.mktemp("asking"), Config(web=Web(unknown_origins="ask"))))
    card = asking.readers.cards()[0].id
    for times in (1, 2):
        entered = (await asking.enter(PAGE["Origin"])).text("token")
        got = await asking.call("GET", f"/v1/cards/{card}/certificates", bearer=entered, headers=PAGE)
        assert got.status == 200
        assert asking.person.topics().count("certificates") == times
        assert (await unpaired(asking, PAGE["Origin"])).status == 204
