"""Programs that are connected while cardd starts anew go on: the service manager keeps their connections meanwhile."""

from __future__ import annotations

import asyncio
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cardd.p11.cryptoki import Mechanism, Rv
from cardd.ports import Handover
from tests.p11.client import Client, Failed, mechanism, octets, room, ulong
from tests.p11.inside import Inside, soon
from tests.rig.waiting import eventually


@dataclass
class Manager:
    """Keeps connections as systemd does."""

    kept: list[tuple[int, str]] = field(default_factory=list)

    def keep(self, descriptor: int, process: str) -> bool:
        """Keep one more."""
        self.kept.append((os.dup(descriptor), process))
        return True

    def take(self) -> list[tuple[int, str]]:
        """Return what was kept, and keep it no longer."""
        taken, self.kept = self.kept, []
        return taken

    def daemon(self, directory: Path, owners: tuple[str, ...] = ("*",)) -> Inside:
        """Return the parts of one more daemon on the same machine."""
        (directory / "p11").unlink(missing_ok=True)
        return Inside(directory, owners=owners, handover=Handover(self.take, self.keep))


async def refusal(client: Client, name: str, body: bytes) -> Rv:
    """Return why a call is refused."""
    with pytest.raises(Failed) as failed:
        await client.call(name, body)
    return failed.value.rv


async def test_a_program_goes_on_and_opens_its_sessions_anew(tmp_path: Path) -> None:
    manager = Manager()
    async with manager.daemon(tmp_path) as first:
        client = await Client.at(first.path)
        session = await client.session()
        await client.sign(session, await client.key(session), b"data")
    async with manager.daemon(tmp_path) as second:
        assert await refusal(client, "get_session_info", ulong(session)) is Rv.SESSION_HANDLE_INVALID
        assert await client.slots(with_token=True) == [1]
        opened = await client.session()
        assert opened != session
        await client.sign(opened, await client.key(opened), b"data")
        assert second.dialogs == ["program", "login"]
        await client.close()


async def test_what_came_in_part_is_hung_up_on(tmp_path: Path) -> None:
    manager = Manager()
    async with manager.daemon(tmp_path) as first:
        silent = await Client.at(first.path, begins=False)
        half = await Client.at(first.path)
        half.writer.write(b"\0\0\0\x10")
        await half.writer.drain()
        await soon()
    assert manager.kept == []
    for client in (silent, half):
        assert await client.reader.read() == b""
        await client.close()


@pytest.mark.parametrize("topic", ["program", "login", "sign"])
async def test_a_call_that_waits_for_a_person_is_refused_and_the_program_goes_on(tmp_path: Path, topic: str) -> None:
    manager = Manager()
    label = b"CPS_PRIV_SIG" if topic == "sign" else b"CPS_PRIV_AUT"
    async with manager.daemon(tmp_path) as first:
        client = await Client.at(first.path)
        session = await client.session()
        key = await client.key(session, label)
        if topic != "program":
            await client.sign(session, key, b"data")
        if topic == "login":
            first.parts.sessions.close_where(lambda _: True, "logout")
        first.person.attentive.clear()
        await client.call("sign_init", ulong(session) + mechanism(Mechanism.SHA256_RSA_PKCS) + ulong(key))
        client.send("sign", ulong(session) + octets(b"data") + room(512))
        await eventually(lambda: first.person.open == [topic])
    async with manager.daemon(tmp_path):
        with pytest.raises(Failed, match="USER_NOT_LOGGED_IN"):
            await client.answer()
        assert await client.slots(with_token=True) == [1]
        await client.close()


@pytest.mark.parametrize("is_told", [True, False])
async def test_nobody_is_taken_for_a_stranger_before_it_is_known_who_sits_here(tmp_path: Path, is_told: bool) -> None:
    """A program asks for its slots once; a daemon may stop before it has learned that, too."""
    manager = Manager()
    async with manager.daemon(tmp_path) as first:
        first.uid = 4711
        clients = [await Client.at(first.path) for _ in range(20)]
    (tmp_path / "p11").unlink()
    handover = Handover(manager.take, manager.keep)
    second = Inside(tmp_path, owners=(), tells_who_sits_here=True, is_told=False, uid=4711, handover=handover)
    async with second:
        coming = asyncio.ensure_future(second.client())
        asked = [asyncio.ensure_future(client.slots()) for client in clients]
        await soon()
        if is_told:
            second.parts.readers.owners.seated(frozenset({4711}))
            every = await asyncio.gather(*asked, (await coming).slots())
            assert every == [[1, 2, 3, 4]] * 21
            await asyncio.gather(*(client.close() for client in clients))
            return
    assert len(manager.kept) == 20
    coming.cancel()
    async with manager.daemon(tmp_path) as third:
        third.uid = 4711
        assert await asyncio.gather(*asked) == [[1, 2, 3, 4]] * 20
        await asyncio.gather(*(client.close() for client in clients), coming, return_exceptions=True)


async def test_the_connections_of_whose_the_readers_are_are_kept_first(tmp_path: Path) -> None:
    manager = Manager()
    async with manager.daemon(tmp_path, owners=("4711",)) as first:
        clients = []
        for uid in (4712, 4711, 4713):
            first.uid = first.began = uid
            clients.append(await Client.at(first.path))
    assert [process.endswith(".4711") for _, process in manager.kept] == [True, False, False]
    for descriptor, _ in manager.take():
        os.close(descriptor)
    for client in clients:
        await client.close()


async def test_a_connection_of_a_process_whose_number_is_anothers_by_now_is_hung_up_on(tmp_path: Path) -> None:
    manager = Manager()
    async with manager.daemon(tmp_path) as first:
        client = await Client.at(first.path)
    second = manager.daemon(tmp_path)
    second.began = 1
    async with second:
        assert await client.reader.read() == b""
        await client.close()


async def test_a_stop_finishes_the_signature_under_way_gives_it_to_its_program_and_wipes_the_pin(
    tmp_path: Path,
) -> None:
    asked, goes_on = threading.Event(), threading.Event()
    async with Inside(tmp_path) as inside:
        client = await inside.client()
        session = await client.session()
        key = await client.key(session)
        assert await client.sign(session, key, b"data")
        [login] = inside.parts.sessions.of(inside.uid)
        held, process = login.pin, inside.card.process

        def slow(apdu: bytes) -> bytes:
            if apdu[1] in (0x2A, 0x88):  # the key's operation
                asked.set()
                goes_on.wait(20)
            return process(apdu)

        inside.card.process = slow  # type: ignore[method-assign]
        signing = asyncio.create_task(client.sign(session, key, b"more"))
        await eventually(asked.is_set)
        stopping = asyncio.create_task(inside.parts.lifecycle.stop())
        await eventually(lambda: not held)
        goes_on.set()
        assert len(await signing) == 256
        await stopping
    assert [row.outcome.value for row in inside.audit.entries if row.action == "program.data"] == ["done", "done"]
