"""What a program hears of its login by e-CPS while it listens, and what others do not hear."""

from __future__ import annotations

from tests.api.ecps import LOGIN, ends_in, pair, pending
from tests.api.test_events import Next, stream
from tests.api.workbench import Json, Workbench
from tests.rig.oidc.people import ALICE, BOB
from tests.rig.oidc.provider import PscRig


async def next_of(listening: Next, kind: str) -> Json:
    """The data of the next event of this kind; those of dialogs and others come between."""
    while True:
        told, data = await listening()
        if told == kind:
            return data


async def test_the_events_tell_a_login_from_its_digits_to_its_end(ecps: Workbench, psc: PscRig) -> None:
    secret = await pair(ecps)
    async with stream(ecps, via="v4", Authorization=f"Bearer {secret}") as listening:
        path, token = await pending(ecps, secret=secret)
        got = await ecps.call("GET", path, bearer=token)
        told = await next_of(listening, "session.pending")
        assert told == {
            "session": got.text("id"),
            "binding_message": got.text("binding_message"),
            "expires_at": told["expires_at"],
        }
        await psc.approve(ALICE)
        assert await next_of(listening, "session.opened") == {"session": got.text("id")}
        await ecps.call("DELETE", path, bearer=token)
        assert await next_of(listening, "session.closed") == {"session": got.text("id"), "reason": "logout"}


async def test_a_refusal_on_the_mobile_is_told_with_its_code(ecps: Workbench, psc: PscRig) -> None:
    secret = await pair(ecps)
    async with stream(ecps, via="v4", Authorization=f"Bearer {secret}") as listening:
        await pending(ecps, secret=secret)
        await psc.deny(ALICE)
        assert (await next_of(listening, "session.closed"))["reason"] == "psc.denied"


async def test_once_agreed_the_digits_are_gone_from_the_events_while_a_situation_is_picked(
    ecps: Workbench, psc: PscRig
) -> None:
    secret = await pair(ecps)
    async with stream(ecps, via="v4", Authorization=f"Bearer {secret}") as listening:
        await pending(ecps, {**LOGIN, "login_hint": BOB, "situation": "ask"}, secret)
        assert "binding_message" in await next_of(listening, "session.pending")
        await psc.approve(BOB)
        assert sorted(await next_of(listening, "session.pending")) == ["expires_at", "session"]


async def test_another_program_hears_nothing_of_it(ecps: Workbench, psc: PscRig) -> None:
    mine, other = await pair(ecps), await pair(ecps, name="Autre LPS", software_id="autre")
    async with stream(ecps, via="v4", Authorization=f"Bearer {other}") as listening:
        assert (await listening())[0] == "hello"
        path, token = await pending(ecps, secret=mine)
        await psc.approve(ALICE)
        assert await ends_in(ecps, path, token) == (200, "active")
        ecps.reader.remove()
        assert (await listening())[0] == "card.removed"  # the next that it hears


async def test_in_the_list_of_sessions_no_other_program_reads_the_digits(ecps: Workbench) -> None:
    mine, other = await pair(ecps), await pair(ecps, name="Autre LPS", software_id="autre")
    await pending(ecps, secret=mine)
    own = await ecps.call("GET", "/v1/sessions", bearer=mine, via="unix")
    assert len(own.text("sessions", 0, "binding_message")) == 2
    for secret in (None, other):
        listed = await ecps.call("GET", "/v1/sessions", bearer=secret, via="unix")
        assert listed.text("sessions", 0, "state") == "pending"
        assert not {"binding_message", "authorization_url", "start_url"} & set(listed.json["sessions"][0])  # type: ignore[index]
