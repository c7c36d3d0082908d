"""What happens to a session by mobile while something around it fails: no approval is wasted, none goes astray."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cardd.config import Psc
from cardd.errors import SecretStoreUnavailable, StateUnavailable
from cardd.identity.ecps.direct import DirectProvider
from cardd.identity.ecps.provider import Wanted
from cardd.secret import Secret
from cardd.system.peer import peer_of
from tests.api.ecps import ends_in, pair, pending, resumable, tokens_of
from tests.api.workbench import PIN, Workbench
from tests.oidc.services import fake_service
from tests.rig.memory import MemorySecrets, MemoryStore, RunningClock, SwitchedSecrets
from tests.rig.oidc.fake import CLIENT, FakeProvider
from tests.rig.oidc.people import ALICE
from tests.rig.oidc.provider import PscRig
from tests.rig.waiting import eventually

Start = Callable[[Workbench], Awaitable[Workbench]]


class LockedKeyring(MemorySecrets):
    """One that the user unlocks later."""

    is_locked = True
    asked = 0

    async def get(self, name: str) -> Secret | None:
        self.asked += 1
        if self.is_locked and name.startswith("ecps-"):
            raise SecretStoreUnavailable(why="locked")
        return await super().get(name)


class SlowKeyring(MemorySecrets):
    """One that takes as long as the test wants to write."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.may_end = asyncio.Event(), asyncio.Event()

    async def set(self, name: str, secret: Secret) -> None:
        self.begun.set()
        with secret.view() as view:
            value = bytes(view)
        await asyncio.shield(asyncio.ensure_future(self._write(name, value)))

    async def _write(self, name: str, value: bytes) -> None:
        """Write in a thread, which nobody can cancel."""
        await self.may_end.wait()
        self.values[name] = value


class FullDisk(MemoryStore):
    """Nothing can be written."""

    def save(self, name: str, text: str) -> None:
        raise StateUnavailable(file="logins.json", why="the disk is full")


@asynccontextmanager
async def next_daemon(
    before: Workbench, directory: Path, secrets: MemorySecrets, *, watches: bool = True
) -> AsyncIterator[Workbench]:
    """The one after this one, on the same state directory; without ``watches`` it has not yet asked PSC."""
    before.sessions.close_where(lambda _: True, "daemon_stopped")
    await asyncio.to_thread(directory.mkdir)
    secrets.values = before.secrets.values
    after = Workbench(
        directory, before.config, clock=RunningClock(), store=before.store, secrets=SwitchedSecrets(secrets)
    )
    after.ecps.limits.first_pause = 0.01
    await after.start(watches=watches)
    try:
        yield after
    finally:
        await after.stop()


async def kept_session(ecps: Workbench, psc: PscRig) -> tuple[str, str]:
    path, token = await pending(ecps)
    await psc.approve(ALICE)
    await ends_in(ecps, path, token)
    await eventually(lambda: any(name.startswith("ecps-") for name in ecps.secrets.values))
    return path, token


async def test_after_a_restart_it_waits_for_a_keyring_that_is_still_locked(
    ecps: Workbench, psc: PscRig, tmp_path: Path
) -> None:
    path, token = await kept_session(ecps, psc)
    keyring = LockedKeyring()
    async with next_daemon(ecps, tmp_path / "second", keyring) as second:
        assert (await second.call("GET", path, bearer=token)).text("state") == "pending"
        used = await second.call("POST", f"{path}/psc-token", {}, bearer=token)
        assert (used.status, used.code, used.json["retryable"]) == (409, "session.pending", True)
        await eventually(lambda: keyring.asked > 3)
        keyring.is_locked = False
        assert await ends_in(second, path, token) == (200, "active")


async def test_after_a_restart_it_waits_for_the_network(desk: Workbench, liar: FakeProvider, tmp_path: Path) -> None:
    liar.tokens["refresh_token"] = "first"
    path, token = await pending(desk)
    assert await ends_in(desk, path, token) == (200, "active")
    await eventually(lambda: kept_token(desk) == b"first")
    liar.answers.extend([(503, None)] * 3)
    async with next_daemon(desk, tmp_path / "second", MemorySecrets()) as second:
        assert await ends_in(second, path, token) == (200, "active")
    assert not liar.answers


async def test_the_next_daemon_knows_it_before_it_asks_psc_and_until_it_is_given_up(
    ecps: Workbench, psc: PscRig, tmp_path: Path
) -> None:
    path, token = await kept_session(ecps, psc)
    async with next_daemon(ecps, tmp_path / "second", MemorySecrets(), watches=False) as second:
        assert (await second.call("GET", path, bearer=token)).text("state") == "pending"
        assert (await second.call("DELETE", path, bearer=token)).status == 204
        await second.lifecycle.watch()
        await eventually(lambda: not any(name.startswith("ecps-") for name in second.secrets.values))
        assert second.ecps.all() == []


async def test_given_up_while_it_is_resumed_it_is_forgotten(ecps: Workbench, psc: PscRig, tmp_path: Path) -> None:
    path, token = await kept_session(ecps, psc)
    async with next_daemon(ecps, tmp_path / "second", LockedKeyring()) as second:
        assert (await second.call("DELETE", path, bearer=token)).status == 204
        await eventually(lambda: resumable(second) == [])
        await eventually(lambda: not any(name.startswith("ecps-") for name in second.secrets.values))


async def test_closed_while_its_token_is_being_kept_nothing_stays_in_the_keyring(ecps: Workbench, psc: PscRig) -> None:
    keyring = SlowKeyring()
    keyring.values = ecps.secrets.values
    ecps.secrets.now = keyring
    path, token = await pending(ecps)
    await psc.approve(ALICE)
    await ends_in(ecps, path, token)
    await keyring.begun.wait()
    assert (await ecps.call("DELETE", path, bearer=token)).status == 204
    keyring.may_end.set()
    await eventually(lambda: resumable(ecps) == [])
    await ecps.ecps.stop()
    assert not any(name.startswith("ecps-") for name in ecps.secrets.values)


async def test_a_full_disk_ends_no_session(ecps: Workbench, psc: PscRig) -> None:
    ecps.ecps.limits.renewal_margin = 1e6
    path, token = await pending(ecps)
    ecps.store.now = FullDisk()
    await psc.approve(ALICE)
    await ends_in(ecps, path, token)
    first = tokens_of(ecps)
    await eventually(lambda: tokens_of(ecps).access != first.access)
    assert await ends_in(ecps, path, token) == (200, "active")


async def test_closed_on_a_full_disk_it_leaves_nothing_to_be_resumed_with(ecps: Workbench, psc: PscRig) -> None:
    path, token = await kept_session(ecps, psc)
    full = FullDisk()
    full.documents = ecps.store.documents
    ecps.store.now = full
    assert (await ecps.call("DELETE", path, bearer=token)).status == 204
    await eventually(lambda: not any(name.startswith("ecps-") for name in ecps.secrets.values))


async def test_agreed_while_the_push_is_sent_again_it_is_open_and_stays_so(desk: Workbench, liar: FakeProvider) -> None:
    desk.ecps.limits.push_pause = 0
    liar.answers.extend([(400, {"error": "authorization_pending"})] * 1000)
    path, token = await pending(desk)
    liar.may_start.clear()
    again = asyncio.ensure_future(desk.call("POST", f"{path}/pushes", {}, bearer=token))
    await eventually(lambda: sum("binding_message" in form for form in liar.forms) == 2)
    liar.answers.clear()  # the person agrees to the first push
    assert await ends_in(desk, path, token) == (200, "active")
    liar.may_start.set()
    got = await again
    assert (got.status, got.text("state")) == (200, "active")
    assert await ends_in(desk, path, token) == (200, "active")


async def test_while_the_screen_is_locked_it_gives_no_token(ecps: Workbench, psc: PscRig) -> None:
    path, token = await pending(ecps, secret=await pair(ecps, permissions=["psc_token"]))
    await psc.approve(ALICE)
    await ends_in(ecps, path, token)
    ecps.sessions.lock_where(lambda _: True)
    refused = await ecps.call("POST", f"{path}/psc-token", {}, bearer=token)
    assert (refused.status, refused.code) == (409, "session.locked")
    assert (await ecps.call("GET", path, bearer=token)).text("state") == "locked"
    ecps.sessions.unlock_where(lambda _: True)
    assert (await ecps.call("POST", f"{path}/psc-token", {}, bearer=token)).status == 200


async def test_agreed_while_the_screen_is_locked_it_gives_no_token_before_the_user_is_back(
    ecps: Workbench, psc: PscRig
) -> None:
    path, token = await pending(ecps, secret=await pair(ecps, permissions=["psc_token"]))
    ecps.sessions.lock_where(lambda _: True)
    await psc.approve(ALICE)
    assert await ends_in(ecps, path, token) == (200, "locked")
    assert (await ecps.call("POST", f"{path}/psc-token", {}, bearer=token)).code == "session.locked"
    ecps.sessions.unlock_where(lambda _: True)
    assert (await ecps.call("POST", f"{path}/psc-token", {}, bearer=token)).status == 200


async def test_locked_and_unlocked_while_it_waits_it_opens_as_ever(ecps: Workbench, psc: PscRig) -> None:
    path, token = await pending(ecps)
    ecps.sessions.lock_where(lambda _: True)
    ecps.sessions.unlock_where(lambda _: True)
    await psc.approve(ALICE)
    assert await ends_in(ecps, path, token) == (200, "active")


async def test_a_daemon_that_restarts_while_the_screen_is_locked_opens_nothing(
    ecps: Workbench, psc: PscRig, tmp_path: Path
) -> None:
    path, token = await kept_session(ecps, psc)
    async with next_daemon(ecps, tmp_path / "second", MemorySecrets()) as second:
        second.sessions.lock_where(lambda _: True)  # as logind's hint is told at the start
        assert await ends_in(second, path, token) == (200, "locked")


async def test_a_card_s_session_is_unlocked_by_its_pin_only(api: Workbench) -> None:
    path, token = await api.logged_in()
    api.sessions.lock_where(lambda _: True)
    api.sessions.unlock_where(lambda _: True)
    assert (await api.call("GET", path, bearer=token)).text("state") == "locked"
    api.person.pins = [PIN]
    body = {"document_name": "Ordonnance", "digest": "A" * 43 + "="}
    assert (await api.call("POST", f"{path}/signatures", body, bearer=token)).status == 200
    assert len(api.person.pin_questions) == 2


async def test_a_kept_national_id_is_told_nobody_before_the_person_agreed(ecps: Workbench) -> None:
    ecps.ecps.hints.keep(os.getuid(), ALICE)
    path, token = await pending(ecps, {"method": "ecps"})
    got = await ecps.call("GET", path, bearer=token)
    assert ALICE.encode() not in got.raw


async def test_a_program_that_died_leaves_no_login_behind(ecps: Workbench, psc: PscRig) -> None:
    ecps.ecps.limits.unheard = 0.05
    path, token = await pending(ecps)
    ecps.clock.seconds += 1  # nobody asked for so long
    await eventually(lambda: ecps.sessions.of(os.getuid()) == [])
    await psc.approve(ALICE)
    got = await ecps.call("GET", path, bearer=token)
    assert (got.status, got.code) == (401, "session.closed")


async def test_a_program_that_goes_on_asking_is_waited_for(ecps: Workbench, psc: PscRig) -> None:
    ecps.ecps.limits.unheard = 0.5
    path, token = await pending(ecps)
    for _ in range(10):  # each time well within its lease, together several of them
        assert (await ecps.call("GET", path, bearer=token)).text("state") == "pending"
        await asyncio.sleep(0.1)
    await psc.approve(ALICE)
    assert await ends_in(ecps, path, token) == (200, "active")


async def test_a_program_that_listens_to_events_need_not_ask(ecps: Workbench, psc: PscRig) -> None:
    ecps.ecps.limits.unheard = 0.05
    secret = await pair(ecps)
    headers = {"Authorization": f"Bearer {secret}"}
    async with ecps.http().get(ecps.base() + "/v1/events", headers=headers) as listening:
        path, token = await pending(ecps, secret=secret)
        ecps.clock.seconds += 1
        assert b"hello" in await listening.content.readuntil(b"\n\n")
        await asyncio.sleep(4 * ecps.ecps.limits.unheard)  # longer than a program may keep silent
        await psc.approve(ALICE)
        assert await ends_in(ecps, path, token) == (200, "active")


class SetClock:
    """A clock whose time of day is set by hand."""

    def __init__(self) -> None:
        self.seconds, self.day = 1000.0, datetime.now(UTC)

    def now(self) -> datetime:
        """The time of day."""
        return self.day

    def monotonic(self) -> float:
        """The seconds."""
        return self.seconds


async def renewing(desk: Workbench, liar: FakeProvider) -> tuple[str, str]:
    """An open session at the provider that lies, which is renewed without a pause."""
    desk.ecps.limits.renewal_margin, desk.ecps.limits.first_pause = 1e6, 0.01
    liar.tokens["refresh_token"] = "first"
    path, token = await pending(desk)
    assert await ends_in(desk, path, token) == (200, "active")
    return path, token


def refresh_token(desk: Workbench) -> str:
    refresh = tokens_of(desk).refresh
    assert refresh is not None
    return refresh.reveal()


def kept_token(desk: Workbench) -> bytes:
    [kept] = [value for name, value in desk.secrets.values.items() if name.startswith("ecps-")]
    return kept


async def test_a_renewed_token_is_not_lost_when_it_cannot_be_checked_at_once(
    desk: Workbench, liar: FakeProvider
) -> None:
    path, token = await renewing(desk, liar)
    liar.tokens["refresh_token"], liar.is_without_keys, liar.header = "second", True, {"kid": "new"}
    await eventually(lambda: kept_token(desk) == b"second")
    desk.ecps.limits.first_pause = 60  # once it is checked
    liar.answers.extend([(400, {"error": "invalid_grant"})] * 3)  # what asking with the old one would get
    liar.is_without_keys, liar.published = False, [{**liar.keys[0], "kid": "new"}]
    await eventually(lambda: refresh_token(desk) == "second")
    assert await ends_in(desk, path, token) == (200, "active")


async def test_a_portal_s_page_in_the_way_ends_no_session(desk: Workbench, liar: FakeProvider) -> None:
    path, token = await renewing(desk, liar)
    liar.tokens["refresh_token"] = "second"
    liar.answers.extend([(200, "<html>")] * 2)
    await eventually(lambda: refresh_token(desk) == "second")
    assert await ends_in(desk, path, token) == (200, "active")


async def test_a_bad_id_token_does_not_keep_a_session_from_being_renewed(desk: Workbench, liar: FakeProvider) -> None:
    path, token = await renewing(desk, liar)
    liar.tokens["refresh_token"], liar.claims = "second", {"aud": "another-service"}
    await eventually(lambda: kept_token(desk) == b"second")
    assert refresh_token(desk) == "first"
    liar.tokens["refresh_token"], liar.claims = "third", {}
    await eventually(lambda: refresh_token(desk) == "third")
    assert await ends_in(desk, path, token) == (200, "active")


async def test_after_a_bad_id_token_it_is_still_noticed_that_the_provider_ended_it(
    desk: Workbench, liar: FakeProvider
) -> None:
    path, token = await renewing(desk, liar)
    liar.tokens["refresh_token"], liar.claims = "second", {"aud": "another-service"}
    await eventually(lambda: kept_token(desk) == b"second")
    liar.answers.append((400, {"error": "invalid_grant"}))
    await eventually(lambda: desk.sessions.of(os.getuid()) == [])
    assert await ends_in(desk, path, token) == (401, "session.closed")


async def test_after_a_restart_a_refresh_without_an_id_token_serves(desk: Workbench, liar: FakeProvider) -> None:
    liar.tokens["refresh_token"] = "first"
    path, token = await pending(desk)
    assert await ends_in(desk, path, token) == (200, "active")
    await eventually(lambda: any(name.startswith("ecps-") for name in desk.secrets.values))
    desk.sessions.close_where(lambda _: True, "daemon_stopped")
    liar.answers.append((200, {**liar.tokens, "refresh_token": "second"}))
    await desk.ecps.start()
    await desk.ecps.watch()
    assert await ends_in(desk, path, token) == (200, "active")
    assert refresh_token(desk) == "second"


async def test_a_token_ends_in_its_time_whatever_is_done_to_the_time_of_day() -> None:
    clock = SetClock()
    async with FakeProvider() as fake, fake_service(fake, clock=clock) as service:
        fake.start["interval"] = 0.01
        provider = DirectProvider(service, Psc(issuer=fake.issuer, client_id=CLIENT), lambda _: None, peer_of)
        login = await (await provider.begin(Wanted(ALICE), os.getuid())).finish()
        clock.day -= timedelta(hours=1)
        clock.seconds += 119
        assert login.seconds_left() == 1
