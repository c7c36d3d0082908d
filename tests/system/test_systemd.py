"""Sockets passed by the real systemd-socket-activate, and what systemd hears from the daemon."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from cardd.system import systemd
from tests.rig.ports import free_port

PROGRAM = "systemd-socket-activate"
COUNTS = "COVERAGE_PROCESS_CONFIG"  # by which a process is measured
needs_systemd = pytest.mark.skipif(not shutil.which(PROGRAM), reason="systemd is not installed")


def activated(*listen: str, names: str = "") -> dict[str, object]:
    """Let systemd-socket-activate listen there, connect to the first of them, and see what the program got."""
    options = [option for where in listen for option in ("--listen", where)]
    options += ["--fdname", names] if names else []
    kept = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), COUNTS: os.environ.get(COUNTS, "")}
    environment = [f"--setenv={name}={value}" for name, value in kept.items()]
    command = [PROGRAM, *environment, *options, sys.executable, "-m", "tests.system.listener"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    with process:
        client = connect(listen[0])
        printed, _ = process.communicate(timeout=20)
        client.close()
    return cast("dict[str, object]", json.loads(printed))


def connect(where: str) -> socket.socket:
    """A connection, as soon as somebody listens there."""
    host, _, port = where.rpartition(":")
    deadline = time.monotonic() + 10
    while True:
        client = socket.socket(socket.AF_INET if host else socket.AF_UNIX)
        try:
            client.connect(("127.0.0.1", int(port)) if host else where)
        except (ConnectionRefusedError, FileNotFoundError):
            client.close()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        else:
            return client


@needs_systemd
def test_the_four_sockets_of_the_unit_are_told_apart(tmp_path: Path) -> None:
    port, api, agent = free_port(), str(tmp_path / "cardd.sock"), str(tmp_path / "agent.sock")
    found = activated(api, f"127.0.0.1:{port}", f"[::1]:{port}", agent, names="cardd:cardd:cardd:cardd")
    assert found["tcp"] == [["127.0.0.1", port], ["::1", port]]
    assert found["api"] == [api]
    assert found["agent"] == [agent]
    assert found["blocking"] == found["inheritable"] == [False] * 4


@needs_systemd
def test_a_socket_named_agent_is_the_agents_wherever_it_is(tmp_path: Path) -> None:
    api, agent = str(tmp_path / "one.sock"), str(tmp_path / "two.sock")
    found = activated(api, agent, names="api:agent")
    assert (found["api"], found["agent"]) == ([api], [agent])


@needs_systemd
def test_sockets_are_taken_once_and_no_child_is_told_of_them(tmp_path: Path) -> None:
    found = activated(str(tmp_path / "cardd.sock"))
    assert found["again"] is False
    assert found["environment"] == []


@needs_systemd
@pytest.mark.parametrize("address", ["0.0.0.0", "[::]"])
def test_a_socket_that_listens_beyond_this_machine_is_refused(address: str) -> None:
    refused = cast("dict[str, str]", activated(f"{address}:{free_port()}")["refused"])
    assert (refused["file"], refused["key"], refused["why"]) == ("cardd.socket", "ListenStream", "inherited")


def test_variables_meant_for_another_process_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_PID", str(os.getppid()))
    monkeypatch.setenv("LISTEN_FDS", "4")
    assert not systemd.take()
    assert "LISTEN_FDS" not in os.environ


def test_without_activation_there_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LISTEN_FDS", raising=False)
    assert not systemd.take()


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    abstract = f"cardd-test-{secrets.token_hex(8)}"
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.settimeout(5)
        listener.bind(path if request.param == "path" else f"\0{abstract}")
        monkeypatch.setenv("NOTIFY_SOCKET", path if request.param == "path" else f"@{abstract}")
        yield listener


def test_the_manager_hears_that_the_daemon_is_ready(manager: socket.socket) -> None:
    assert systemd.ready()
    assert manager.recv(4096) == b"READY=1"


def test_the_manager_is_given_a_program_s_connection_by_the_name_of_its_process(manager: socket.socket) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert systemd.keep(ours.fileno(), "12.345")
        ours.close()
        told, [given], _, _ = socket.recv_fds(manager, 4096, 1)
        with socket.socket(fileno=given) as kept:
            kept.send(b"still there")
            assert theirs.recv(64) == b"still there"
    assert told == b"FDSTORE=1\nFDNAME=program-12.345"


@pytest.mark.parametrize("process", ["", "12?3", "1:2", "1\n2"])
def test_a_connection_without_a_name_that_tells_its_process_is_not_kept(manager: socket.socket, process: str) -> None:
    manager.settimeout(0)
    assert not systemd.keep(0, process)
    with pytest.raises(BlockingIOError):
        manager.recv(1)


def test_the_manager_hears_that_the_daemon_stops(manager: socket.socket) -> None:
    assert systemd.stopping()
    assert manager.recv(4096) == b"STOPPING=1"


@pytest.mark.parametrize("address", ["", "relative", "vsock:2:1234", "/nonexistent/notify", "@nobody-listens-here"])
def test_no_manager_is_no_fault(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    assert not systemd.ready()


async def test_the_watchdog_hears_from_a_loop_that_turns_and_not_from_one_that_is_stuck(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "40000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    heartbeat = systemd.Heartbeat()
    assert "WATCHDOG_USEC" not in os.environ, "a child would take it for its own"
    heartbeat.start()
    await asyncio.sleep(0.1)
    manager.setblocking(False)
    assert [manager.recv(4096) for _ in range(3)] == [b"WATCHDOG=1"] * 3
    drain(manager)
    time.sleep(0.1)  # noqa: ASYNC251 - the loop is stuck
    assert drain(manager) == 0
    heartbeat.stop()
    await asyncio.sleep(0.05)
    assert drain(manager) == 0


@pytest.mark.parametrize(("microseconds", "pid"), [("", ""), ("0", ""), ("1000", "1"), ("soon", "")])
async def test_where_systemd_waits_for_no_word_there_is_no_timer(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch, microseconds: str, pid: str
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", microseconds)
    monkeypatch.setenv("WATCHDOG_PID", pid)
    systemd.Heartbeat().start()
    manager.setblocking(False)
    assert drain(manager) == 0


def drain(manager: socket.socket) -> int:
    """Return how many notifications have come."""
    count = 0
    with contextlib.suppress(BlockingIOError):
        while manager.recv(4096):
            count += 1
    return count


def test_the_manager_hears_of_a_reload_and_what_became_of_it(manager: socket.socket) -> None:
    assert systemd.reloading()
    told = manager.recv(4096).split(b"\n")
    assert told[0] == b"RELOADING=1"
    assert told[1].startswith(b"MONOTONIC_USEC=")
    assert systemd.ready("The configuration on the disk holds.")
    assert manager.recv(4096) == b"READY=1\nSTATUS=The configuration on the disk holds."
