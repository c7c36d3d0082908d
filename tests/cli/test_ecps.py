"""``cardctl login --method ecps`` on the real daemon, with node's oidc-provider as Pro Santé Connect."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.station import Ran, User
from tests.rig.daemon import DaemonProcess
from tests.rig.lps import UnixConnection
from tests.rig.oidc.people import ALICE
from tests.rig.oidc.provider import SECRET, PscRig, is_installed
from tests.rig.pinentry import ScriptedPinentry

pytestmark = pytest.mark.skipif(not is_installed(), reason="node's oidc-provider is not installed")

LOGIN = ("login", "--method", "ecps", "--login-hint", ALICE)
SETTINGS = """
[psc]
issuer = "{issuer}"
client_id = "basic"
authorities = "{authorities}"
"""


@dataclass
class Desk:
    """A workstation whose user has a mobile."""

    user: User
    daemon: DaemonProcess
    psc: PscRig

    @contextmanager
    def logging_in(self) -> Iterator[list[Ran]]:
        """``cardctl login`` inside the ``with``, which begins once the session is pending; what it gave afterwards."""
        ran: list[Ran] = []
        with ThreadPoolExecutor(1) as pool:
            login = pool.submit(self.user.run, *LOGIN)
            self.wait_for("pending")
            yield ran
            ran.append(login.result(60))

    def wait_for(self, state: str) -> None:
        deadline = time.monotonic() + 20
        while state not in [session["state"] for session in self.sessions()]:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def sessions(self) -> list[dict[str, object]]:
        with closing(UnixConnection(self.daemon.socket)) as connection:
            connection.request("GET", "/v1/sessions")
            found: list[dict[str, object]] = json.loads(connection.getresponse().read())["sessions"]
            return found


@pytest.fixture(scope="module")
def psc() -> Iterator[PscRig]:
    rig = PscRig()
    asyncio.run(rig.start())
    yield rig
    asyncio.run(rig.stop())


@pytest.fixture
def desk(psc: PscRig, tmp_path: Path) -> Iterator[Desk]:
    asyncio.run(psc.reset())
    (tmp_path / "psc.pem").write_bytes(psc.authority.pem)
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "cardd.psc-client-secret").write_text(SECRET)
    pinentry = ScriptedPinentry(tmp_path)
    extra = SETTINGS.format(issuer=psc.issuer, authorities=tmp_path / "psc.pem")
    environment = {"CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")}
    daemon = DaemonProcess(tmp_path, pinentry=pinentry.path, environment=environment, extra=extra)
    daemon.start()
    try:
        yield Desk(User(tmp_path, daemon), daemon, psc)
    finally:
        daemon.stop()


def test_the_digits_are_shown_and_the_session_opens(desk: Desk) -> None:
    with desk.logging_in() as ran:
        asyncio.run(desk.psc.approve(ALICE))
    [login] = ran
    assert login.status == 0, login.err
    assert re.search(r"mobile: \d\d\b", login.out + login.err)
    assert ALICE in desk.user.ok("status")
    assert desk.user.ok("logout") is not None


def test_denied_on_the_mobile_it_ends_with_the_persons_status(desk: Desk) -> None:
    with desk.logging_in() as ran:
        asyncio.run(desk.psc.deny(ALICE))
    assert ran[0].status == 6
    assert desk.sessions() == []


def test_interrupted_it_leaves_no_session(desk: Desk) -> None:
    desk.user.run("login", "--method", "ecps", "--login-hint", "x")  # pairs cardctl
    with subprocess.Popen(desk.user.command(*LOGIN), env=desk.user.environment, stdout=subprocess.PIPE) as login:
        desk.wait_for("pending")
        login.send_signal(signal.SIGINT)
        assert login.wait(30) == 130
    deadline = time.monotonic() + 10
    while desk.sessions():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_daemon_that_restarts_meanwhile_is_told_of(desk: Desk) -> None:
    with desk.logging_in() as ran:
        desk.daemon.kill()
        desk.daemon.start()
    assert ran[0].status in (3, 4)
    assert desk.sessions() == []


def test_no_secret_of_the_provider_is_written_anywhere(desk: Desk) -> None:
    with desk.logging_in():
        asyncio.run(desk.psc.approve(ALICE))
    kept = [desk.daemon.log, *(file for file in desk.daemon.state.rglob("*") if file.is_file())]
    assert not any(SECRET.encode() in file.read_bytes() for file in kept)
    assert not any(b"eyJ" in file.read_bytes() for file in kept)  # how a JWT begins
