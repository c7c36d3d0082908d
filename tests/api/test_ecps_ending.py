"""A login that nobody has any more is ended at the provider too, and one that the next daemon goes on with is not."""

from __future__ import annotations

import asyncio
import os

import pytest

from cardd.errors import SecretStoreUnavailable
from cardd.model import CallerKey
from cardd.secret import Secret
from tests.api.ecps import LOGIN, ends_in, pair, pending, resumable
from tests.api.test_hanging_up import sent
from tests.api.workbench import Workbench
from tests.rig.memory import MemorySecrets
from tests.rig.oidc.fake import FakeProvider
from tests.rig.oidc.people import BOB, person
from tests.rig.waiting import eventually


class NoKeyring(MemorySecrets):
    """None that encrypts: nothing can be kept."""

    async def set(self, name: str, secret: Secret) -> None:
        raise SecretStoreUnavailable(why="none")


async def opened(api: Workbench) -> tuple[str, str]:
    path, token = await pending(api)
    assert await ends_in(api, path, token) == (200, "active")
    return path, token


async def stopped(api: Workbench) -> None:
    """Stop what the daemon stops."""
    api.sessions.close_where(lambda _: True, "daemon_stopped")
    await api.ecps.stop()


async def test_closed_by_its_program(desk: Workbench, liar: FakeProvider) -> None:
    path, token = await opened(desk)
    assert (await desk.call("DELETE", path, bearer=token)).status == 204
    await eventually(lambda: liar.logouts == 1)


async def test_the_daemon_stops_and_nothing_keeps_it_for_the_next(desk: Workbench, liar: FakeProvider) -> None:
    liar.tokens["refresh_token"] = "first"
    keyring = NoKeyring()
    keyring.values = desk.secrets.values
    desk.secrets.now = keyring
    await opened(desk)
    await eventually(lambda: "ecps-sessions" in desk.store.documents and resumable(desk) == [])
    await stopped(desk)
    assert liar.logouts == 1


async def test_the_daemon_stops_and_the_next_one_goes_on_with_it(desk: Workbench, liar: FakeProvider) -> None:
    liar.tokens["refresh_token"] = "first"
    await opened(desk)
    await eventually(lambda: any(name.startswith("ecps-") for name in desk.secrets.values))
    await stopped(desk)
    assert liar.logouts == 0


async def test_the_next_daemon_finds_somebody_else_behind_it(desk: Workbench, liar: FakeProvider) -> None:
    liar.tokens["refresh_token"] = "first"
    path, token = await opened(desk)
    await eventually(lambda: any(name.startswith("ecps-") for name in desk.secrets.values))
    desk.sessions.close_where(lambda _: True, "daemon_stopped")
    liar.person = dict(person(BOB, "BOB"))
    await desk.ecps.start()
    await desk.ecps.watch()
    assert await ends_in(desk, path, token) == (403, "psc.other_person")
    assert liar.logouts == 1
    assert desk.ecps.all() == []


async def test_the_provider_says_that_it_is_over_when_a_token_is_wanted(desk: Workbench, liar: FakeProvider) -> None:
    liar.tokens["refresh_token"] = "first"
    path, token = await pending(desk, secret=await pair(desk, permissions=["psc_token"]))
    assert await ends_in(desk, path, token) == (200, "active")
    desk.ecps.limits.good_for = 1e6
    liar.answers.append((400, {"error": "invalid_grant"}))
    got = await desk.call("POST", f"{path}/psc-token", {}, bearer=token)
    assert (got.status, got.code) == (401, "psc.session_over")
    await eventually(lambda: desk.sessions.of(os.getuid()) == [])  # at once, not when it would have been renewed


async def test_a_login_ends_whose_program_dies_while_the_person_picks_a_situation(
    desk: Workbench, liar: FakeProvider
) -> None:
    desk.ecps.limits.unheard = 1.0
    practice = liar.person["SubjectRefPro"]["exercices"][0]
    liar.person["SubjectRefPro"] = {"exercices": [practice, practice]}
    path, token = await pending(desk, {**LOGIN, "situation": "ask"})
    await eventually(lambda: "situation" in desk.person.topics())
    desk.clock.seconds += 1  # nobody asked for so long
    await eventually(lambda: desk.sessions.of(os.getuid()) == [])
    await eventually(lambda: liar.logouts == 1)
    got = await desk.call("GET", path, bearer=token)
    assert (got.status, got.code, desk.ecps.all()) == (401, "session.closed", [])


async def test_a_login_ends_whose_program_hangs_up_before_it_has_the_token(desk: Workbench, liar: FakeProvider) -> None:
    liar.answers.extend([(400, {"error": "authorization_pending"})] * 1000)
    liar.may_start.clear()
    secret = await pair(desk)
    told = desk.events.subscribe(CallerKey(os.getuid(), secret.partition(".")[0]))
    reader, writer = await asyncio.open_connection("127.0.0.1", desk.port)
    writer.write(sent(desk, "POST", "/v1/sessions", LOGIN, Authorization=f"Bearer {secret}"))
    await eventually(lambda: bool(liar.forms))  # it is asked for the push
    writer.write_eof()
    assert await reader.read() == b""  # the daemon has heard of it
    writer.close()
    liar.may_start.set()
    async with asyncio.timeout(30):
        while (event := await told.next()) and event.type != "session.closed":
            pass
    assert event
    assert event.data["reason"] == "client_gone"
    await eventually(lambda: not desk.person.open)


@pytest.mark.parametrize("is_locked", [True, False])
async def test_a_login_whose_program_is_shut_out_while_the_mobile_waits_comes_to_nothing(
    desk: Workbench, liar: FakeProvider, *, is_locked: bool
) -> None:
    liar.answers.extend([(400, {"error": "authorization_pending"})] * 1000)
    secret = await pair(desk)
    path, token = await pending(desk, secret=secret)
    await eventually(lambda: len(liar.polls) > 1)
    client = f"/v1/clients/{secret.partition('.')[0]}"
    method, shut_out = ("POST", f"{client}/lock") if is_locked else ("DELETE", client)
    assert (await desk.call(method, shut_out, {} if is_locked else None, via="unix")).status == 204
    liar.answers.clear()  # the person agrees now
    polls = len(liar.polls)
    await asyncio.sleep(0.1)
    assert (await desk.call("GET", path, bearer=token)).status == 401
    assert desk.ecps.all() == []
    assert len(liar.polls) <= polls + 1  # the one that was on its way
