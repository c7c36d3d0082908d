"""``cardctl support`` in a terminal, on the real daemon with a real Secret Service, and the phone that scans it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import sleep, time
from typing import cast

import pytest

from cardd.system.store import FileStore
from tests.cli.station import User
from tests.rig import qr
from tests.rig.daemon import DaemonProcess
from tests.rig.keyring import Keyring
from tests.rig.phone import Phone
from tests.rig.terminal import Terminal

needs_reader = pytest.mark.skipif(not qr.is_installed(), reason="zbar-tools is not installed")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="nobody but root unpairs another user's program")
ADDRESS = re.compile(r"otpauth://\S+")
SETTINGS = '\n[support]\ntotp = true\nlabel = "poste SIMULATION"\n'
SOMEBODY = 65534


@dataclass(frozen=True)
class Codes:
    """The phone of an enrolment that ended ``at`` this time. The window lets its next code serve at once."""

    phone: Phone
    at: float

    @property
    def used(self) -> str:
        """The code that ended it."""
        return self.phone.code(self.at)

    @property
    def next(self) -> str:
        """One that was not used: good for a minute."""
        return self.phone.code(self.at, 1)

    @property
    def wrong(self) -> str:
        """None of this time."""
        return self.phone.other_code(datetime.now(UTC))


@dataclass(frozen=True)
class Desk:
    """A workstation that demands codes; ``files`` are those of its keyring."""

    user: User
    daemon: DaemonProcess
    files: Path

    def terminal(self, *arguments: str) -> Terminal:
        return Terminal(self.user.command(*arguments), self.user.environment, watched=True)

    def enrol(self) -> Codes:
        """Enrol as a person does, who scans the terminal."""
        with self.terminal("support", "enrol") as terminal:
            terminal.wait_for("First code")
            shown = qr.read(terminal.raw.decode()) if qr.is_installed() else address_in(terminal.screen)
            codes = Codes(Phone(shown), time())
            terminal.type(codes.used + "\n")
            assert "is enrolled" in terminal.end()
            assert terminal.process.returncode == 0, terminal.screen
        return codes

    def remove(self, code: str) -> object:
        """The error's code of ``support remove`` with this code of support; None when it is done."""
        answer = self.user.run("support", "remove", "--json", "--support-code", code).json
        return cast(dict[str, object], answer.get("error", {})).get("code")

    def written(self) -> bytes:
        """The daemon's log and all files that it, and the keyring, wrote."""
        files = [self.daemon.log, *self.daemon.state.rglob("*"), *self.files.rglob("*")]
        return b"\n".join(file.read_bytes() for file in files if file.is_file())


@pytest.fixture
def keyring(tmp_path: Path) -> Iterator[Keyring]:
    keyring = Keyring(tmp_path)
    keyring.start()
    yield keyring
    keyring.stop()


@pytest.fixture
def desk(keyring: Keyring, tmp_path: Path) -> Iterator[Desk]:
    daemon = DaemonProcess(tmp_path, environment=keyring.environment, extra=SETTINGS, is_read=False)
    daemon.start()
    yield Desk(User(tmp_path / "home", daemon), daemon, keyring.files)
    daemon.stop()


@pytest.fixture
def poor(tmp_path: Path) -> Iterator[Desk]:
    """A workstation without a keyring."""
    nowhere = {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
    daemon = DaemonProcess(tmp_path, environment=nowhere, extra=SETTINGS, is_read=False)
    daemon.start()
    yield Desk(User(tmp_path / "home", daemon), daemon, tmp_path)
    daemon.stop()


def address_in(screen: str) -> str:
    [address] = ADDRESS.findall(screen)
    return str(address)


@needs_reader
def test_the_qr_code_of_the_terminal_is_what_the_address_says(desk: Desk) -> None:
    with desk.terminal("support", "enrol") as terminal:
        terminal.wait_for("First code")
        shown = address_in(terminal.screen)
        assert qr.read(terminal.raw.decode()) == shown
        assert Phone(shown).label == "cardd:poste SIMULATION"
        terminal.type("\n")
        assert terminal.end() == ""
        assert terminal.process.returncode == 6
    assert desk.user.run("support", "status", "--json").json["enrolled"] is False


def test_a_terminal_without_blocks_shows_the_address_alone(desk: Desk) -> None:
    ascii_only = {**desk.user.environment, "PYTHONIOENCODING": "ascii"}
    with Terminal(desk.user.command("support", "enrol"), ascii_only, watched=True) as terminal:
        terminal.wait_for("First code")
        assert Phone(address_in(terminal.screen)).secret
        assert "????" not in terminal.screen


def test_interrupted_it_enrols_nobody_and_leaves_the_terminal_as_it_was(desk: Desk) -> None:
    with desk.terminal("support", "enrol") as terminal:
        terminal.wait_for("First code")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.end() == ""
        assert terminal.process.returncode == 130
        assert terminal.restored
    assert desk.user.run("support", "status", "--json").json["enrolled"] is False


def test_a_wrong_first_code_is_asked_again_and_the_right_one_enrols(desk: Desk) -> None:
    with desk.terminal("support", "enrol") as terminal:
        terminal.wait_for("First code")
        codes = Codes(Phone(address_in(terminal.screen)), time())
        terminal.type(codes.wrong + "\n")
        terminal.wait_for("Wrong support code")
        terminal.wait_for("First code", 2)
        terminal.type(codes.next + "\n")
        assert "is enrolled" in terminal.end()
    assert desk.user.run("support", "status", "--json").json == {"demanded": True, "enrolled": True, "locked": 0}


def test_a_privileged_command_asks_for_the_code_and_says_what_it_is(desk: Desk) -> None:
    codes = desk.enrol()
    with desk.terminal("support", "remove", "--lang", "fr") as terminal:
        terminal.wait_for("Code de support\N{NARROW NO-BREAK SPACE}:")
        assert "jamais votre code porteur" in terminal.screen
        terminal.type(codes.next + "\n")
        assert "n'est plus inscrit" in terminal.end()
    assert desk.user.run("support", "status", "--json").json["enrolled"] is False


def test_a_code_is_refused_a_second_time_also_by_a_daemon_that_restarted(desk: Desk) -> None:
    codes = desk.enrol()
    assert desk.remove(codes.used) == "support_code.replayed"
    desk.daemon.kill()
    desk.daemon.start()
    assert desk.remove(codes.used) == "support_code.replayed"
    assert desk.remove(codes.next) is None


def test_guessing_is_locked_out_also_by_a_daemon_that_restarted(desk: Desk) -> None:
    codes = desk.enrol()
    assert [desk.remove(codes.wrong) for _ in range(5)] == ["support_code.wrong"] * 5
    desk.daemon.kill()
    desk.daemon.start()
    ran = desk.user.run("support", "remove", "--support-code", codes.next)
    assert ran.status == 6
    assert "Support codes locked" in ran.err
    assert re.search(r"Wait \d+ s", ran.err)
    assert "Locked" in desk.user.ok("support", "status")


def test_without_a_terminal_nothing_is_asked(desk: Desk) -> None:
    codes = desk.enrol()
    ran = desk.user.run("support", "remove")
    assert ran.status == 6
    assert "Support code needed" in ran.err
    done = desk.user.ok("support", "remove", "--json", "--support-code", codes.next)
    assert json.loads(done) == {"enrolled": False}


def test_a_program_enrols_with_json_and_confirms(desk: Desk) -> None:
    begun = desk.user.run("support", "enrol", "--json").json
    code = Phone(str(begun["address"])).code(time())
    assert json.loads(desk.user.ok("support", "confirm", "--json", "--support-code", code)) == {"enrolled": True}


@needs_root
def test_root_unpairs_another_users_program_with_a_code_only(desk: Desk) -> None:
    codes = desk.enrol()
    desk.daemon.stop()
    program = {"id": "0123456789abcdef", "name": "LPS", "vendor": "SIMULATION", "software_id": "lps"}
    paired = {**program, "uid": SOMEBODY, "secret": "0" * 64, "paired_at": "2026-11-23T00:00:00+00:00"}
    FileStore(desk.daemon.state).save("clients", json.dumps({"programs": [paired], "origins": []}))
    desk.daemon.start()
    assert "Support code needed" in desk.user.run("clients", "remove", program["id"]).err
    with desk.terminal("clients", "remove", program["id"]) as terminal:
        terminal.wait_for("Support code:")
        terminal.type(codes.next + "\n")
        assert "Removed" in terminal.end()
    assert json.loads((desk.daemon.state / "clients.json").read_text())["programs"] == []


def test_no_code_and_no_secret_is_written_anywhere(desk: Desk) -> None:
    codes = desk.enrol()
    given = [codes.used, codes.wrong, codes.next]
    ran = [desk.user.run("support", "remove", "--support-code", code) for code in given]
    assert [one.status for one in ran] == [6, 6, 0]
    rows = desk.user.ok("audit", "export", "--directory", str(desk.daemon.state / "audit"))
    assert rows.count('"support.') == 1 + len(given)
    told = "".join(one.out + one.err for one in ran) + rows
    everything = desk.written() + told.encode()
    assert codes.phone.secret.encode() not in everything
    for code in given:  # not as a part of a longer number
        assert not re.search(rb"(?<![0-9a-f.])%s(?![0-9a-f])" % code.encode(), everything)


def test_where_no_keyring_encrypts_the_enrolment_is_refused_and_says_what_to_do(poor: Desk) -> None:
    ran = poor.user.run("support", "enrol")
    assert ran.status == 1
    assert "sudo cardctl support enrol --credential" in ran.err
    assert "otpauth" not in ran.out + ran.err
    assert "sudo cardctl support enrol --credential" in poor.user.run("support", "enrol", "--lang", "fr").err


def test_a_credential_of_systemd_is_made_without_a_plain_file(poor: Desk, tmp_path: Path) -> None:
    file = tmp_path / "support-totp.cred"
    with poor.terminal("support", "enrol", "--credential", str(file)) as terminal:
        while "First code" not in terminal.screen:
            if terminal.process.poll() is not None and "systemd-creds" in terminal.screen:
                pytest.skip("this machine has no key for credentials, and this user may not make one")
            sleep(0.05)
        codes = Codes(Phone(address_in(terminal.screen)), time())
        terminal.type(codes.used + "\n")
        assert f"LoadCredentialEncrypted=cardd.support-totp:{file}" in terminal.end()
    assert codes.phone.secret.encode() not in file.read_bytes()
    passed = tmp_path / "credentials"
    passed.mkdir()
    decrypt = ["systemd-creds", "decrypt", "--name=cardd.support-totp", str(file), str(passed / "cardd.support-totp")]
    subprocess.run(decrypt, check=True, timeout=30)
    poor.daemon.stop()
    poor.daemon.environment["CREDENTIALS_DIRECTORY"] = str(passed)
    poor.daemon.start()
    assert poor.user.run("support", "status", "--json").json["enrolled"] is True
    ran = poor.user.run("support", "remove", "--support-code", codes.next)
    assert "kept by systemd" in ran.err


def test_with_codes_off_there_is_nothing_to_enrol(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path)
    daemon.start()
    try:
        user = User(tmp_path / "home", daemon)
        assert "totp = true" in user.run("support", "enrol").err
        assert user.run("support", "status", "--json").json["demanded"] is False
    finally:
        daemon.stop()
