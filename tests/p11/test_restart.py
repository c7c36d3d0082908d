"""Programs that are connected while cardd starts anew go on: the service manager keeps their connections meanwhile."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cardd.p11.cryptoki import Mechanism, Rv
from cardd.ports import Handover
from tests.p11.client import Client, Failed, mechanism, octets, room, ulong
from tests.p11.inside import Inside


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

    def daemon(self, directory: Path) -> Inside:
        """Return the parts of one more daemon on the same machine."""
        (directory / "p11").unlink(missing_ok=True)
        return Inside(directory, handover=Handover(self.take, self.keep))


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


async def test_what_is_not_at_rest_is_hung_up_on(tmp_path: Path) -> None:
    manager = Manager()
    async with manager.daemon(tmp_path) as first:
        silent = await Client.at(first.path, begins=False)
        half = await Client.at(first.path)
        half.writer.write(b"\0\0\0\x10")
        waiting = await Client.at(first.path)
        session = await waiting.session()
        key = await waiting.key(session)
        first.person.attentive.clear()
        waiting.send("sign_init", ulong(session) + mechanism(Mechanism.SHA256_RSA_PKCS) + ulong(key))
        waiting.send("sign", ulong(session) + octets(b"data") + room(512))
        await waiting.answer()
    assert manager.kept == []
    for client in (silent, half, waiting):
        await client.reader.read()  # to the end
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
