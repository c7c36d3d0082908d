"""Login, signatures, logout: the commands a professional uses."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from cardd.cli.parser import Exit
from tests.cli.station import Station, User
from tests.rig.simulator import store
from tests.rig.terminal import Terminal

DOCUMENT = "Compte rendu SIMULATION\n"


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """Something to sign."""
    path = tmp_path / "compte-rendu.txt"
    path.write_text(DOCUMENT)
    return path


def openssl(*arguments: str | Path) -> str:
    """What openssl says; it must be content."""
    return subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, text=True).stdout


def kept(user: User) -> dict[str, dict[str, str]]:
    """What cardctl remembers of its pairings, by the daemon's address."""
    found: dict[str, dict[str, str]] = json.loads((user.home / "state" / "cardd" / "cardctl-client.json").read_text())
    return found


def test_login_pairs_shows_the_code_of_the_dialog_and_keeps_the_session(user: User, station: Station) -> None:
    ran = user.run("login")
    assert ran.status == 0, ran.err
    assert "SIMULATION" in ran.out
    dialog = next(shown for shown in reversed(station.pinentry.shown()) if "cardctl" in shown.description)
    code = ran.err.split("Code: ")[1].splitlines()[0]
    assert code in station.pinentry.shown()[-2].description
    assert dialog.kind == "pin"
    assert "SIMULATION-MEDECIN (899000000010, CPS, test card)" in user.ok("status", "--lang", "en")


def test_a_second_login_needs_no_pairing_and_leaves_one_session(user: User) -> None:
    user.ok("login")
    before = user.run("sessions", "--json").rows("sessions")
    assert "Code" not in user.run("login").err
    after = user.run("sessions", "--json").rows("sessions")
    assert len(after) == len(before)
    assert after[-1]["id"] != before[-1]["id"]
    assert after[-1]["client"] == "cardctl"


def test_what_is_kept_can_be_read_by_its_user_only(professional: User) -> None:
    files = [path for folder in ("state", "runtime") for path in (professional.home / folder).rglob("*.json")]
    assert len(files) == 2
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_signature_is_verified_by_openssl_and_by_cardctl_until_the_document_changes(
    professional: User, document: Path
) -> None:
    professional.ok("sign", document, "--certificate")
    signature, certificate = document.with_name("compte-rendu.txt.sig"), document.with_name("compte-rendu.txt.pem")
    key = document.with_name("key.pem")
    key.write_text(openssl("x509", "-in", certificate, "-pubkey", "-noout"))
    assert "Verified OK" in openssl("dgst", "-sha256", "-verify", key, "-signature", signature, document)
    assert "OK" in openssl("verify", "-CAfile", store().chain, certificate)
    told = professional.run("verify", document, "--authorities", store().chain, "--offline")
    assert told.status == Exit.UNDETERMINED, told.err
    assert "The signature is intact" in told.out
    assert "SIMULATION" in told.out
    assert "TEST" in told.out
    document.write_text("another")
    ran = professional.run("verify", document, "--json")
    assert (ran.status, ran.json["verdict"]) == (Exit.FAILED, "invalid")


def test_several_files_have_one_consent(professional: User, station: Station, document: Path) -> None:
    other = document.with_name("autre.txt")
    other.write_text("autre")
    before = len(station.pinentry.shown())
    signed = professional.run("sign", document, other, "--json").rows("signed")
    assert [entry["signature"] for entry in signed] == [f"{document}.sig", f"{other}.sig"]
    assert len(station.pinentry.shown()) == before + 1


def test_a_large_file_is_signed_by_its_digest(professional: User, tmp_path: Path) -> None:
    large = tmp_path / "grand.bin"
    large.write_bytes(os.urandom(9 * 1024 * 1024))
    professional.ok("sign", large, "--certificate", "--output", tmp_path / "out.sig")
    ran = professional.run("verify", large, "--signature", tmp_path / "out.sig", "--json")
    (found,) = ran.rows("signatures")
    assert (ran.status, found["intact"]) == (Exit.UNDETERMINED, True)


def test_a_place_that_cannot_be_written_is_told_before_anything_is_signed(
    professional: User, station: Station, document: Path
) -> None:
    before = len(station.pinentry.shown())
    ran = professional.run("sign", document, "--output", "/proc/no/such/place.sig")
    assert ran.status == 1
    assert "place.sig" in ran.err
    assert len(station.pinentry.shown()) == before


def test_a_refused_consent_signs_nothing(professional: User, station: Station, document: Path) -> None:
    station.pinentry.answer("cancel")
    ran = professional.run("sign", document)
    assert ran.status == 6
    assert not document.with_name("compte-rendu.txt.sig").exists()


def test_a_wrong_pin_costs_a_try_and_a_right_one_gives_it_back(user: User, station: Station) -> None:
    station.pinentry.answer("yes", "pin:9999", "cancel")
    ran = user.run("login")
    assert ran.status == 6
    assert "2" in user.ok("pin", "status").split()
    user.ok("login")
    assert "3" in user.ok("pin", "status").split()


def test_a_refused_pairing_leaves_nothing_behind(user: User, station: Station) -> None:
    station.pinentry.answer("cancel")
    ran = user.run("login")
    assert ran.status == 6
    assert not list(user.home.rglob("cardctl-*.json"))


def test_after_logout_signing_wants_a_login(user: User, document: Path) -> None:
    user.ok("login")
    user.ok("logout")
    ran = user.run("sign", document)
    assert ran.status == 4
    assert "cardctl login" in ran.err
    again = user.run("logout")
    assert again.status == 4
    assert "nothing to close" in again.out
    assert "login" not in again.out + again.err


def test_a_session_closed_from_elsewhere_is_told(user: User, document: Path) -> None:
    user.ok("login")
    session = str(user.run("sessions", "--json").rows("sessions")[-1]["id"])
    user.ok("sessions", "close", session)
    assert session not in user.ok("sessions")
    ran = user.run("sign", document)
    assert ran.status == 4
    assert "cardctl login" in ran.err


def test_a_removed_cardctl_pairs_again(user: User) -> None:
    user.ok("login")
    [client] = kept(user).values()
    assert client["client_id"] in user.ok("clients")
    user.ok("clients", "remove", client["client_id"])
    assert client["client_id"] not in user.ok("clients")
    ran = user.run("login")
    assert ran.status == 0
    assert "Code" in ran.err


def test_the_secret_of_one_daemon_is_not_shown_to_another(professional: User) -> None:
    """Somebody else's program listens on the port that the user was told to use."""
    [client] = kept(professional).values()
    heard = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def listen() -> None:
            with listener.accept()[0] as line:
                heard.extend(line.recv(65536))

        thread = threading.Thread(target=listen)
        thread.start()
        elsewhere = User(professional.home).run("login", "--url", f"http://127.0.0.1:{listener.getsockname()[1]}")
        thread.join(10)
    assert elsewhere.status == 3
    assert heard
    assert client["client_secret"].encode() not in heard


@contextmanager
def watched(user: User, *command: str) -> Iterator[tuple[subprocess.Popen[bytes], Callable[[str], None]]]:
    """Run a command on a terminal; yield it, and what waits until a text has come."""
    terminal, slave = pty.openpty()
    with subprocess.Popen(
        user.command(*command), env=user.environment, stdin=subprocess.DEVNULL, stdout=slave, stderr=slave
    ) as process:
        os.close(slave)
        seen = ""

        def wait_for(text: str) -> None:
            nonlocal seen
            while text not in seen:
                seen += os.read(terminal, 1024).decode()

        yield process, wait_for
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
    os.close(terminal)


def test_who_watches_sees_the_time_left_and_the_dialogs_that_come_before(user: User, station: Station) -> None:
    user.ok("login")
    station.pinentry.answer("hang", "hang")
    with ExitStack() as second:
        with watched(user, "login") as (_, told):
            told("PIN")
            told(" s left)")
            _, told_too = second.enter_context(watched(user, "login"))
            told_too("this one comes after it.")
        told_too(" s left)")  # the first one was given up


def opened(user: User) -> object:
    session = user.run("status", "--json").json["session"]
    assert isinstance(session, dict)
    return session["id"]


def test_a_login_that_fails_leaves_the_session_that_works(user: User, station: Station, document: Path) -> None:
    user.ok("login")
    before = opened(user)
    station.pinentry.answer("cancel")
    assert user.run("login").status == 6
    assert opened(user) == before
    user.ok("sign", document)
    user.ok("login")
    sessions = user.run("sessions", "--json").rows("sessions")
    assert before not in [one["id"] for one in sessions], "the one before is closed"


def test_a_window_is_spoken_of_only_when_one_opens(user: User, station: Station, document: Path) -> None:
    ran = user.run("login", "--card", "0000000000000000")
    assert ran.status == 5
    assert "window" not in ran.err.replace("Accept cardctl in the window that opens, if it shows this code.", "")
    assert "Enter your PIN in the window that opens." in user.run("login").err
    assert "Agree to the signature in the window that opens." in user.run("sign", document).err
    missing = user.run("sign", document, "--format", "pades")
    assert missing.status != 0
    assert "window" not in missing.err


def test_what_is_waited_for_is_one_line_on_a_narrow_terminal_too(user: User, station: Station) -> None:
    user.ok("login")
    station.pinentry.answer("hang")
    with Terminal(user.command("login", "--lang", "fr"), user.environment, watched=True, columns=40) as terminal:
        terminal.wait_for(" s)", times=3)
        first, *again = terminal.raw.decode().split("\x1b[J")[-3:]
        assert len(first) > 40
        assert all(f"\x1b[{(len(first) - 1) // 40}A" in part for part in (first, *again[:-1]))
        terminal.process.send_signal(2)
        terminal.process.wait(10)


def test_on_a_narrow_terminal_a_failure_breaks_between_words(user: User) -> None:
    with Terminal(user.command("tunnel", "dmp", "--lang", "fr"), user.environment, watched=True, columns=40) as shown:
        shown.end()
        rows = shown.screen.replace("\r", "").strip().split("\n")
    assert len(rows) > 2
    assert all(len(row.rstrip()) <= 40 for row in rows)
    assert "aucune session n'est ouverte" in " ".join(row.strip() for row in rows).lower()
