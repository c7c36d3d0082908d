"""What systemd hears from the daemon."""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cardd.system import notify


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
    assert notify.ready("2 readers")
    assert manager.recv(4096) == b"READY=1\nSTATUS=2 readers"


def test_the_manager_hears_the_status_on_one_line(manager: socket.socket) -> None:
    assert notify.status("card inserted\nSTOPPING=1")
    assert manager.recv(4096) == b"STATUS=card inserted STOPPING=1"


def test_the_manager_hears_of_a_reload_with_its_time(manager: socket.socket) -> None:
    before = time.monotonic_ns() // 1000
    assert notify.reloading()
    kind, _, at = manager.recv(4096).decode().partition("\nMONOTONIC_USEC=")
    assert kind == "RELOADING=1"
    assert before <= int(at) <= time.monotonic_ns() // 1000


def test_the_manager_hears_that_the_daemon_stops(manager: socket.socket) -> None:
    assert notify.stopping()
    assert manager.recv(4096) == b"STOPPING=1"


@pytest.mark.parametrize("address", ["", "relative", "vsock:2:1234", "/nonexistent/notify", "@nobody-listens-here"])
def test_no_manager_is_no_fault(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    assert not notify.ready()
