"""An Origin is a page's only when a browser sends it: any other program that sends one gets nothing, and a row."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from cardd.config import Config
from cardd.errors import BrowserUnseen
from tests.api.requests import UPGRADE
from tests.api.workbench import PAGE, Workbench

CURL = "/usr/bin/curl"
FROM_A_PAGE = {"Origin": PAGE}


async def test_a_program_with_the_origin_of_an_allowed_page_opens_no_session(api: Workbench) -> None:
    api.browsers.stranger_is = CURL
    got = await api.call("POST", "/v1/sessions", {"method": "cpx"}, headers=FROM_A_PAGE)
    assert (got.status, got.code) == (403, "page.not_a_browser")
    assert got.headers["Access-Control-Allow-Origin"] == PAGE  # a browser that cardd does not know may tell its page
    assert CURL not in got.raw.decode()
    assert (api.person.questions, api.person.pin_questions) == ([], [])
    [row] = api.audit.entries
    assert (row.action, row.outcome, row.code) == ("page.call", "refused", "page.not_a_browser")
    assert (row.caller, row.caller_name) == (PAGE, CURL)


@pytest.mark.parametrize("path", ["/v1/status", "/v1/methods", "/v1/cards", "/v1/events", "/openapi.json", "/nowhere"])
async def test_a_program_with_the_origin_of_a_page_gets_nothing_at_any_other_door(api: Workbench, path: str) -> None:
    api.browsers.stranger_is = ""
    assert (await api.call("GET", path, headers=FROM_A_PAGE)).code == "page.not_a_browser"
    upgrade = dict(header.split(": ") for header in UPGRADE)
    assert (await api.call("GET", path, headers={**FROM_A_PAGE, **upgrade})).code == "page.not_a_browser"


async def test_a_pages_token_in_the_hands_of_a_program_is_worth_nothing(api: Workbench) -> None:
    opened = await api.call("POST", "/v1/sessions", {"method": "cpx"}, headers=FROM_A_PAGE)
    path, token = opened.headers["Location"], opened.text("token")
    api.browsers.stranger_is = CURL
    api.forget_connections()
    asked = await api.call("POST", f"{path}/auth-tokens", {"nonce": "A" * 44}, bearer=token, headers=FROM_A_PAGE)
    assert asked.code == "page.not_a_browser"
    assert (await api.call("GET", path, bearer=token)).code == "session.unknown"  # nor without the Origin


async def test_a_program_cannot_ask_in_the_name_of_an_unknown_page(
    started: Callable[[Workbench], Awaitable[Workbench]], tmp_path: Path
) -> None:
    config = Config(web=replace(Config().web, unknown_origins="ask"))
    api = await started(Workbench(tmp_path, config))
    api.browsers.stranger_is = CURL
    for number in range(20):
        got = await api.call("POST", "/v1/clients", {}, headers={"Origin": f"https://page-{number}.example"})
        assert got.code == "page.not_a_browser"
    assert (api.person.questions, api.person.pin_questions) == ([], [])
    [row] = api.audit.entries  # however many origins it takes
    assert (row.caller, row.caller_name) == (f"local:{api.uid}", CURL)


async def test_a_connection_is_looked_at_once(api: Workbench) -> None:
    for _ in range(3):
        assert (await api.call("GET", "/v1/cards", headers=FROM_A_PAGE)).status == 200
    assert api.browsers.looks == 1
    api.forget_connections()
    assert (await api.call("GET", "/v1/cards", headers=FROM_A_PAGE)).status == 200
    assert api.browsers.looks == 2


async def test_neither_programs_nor_refused_origins_cost_a_look(api: Workbench) -> None:
    assert (await api.call("GET", "/v1/status")).status == 200
    assert (await api.call("GET", "/v1/status", headers={"Origin": "https://evil.test"})).status == 403
    assert (await api.call("OPTIONS", "/v1/sessions", headers=FROM_A_PAGE)).status == 204
    assert api.browsers.looks == 0


async def test_a_page_whose_browser_nobody_sees_is_told_so_and_served_once_somebody_does(api: Workbench) -> None:
    api.browsers.stranger_is = BrowserUnseen()
    got = await api.call("GET", "/v1/cards", headers=FROM_A_PAGE)
    assert (got.status, got.code, got.json["retryable"]) == (503, "page.browser_unseen", True)
    assert got.headers["Access-Control-Allow-Origin"] == PAGE
    api.browsers.stranger_is = None
    assert (await api.call("GET", "/v1/cards", headers=FROM_A_PAGE)).status == 200
