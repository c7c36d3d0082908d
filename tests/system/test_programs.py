"""Which file a program runs, and of which it is worth remembering anything."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from cardd.errors import BrowserUnseen
from cardd.model import Executable, Holders, Peer
from cardd.ports import ProgramFile
from cardd.system.browsers import holders
from cardd.system.peer import program_peer_of
from cardd.system.programs import ProgramWatch
from tests.integration.workstation import wait_until

OTHER = 54321  # an OS user whose processes this one could not see, were it not root
SLEEP = "/usr/bin/sleep"


async def unseen(_uid: int, _sockets: Collection[int]) -> Holders:
    raise BrowserUnseen


@contextmanager
def sleeping(program: str, script: str = "") -> Iterator[Peer]:
    given = ["-e" if "perl" in program else "-c", script] if script else ["60"]
    with subprocess.Popen([program, *given]) as process:
        try:
            yield Peer(os.getuid(), process.pid, program)
        finally:
            process.kill()


async def test_a_program_of_roots_is_lasting() -> None:
    with sleeping(SLEEP) as peer:
        assert await ProgramWatch(unseen).of(peer) == ProgramFile(SLEEP, is_lasting=True)


async def test_a_copy_that_is_somebodys_is_not(tmp_path: Path) -> None:
    copy = Path(shutil.copy(SLEEP, tmp_path / "sleep"))
    copy.chmod(0o777)  # noqa: ASYNC240 - on this disk
    with sleeping(str(copy)) as peer:
        assert await ProgramWatch(unseen).of(peer) == ProgramFile(str(copy), is_lasting=False)


@pytest.mark.parametrize("program", ["perl", "perl5*-*", "bash"])
async def test_what_runs_scripts_is_not(program: str) -> None:
    path = next(Path("/usr/bin").glob(program), None)  # noqa: ASYNC240 - on this disk
    if path is None:
        pytest.skip("not installed here")
    with sleeping(str(path), "sleep 60" if "perl" in program else "sleep 60; true") as peer:
        found = await ProgramWatch(unseen).of(peer)

    assert found == ProgramFile(str(path), is_lasting=False)


async def test_another_users_program_is_told_by_their_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: OTHER)
    file = os.stat(SLEEP)  # noqa: PTH116 - it is root's, on this disk
    asked: list[Collection[int]] = []

    async def agent(_uid: int, sockets: Collection[int]) -> Holders:
        asked.append(sockets)
        return {77: [Executable(SLEEP, file.st_dev, file.st_ino)]}

    assert await ProgramWatch(agent).of(Peer(1000, 4, socket=77)) == ProgramFile(SLEEP, is_lasting=True)
    assert asked == [(77,)]


async def test_a_path_that_a_process_made_up_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a mount namespace of its own it puts any file of its own there."""
    monkeypatch.setattr(os, "geteuid", lambda: OTHER)

    async def agent(_uid: int, _sockets: Collection[int]) -> Holders:
        return {77: [Executable(SLEEP, 1, 2)]}

    assert await ProgramWatch(agent).of(Peer(1000, 4, socket=77)) == ProgramFile("", is_lasting=False)


@pytest.mark.parametrize(
    "path",
    ["/**/sleep", "/usr/bin/*", "/usr/bin/[s]leep", "sleep", "/", "/usr/bin/sle\0p", "/x" * 9000, "/" + "x" * 999],
    ids=range(8),
)
async def test_a_path_is_no_pattern(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: OTHER)
    file = os.stat(SLEEP)  # noqa: PTH116 - on this disk

    async def agent(_uid: int, _sockets: Collection[int]) -> Holders:
        return {77: [Executable(path, file.st_dev, file.st_ino)]}

    assert await ProgramWatch(agent).of(Peer(1000, 4, socket=77)) == ProgramFile("", is_lasting=False)


async def test_a_process_that_runs_another_file_since_it_came_is_neither() -> None:
    with sleeping(SLEEP) as peer:
        unknown = ProgramFile("", is_lasting=False)
        assert await ProgramWatch(unseen).of(Peer(peer.uid, peer.pid, "/srv/somebodys/program")) == unknown
        assert await ProgramWatch(unseen).of(Peer(peer.uid, peer.pid, SLEEP, file=(1, 2))) == unknown


@pytest.mark.parametrize("keeps", [True, False])
def test_a_connection_that_another_program_holds_as_well_or_instead_is_nobodys(tmp_path: Path, keeps: bool) -> None:
    """A process connects, becomes a program that was let in, and another one speaks."""
    code = "import os, socket, sys, time; os.fork() and os._exit(0); "  # no child of ours, which is refused
    code += f"s = socket.socket(socket.AF_UNIX); s.set_inheritable({keeps}); "
    code += f"s.connect(sys.argv[1]); os.fork() and os.execv('{SLEEP}', ['sleep', '60']); time.sleep(60)"
    with closing(socket.socket(socket.AF_UNIX)) as listening:
        listening.bind(str(tmp_path / "s"))
        listening.listen()
        with subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "s")], start_new_session=True) as process:
            try:
                with closing(listening.accept()[0]) as accepted:
                    wait_until(lambda: getattr(program_peer_of(accepted), "program", "") == SLEEP)
                    peer = program_peer_of(accepted)
                    assert peer is not None
                    found = asyncio.run(ProgramWatch(unseen).of(peer))
            finally:
                os.killpg(process.pid, signal.SIGKILL)

    assert (peer.program, found.path) == (SLEEP, "")


@pytest.mark.parametrize("held", [[], [Executable(SLEEP), Executable("/usr/bin/cat")], [Executable()]])
async def test_nobody_can_tell_what_several_hold(held: list[Executable], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: OTHER)

    async def agent(_uid: int, _sockets: Collection[int]) -> Holders:
        return {77: held}

    nothing = ProgramFile("", is_lasting=False)
    assert await ProgramWatch(agent).of(Peer(1000, 4, socket=77)) == nothing
    assert await ProgramWatch(unseen).of(Peer(1000, 4, socket=77)) == nothing
    assert await ProgramWatch(unseen).of(Peer(1000, 4)) == nothing


def test_the_kernel_tells_the_other_end_of_a_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hidden(path: str | Path, **_: object) -> str:
        raise PermissionError(path)

    with closing(socket.socket(socket.AF_UNIX)) as listening, closing(socket.socket(socket.AF_UNIX)) as client:
        listening.bind(str(tmp_path / "s"))
        listening.listen()
        client.connect(str(tmp_path / "s"))
        with closing(listening.accept()[0]) as accepted, monkeypatch.context() as another_user:
            another_user.setattr(os, "readlink", hidden)  # as of another user's process
            peer = program_peer_of(accepted)

        assert peer is not None
        assert peer.socket == os.fstat(client.fileno()).st_ino
        found = asyncio.run(asyncio.to_thread(holders, [peer.socket]))
        assert [Path(each.path).name.startswith("python") for each in found[peer.socket]] == [True]
