"""Who holds a connection, as the agent of its user tells: the real agent, none, an older one, and one that lies."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cardd.agent import witness
from cardd.errors import BrowserUnseen
from cardd.model import Executable, Peer
from cardd.system.browsers import BrowserWatch
from cardd.system.peer import peer_of
from tests.agent.desk import Desk
from tests.agent.questions import US
from tests.rig import other_user
from tests.rig.agent import agent_process, other_users_agent

GREETING = b"OK cardd-agent-witness fr\n"
PYTHON = Path(sys.executable).resolve()
CURL = """
os.execv("/usr/bin/curl", ["curl", "--silent", "http://127.0.0.1:" + sys.argv[1]])
"""


@contextmanager
def connection() -> Iterator[int]:
    """Yield the inode of this process's end of a connection."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as ours:
        accepted, _ = server.accept()
        with accepted:
            yield os.fstat(ours.fileno()).st_ino


async def told(desk: Desk, inode: int, uid: int = US) -> tuple[Executable, ...]:
    """Return what the user's agent tells, once it has come."""
    async with asyncio.timeout(30):
        while True:
            try:
                return tuple((await desk.agents.holders(uid, [inode]))[inode])
            except BrowserUnseen:
                await asyncio.sleep(0.01)


async def test_the_agent_tells_which_program_holds_a_connection(desk: Desk) -> None:
    file = PYTHON.stat()
    with agent_process(desk.path, "/bin/false"), connection() as inode:
        for _ in range(3):
            assert await told(desk, inode) == (Executable(str(PYTHON), file.st_dev, file.st_ino),)
        assert await desk.agents.holders(US, [1, inode]) == {1: (), inode: await told(desk, inode)}


async def test_the_agent_answers_again_after_the_daemon_has_restarted(desk: Desk) -> None:
    with agent_process(desk.path, "/bin/false"), connection() as inode:
        await told(desk, inode)
        await desk.stop()
        desk.start()
        assert await told(desk, inode)


async def test_the_daemon_judges_by_what_the_agent_tells(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: other_user.UID)  # the service's own user, who sees nobody's processes
    with agent_process(desk.path, "/bin/false"), connection() as inode:
        await told(desk, inode)
        watch = BrowserWatch(["known"], desk.agents.holders)
        assert await watch.stranger(Peer(US, socket=inode)) == str(PYTHON)
    with pytest.raises(BrowserUnseen):
        await watch.stranger(Peer(US, socket=inode))


@other_user.needs_root
async def test_each_users_processes_are_seen_by_their_own_agent(desk: Desk, tmp_path: Path) -> None:
    with (
        other_users_agent(desk.path, tmp_path, b"2468"),
        socket.create_server(("127.0.0.1", 0)) as server,
        other_user.start(CURL, str(server.getsockname()[1])) as process,
        connection() as ours,
    ):
        accepted, _ = await asyncio.to_thread(server.accept)
        accepted.recv(1)
        peer = peer_of(accepted)
        try:
            assert peer is not None
            assert peer.socket is not None
            assert [program.path for program in await told(desk, peer.socket, other_user.UID)] == ["/usr/bin/curl"]
            assert await told(desk, ours, other_user.UID) == ()
            with pytest.raises(BrowserUnseen):
                await desk.agents.holders(US, [ours])
        finally:
            process.kill()
            accepted.close()


async def test_without_an_agent_or_with_an_older_one_nobody_tells(desk: Desk) -> None:
    with pytest.raises(BrowserUnseen):
        await desk.agents.holders(US, [1])
    _, writer = await asyncio.open_unix_connection(desk.path)
    writer.write(b"OK cardd-agent fr\n")
    await desk.has(1)
    with pytest.raises(BrowserUnseen):
        await desk.agents.holders(US, [1])
    assert desk.agents.waiting(US) == 1  # it is asked by dialogs as before
    writer.close()


LIES = [
    b"OK\n",
    b"[]\n",
    b'{"1": 1}\n',
    b'{"1": [[]]}\n',
    b'{"1": [[1, 2, 3, 4]]}\n',
    b'{"1": [["/usr/bin/firefox", "1", "2", false]]}\n',
    b'{"x": []}\n',
    b"[" * 200_000 + b"\n",
    b" " * (witness.LINE_MAX + 2 * witness.CHUNK),
    b"\xff\n",
    b"",
]


@pytest.mark.parametrize("lie", LIES, ids=range(len(LIES)))
async def test_an_agent_that_does_not_answer_what_was_asked_is_hung_up_on(desk: Desk, lie: bytes) -> None:
    reader, writer = await asyncio.open_unix_connection(desk.path)
    writer.write(GREETING)

    async def answer() -> None:
        await reader.readline()
        writer.write(lie)
        if not lie:
            writer.close()

    answering = asyncio.ensure_future(answer())
    async with asyncio.timeout(10):
        while not answering.done():
            with pytest.raises(BrowserUnseen):
                await desk.agents.holders(US, [1])
            await asyncio.sleep(0.001)
        await reader.read()
    writer.close()


async def test_an_agent_that_stays_silent_is_waited_for_no_longer_than_the_limit(desk: Desk) -> None:
    await desk.stop()
    desk.witness_timeout = 0.05
    desk.start()
    reader, writer = await asyncio.open_unix_connection(desk.path)
    writer.write(GREETING)
    listening = asyncio.ensure_future(reader.read())
    async with asyncio.timeout(10):
        while not listening.done():
            with pytest.raises(BrowserUnseen):
                await desk.agents.holders(US, [1])
            await asyncio.sleep(0.001)
    writer.close()


async def test_a_second_program_of_the_user_tells_nothing(desk: Desk) -> None:
    with agent_process(desk.path, "/bin/false"), connection() as inode:
        before = await told(desk, inode)
        reader, writer = await asyncio.open_unix_connection(desk.path)
        writer.write(GREETING)
        assert (await asyncio.wait_for(reader.read(), 10)).startswith(b"ERR")
        assert await told(desk, inode) == before
        writer.close()


async def test_what_looks_at_the_desktop_may_be_another_process_than_what_shows_dialogs_and_is_one(desk: Desk) -> None:
    with (
        agent_process(desk.path, "/bin/false", only="dialogs"),
        agent_process(desk.path, "/bin/false", only="desktop") as looks,
        connection() as inode,
    ):
        await desk.has(1)
        assert await told(desk, inode)
        with socket.socket(socket.AF_UNIX) as another:  # a third process, of the same user
            another.setblocking(False)
            another.connect(str(desk.path))
            another.sendall(GREETING)
            assert (await asyncio.get_running_loop().sock_recv(another, 3)) == b"ERR"
        assert desk.agents.waiting(US) == 1
        looks.terminate()
        assert await asyncio.to_thread(looks.wait, 15) == 0
        with pytest.raises(BrowserUnseen):
            await desk.agents.holders(US, [inode])
        assert desk.agents.has_agent(US)
