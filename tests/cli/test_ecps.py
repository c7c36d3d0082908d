"""``cardctl login --method ecps`` on the real daemon, with node's oidc-provider as Pro Santé Connect."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from cardd.cli.terminal import large_digits
from cardd.client import CarddClient, PscLogin, Session
from tests.cli.station import Ran, User
from tests.rig.daemon import DaemonProcess
from tests.rig.keyring import Keyring
from tests.rig.lps import UnixConnection
from tests.rig.oidc.people import ALICE, BOB, EVE
from tests.rig.oidc.pki import ORGANISATION
from tests.rig.oidc.provider import SECRET, PscRig, is_installed
from tests.rig.pinentry import ScriptedPinentry
from tests.rig.softhsm import PIN, SoftHsm
from tests.rig.terminal import ESCAPES, Terminal
from tests.rig.waiting import eventually_here
from tests.rig.wrong_clock import wrong_clock

pytestmark = pytest.mark.skipif(not is_installed(), reason="node's oidc-provider is not installed")

LOGIN = ("login", "--method", "ecps", "--login-hint", ALICE)
SETTINGS = """
[psc]
issuer = "{issuer}"
client_id = "basic"
authorities = "{authorities}"

[[psc.apis]]
name = "ins"
audience = "https://api.example"
"""
TOKEN = """
[psc]
issuer = "{issuer}"
client_id = "mtls"
authentication = "tls"
organisation = true
authorities = "{authorities}"

[csa]
token = "ORGANISATION"

[drivers.pkcs11]
modules = ["{module}"]
files = ["{tokens}"]
"""
PAGE = Path(__file__).parents[2] / "docs" / "e-cps.md"


@dataclass
class Desk:
    """A workstation whose user has a mobile."""

    user: User
    daemon: DaemonProcess
    psc: PscRig
    pinentry: ScriptedPinentry

    @contextmanager
    def logging_in(self, *arguments: str) -> Iterator[list[Ran]]:
        """``cardctl login`` inside the ``with``, which begins once the session is pending; what it gave afterwards."""
        ran: list[Ran] = []
        with ThreadPoolExecutor(1) as pool:
            login = pool.submit(self.user.run, *(arguments or LOGIN))
            self.wait_for("pending")
            yield ran
            ran.append(login.result(60))

    def wait_for(self, state: str) -> None:
        eventually_here(lambda: state in [session["state"] for session in self.sessions()])

    def sessions(self) -> list[dict[str, object]]:
        with closing(UnixConnection(self.daemon.socket)) as connection:
            connection.request("GET", "/v1/sessions")
            found: list[dict[str, object]] = json.loads(connection.getresponse().read())["sessions"]
            return found


@pytest.fixture
def psc(running_psc: PscRig) -> PscRig:
    asyncio.run(running_psc.reset())
    return running_psc


@contextmanager
def working(
    psc: PscRig, tmp_path: Path, environment: dict[str, str] | None = None, settings: str = SETTINGS
) -> Iterator[Desk]:
    (tmp_path / "psc.pem").write_bytes(psc.authority.pem)
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "cardd.psc-client-secret").write_text(SECRET)
    pinentry = ScriptedPinentry(tmp_path, reads=0)
    extra = settings.format(issuer=psc.issuer, authorities=tmp_path / "psc.pem")
    around = {"CREDENTIALS_DIRECTORY": str(tmp_path / "credentials"), **(environment or {})}
    daemon = DaemonProcess(tmp_path, pinentry=pinentry.path, environment=around, extra=extra, is_read=False)
    daemon.start()
    try:
        yield Desk(User(tmp_path, daemon), daemon, psc, pinentry)
    finally:
        daemon.stop()


@contextmanager
def secret_service(directory: Path) -> Iterator[Keyring]:
    directory = directory / "secrets"
    directory.mkdir()
    keyring = Keyring(directory)
    keyring.start()
    try:
        yield keyring
    finally:
        keyring.stop()


@pytest.fixture
def desk(psc: PscRig, tmp_path: Path) -> Iterator[Desk]:
    with working(psc, tmp_path) as made:
        yield made


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
    eventually_here(lambda: not desk.sessions())


def test_a_daemon_that_restarts_meanwhile_is_told_of(desk: Desk) -> None:
    with desk.logging_in() as ran:
        desk.daemon.kill()
        desk.daemon.start()
    assert ran[0].status in (3, 4)
    assert desk.sessions() == []


def test_a_daemon_that_ends_tells_who_listens_and_the_next_one_does_not_know_the_login(desk: Desk) -> None:
    session = asyncio.run(begun(desk))
    curl = ["curl", "-sN", "-H", f"Authorization: Bearer {session.secret}", f"{desk.daemon.url}/v1/events"]
    with subprocess.Popen(curl, stdout=subprocess.PIPE, text=True) as listening:
        assert listening.stdout
        assert "hello" in "".join(listening.stdout.readline() for _ in range(4))
        desk.daemon.stop()
        told = listening.stdout.read()  # to its end: nothing hangs
    assert '"reason":"daemon_stopped"' in told
    desk.daemon.start()
    look = ["curl", "-s", "-H", f"Authorization: Bearer {session.token}"]
    ran = subprocess.run(
        [*look, f"{desk.daemon.url}/v1/sessions/{session.id}"], capture_output=True, timeout=30, check=True
    )
    assert json.loads(ran.stdout)["code"] == "session.unknown"


@dataclass
class Begun:
    """A login that waits, by HTTP: its program's secret, its session."""

    secret: str
    id: str
    token: str


async def begun(desk: Desk) -> Begun:
    async with CarddClient(desk.daemon.socket) as cardd:
        paired = await cardd.pair("Mon LPS", "Editeur SIMULATION", "mon-lps")
    with closing(UnixConnection(desk.daemon.socket)) as connection:
        headers = {"Authorization": f"Bearer {paired.client_secret}", "Content-Type": "application/json"}
        connection.request("POST", "/v1/sessions", json.dumps({"method": "ecps", "login_hint": ALICE}), headers)
        answer = json.loads(connection.getresponse().read())
    return Begun(paired.client_secret, answer["id"], answer["token"])


def test_no_token_and_no_secret_is_in_a_log_an_audit_row_or_any_other_file(psc: PscRig, tmp_path: Path) -> None:
    with secret_service(tmp_path) as keyring, working(psc, tmp_path, keyring.environment) as desk:
        session, access = asyncio.run(with_its_token(desk))
        eventually_here(lambda: bool(refresh_token(keyring, session)))
        tokens = [SECRET, access, refresh_token(keyring, session), session.token, "eyJ"]  # how a JWT begins
        desk.daemon.stop()
        everywhere = [file for file in tmp_path.rglob("*") if file.is_file() and file.parent.name != "credentials"]
        assert desk.daemon.log in everywhere
        assert [file for file in everywhere if file.suffix == ".db" or "audit" in str(file)]
        assert [file for file in everywhere for token in tokens if token.encode() in file.read_bytes()] == []


async def with_its_token(desk: Desk) -> tuple[Session, str]:
    """A session, and the access token that its program was given."""
    session = await logged_in(desk)
    async with CarddClient(desk.daemon.socket) as cardd:
        return session, (await cardd.session(session.id, session.token).psc_token()).access_token


def refresh_token(keyring: Keyring, session: Session) -> str:
    """What the keyring has of it."""
    command = [str(Path(sys.executable).with_name("keyring")), "get", "cardd", f"ecps-{session.id}"]
    around = {**os.environ, **keyring.environment}
    return subprocess.run(command, env=around, capture_output=True, text=True, timeout=30, check=False).stdout.strip()


def test_expired_it_ends_with_the_persons_status(desk: Desk) -> None:
    with desk.logging_in() as ran:
        asyncio.run(desk.psc.shift_clock(125))  # past the request's two minutes
    assert ran[0].status == 6
    assert "time" in ran[0].err
    assert desk.sessions() == []


def test_in_the_browser_the_page_opens_and_the_session_too(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = tmp_path / "browser"
    browser.write_text(
        f"#!/bin/sh\ntr '\\0' '\\n' < /proc/$$/cmdline > {tmp_path}/seen\n"
        f'exec curl -sS --cacert {tmp_path}/psc.pem -L -b "" -o {tmp_path}/page "$1"\n'
    )
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{browser} %s")
    ran = desk.user.run("login", "--method", "ecps", "--browser")
    assert ran.status == 0, ran.err
    seen = (tmp_path / "seen").read_text().splitlines()[-1]  # what every user of the machine reads
    assert seen.startswith("http://127.0.0.1:")
    assert seen in ran.err
    assert "state" not in seen
    assert ALICE in desk.user.ok("status")


def test_a_name_that_a_terminal_would_obey_is_shown_without_that(desk: Desk) -> None:
    with desk.logging_in("login", "--method", "ecps", "--login-hint", EVE) as ran:
        asyncio.run(desk.psc.approve(EVE))
    told = ran[0].out + ran[0].err + desk.user.ok("status") + desk.user.ok("sessions")
    assert "EVE" in told
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(told)


@contextmanager
def at_a_terminal(desk: Desk, *arguments: str, locale: str = "en_GB.UTF-8") -> Iterator[Terminal]:
    """``cardctl`` where somebody watches and types."""
    desk.user.run("login", "--method", "ecps", "--login-hint", "x")  # pairs cardctl
    around = {**desk.user.environment, "LC_ALL": locale}
    with Terminal(desk.user.command(*arguments), around, watched=True) as terminal:
        yield terminal


def test_on_a_terminal_the_digits_are_large_and_the_time_left_counts_down(desk: Desk) -> None:
    with at_a_terminal(desk, *LOGIN, locale="fr_FR.UTF-8") as terminal:
        terminal.wait_for("(encore 118 s)")
        shown = re.search(r"mobile\s: *(\d\d)", terminal.screen)
        assert shown
        drawn = "\r\n".join(line for line in large_digits(shown[1], "utf-8") if line)
        assert drawn in ESCAPES.sub("", terminal.raw.decode())
        asyncio.run(desk.psc.approve(ALICE))
        assert "ALICE SIMULATION (899700000005, identité de test)" in terminal.end()


def test_on_a_terminal_r_has_the_push_sent_again_with_digits_that_replace_the_others(desk: Desk) -> None:
    with at_a_terminal(desk, *LOGIN) as terminal:
        terminal.wait_for("r and Enter")
        terminal.type("r\n")
        terminal.wait_for("The mobile was asked a moment ago")
        terminal.wait_for("(108 s left)")  # ten seconds must lie between two pushes
        terminal.type("r\n")
        terminal.wait_for("New digits to compare")
        asyncio.run(desk.psc.approve(ALICE))
        terminal.end()
    assert desk.sessions()[0]["state"] == "active"


def test_while_the_user_picks_a_situation_nobody_is_sent_to_the_mobile(desk: Desk) -> None:
    desk.user.run("login", "--method", "ecps", "--login-hint", "x")  # pairs cardctl
    desk.pinentry.answer("yes", "hang")  # the digits; the situation
    with at_a_terminal(desk, "login", "--method", "ecps", "--login-hint", BOB) as terminal:
        terminal.wait_for("r and Enter")
        asyncio.run(desk.psc.approve(BOB))
        terminal.wait_for("Pick your situation of practice")
        assert "mobile" not in terminal.screen.partition("Pick your situation of practice")[2]
        terminal.process.send_signal(signal.SIGINT)
        terminal.end()
    eventually_here(lambda: not desk.sessions())


def test_without_a_national_id_the_option_is_named(desk: Desk) -> None:
    ran = desk.user.run("login", "--method", "ecps")
    assert (ran.status, "“--login-hint” will not do: it is missing" in ran.err) == (2, True)


def test_for_programs_all_of_the_session_is_told_but_its_token(desk: Desk) -> None:
    with desk.logging_in(*LOGIN, "--json") as ran:
        asyncio.run(desk.psc.approve(ALICE))
    answer = ran[0].json
    assert (answer["method"], answer["state"], answer["situation"]) == ("ecps", "active", "1.1")
    assert "token" not in answer
    assert "closed" in desk.user.run("logout", "--json").json
    assert desk.user.run("logout", "--forget-login-hint").status == 0  # without a session too


def test_of_several_situations_the_user_picks_one_in_a_dialog(desk: Desk) -> None:
    desk.user.run("login", "--method", "ecps", "--login-hint", "x")  # pairs cardctl
    desk.pinentry.answer("yes", "no", "yes")  # the digits; another situation; this one
    with desk.logging_in("login", "--method", "ecps", "--login-hint", BOB) as ran:
        asyncio.run(desk.psc.approve(BOB))
    assert ran[0].status == 0, ran[0].err
    assert desk.user.run("sessions", "--json").rows("sessions")[0]["situation"] == "1.2"


def test_an_open_session_goes_on_after_a_restart_with_its_refresh_token_in_a_real_keyring(
    psc: PscRig, tmp_path: Path
) -> None:
    with secret_service(tmp_path) as keyring, working(psc, tmp_path, keyring.environment) as desk:
        with desk.logging_in():
            asyncio.run(desk.psc.approve(ALICE))
        eventually_here((desk.daemon.state / "ecps-sessions.json").exists)
        [before] = desk.sessions()
        desk.daemon.stop()
        desk.daemon.start()
        desk.wait_for("active")
        [after] = desk.sessions()
        assert after["id"] == before["id"]
        assert ALICE in desk.user.ok("status")  # with the token that cardctl kept
        assert desk.user.ok("logout")
        eventually_here(lambda: "{}" in (desk.daemon.state / "ecps-sessions.json").read_text())
        assert not any(b"eyJ" in file.read_bytes() for file in keyring.files.rglob("*") if file.is_file())


def test_a_program_gets_a_token_with_the_command_of_the_page(desk: Desk) -> None:
    [command] = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    session = asyncio.run(logged_in(desk))
    ran = subprocess.run(
        ["bash", "-euc", command.replace("17463", str(desk.daemon.port))],
        env={**os.environ, "SESSION": session.id, "TOKEN": session.token},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert json.loads(ran.stdout)["token_type"] == "Bearer"


async def logged_in(desk: Desk) -> Session:
    """A session of a program that may have PSC's tokens."""
    async with CarddClient(desk.daemon.socket) as cardd:
        await cardd.pair("Mon LPS", "Editeur SIMULATION", "mon-lps", permissions=["psc_token"])
        login = asyncio.create_task(cardd.login_through_psc(PscLogin(login_hint=ALICE)))
        await asyncio.to_thread(desk.wait_for, "pending")
        await desk.psc.approve(ALICE)
        return await login


def test_a_daemon_whose_clock_is_wrong_is_told_by_the_providers(psc: PscRig, tmp_path: Path) -> None:
    with working(psc, tmp_path, wrong_clock("-5m")) as desk:
        [found] = desk.user.run("doctor", "psc", "--json").rows("checks")
    assert (found["code"], found["fix"]) == ("psc.clock", ["timedatectl", "set-ntp", "true"])


def test_the_service_proves_itself_with_a_key_on_a_token(psc: PscRig, tmp_path: Path) -> None:
    issued = psc.authority.issue(ORGANISATION)
    (tmp_path / "hsm").mkdir()
    hsm = SoftHsm(tmp_path / "hsm")
    hsm.holding("ORGANISATION", issued.certificate, issued.key)
    settings = TOKEN.replace("{module}", hsm.module).replace("{tokens}", str(hsm.directory))
    with working(psc, tmp_path, hsm.environment, settings) as desk:
        (tmp_path / "credentials" / "cardd.csa").write_text(PIN)
        eventually_here(lambda: desk.user.run("methods", "--json").rows("methods")[1]["usable"] is True)
        with desk.logging_in() as ran:
            asyncio.run(desk.psc.approve(ALICE))
        assert ran[0].status == 0, ran[0].err
        assert ALICE in desk.user.ok("status")
        [pin] = desk.user.run("doctor", "pin", "--json").rows("checks")
        assert (pin["code"], pin["level"]) == ("pin.unknown", "ok")  # a token has no number
