"""``cardctl simulate psc-proxy``: cardd logs in through it as through an editor's server."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from cardd.config.loading import parse
from tests.api.ecps import LOGIN, ends_in, pair, pending
from tests.api.workbench import Workbench
from tests.rig.memory import RunningClock
from tests.rig.psc_simulator import CLIENT, PscSimulator
from tests.rig.waiting import eventually

ALICE, CLAIRE = "899700000005", "899700000013"
START = {"start": "2020-01-01T00:00:00Z"}


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PscSimulator]:
    running = PscSimulator(tmp_path_factory.mktemp("psc-proxy"), "psc-proxy")
    running.start("--set", "sessions=person")
    yield running
    assert running.stop() == 0


@pytest_asyncio.fixture
async def api(simulator: PscSimulator, tmp_path: Path) -> AsyncIterator[Workbench]:
    made = Workbench(tmp_path, parse(simulator.configuration), clock=RunningClock())
    made.person.attentive.clear()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def http(simulator: PscSimulator) -> AsyncIterator[aiohttp.ClientSession]:
    tls = ssl.create_default_context(cafile=str(simulator.authorities))
    jar = aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(
        simulator.base, connector=aiohttp.TCPConnector(ssl=tls), cookie_jar=jar
    ) as session:
        yield session


async def logged_in(api: Workbench, simulator: PscSimulator, secret: str, who: str) -> tuple[str, str]:
    path, token = await pending(api, {**LOGIN, "login_hint": who}, secret)
    assert f"of {who}" in await asyncio.to_thread(simulator.next_line)
    told = await asyncio.to_thread(simulator.tell, "approve")
    assert (told.returncode, who in told.stdout) == (0, True), told.stderr
    assert await ends_in(api, path, token) == (200, "active")
    return path, token


async def test_who_agrees_on_the_mobile_has_a_session_by_the_section_that_it_tells(
    api: Workbench, simulator: PscSimulator, http: aiohttp.ClientSession
) -> None:
    path, token = await logged_in(api, simulator, await pair(api), CLAIRE)
    got = await api.call("GET", path, bearer=token)
    assert (got.text("identity", "given_name"), got.text("identity", "national_id")) == ("CLAIRE", CLAIRE)
    assert [one["id"] for one in got.json["situations"]] == ["1.1", "1.2", "2.1"]  # type: ignore[attr-defined]
    assert got.json["identity"]["is_test"] is True  # type: ignore[index]
    await api.call("DELETE", path, bearer=token)

    async def told() -> list[str]:
        traces = await (await http.get("/traces", params=START)).json()
        return [trace["type"] for trace in traces if trace["IdRPPS"] == CLAIRE]

    for _ in range(100):
        if "DISCONNECT" in await told():
            break
        await asyncio.sleep(0.05)
    assert await told() == ["CONNECT_SUCCESS", "SEND", "DISCONNECT"]


async def test_a_session_that_it_has_already_is_one_once_the_person_says_so(
    api: Workbench, simulator: PscSimulator
) -> None:
    secret = await pair(api)
    await logged_in(api, simulator, secret, ALICE)
    path, token = await pending(api, {**LOGIN, "login_hint": ALICE}, secret)
    await eventually(lambda: "ecps_active" in api.person.open)
    api.person.attentive.set()
    assert await ends_in(api, path, token) == (200, "active")


async def test_refused_on_the_mobile_and_unknown_are_told(api: Workbench, simulator: PscSimulator) -> None:
    secret = await pair(api)
    path, token = await pending(api, {**LOGIN, "login_hint": "899700009999"}, secret)
    assert await ends_in(api, path, token) == (422, "psc.login_hint")
    path, token = await pending(api, {**LOGIN, "login_hint": CLAIRE}, secret)
    await asyncio.to_thread(simulator.next_line)
    assert (await asyncio.to_thread(simulator.tell, "deny")).returncode == 0
    assert await ends_in(api, path, token) == (403, "psc.denied")


async def test_what_is_not_the_contract_s_is_refused_as_ans_s_own_server_does(http: aiohttp.ClientSession) -> None:
    asked = {"nationalId": ALICE, "bindingMessage": "42", "clientId": CLIENT, "channel": "MOBILE"}
    for wrong, status in (
        ({"channel": "PIGEON"}, 400),
        ({"bindingMessage": "420"}, 400),
        ({"bindingMessage": None}, 400),
        ({"clientId": "another"}, 404),
        ({"nationalId": "899700009999"}, 404),
    ):
        answer = await http.post("/connect", json={**asked, **wrong})
        assert (answer.status, (await answer.json())["code"]) == (status, str(status))
    assert (await http.post("/connect", data=b"[")).status == 400
    assert (await http.delete("/disconnect")).status == 401
    assert (await http.get("/send/userinfo")).status == 401
    assert (await http.get("/send/elsewhere")).status == 401
    assert (await http.get("/traces")).status == 400


def test_a_choice_that_it_does_not_know_is_told(simulator: PscSimulator) -> None:
    told = simulator.tell("--set", "sessions=never")
    assert (told.returncode != 0, "sessions=person" in told.stderr) == (True, True)
