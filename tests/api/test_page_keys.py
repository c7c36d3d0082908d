"""A page proves itself by a key that its browser keeps: whoever else sends the same Origin gets nothing."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest

from cardd.config import Config, Web
from cardd.core.page_passes import CHALLENGE_LIFETIME, PASS_LIFETIME
from cardd.errors import ConsentTimeout
from cardd.model import Choice
from tests.api.test_events import hears_nothing, stream
from tests.api.workbench import ALLOWED, CHALLENGES, PAGE, PAGE_WITH_PORT, PIN, Got, Workbench
from tests.rig.memory import SwitchedStore
from tests.rig.page_keys import HEAD, BrowserKey, consents
from tests.rig.waiting import eventually

Start = Callable[[Workbench], Awaitable[Workbench]]

FROM_PAGE = {"Origin": PAGE}
LOGIN = {"method": "cpx"}


async def challenge(api: Workbench, origin: str = PAGE) -> str:
    return (await api.call("POST", CHALLENGES, {}, headers={"Origin": origin})).text("challenge")


async def proved(api: Workbench, proof: str, key: BrowserKey | None = None, origin: str = PAGE) -> Got:
    body = {"page_key": (key or api.key).jwk, "proof": proof}
    return await api.call("POST", "/v1/clients", body, headers={"Origin": origin})


def address(api: Workbench) -> str:
    return f"127.0.0.1:{api.port}"


# --- who has no proof


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/methods"),
        ("GET", "/v1/readers"),
        ("GET", "/v1/cards"),
        ("GET", "/v1/events"),
        ("GET", "/v1/events?ticket=made-up"),
        ("POST", "/v1/events/tickets"),
        ("POST", "/v1/sessions"),
        ("POST", "/v1/verifications"),
    ],
)
async def test_the_origin_of_a_listed_site_alone_opens_no_door(api: Workbench, method: str, path: str) -> None:
    for bearer in ("made-up", await api.pair()):  # a program's secret is no pass
        got = await api.call(method, path, {} if method == "POST" else None, bearer=bearer, headers=FROM_PAGE)
        assert (got.status, got.code) == (401, "page.proof_needed")
        assert got.headers["Access-Control-Allow-Origin"] == PAGE


async def test_a_pages_pass_is_no_programs_secret_nor_another_sites(api: Workbench) -> None:
    token = await api.page_pass(PAGE)
    assert (await api.call("GET", "/v1/cards", bearer=token)).code == "client.unknown"
    other = await api.call("GET", "/v1/cards", bearer=token, headers={"Origin": PAGE_WITH_PORT})
    assert other.code == "page.proof_needed"


async def test_another_browsers_key_is_asked_about_also_for_a_listed_site(api: Workbench) -> None:
    stranger = BrowserKey()
    assert (await api.enter(PAGE, stranger, ask=False)).code == "page.consent_needed"
    assert api.person.questions == []
    api.person.choice = Choice.NO
    assert (await api.enter(PAGE, stranger)).code == "client.pairing_refused"
    [question] = api.person.questions
    assert {"listed", "another", "may_relay"} <= question.params.keys()
    assert (await api.enter(PAGE, stranger)).code == "client.pairing_refused"
    assert len(api.person.questions) == 1
    assert (await api.enter(PAGE)).status == 201  # the browser that the person knows goes on


async def test_a_browser_that_nobody_answered_for_is_not_asked_about_again(api: Workbench) -> None:
    stranger = BrowserKey()
    api.person.fault = ConsentTimeout()
    assert (await api.enter(PAGE, stranger)).code == "consent.timeout"
    api.person.fault = None
    assert (await api.enter(PAGE, stranger)).code == "client.pairing_refused"


async def test_two_tabs_of_one_new_browser_share_a_dialog_and_its_answer(api: Workbench) -> None:
    for choice, status in ((Choice.YES, 201), (Choice.NO, 403)):
        api.person.choice, new = choice, BrowserKey()
        api.person.attentive.clear()
        asked = len(api.person.questions)
        tabs = [asyncio.ensure_future(api.enter(PAGE, new)) for _ in range(3)]
        await eventually(lambda: api.person.open == ["origin"])
        assert (await api.enter(PAGE, new, ask=False)).code == "page.consent_needed"  # who only looks waits for nobody
        api.person.attentive.set()
        assert [(await tab).status for tab in tabs] == [status] * 3
        assert len(api.person.questions) == asked + 1


async def test_a_tab_that_is_closed_leaves_the_dialog_to_the_other(api: Workbench) -> None:
    new = BrowserKey()
    api.person.attentive.clear()
    first = asyncio.ensure_future(api.enter(PAGE, new))
    await eventually(lambda: api.person.open == ["origin"])
    second = asyncio.ensure_future(api.enter(PAGE, new))
    await asyncio.sleep(0.05)
    first.cancel()
    await eventually(lambda: len(api.person.questions) == 2)  # it is asked anew, for the one that waits
    api.person.attentive.set()
    assert (await second).status == 201


async def test_a_refused_key_is_a_row_and_so_is_one_that_was_let_in(api: Workbench) -> None:
    api.person.choices = [Choice.NO, Choice.YES]
    for key in (BrowserKey(), BrowserKey()):
        await api.enter(PAGE, key)
    acts = [act for act in api.audit.acts() if act.startswith("origin")]
    assert acts == ["origin.allow refused", "origin.allow done"]


# --- what a proof is


async def test_a_challenge_serves_once(api: Workbench) -> None:
    proof = api.key.proof(await challenge(api), PAGE, address(api))
    assert (await proved(api, proof)).status == 201
    again = await proved(api, proof)
    assert (again.status, again.code, again.json["reason"]) == (401, "page.proof_invalid", "challenge")


async def test_a_challenge_ends_after_a_minute(api: Workbench) -> None:
    proof = api.key.proof(await challenge(api), PAGE, address(api))
    api.clock.seconds += CHALLENGE_LIFETIME
    assert (await proved(api, proof)).json["reason"] == "challenge"


async def test_a_challenge_is_of_one_site_one_user_and_one_daemon(
    api: Workbench, started: Start, tmp_path_factory: pytest.TempPathFactory
) -> None:
    others = await challenge(api, PAGE_WITH_PORT)
    assert (await proved(api, api.key.proof(others, PAGE, address(api)))).json["reason"] == "challenge"
    own = await challenge(api)
    api.turn_to(1000)
    assert (await proved(api, api.key.proof(own, PAGE, address(api)))).json["reason"] == "challenge"
    another = await started(Workbench(tmp_path_factory.mktemp("another")))
    api.turn_to(another.uid or 0)
    elsewhere = another.key.proof(await challenge(another), PAGE, address(api))
    assert (await proved(api, elsewhere, another.key)).json["reason"] == "challenge"


async def test_a_proof_is_for_this_site_this_address_and_by_this_key(api: Workbench) -> None:
    async def reason(origin: str = PAGE, place: str = "", by: BrowserKey = api.key) -> object:
        return (await proved(api, by.proof(await challenge(api), origin, place or address(api)))).json["reason"]

    assert await reason(origin=PAGE_WITH_PORT) == "origin"
    assert await reason(place=f"127.0.0.1:{api.port + 1}") == "address"  # asked for by a program on another port
    assert await reason(place=f"localhost:{api.port}") == "address"
    assert await reason(by=BrowserKey()) == "signature"


@pytest.mark.parametrize(
    ("head", "more"),
    [
        ({**HEAD, "alg": "none"}, {}),
        ({**HEAD, "alg": "HS256"}, {}),
        ({**HEAD, "typ": "JWT"}, {}),
        ({**HEAD, "jwk": {}}, {}),
        ({**HEAD, "crit": ["x"]}, {}),
        (HEAD, {"x": 1}),
        (HEAD, {"nonce": 1}),
        (HEAD, {"nonce": None}),
    ],
)
async def test_only_a_proof_of_the_one_form_is_taken(
    api: Workbench, head: dict[str, object], more: dict[str, object]
) -> None:
    claims = {"iss": PAGE, "aud": address(api), "nonce": await challenge(api), **more}
    assert (await proved(api, api.key.signed(claims, head))).json["reason"] == "form"


async def test_a_proof_that_readers_could_read_in_two_ways_is_none(api: Workbench) -> None:
    async def claims() -> dict[str, object]:
        return {"iss": PAGE, "aud": address(api), "nonce": await challenge(api)}

    for head in (b'{"alg":"none","alg":"ES256","typ":"cardd-page+jwt"}', json.dumps(HEAD).encode("utf-16")):
        assert (await proved(api, api.key.signed(await claims(), head))).json["reason"] == "form"
    twice = b'{"iss":"https://evil.example",' + json.dumps(await claims()).encode()[1:]
    assert (await proved(api, api.key.signed(twice))).json["reason"] == "form"


async def test_a_hundred_tabs_that_come_back_at_once_are_all_let_in(api: Workbench) -> None:
    assert {(await tab).status for tab in [asyncio.ensure_future(api.enter(PAGE)) for _ in range(100)]} == {201}


@pytest.mark.parametrize("proof", ["x", "a.b.c", "..", "e30.e30.", "é.é.é", "W10.W10." + "A" * 86, "[" * 2000])
async def test_what_is_no_proof_is_told_so(api: Workbench, proof: str) -> None:
    assert (await proved(api, proof)).json["reason"] == "form"


async def test_a_signature_changed_in_its_last_unused_bits_is_none(api: Workbench) -> None:
    proof = api.key.proof(await challenge(api), PAGE, address(api))
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    assert (await proved(api, proof[:-1] + letters[letters.index(proof[-1]) ^ 1])).json["reason"] == "form"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"x": "A" * 43}, "page.proof_invalid"),  # no point of the curve
        ({"x": "A" * 42}, "request.invalid"),
        ({"d": "A" * 43}, "request.invalid"),  # a private key stays where it is
        ({"crv": "P-384"}, "request.invalid"),
        ({"kty": "RSA"}, "request.invalid"),
    ],
)
async def test_only_a_public_key_on_the_one_curve_is_taken(
    api: Workbench, changed: dict[str, object], code: str
) -> None:
    proof = api.key.proof(await challenge(api), PAGE, address(api))
    body = {"page_key": {**api.key.jwk, **changed}, "proof": proof}
    assert (await api.call("POST", "/v1/clients", body, headers=FROM_PAGE)).code == code


async def test_a_program_gets_no_challenge(api: Workbench) -> None:
    for via in ("v4", "unix"):
        assert (await api.call("POST", CHALLENGES, {}, via=via)).code == "request.forbidden"


# --- how long it holds


async def test_a_pass_ends_after_five_minutes_and_the_session_waits_for_a_new_proof(api: Workbench) -> None:
    opened = await api.call("POST", "/v1/sessions", LOGIN, headers=FROM_PAGE)
    path, token = opened.headers["Location"], opened.text("token")
    old = await api.page_pass(PAGE)
    api.clock.seconds += PASS_LIFETIME
    assert (await api.call("GET", "/v1/cards", bearer=old, headers=FROM_PAGE)).code == "page.proof_needed"
    sign = {"digest": "A" * 43 + "=", "document_name": "compte rendu"}
    got = await api.call("POST", f"{path}/signatures", sign, bearer=token, headers=FROM_PAGE)
    assert got.code == "page.proof_needed"  # a token that was stolen is worth nothing without the key
    assert (await api.enter(PAGE)).status == 201
    assert (await api.call("POST", f"{path}/signatures", sign, bearer=token, headers=FROM_PAGE)).status == 200


async def test_another_browsers_proof_keeps_no_session_of_this_one_alive(api: Workbench) -> None:
    opened = await api.call("POST", "/v1/sessions", LOGIN, headers=FROM_PAGE)
    api.clock.seconds += PASS_LIFETIME
    assert (await api.enter(PAGE, BrowserKey())).status == 201
    got = await api.call("GET", opened.headers["Location"], bearer=opened.text("token"), headers=FROM_PAGE)
    assert got.code == "page.proof_needed"


async def test_a_page_can_always_log_out(api: Workbench) -> None:
    opened = await api.call("POST", "/v1/sessions", LOGIN, headers=FROM_PAGE)
    api.clock.seconds += PASS_LIFETIME
    got = await api.call("DELETE", opened.headers["Location"], bearer=opened.text("token"), headers=FROM_PAGE)
    assert got.status == 204


async def test_a_ticket_opens_one_stream_of_its_own_site_and_user(api: Workbench) -> None:
    got = await api.call("POST", "/v1/events/tickets", {}, headers=FROM_PAGE)
    path = f"/v1/events?ticket={got.text('ticket')}"
    foreign = await api.http().get(api.base() + path, headers={"Origin": PAGE_WITH_PORT})
    assert foreign.status == 401
    async with api.http().get(api.base() + path, headers=FROM_PAGE) as stream:
        assert stream.status == 200
    assert (await api.http().get(api.base() + path, headers=FROM_PAGE)).status == 401
    assert (await api.call("POST", "/v1/events/tickets", {}, bearer=await api.pair())).code == "request.forbidden"


@pytest.mark.parametrize("days", [0, 1])
async def test_a_consent_for_once_ends_within_the_day_though_the_time_of_day_is_set_back(
    api: Workbench, days: int
) -> None:
    stranger = BrowserKey()
    assert (await api.enter(PAGE, stranger)).status == 201
    api.clock.began -= timedelta(days=days)
    api.clock.seconds += 12 * 3600 - 1
    assert (await api.enter(PAGE, stranger, ask=False)).status == 201
    api.clock.seconds += 1
    assert (await api.enter(PAGE, stranger, ask=False)).code == "page.consent_needed"


async def test_a_remembered_key_is_known_to_the_next_daemon_until_its_date(
    api: Workbench, started: Start, tmp_path_factory: pytest.TempPathFactory
) -> None:
    api.person.choice, stranger = Choice.ALWAYS, BrowserKey()
    assert (await api.enter(PAGE, stranger)).status == 201
    again = await started(Workbench(tmp_path_factory.mktemp("again"), store=api.store, clock=api.clock))
    assert (await again.enter(PAGE, stranger, ask=False)).status == 201
    again.clock.seconds += 180 * 86400
    assert (await again.enter(PAGE, stranger, ask=False)).code == "page.consent_needed"


async def test_a_key_whose_day_is_over_is_kept_no_longer_than_until_the_next_one(api: Workbench) -> None:
    api.person.choice, old = Choice.ALWAYS, BrowserKey()
    assert (await api.enter(PAGE, old)).status == 201
    api.clock.seconds += 181 * 86400
    assert (await api.enter(PAGE, BrowserKey())).status == 201
    assert old.id not in api.store.documents["clients"]


async def test_where_nothing_is_remembered_no_dialog_offers_it(started: Start, tmp_path: Path) -> None:
    api = await started(Workbench(tmp_path, Config(web=Web(remember_days=0))))
    assert (await api.enter(PAGE, BrowserKey())).status == 201
    [question] = api.person.questions
    assert question.third is None
    assert "until" not in question.params


async def test_of_more_keys_than_eight_the_one_that_was_not_used_for_longest_goes(api: Workbench) -> None:
    api.person.choice = Choice.ALWAYS
    keys = [BrowserKey() for _ in range(8)]
    for key in keys:
        api.clock.seconds += 86400
        assert (await api.enter(PAGE_WITH_PORT, key)).status == 201
    # the workbench's own key says that it was used in a hundred years
    assert (await api.enter(PAGE_WITH_PORT, keys[0], ask=False)).code == "page.consent_needed"
    for key in (*keys[1:], api.key):
        assert (await api.enter(PAGE_WITH_PORT, key, ask=False)).status == 201


async def test_a_site_that_is_listed_no_more_is_not_let_in_by_its_keys(started: Start, tmp_path: Path) -> None:
    key, before = BrowserKey(), "https://naguere.example"
    store = SwitchedStore()
    store.documents["clients"] = consents(key, [before], [os.getuid()])
    api = await started(Workbench(tmp_path, store=store))
    assert (await api.enter(before, key)).code == "request.forbidden"


async def test_a_site_that_was_let_in_before_pages_had_keys_may_ask(started: Start, tmp_path: Path) -> None:
    store, config = SwitchedStore(), Config(web=Web(unknown_origins="ask"))
    known = {"origin": "https://ancien.example", "uid": os.getuid(), "allowed_at": "2026-11-01T08:00:00+00:00"}
    store.documents["clients"] = json.dumps({"programs": [], "origins": [known]})
    api = await started(Workbench(tmp_path, config, store=store))
    page = {"Origin": "https://ancien.example"}
    assert (await api.call("GET", "/v1/status", headers=page)).status == 200
    assert (await api.call("GET", "/v1/cards", headers=page)).code == "page.proof_needed"
    assert (await api.enter(page["Origin"], ask=False)).code == "page.consent_needed"
    assert (await api.enter(page["Origin"])).status == 201


async def test_a_wrong_pin_costs_a_page_no_new_proof(api: Workbench) -> None:
    api.person.pins = ["0000"]
    assert (await api.call("POST", "/v1/sessions", LOGIN, headers=FROM_PAGE)).code == "pin.wrong"
    api.clock.seconds += 100
    api.person.pins = [PIN]
    assert (await api.call("POST", "/v1/sessions", LOGIN, headers=FROM_PAGE)).status == 201


# --- one browser and another of the same site


async def test_another_browser_of_the_same_site_hears_nothing_of_this_ones_login(api: Workbench) -> None:
    """A program's own browser, let in for little, would read the digits and pages of the person's logins."""
    other = (await api.enter(PAGE, BrowserKey())).text("token")
    listener = {"Origin": PAGE, "Authorization": f"Bearer {other}"}
    async with stream(api, via="v4", **listener) as heard, stream(api, via="v4", Origin=PAGE) as own:
        assert (await api.call("POST", "/v1/sessions", LOGIN, headers=FROM_PAGE)).status == 201
        assert [(await own())[0] for _ in range(4)] == ["hello", "prompt.opened", "prompt.closed", "session.opened"]
        assert (await heard())[0] == "hello"
        assert await hears_nothing(heard)


async def test_another_browser_of_the_same_site_gets_no_answer_that_was_kept_for_this_one(api: Workbench) -> None:
    once = {**FROM_PAGE, "Idempotency-Key": "one"}
    first = await api.call("POST", "/v1/sessions", LOGIN, headers=once)
    other = (await api.enter(PAGE, BrowserKey())).text("token")
    api.person.pins = [PIN]
    second = await api.call("POST", "/v1/sessions", LOGIN, bearer=other, headers=once)
    assert (first.status, second.status) == (201, 201)
    assert first.text("token") != second.text("token")


async def test_what_the_person_refuses_it_makes_this_one_wait_for_nothing(api: Workbench) -> None:
    other = (await api.enter(PAGE, BrowserKey())).text("token")
    card = f"/v1/cards/{api.readers.cards()[0].id}/certificates"
    api.person.choice = Choice.NO
    for _ in range(3):
        await api.call("GET", card, bearer=other, headers=FROM_PAGE)
    assert (await api.call("GET", card, bearer=other, headers=FROM_PAGE)).code == "consent.refused_often"
    api.person.choice = Choice.YES
    assert (await api.call("GET", card, headers=FROM_PAGE)).status == 200


async def test_strange_pages_that_the_person_refuses_keep_no_listed_site_out(started: Start, tmp_path: Path) -> None:
    api = await started(Workbench(tmp_path, Config(web=Web(unknown_origins="ask"))))
    api.person.choice = Choice.NO
    for number in range(4):
        await api.enter(f"https://h{number}.example")
    api.person.choice = Choice.YES
    assert (await api.enter("https://h9.example")).code == "consent.refused_often"
    assert (await api.enter(PAGE, BrowserKey())).status == 201


async def test_whichever_listed_sites_name_a_program_takes_three_refusals_end_it(api: Workbench) -> None:
    api.person.choice = Choice.NO
    codes = [(await api.enter(origin, BrowserKey())).code for origin in (*ALLOWED, PAGE)]
    assert codes == ["client.pairing_refused"] * 3 + ["consent.refused_often"]
    assert (await api.enter(PAGE)).status == 201


async def test_a_strange_page_that_leaves_its_dialog_open_keeps_no_listed_site_out(
    started: Start, tmp_path: Path
) -> None:
    api = await started(Workbench(tmp_path, Config(web=Web(unknown_origins="ask"))))
    api.person.attentive.clear()
    strange = asyncio.ensure_future(api.enter("https://inconnu.example"))
    await eventually(lambda: api.person.open == ["origin"])
    listed = asyncio.ensure_future(api.enter(PAGE, BrowserKey()))
    await asyncio.sleep(0.05)
    assert not listed.done()  # it stands in the person's line, and is not sent away
    api.person.attentive.set()
    assert [(await one).status for one in (strange, listed)] == [201, 201]


async def test_a_browser_that_is_shut_out_takes_no_session_of_the_other_with_it(api: Workbench) -> None:
    lost = BrowserKey()
    token = (await api.enter(PAGE, lost)).text("token")
    own = await api.call("POST", "/v1/sessions", LOGIN, headers=FROM_PAGE)
    api.person.pins = [PIN]
    its = await api.call("POST", "/v1/sessions", LOGIN, bearer=token, headers=FROM_PAGE)
    gone = await api.call("DELETE", f"/v1/origins/{quote(PAGE, safe='')}?key={lost.id}", via="unix")
    assert gone.status == 204
    assert [session.id for session in api.sessions.of(api.uid or 0)] == [own.text("id")]
    ended = await api.call("GET", its.headers["Location"], bearer=its.text("token"), headers=FROM_PAGE)
    assert ended.code == "session.closed"


async def test_a_key_that_made_room_has_no_session_any_more(api: Workbench) -> None:
    api.person.choice = Choice.ALWAYS
    first = BrowserKey()
    token = (await api.enter(PAGE_WITH_PORT, first)).text("token")
    page = {"Origin": PAGE_WITH_PORT}
    assert (await api.call("POST", "/v1/sessions", LOGIN, bearer=token, headers=page)).status == 201
    for _ in range(8):
        api.clock.seconds += 60
        assert (await api.enter(PAGE_WITH_PORT, BrowserKey())).status == 201
    assert api.sessions.of(api.uid or 0) == []
