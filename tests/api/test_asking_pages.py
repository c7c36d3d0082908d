"""``unknown_origins = "ask"``: a page of an unknown https origin may ask the user to be let in, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from cardd.agent.texts import confirm_words
from cardd.config import Config, Web
from cardd.errors import ConsentTimeout
from cardd.model import Choice
from tests.api.workbench import SOFTWARE, Got, Workbench

STRANGER = "https://nouveau.example"
ORIGIN = {"Origin": STRANGER}


@pytest.fixture
async def api(started: Callable[[Workbench], Awaitable[Workbench]], tmp_path: Path) -> Workbench:
    return await started(Workbench(tmp_path, Config(web=Web(unknown_origins="ask"))))


async def ask(api: Workbench, origin: str = STRANGER, *, ask: bool = True) -> Got:
    return await api.enter(origin, ask=ask)


async def cards(api: Workbench, entered: Got) -> Got:
    return await api.call("GET", "/v1/cards", bearer=entered.text("token"), headers=ORIGIN)


async def test_the_user_lets_a_page_in(api: Workbench) -> None:
    got = await ask(api)
    assert got.status == 201
    assert (got.json["origin"], got.json["rights"]) == (STRANGER, ["detect", "holder", "authenticate", "sign"])
    assert got.headers["Access-Control-Allow-Origin"] == STRANGER
    until = (api.clock.now() + timedelta(days=180)).date().isoformat()
    shown = {"origin": STRANGER, "may_holder": "", "may_authenticate": "", "may_sign": ""}
    assert [(q.topic, q.params, q.third) for q in api.person.questions] == [
        ("origin", {**shown, "until": until}, Choice.ALWAYS)
    ]
    assert (await cards(api, got)).status == 200
    assert (await ask(api)).status == 201
    assert len(api.person.questions) == 1


async def test_a_page_may_see_that_cardd_is_here_before_it_asks(api: Workbench) -> None:
    got = await api.call("GET", "/v1/status", headers=ORIGIN)
    assert (got.status, got.json["name"], got.headers["Access-Control-Allow-Origin"]) == (200, "cardd", STRANGER)


@pytest.mark.parametrize("path", ["/v1/clients", "/v1/clients/challenges"])
async def test_the_preflight_of_a_page_that_asks_is_answered(api: Workbench, path: str) -> None:
    asked = {**ORIGIN, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    got = await api.call("OPTIONS", path, headers=asked)
    assert got.status == 204
    assert got.headers["Access-Control-Allow-Origin"] == STRANGER


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/status"),
        ("GET", "/v1/cards"),
        ("GET", "/v1/clients"),
        ("POST", "/v1/sessions"),
        ("POST", "/v1/clients?x=1"),
        ("OPTIONS", "/v1/clients"),
        ("OPTIONS", "/v1/sessions"),
    ],
)
async def test_nothing_else_is_open_to_it(api: Workbench, method: str, path: str) -> None:
    got = await api.call(method, path, headers=ORIGIN)
    assert got.status == 403
    assert "Access-Control-Allow-Origin" not in got.headers


@pytest.mark.parametrize(
    "origin",
    [
        "http://nouveau.example",
        "null",
        "https://localhost",
        "https://127.0.0.1",
        "https://[::1]",
        "https://nouveau.example:443",
        "https://nouveau.example.",
        "https://NOUVEAU.example",
        "https://user@nouveau.example",
        "https://nouveau.example/",
        "https://nouveaé.example",
        "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
        "https://" + "a." * 120 + "example",
    ],
)
async def test_only_a_well_formed_https_origin_is_worth_a_dialog(api: Workbench, origin: str) -> None:
    got = await ask(api, origin)
    assert got.status == 403
    assert "Access-Control-Allow-Origin" not in got.headers
    assert api.person.questions == []


@pytest.mark.parametrize(
    ("label", "reads"),
    [
        ("xn--pypal-4ve", "p\u0430ypal"),  # a Cyrillic letter
        ("xn--bankevil-tu3d", "bank evil"),  # and what would turn the rest of the line
        ("xn--a-qc4g", "a"),  # half of a surrogate pair
        ("xn--99999999999999999999999", "xn--99999999999999999999999"),  # no punycode
    ],
)
async def test_an_origin_in_punycode_is_shown_in_full_and_as_it_reads(api: Workbench, label: str, reads: str) -> None:
    origin = f"https://{label}.example:8443"
    assert (await ask(api, origin)).status == 201
    [question] = api.person.questions
    first, *_, warning = [
        line for line in confirm_words(question, "en", 60).description.splitlines() if "exampl" in line
    ]
    assert first.startswith(f"The site {origin} asks ")
    assert warning == f"Careful: other alphabet. The name reads “{reads}.example:8443”."


async def test_a_refused_page_is_not_asked_about_again(api: Workbench) -> None:
    api.person.choice = Choice.NO
    got = await ask(api)
    assert got.code == "client.pairing_refused"
    assert got.headers["Access-Control-Allow-Origin"] == STRANGER
    again = await ask(api)
    assert again.code == "client.pairing_refused"
    assert (await ask(api, ask=False)).code == "client.pairing_refused"
    assert (await api.call("GET", "/v1/cards", headers=ORIGIN)).code == "request.forbidden"
    assert len(api.person.questions) == 1


async def test_nor_is_one_whose_dialog_was_left_open(api: Workbench) -> None:
    api.person.fault = ConsentTimeout()
    assert (await ask(api)).code == "consent.timeout"
    api.person.fault = None
    assert (await ask(api)).status == 403
    assert len(api.person.questions) == 1


async def test_one_such_dialog_is_open_at_a_time(api: Workbench) -> None:
    api.person.attentive.clear()
    first = asyncio.ensure_future(ask(api))
    await api.person.is_asked.wait()
    second = await ask(api, "https://autre-nouveau.example")
    assert second.code == "request.too_many"
    api.person.attentive.set()
    assert (await first).status == 201


async def test_an_origin_remembered_for_good_is_listed_and_can_be_forgotten(api: Workbench) -> None:
    api.person.choice = Choice.ALWAYS
    await ask(api)
    listed = await api.call("GET", "/v1/clients", via="unix")
    assert listed.text("clients", 0, "id") == STRANGER
    assert listed.text("clients", 0, "kind") == "origin"
    gone = await api.call("DELETE", "/v1/clients/https%3A%2F%2Fnouveau.example", via="unix")
    assert gone.status == 204
    assert (await api.call("GET", "/v1/cards", headers=ORIGIN)).status == 403


async def test_a_page_names_no_program(api: Workbench) -> None:
    got = await api.call("POST", "/v1/clients", SOFTWARE, headers=ORIGIN)
    assert got.code == "request.invalid"
    assert api.person.questions == []
