"""Which programs hold a connection, and which of them are browsers: real processes, with curl in a browser's place."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cardd.errors import BrowserUnseen
from cardd.model import Executable, Holders, Peer
from cardd.system.browsers import FLATPAK, BrowserWatch, holders, installed
from cardd.system.peer import peer_of
from tests.rig.other_user import needs_root
from tests.rig.waiting import eventually

CURL = Path("/usr/bin/curl")
PYTHON = str(Path(sys.executable).resolve())
SLEEP = Path("/usr/bin/sleep")
CONNECT = """
import socket, subprocess, sys
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
connection.send(b"x")
subprocess.run([sys.argv[2], "30"], pass_fds=[connection.fileno()])
"""

# files come and go under a number that is listed before the connection's
BUSY = """
import os, sys
print(flush=True)
while True:
    os.close(os.dup2(1, 3))
"""


@contextmanager
def calling(*command: str | Path) -> Iterator[Peer]:
    """Start a program that connects to the port that is its last argument; yield it as the daemon sees it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        port = server.getsockname()[1]
        process = subprocess.Popen([str(part).replace("{port}", str(port)) for part in command], start_new_session=True)
        try:
            accepted, _ = server.accept()
            with accepted:
                accepted.recv(1)
                peer = peer_of(accepted)
                assert peer is not None
                yield peer
        finally:
            os.killpg(process.pid, 9)
            process.wait(10)


@contextmanager
def curl(program: Path = CURL) -> Iterator[Peer]:
    with calling(program, "--silent", "--http0.9", "http://127.0.0.1:{port}/") as peer:
        yield peer


async def nobody(_uid: int, _sockets: Collection[int]) -> Holders:
    raise BrowserUnseen


async def stranger(peer: Peer, *configured: str) -> str | None:
    return await BrowserWatch(configured, nobody).stranger(peer)


async def test_a_program_is_no_browser_unless_it_is_configured_as_one() -> None:
    with curl() as peer:
        assert await stranger(peer, "known") == str(CURL)
        assert await stranger(peer) == str(CURL)
        assert await stranger(peer, "known", str(CURL)) is None
        assert await stranger(peer, "/usr/b*/cur?") is None
        assert await stranger(peer, "any") is None


async def test_a_browser_copied_under_a_browsers_name_into_a_users_directory_is_none(tmp_path: Path) -> None:
    copy = tmp_path / "firefox-esr"
    shutil.copy(CURL, copy)
    with curl(copy) as peer:
        assert await stranger(peer, "known", str(CURL)) == str(copy)
        assert await stranger(peer, str(copy)) == str(copy)  # others may write where it stands
        copy.unlink()
        assert await stranger(peer, str(CURL), str(copy)) == f"{copy} (deleted)"


@pytest.fixture
def for_all_users() -> Iterator[Path]:
    """A directory where root installs a program."""
    directory = Path(tempfile.mkdtemp(prefix="cardd-test-", dir="/var/lib"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@needs_root
async def test_a_browser_that_an_update_replaced_while_it_runs_stays_one(for_all_users: Path) -> None:
    program = for_all_users / "browser"
    shutil.copy(CURL, program)
    with curl(program) as peer:
        assert await stranger(peer, str(program)) is None
        shutil.copy(CURL, for_all_users / "new")
        (for_all_users / "new").replace(program)
        assert await stranger(peer, str(program)) is None
        program.unlink()
        assert await stranger(peer, str(program)) == f"{program} (deleted)"


@needs_root
async def test_a_file_that_others_may_change_or_replace_is_no_browser(for_all_users: Path) -> None:
    program = for_all_users / "browser"
    shutil.copy(CURL, program)
    assert list(installed([str(program)]).values()) == [str(program)]
    for changed, mode in ((program, 0o775), (program, 0o757), (for_all_users, 0o777), (for_all_users, 0o1777)):
        before = changed.stat().st_mode
        changed.chmod(mode)
        assert installed([str(program)]) == {}
        changed.chmod(before)
    os.chown(program, 65534, 65534)
    assert installed([str(program)]) == {}


@needs_root
def test_a_browser_that_flatpak_installed_for_all_users_is_known() -> None:
    branch = Path(FLATPAK, "org.mozilla.firefox/x86_64/stable")
    program = branch / "3f2a/files/lib/firefox/firefox"
    look = "from cardd.system.browsers import *; print(*installed(wanted(['known'])).values(), sep='\\n')"
    script = f"mount -t tmpfs -o mode=755 none /var/lib && mkdir -p {program.parent} && cp {CURL} {program}"
    script += f' && ln -s 3f2a {branch}/active && exec {sys.executable} -c "$1"'
    told = subprocess.run(["unshare", "--mount", "sh", "-c", script, "sh", look], check=True, capture_output=True)
    assert str(program) in told.stdout.decode().splitlines()


@needs_root
async def test_a_program_that_shows_itself_under_a_browsers_path_is_none() -> None:
    script = f'mount --bind {PYTHON} {CURL} && PYTHONHOME={sys.base_prefix} exec {CURL} -c "$@"'
    with calling("unshare", "--mount", "sh", "-c", script, "sh", CONNECT, "{port}", SLEEP) as peer:
        assert await stranger(peer, str(CURL), str(SLEEP)) == str(CURL)


async def test_every_program_that_holds_the_connection_must_be_a_browser() -> None:
    with calling(PYTHON, "-c", CONNECT, "{port}", SLEEP) as peer:
        inode = peer.socket or 0
        await eventually(lambda: len(holders([inode])[inode]) == 2)
        assert await stranger(peer, str(SLEEP)) == PYTHON


async def test_whom_this_process_may_not_look_at_the_agent_is_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 999)
    asked: list[tuple[int, set[int]]] = []
    file = os.stat(CURL)  # noqa: PTH116

    async def agent(uid: int, sockets: Collection[int]) -> Holders:
        asked.append((uid, set(sockets)))
        return {inode: [Executable(str(CURL), file.st_dev, file.st_ino)] for inode in sockets}

    watch = BrowserWatch([str(CURL)], agent)
    assert await watch.stranger(Peer(1000, socket=7)) is None
    assert asked == [(1000, {7})]
    with pytest.raises(BrowserUnseen):
        await BrowserWatch([str(CURL)], nobody).stranger(Peer(1000, socket=7))
    with pytest.raises(BrowserUnseen):
        await watch.stranger(Peer(1000))


async def test_however_many_connections_wait_one_look_serves_them_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 999)
    looks: list[set[int]] = []
    began, goes_on = asyncio.Event(), asyncio.Event()

    async def agent(_uid: int, sockets: Collection[int]) -> Holders:
        looks.append(set(sockets))
        began.set()
        await goes_on.wait()
        return {inode: [Executable(f"/program-{inode}")] for inode in sockets}

    watch = BrowserWatch(["known"], agent)
    first = asyncio.ensure_future(watch.stranger(Peer(1000, socket=1)))
    await began.wait()
    others = [asyncio.ensure_future(watch.stranger(Peer(1000, socket=number))) for number in range(2, 100)]
    await asyncio.sleep(0)
    goes_on.set()
    assert [await each for each in (first, *others)] == [f"/program-{number}" for number in range(1, 100)]
    assert looks == [{1}, set(range(2, 100))]


def test_a_socket_that_nobody_holds_has_no_programs() -> None:
    assert holders([1]) == {1: ()}


def test_a_program_that_opens_and_closes_files_all_the_time_is_seen_to_hold_its_connection() -> None:
    with socket.socket() as connection:
        inode, given = os.fstat(connection.fileno()).st_ino, [connection.fileno()]
        command = [sys.executable, "-c", BUSY]
        with subprocess.Popen(command, stdout=subprocess.PIPE, pass_fds=given) as busy:
            assert busy.stdout
            busy.stdout.readline()
            connection.close()
            seen = [holders([inode])[inode] for _ in range(100)]
            busy.kill()
    assert all(seen)
