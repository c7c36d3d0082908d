"""Dialogs and notifications on an X server and on a Wayland compositor, with Debian's own programs: docs/desktop.md."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from cardd.agent.pinentry import find_pinentry
from cardd.errors import PinTimeout
from tests.agent.desk import Desk
from tests.agent.questions import US
from tests.rig.agent import agent_process
from tests.rig.logind import Bus
from tests.rig.waiting import eventually

NO_PLUGIN = b"Could not find the Qt platform plugin"
PROGRAMS = ("Xvfb", "weston", "pinentry-qt", "pinentry-gtk-2", "dbus-daemon", "dbus-send")
pytestmark = pytest.mark.skipif(not all(map(shutil.which, PROGRAMS)), reason=f"needs {', '.join(PROGRAMS)}")
BUS = "DBUS_SESSION_BUS_ADDRESS"
A_MOMENT = 1.0  # seconds; a dialog that nobody answers is open for as long


@pytest.fixture(autouse=True)
def none_of_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have a desktop."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY", BUS, "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)


@contextmanager
def running(command: list[str], environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run it inside the ``with``."""
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, env=dict(environment), stdout=subprocess.PIPE, stderr=quiet) as process:
        try:
            yield process
        finally:
            process.terminate()


@contextmanager
def x11() -> Iterator[dict[str, str]]:
    """An X server; what its programs have in their environment."""
    with running(["Xvfb", "-displayfd", "1"], os.environ) as server:
        assert server.stdout
        yield {"DISPLAY": f":{server.stdout.readline().decode().strip()}"}


@contextmanager
def wayland(directory: Path) -> Iterator[dict[str, str]]:
    """A compositor without a screen, and without an X server."""
    around = {"XDG_RUNTIME_DIR": str(directory)}
    command = ["weston", "--backend=headless-backend.so", "--socket=wl", f"--log={directory}/weston.log"]
    with running(command, {**os.environ, **around}) as compositor:
        while not (directory / "wl").exists():
            assert compositor.poll() is None
            time.sleep(0.02)
        yield {"WAYLAND_DISPLAY": "wl", "XDG_SESSION_TYPE": "wayland", **around}


def opens(program: str, around: dict[str, str]) -> bool:
    """Return whether this pinentry opens a dialog there, which nobody answers; else it refuses."""
    asked, environment = b"SETTIMEOUT 1\nGETPIN\nBYE\n", {**os.environ, **around}
    said = subprocess.run([program], input=asked, capture_output=True, env=environment, timeout=20, check=False)
    if NO_PLUGIN in said.stderr:  # another Debian's pinentry-qt may have another Qt than qtwayland5
        pytest.skip(f"the Qt of {program} has no plugin for this display")
    assert b"\nERR " in said.stdout
    return b"Timeout" in said.stdout


def is_there(bus: Bus) -> bool:
    """Return whether a server of notifications is on the bus; asked for itself, the bus would start one of its own."""
    ask = ["dbus-send", f"--bus={bus.address}", "--print-reply", "--dest=org.freedesktop.DBus", "/"]
    ask += ["org.freedesktop.DBus.NameHasOwner", "string:org.freedesktop.Notifications"]
    return b"true" in subprocess.run(ask, capture_output=True, check=True).stdout


def are_shown(environment: dict[str, str]) -> bool:
    """Return whether dunst shows one notification."""
    count = ["dunstctl", "count", "displayed"]
    return subprocess.run(count, env=environment, capture_output=True, check=False).stdout.strip() == b"1"


async def test_dialogs_open_on_an_x_server_and_a_real_server_of_notifications_shows_ours(
    tmp_path: Path, desk: Desk
) -> None:
    bus = Bus(tmp_path)
    bus.start()
    with x11() as around, agent_process(desk.path, "pinentry-qt", environment=around | {BUS: bus.address}):
        desk.dialogs.timeout = A_MOMENT
        await desk.has(1)
        with pytest.raises(PinTimeout):
            await desk.ask()
        if shutil.which("dunst") and shutil.which("dunstctl"):
            environment = {**os.environ, **around, BUS: bus.address}
            with running(["dunst"], environment):
                await eventually(lambda: is_there(bus))
                await eventually(lambda: desk.agents.tell(US, "card_in", {"card": "CPS3", "reader": "Lecteur A"}))
                await eventually(lambda: are_shown(environment))
    bus.stop()


def test_on_wayland_without_x_the_pinentry_of_qt_opens_and_that_of_x_alone_is_not_chosen(tmp_path: Path) -> None:
    with wayland(tmp_path) as around:
        assert opens("pinentry-qt", around)
        assert not opens("pinentry-gtk-2", around)
    places = tmp_path / "bin"
    places.mkdir()
    for name in ("pinentry-gtk-2", "pinentry-qt"):
        (places / name).write_text("#!/bin/sh\n")
        (places / name).chmod(0o755)
    (places / "pinentry").symlink_to("pinentry-gtk-2")
    if os.getuid() == 0:  # only root's programs are found
        assert find_pinentry(None, {"PATH": str(places), **around}) == str(places / "pinentry-qt")
        assert find_pinentry(None, {"PATH": str(places), **around, "DISPLAY": ":0"}) == str(places / "pinentry")


@pytest.mark.parametrize("program", ["pinentry-qt", "pinentry-gtk-2"])
def test_without_a_display_no_window_opens(program: str) -> None:
    assert not opens(program, {})
