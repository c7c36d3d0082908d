"""One request, known by one name from the answer to the card, the dialog, the audit log and the journal's line."""

from __future__ import annotations

import asyncio
import logging
from base64 import b64encode
from datetime import timedelta
from typing import cast
from uuid import uuid4

import pytest

from cardd.core.session import Pending
from cardd.request import Request, Where, current, working_on
from tests.api.test_traces import following
from tests.api.workbench import PAGE, Json, Workbench

REQUEST = "X-Request-ID"


async def test_a_request_has_one_name_everywhere(api: Workbench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "cardd.core.observer")
    secret, name = await api.pair(), str(uuid4())
    async with following(api) as trace:
        got = await api.call("POST", "/v1/sessions", {"method": "cpx"}, bearer=secret, headers={REQUEST: name})
        told = [await trace.next()]
        while told[-1][0] != "request" or told[-1][1]["name"] != "POST /v1/sessions":
            told.append(await trace.next())
    assert (got.status, got.headers[REQUEST]) == (201, name)
    ours = [(kind, one) for kind, one in told if one.get("request") == name]
    assert {"exchange", "dialog", "request"} <= {kind for kind, _ in ours}
    assert {one["instruction"] for kind, one in ours if kind == "exchange"} >= {"READ BINARY", "VERIFY"}
    assert [entry.request for entry in api.audit.entries if entry.action == "session.open"] == [name]
    [line] = [one for one in caplog.records if "POST /v1/sessions:" in one.getMessage()]
    assert line.getMessage().startswith("POST /v1/sessions: 201 (person ")


@pytest.mark.parametrize(
    ("status", "code", "knows"), [(200, None, False), (409, "card.busy", False), (202, None, True)]
)
async def test_what_begins_in_a_request_and_comes_after_it_has_not_its_name(
    api: Workbench, status: int, code: str | None, *, knows: bool
) -> None:
    """Timers and tasks know the context that they began in; one that is accepted (202) goes on with its work."""
    loop, observer = asyncio.get_running_loop(), api.parts.observer
    request = Request(observer, name="POST /v1/sessions")
    with working_on(request):
        later: asyncio.Future[Request | None] = loop.create_future()
        loop.call_later(0.05, lambda: later.set_result(current()))
        observer.ended(request, status, code)
        assert current() is request or status == 200  # its own line in the log has its name still
    assert (await later is request) is knows


async def test_a_login_by_mobile_has_its_requests_name_until_it_is_decided(api: Workbench) -> None:
    observer = api.parts.observer
    _, session = await api.logged_in(), next(iter(api.sessions.every()))
    request = Request(observer, name="POST /v1/sessions", session=session.id)
    with working_on(request):
        observer.ended(request, 202)
        await asyncio.sleep(0)
        assert current() is request
        observer.session_closed(session, "logout")
        await asyncio.sleep(0)
        assert current() is None


async def test_where_the_seconds_of_a_request_went_is_told(api: Workbench) -> None:
    secret = await api.pair()
    api.person.attentive.clear()
    asyncio.get_running_loop().call_later(0.3, api.person.attentive.set)
    async with following(api) as trace:
        await api.call("POST", "/v1/sessions", {"method": "cpx"}, bearer=secret)
        kind, told = await trace.next()
        while kind != "request" or told["name"] != "POST /v1/sessions":
            kind, told = await trace.next()
    spent = cast(dict[str, int], told["spent"])
    assert set(spent) == {where.value for where in Where}
    assert 100_000 < spent["person"] < 1_500_000
    assert spent["card"] > 0
    assert spent["network"] == 0
    assert api.parts.observer.counts.seconds[Where.PERSON] >= 0.1
    assert api.parts.observer.counts.logins == {("cpx", "done"): 1}


@pytest.mark.parametrize(
    "told",
    [
        "",
        "Dupont",
        "1899700218896",
        "x" * 40,
        "deadbeef",
        "'; DROP",
        "a" * 65,
        "adele dupont 1899700218896",
        "80250000010123456789",
    ],
)
async def test_a_name_that_may_name_somebody_is_not_taken(api: Workbench, told: str) -> None:
    got = await api.call("GET", "/v1/status", headers={REQUEST: told} if told else {})
    assert got.headers[REQUEST] not in (told, "")
    assert len(got.headers[REQUEST]) == 16


async def test_a_page_may_name_its_requests_and_a_stranger_learns_no_name(api: Workbench) -> None:
    got = await api.call("GET", "/v1/readers", headers={"Origin": PAGE, REQUEST: "0123456789abcdef"})
    assert got.headers[REQUEST] == "0123456789abcdef"
    assert REQUEST in got.headers["Access-Control-Expose-Headers"]
    refused = await api.call("GET", "/v1/status", headers={"Origin": "https://elsewhere.example"})
    assert refused.status == 403
    assert REQUEST not in refused.headers


async def test_signatures_failures_and_dialogs_are_counted(api: Workbench) -> None:
    path, token = await api.logged_in()
    document: Json = {"document_name": "Ordonnance", "digest": b64encode(bytes(32)).decode()}
    await api.call("POST", f"{path}/signatures", document, bearer=token)
    refused = await api.call("POST", f"{path}/signatures", {**document, "algorithm": "RS512"}, bearer=token)
    await api.call("DELETE", path, bearer=token)
    await asyncio.sleep(0)
    counts = api.parts.observer.counts
    assert counts.signatures["raw", "done"] == 1
    assert counts.failures[str(refused.code)] == 1
    assert counts.dialogs["login", "answered"] == 1
    assert counts.sessions.total() == 1
    assert max(counts.sessions) >= 2  # the PIN, and the consent to the signature


async def test_a_login_that_nobody_finished_is_no_session_without_dialogs(api: Workbench) -> None:
    path, token = await api.logged_in()
    [agreed] = api.parts.sessions.every()
    wait = Pending(api.parts.clock.now() + timedelta(minutes=2))
    waiting, _ = api.parts.sessions.open(
        session_id="0",
        caller=agreed.caller,
        method="ecps",
        identity=agreed.identity,
        card=None,
        credentials={},
        pending=wait,
    )
    api.parts.sessions.close(waiting, "caller_left")
    counts = api.parts.observer.counts
    assert (counts.logins["ecps", "failed"], counts.sessions.total()) == (1, 0)
    await api.call("DELETE", path, bearer=token)
    assert counts.sessions.total() == 1
