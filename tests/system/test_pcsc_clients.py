"""Who has the card: the one program that is connected to pcscd besides, as far as its user lets others see it."""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from cardd.system import pcsc_clients
from tests.rig import other_user

CONNECT = """
import socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
print(1, flush=True)
sys.stdin.read()
"""
# by way of a process that ends at once: whoever the test starts itself counts as its own
ORPHAN = f"import os, sys\nif os.fork(): os._exit(0)\n{CONNECT}"


@pytest.fixture
def pcscd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A listener in pcscd's place."""
    path = tmp_path / "pcscd.comm"
    monkeypatch.setenv(pcsc_clients.SOCKET_NAME, str(path))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(8)
        yield listener


@contextmanager
def programs(pcscd: socket.socket, count: int) -> Iterator[None]:
    with ExitStack() as every:
        for _ in range(count):
            command = [sys.executable, "-c", ORPHAN, pcscd.getsockname()]
            started = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            every.enter_context(started)
            assert started.stdout
            assert started.stdout.readline() == b"1\n"
            started.wait()  # until then the program is a child of ours
            every.enter_context(pcscd.accept()[0])
        yield


def test_the_only_other_program_is_named(pcscd: socket.socket) -> None:
    assert pcsc_clients.holder() == {}
    with programs(pcscd, 1), socket.socket(socket.AF_UNIX) as ours:
        ours.connect(pcscd.getsockname())
        with pcscd.accept()[0]:
            told = pcsc_clients.holder()
        assert (told["who"], told["program"]) == ("program", str(Path(sys.executable).resolve()))
        assert Path(f"/proc/{told['pid']}").exists()
    assert pcsc_clients.holder() == {}


def test_of_several_only_their_user_is_told(pcscd: socket.socket) -> None:
    with programs(pcscd, 2):
        assert pcsc_clients.holder() == {"who": "user", "user": pwd.getpwuid(os.getuid()).pw_name}


def test_whether_any_other_program_may_wait_is_told(pcscd: socket.socket) -> None:
    with socket.socket(socket.AF_UNIX) as ours:
        ours.connect(pcscd.getsockname())
        with pcscd.accept()[0]:
            assert not pcsc_clients.others()
            with programs(pcscd, 1):
                assert pcsc_clients.others()
            assert not pcsc_clients.others()


@other_user.needs_root
def test_so_it_is_of_another_users_program(pcscd: socket.socket) -> None:
    with programs(pcscd, 1):
        assert other_user.run("print(others())", imports="from cardd.system.pcsc_clients import others") == "True\n"


@other_user.needs_root
def test_who_may_not_look_into_the_program_is_told_its_user(pcscd: socket.socket) -> None:
    with programs(pcscd, 1):
        told = other_user.run("print(dict(holder()))", imports="from cardd.system.pcsc_clients import holder")
        assert told == "{'who': 'user', 'user': 'root'}\n"
