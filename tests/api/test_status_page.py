"""The status page's gate: who loads it, who gets a pass for a link, and what that pass may do."""

from __future__ import annotations

import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from urllib.parse import quote

import pytest

from cardd.api.handshake import Contexts
from cardd.core.programs import ProgramRight, Wanted, program_id
from cardd.core.status_pages import StatusPages
from cardd.model import Caller, CallerKind, Peer
from tests.api.ecps import ends_in, pending
from tests.api.test_origins import FETCHED_OTHERWISE
from tests.api.workbench import PAGE, Got, Workbench
from tests.rig.waiting import eventually

LINKS, ENTRY = "/v1/status-page/links", "/v1/status-page/sessions"
TYPED = {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
OTHER = 1001


def own(api: Workbench) -> dict[str, str]:
    """What a browser says of a script of the page's."""
    host = api.parts.status_pages.host
    return {**SAME_ORIGIN, "Host": host, "Origin": f"http://{host}"}


async def link(api: Workbench) -> str:
    """What stands behind the # of a new link."""
    got = await api.call("POST", LINKS, {}, via="unix")
    address, _, secret = got.text("url").partition("/#")
    assert address == own(api)["Origin"]
    return secret


async def enter(api: Workbench, secret: str) -> Got:
    return await api.call("POST", ENTRY, {"link": secret}, headers=own(api))


async def page(api: Workbench) -> str:
    """The pass of a tab with the page."""
    return (await enter(api, await link(api))).text("token")


async def as_page(api: Workbench, method: str, path: str, token: str, body: object = None) -> Got:
    sent = {name: value for name, value in own(api).items() if method != "GET" or name != "Origin"}
    return await api.call(method, path, body, bearer=token, headers=sent)


async def test_who_types_the_address_gets_a_page_with_the_hint_and_nothing_of_this_workstation(api: Workbench) -> None:
    for headers in (TYPED, {}):  # a browser, and curl
        got = await api.call("GET", "/", headers=headers)
        assert got.status == 200
        assert "cardctl open" in got.raw.decode()
        policy = got.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert not {"<script>", "style=", "onclick", "http:", "https:"} & set(got.raw.decode().split())
    for name in ("/status.css", "/status.js"):
        assert (await api.call("GET", name)).status == 200


@pytest.mark.parametrize("sent", [one for one in FETCHED_OTHERWISE if one != TYPED])
async def test_no_other_page_frames_links_to_or_loads_it(api: Workbench, sent: dict[str, str]) -> None:
    for path in ("/", "/status.css", "/status.js"):
        assert (await api.call("GET", path, headers=sent)).code == "request.forbidden"


async def test_a_link_opens_the_page_once_and_the_page_sees_what_its_person_sees(api: Workbench) -> None:
    path, _ = await api.logged_in()
    secret = await link(api)
    entered = await enter(api, secret)
    assert entered.status == 201
    assert (await enter(api, secret)).code == "page.link_invalid"
    token = entered.text("token")
    for read in ("status", "readers", "cards?pin=true", "methods", "sessions", "clients"):
        assert (await as_page(api, "GET", f"/v1/{read}", token)).status == 200
    sessions = await as_page(api, "GET", "/v1/sessions", token)
    assert sessions.text("sessions", 0, "client") == "LPS de test"
    assert (await as_page(api, "DELETE", path, token)).status == 204
    assert (await as_page(api, "GET", "/v1/sessions", token)).json["sessions"] == []


async def test_links_and_passes_end(api: Workbench) -> None:
    secret, token = await link(api), await page(api)
    api.clock.seconds += 121
    assert (await enter(api, secret)).code == "page.link_invalid"
    assert (await as_page(api, "GET", "/v1/cards", token)).status == 200
    api.clock.seconds += 8 * 3600
    assert (await as_page(api, "GET", "/v1/cards", token)).code == "request.forbidden"


async def test_another_user_who_read_the_link_or_the_pass_has_nothing(api: Workbench) -> None:
    secret, token = await link(api), await page(api)
    api.turn_to(OTHER)
    assert (await enter(api, secret)).code == "page.link_invalid"
    assert (await as_page(api, "GET", "/v1/cards", token)).code == "request.forbidden"
    api.turn_to(os.getuid())
    assert (await enter(api, secret)).status == 201  # and nobody used it up


async def test_a_program_that_is_no_browser_has_no_page(api: Workbench) -> None:
    secret = await link(api)
    api.browsers.stranger_is = "/usr/bin/curl"
    api.forget_connections()
    assert (await enter(api, secret)).code == "page.not_a_browser"


async def test_the_pass_serves_no_other_page_and_no_program(api: Workbench) -> None:
    token = await page(api)
    assert (await api.call("GET", "/v1/cards", bearer=token)).code == "client.unknown"
    assert (await api.call("GET", "/v1/clients", bearer=token)).code == "request.forbidden"
    at_own = {"Host": own(api)["Host"]}
    for headers in (
        {"Origin": PAGE},
        {"Origin": PAGE, **SAME_ORIGIN, "Sec-Fetch-Site": "cross-site"},
        {**SAME_ORIGIN, "Sec-Fetch-Site": "same-site"},
        {**SAME_ORIGIN, "Sec-Fetch-Site": "same-site", "Origin": api.base()},
        {**SAME_ORIGIN, "Sec-Fetch-Mode": "no-cors"},
        {**SAME_ORIGIN, "Origin": "http://127.0.0.1:1"},
        SAME_ORIGIN,  # a page of 127.0.0.1, which another program may have put there
        {**SAME_ORIGIN, "Origin": api.base()},
    ):
        for sent in (headers, {**headers, **at_own}):
            if sent != {**SAME_ORIGIN, **at_own}:
                assert (await api.call("GET", "/v1/clients", bearer=token, headers=sent)).status in (401, 403), sent
    # curl says what it likes, and no browser's word
    for headers in ({"Origin": PAGE}, {"Origin": own(api)["Origin"]}, {}):
        for sent in (headers, {**headers, **at_own}):
            got = await api.call("POST", ENTRY, {"link": await link(api)}, headers=sent)
            assert got.code == "request.forbidden", sent


async def test_the_pages_own_name_serves_the_page_alone_and_changes_with_each_start(api: Workbench) -> None:
    host = own(api)["Host"]
    assert (await api.call("GET", "/", headers={"Host": host, **TYPED})).status == 200
    for path in ("/v1/status", "/cardd.js", "/openapi.json", "/v1/cards"):
        for headers in ({}, TYPED, SAME_ORIGIN, {"Origin": PAGE}):
            got = await api.call("GET", path, headers={"Host": host, **headers})
            assert got.code == "request.forbidden", (path, headers)
    assert (await api.call("GET", "/v1/status", via="unix", headers={"Host": host})).code == "request.forbidden"
    assert StatusPages(api.clock).host != host


async def test_the_page_can_begin_nothing_that_is_for_programs_or_support(api: Workbench) -> None:
    token = await page(api)
    tries: list[tuple[str, str, object]] = [
        ("POST", "/v1/clients", {"name": "LPS", "vendor": "x", "software_id": "x"}),
        ("POST", "/v1/clients", {"page_key": None}),
        ("POST", "/v1/clients/challenges", {}),
        ("POST", "/v1/sessions", {"method": "cpx"}),
        ("GET", f"/v1/cards/{api.readers.cards()[0].id}/certificates", None),
        ("POST", "/v1/support/enrolment", {}),
        ("POST", "/v1/support/traces", {"full": False}),
        ("POST", LINKS, {}),
        ("POST", "/v1/origins", {"origin": "https://site.example"}),
    ]
    dialogs = len(api.person.questions)
    for method, path, body in tries:
        assert (await as_page(api, method, path, token, body)).status in (401, 403), path
    assert len(api.person.questions) == dialogs


async def test_the_page_locks_and_changes_the_pin_by_its_persons_dialogs(api: Workbench) -> None:
    path, _ = await api.logged_in()
    token = await page(api)
    assert (await as_page(api, "POST", f"{path}/lock", token, {})).status == 204
    assert (await as_page(api, "GET", "/v1/sessions", token)).text("sessions", 0, "state") == "locked"
    api.person.pins = []
    change = f"/v1/cards/{api.readers.cards()[0].id}/pin-changes"
    assert (await as_page(api, "POST", change, token, {})).code == "pin.cancelled"
    assert api.person.pin_questions[-1].question.params["client"] == api.base()


async def test_a_session_without_a_card_has_no_pin_to_forget_and_stays_open(desk: Workbench) -> None:
    path, token = await pending(desk)
    assert await ends_in(desk, path, token) == (200, "active")
    its_page = await page(desk)
    listed = await as_page(desk, "GET", "/v1/sessions", its_page)
    assert listed.json["sessions"][0]["card"] is None  # type: ignore[index]
    for got in (
        await as_page(desk, "POST", f"{path}/lock", its_page, {}),
        await desk.call("POST", f"{path}/lock", {}, bearer=token),
    ):
        assert (got.status, got.code) == (422, "request.invalid")
    assert (await desk.call("GET", path, bearer=token)).text("state") == "active"


async def test_the_page_shuts_out_programs_and_sites_of_its_person_only(api: Workbench) -> None:
    secret = await api.pair()
    token = await page(api)
    got = await as_page(api, "GET", "/v1/clients", token)
    identifier = got.text("clients", 0, "id")
    api.turn_to(OTHER)
    other = await page(api)
    assert (await as_page(api, "DELETE", f"/v1/clients/{identifier}", other)).code == "client.not_found"
    api.turn_to(os.getuid())
    assert (await as_page(api, "DELETE", f"/v1/clients/{identifier}", token)).status == 204
    assert (await api.call("GET", "/v1/cards", bearer=secret)).code == "client.unknown"
    site = quote(PAGE, safe="")
    assert (await as_page(api, "DELETE", f"/v1/origins/{site}", token)).status == 204
    assert (await api.enter(PAGE, ask=False)).code == "page.consent_needed"


async def test_the_page_lists_and_shuts_out_programs_that_use_the_card_by_themselves(api: Workbench) -> None:
    path, uid = "/usr/bin/a browser", os.getuid()
    program = Caller(CallerKind.LOCAL, program_id(path), path, "", Peer(uid))
    await api.parts.programs.admit(program, Wanted(ProgramRight.TLS), is_lasting=True)
    address, token = f"/v1/programs/{quote(path, safe='')}", await page(api)

    got = await as_page(api, "GET", "/v1/programs", token)
    assert (got.text("programs", 0, "path"), got.text("programs", 0, "rights", 0)) == (path, "tls")
    api.turn_to(OTHER)
    assert (await as_page(api, "DELETE", address, await page(api))).code == "program.not_found"
    api.turn_to(uid)
    assert (await as_page(api, "DELETE", address, token)).status == 204
    assert (await as_page(api, "GET", "/v1/programs", token)).json["programs"] == []


async def test_the_page_has_its_persons_rows_and_no_documents_name(api: Workbench) -> None:
    await api.logged_in()
    told = (await as_page(api, "GET", "/v1/audit", await page(api))).json["rows"]
    assert isinstance(told, list)
    assert {"client.pair", "session.open"} <= {row["action"] for row in told}
    assert all(row.keys() <= {"number", "time", "action", "outcome", "program", "code", "request"} for row in told)
    api.turn_to(OTHER)
    assert (await as_page(api, "GET", "/v1/audit", await page(api))).json["rows"] == []


async def test_to_open_the_page_is_no_act_of_its_own(api: Workbench) -> None:
    assert (await as_page(api, "GET", "/v1/origins", await page(api))).status == 200
    await api.pair()
    await eventually(lambda: "client.pair done" in api.audit.acts())
    assert "origin.list done" not in api.audit.acts()


class OneFamily(Workbench):
    """One that somebody's socket unit gave 127.0.0.1 alone."""

    def _listen(self) -> Sequence[tuple[socket.socket, Contexts | None]]:
        four, six, unix = super()._listen()
        six[0].close()
        return four, unix


class AlsoOverTls(Workbench):
    """One that serves https too, on another port."""

    def _listen(self) -> Sequence[tuple[socket.socket, Contexts | None]]:
        tls = socket.socket()
        tls.bind(("127.0.0.1", 0))
        return *super()._listen(), (tls, lambda: None)


async def test_where_another_program_could_answer_for_the_page_there_is_no_link(
    started: Callable[[Workbench], Awaitable[Workbench]], tmp_path: Path
) -> None:
    got = await (await started(OneFamily(tmp_path))).call("POST", LINKS, {}, via="unix")
    assert (got.status, got.code) == (503, "page.status_unserved")


async def test_the_page_is_where_plain_http_is_served(
    started: Callable[[Workbench], Awaitable[Workbench]], tmp_path: Path
) -> None:
    api = await started(AlsoOverTls(tmp_path))
    got = await api.call("POST", LINKS, {}, via="unix")
    assert f".localhost:{api.port}/#" in got.text("url")
