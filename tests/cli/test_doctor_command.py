"""``cardctl doctor`` as it is typed: its first line, its time, its exit status, and what ``--fix`` does."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Coroutine
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

import pytest

from cardd.cli.doctor import CHECKS, MODULES, outcomes
from cardd.cli.doctor.check import Check, Finding, Level, failure, ok, warning
from cardd.cli.doctor.examining import cause, examine
from cardd.cli.doctor.surroundings import Surroundings
from cardd.cli.wording import typed
from cardd.errors import PscCertificateName
from cardd.files import stays_roots
from cardd.model import shown
from tests.cli.breakages.making import listening
from tests.cli.breakages.readers import NEWER
from tests.cli.doctor import configured, result
from tests.cli.station import User
from tests.rig import other_user
from tests.rig.here import use_socket
from tests.rig.ports import free_port
from tests.rig.terminal import Terminal
from tests.rig.wrong_clock import wrong_clock

LONG = 60.0  # seconds, which nothing takes


def open_state(directory: Path) -> Path:
    """A configuration whose state directory anybody may change."""
    state = directory / "state"
    state.mkdir()
    state.chmod(0o777)
    file = directory / "doctor.toml"
    file.write_text(f'[state]\ndirectory = "{state}"\n')
    return file


def test_the_first_line_has_the_cause_its_code_and_the_remedy(stranger: User) -> None:
    environment = {**stranger.environment, "PCSCLITE_CSOCK_NAME": "/nowhere/pcscd.comm"}
    command = stranger.command(
        "doctor", "pcscd", "reader", "desktop", "--lang", "fr", "--socket", "/nowhere/cardd.sock"
    )
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    first, remedy, empty, *rest = ran.stdout.splitlines()
    assert first.startswith("ÉCHEC  Service des lecteurs")
    assert first.endswith("pcscd ne fonctionne pas. [pcscd.absent]")
    assert remedy.startswith("→ Installez-le")
    assert empty == ""
    assert len(rest) == 4
    assert ran.returncode == 1


def test_a_clock_that_has_begun_anew_is_told_before_what_comes_of_it(stranger: User) -> None:
    command = stranger.command("doctor", "clock", "socket", "--json", "--socket", "/nowhere/cardd.sock")
    environment = stranger.environment | wrong_clock("@2001-01-01 00:00:00")
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert json.loads(ran.stdout)["cause"] == "clock.past"


def test_where_nothing_is_wrong_the_first_line_says_so(stranger: User) -> None:
    ran = stranger.run("doctor", "config", "desktop")
    assert (ran.status, ran.out.splitlines()[0]) == (0, "Nothing is wrong, as far as can be seen.")


def test_a_warning_is_a_failure_where_that_is_wanted(stranger: User, tmp_path: Path) -> None:
    port = configured(tmp_path, f"[listen]\ntcp = {free_port()}\n").config_file
    assert port
    assert stranger.run("doctor", "port", "config", "--config", port).status == 0
    ran = stranger.run("doctor", "port", "config", "--config", port, "--strict", "--json")
    assert (ran.status, ran.json["cause"], ran.json["warnings"]) == (1, "port.free", 1)


async def test_one_that_hangs_or_breaks_keeps_no_other_from_its_end(tmp_path: Path) -> None:
    """A hanging call of a library blocks its thread, and no timeout reaches into it."""
    never = threading.Event()

    def hangs(_: Surroundings) -> Finding:
        never.wait()
        raise AssertionError

    def breaks(_: Surroundings) -> Finding:
        raise KeyError("of its own")

    checks = {**CHECKS, "hangs": Check("", hangs), "breaks": Check("", breaks)}
    results = await examine(checks, ["hangs", "breaks", "config", "disk"], configured(tmp_path, ""), limit=0.5)
    assert [result.code for result in results] == ["late", "fault", "config.ok", "disk.ok"]
    never.set()


async def test_everything_that_hangs_at_once_is_looked_at_at_once_and_told_by_the_check_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pcscd, both D-Buses, the daemon's socket and port, and the proxy take connections, and say nothing."""
    with ExitStack() as silent:
        for name in ("pcscd.comm", "cardd.sock", "bus"):
            listener = silent.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(str(tmp_path / name))
            listener.listen(64)
        ports = [silent.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1] for _ in range(2)]
        use_socket(tmp_path / "pcscd.comm")
        for bus in ("DBUS_SESSION_BUS_ADDRESS", "DBUS_SYSTEM_BUS_ADDRESS"):
            monkeypatch.setenv(bus, f"unix:path={tmp_path}/bus")
        text = f'[listen]\ntcp = {ports[0]}\nsocket = "{tmp_path}/cardd.sock"\n[network]\nproxy = "http://127.0.0.1:{ports[1]}"\n'
        asked = {name: check for name, check in CHECKS.items() if name != "psc"}  # which waits until it is cut off
        all_at_once = threading.Barrier(len(asked))
        checks = {name: Check(check.title, partial(looked_at, check, all_at_once)) for name, check in asked.items()}
        results = await examine(checks, checks, configured(tmp_path, text), limit=LONG)
    codes = {result.name: result.code for result in results}
    assert (codes["pcscd"], codes["socket"], codes["port"]) == ("pcscd.hangs", "socket.silent", "port.taken")
    assert codes["certificates"] == "skipped.no_pcscd"
    assert [name for name, code in codes.items() if code == "late"] == []
    assert sum(result.level is Level.OK for result in results) >= 8


def looked_at(
    check: Check, all_at_once: threading.Barrier, surroundings: Surroundings
) -> Finding | Coroutine[None, None, Finding]:
    """Look once every check is being looked at."""
    all_at_once.wait(LONG)
    return check.look(surroundings)


async def test_a_pcscd_that_answers_half_a_message_and_then_nothing_is_told_in_time(tmp_path: Path) -> None:
    ends = threading.Event()

    def answer(connection: socket.socket) -> None:
        with connection:
            if connection.recv(64):
                connection.sendall(NEWER[:5])
                ends.wait(LONG)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "half.comm"))
        listener.listen(8)

        def serve() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        use_socket(tmp_path / "half.comm")
        names = ["pcscd_socket", "protocol", "pcscd", "reader", "card"]
        found = cause(await examine(CHECKS, names, Surroundings(), limit=LONG))
        ends.set()
        listener.shutdown(socket.SHUT_RDWR)
    assert found
    assert found.code == "pcscd.hangs"


def told(code: str, *, minor: bool = False, fails: bool = False) -> Check:
    """A check that finds this."""
    outcome = (failure if fails else warning)(code, "S.", "R.", is_minor=minor)
    return Check("", lambda _: outcome())


async def test_the_cause_is_the_first_failure_else_the_first_warning_that_matters() -> None:
    checks = {
        "fine": Check("", lambda _: ok("fine.ok", "S.")()),
        "asks": told("asks.minor", minor=True),
        "warns": told("warns.first"),
        "late": told("late", minor=True, fails=True),
        "fails": told("fails.first", fails=True),
        "fails_too": told("fails_too.second", fails=True),
    }

    async def first(*names: str) -> str | None:
        found = cause(await examine(checks, names, Surroundings()))
        return found.code if found else None

    assert await first(*checks) == "fails.first"
    assert await first("fine", "asks", "warns") == "warns.first"
    assert await first("fine", "asks") == "asks.minor"
    assert await first("late", "asks", "warns") == "late"
    assert await first("fine") is None


# --- fixes


def test_a_fix_is_done_told_and_looked_at_again(stranger: User, tmp_path: Path) -> None:
    file = open_state(tmp_path)
    ran = stranger.run("doctor", "state", "--fix", "--yes", "--config", file)
    assert ran.status == 0
    assert f"Done: chmod go-w {tmp_path}/state" in ran.err
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o755
    assert ran.out.startswith("ok")


def test_without_a_terminal_and_without_yes_nothing_is_done(stranger: User, tmp_path: Path) -> None:
    ran = stranger.run("doctor", "state", "--fix", "--config", open_state(tmp_path), "--json")
    assert ran.status == 1
    assert "Not done without --yes: chmod go-w" in ran.err
    [fix] = ran.rows("fixes")
    assert (fix["code"], fix["is_done"]) == ("state.open", False)
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o777


def test_the_person_is_asked_and_may_say_no(stranger: User, tmp_path: Path) -> None:
    command = stranger.command("doctor", "state", "--fix", "--lang", "fr", "--config", open_state(tmp_path))
    for answer, mode in (("\n", 0o777), ("o\n", 0o755)):
        with Terminal(command, stranger.environment, watched=True) as terminal:
            terminal.wait_for("(o/N)")
            assert "chmod go-w" in terminal.screen
            terminal.type(answer)
            terminal.end()
            assert ("Fait" in terminal.screen) is (mode == 0o755)
        assert (tmp_path / "state").stat().st_mode & 0o777 == mode


def test_root_is_told_that_a_fix_concerns_every_user_before_it_is_agreed_to(stranger: User) -> None:
    command = stranger.command("doctor", "pkcs11", "--fix", "--lang", "fr")
    with Terminal(command, stranger.environment, watched=True) as terminal:
        terminal.wait_for("(o/N)")
        assert ("tout le poste" in terminal.screen) is (os.geteuid() == 0)
        terminal.type("n\n")
        terminal.end()


def test_a_fix_that_fails_is_told_with_its_reason(
    stranger: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    systemctl = tmp_path / "systemctl"
    systemctl.write_text('#!/bin/sh\necho "Unit $2 not found." >&2\nexit 5\n')
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    ran = stranger.run("doctor", "socket", "--fix", "--yes", "--json", "--socket", tmp_path / "none.sock")
    assert (ran.status, ran.json["cause"]) == (1, "socket.absent")
    [fix] = ran.rows("fixes")
    assert (fix["is_done"], fix["command"]) == (False, "systemctl start cardd.socket")
    assert fix["why"] == "Unit cardd.socket not found."


def test_a_session_bus_that_lets_in_and_then_hangs_is_told_in_place_of_the_keyring(
    stranger: User, tmp_path: Path
) -> None:
    def let_in(connection: socket.socket) -> None:
        while said := connection.recv(4096):
            if b"AUTH" in said:
                connection.sendall(b"OK 00\r\n")  # and nothing to what comes after BEGIN

    bus = {"DBUS_SESSION_BUS_ADDRESS": f"unix:path={tmp_path}/bus"}
    command = stranger.command("doctor", "keyring", "--json", "--socket", str(tmp_path / "none.sock"))
    with listening(tmp_path / "bus", let_in):
        done = subprocess.run(command, env={**stranger.environment, **bus}, capture_output=True, text=True, check=False)
    assert "keyring.bus_silent" in done.stdout, done.stdout + done.stderr


def test_what_doctor_starts_takes_no_module_from_the_folder_that_it_is_called_in(
    stranger: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "smartcard.py").write_text("raise SystemExit('a module of somebody else')")
    monkeypatch.chdir(tmp_path)
    environment = {**stranger.environment, "PCSCLITE_CSOCK_NAME": str(tmp_path / "newer.comm")}
    python, *command = stranger.command("doctor", "protocol", "--json")

    def answer(connection: socket.socket) -> None:
        if connection.recv(64):
            connection.sendall(NEWER)

    with listening(tmp_path / "newer.comm", answer):
        done = subprocess.run(  # as the installed command, which looks for modules where it stands itself
            [python, "-P", *command], env=environment, capture_output=True, text=True, check=False
        )
    assert "protocol.mismatch" in done.stdout, done.stderr


@pytest.mark.parametrize(
    "name",
    [
        "a b",
        "$(touch X);touch X",
        "it's",
        "-rf \\ !!",
        "\\'\";touch X #",
        "n\ntouch X",
        "\u202egnp\x1b[2J",
        "x” “sudo touch X",
        "é\u202f»",
    ],
)
def test_a_command_in_a_remedy_does_what_it_says_whatever_a_file_is_called(tmp_path: Path, name: str) -> None:
    state = tmp_path / name
    state.mkdir()
    surroundings = configured(tmp_path, f"[state]\ndirectory = {json.dumps(str(state))}\n")
    for language, command in (("en", "“sudo (chmod [^”]+)”"), ("fr", "« sudo (chmod [^»]+) »")):
        state.chmod(0o777)
        remedy = asyncio.run(result("state", surroundings)).remedy
        assert shown(remedy(language)) == remedy(language)
        [pasted] = re.findall(command, remedy(language))
        if fish := shutil.which("fish"):  # which has rules of its own, and knows no bytes
            subprocess.run([fish, "--no-config", "-c", pasted], cwd=tmp_path, check=False)
        subprocess.run(["bash", "-c", pasted], cwd=tmp_path, check=True)
        assert state.stat().st_mode & 0o777 == 0o755
    assert {each.name for each in tmp_path.iterdir()} == {name, "doctor.toml"}


def test_no_quotes_hold_what_some_shell_reads_in_them() -> None:
    assert [typed(name) for name in ("a\\'b", "=ls", "a/b.c")] == ["'a'\\\\''\\''b'", "'=ls'", "a/b.c"]


def test_what_cannot_be_seen_is_told_as_bytes() -> None:
    names = ("a\u3164", "\u1160", "\u2800", "\udcff", "\ud800")
    told = ["$'a\\xe3\\x85\\xa4'", "$'\\xe1\\x85\\xa0'", "$'\\xe2\\xa0\\x80'", "$'\\xff'", "$'\\xed\\xa0\\x80'"]
    assert [typed(name) for name in names] == told
    assert shown("Cabinet\u3164\uffa0") == "Cabinet  "


async def test_a_name_leaves_the_sentence_readable_and_begins_no_remedy() -> None:
    check = Check("", lambda _: ok("long.ok", "{name} is here.")(name="x” → Type “sudo sh" + "x" * 4096))
    [found] = await examine({"long": check}, ["long"], Surroundings())
    assert len(found.sentence("fr")) < 220
    assert not set("“”→") & set(found.sentence("fr"))


async def test_a_name_in_a_foreign_certificate_begins_no_remedy() -> None:
    def look(_: Surroundings) -> Finding:
        raise PscCertificateName(host="psc.example", holder="x”. → Type « sudo sh »")

    [found] = await examine({"psc": Check("", look)}, ["psc"], Surroundings())
    for language in ("en", "fr"):
        assert "x'. ' Type ' sudo sh '" in found.sentence(language)


@other_user.needs_root
def test_root_changes_nothing_where_another_user_can_make_the_path_a_link(stranger: User, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    file = open_state(theirs)
    os.chown(theirs, 65534, 65534)
    ran = stranger.run("doctor", "state", "--fix", "--yes", "--config", file, "--json")
    [fix] = ran.rows("fixes")
    assert (fix["is_done"], fix["why"]) == (False, f"others than root can change where {theirs}/state leads")
    assert (theirs / "state").stat().st_mode & 0o777 == 0o777


@other_user.needs_root
def test_root_follows_no_link_of_its_own_to_where_another_user_can_make_one(stranger: User, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("roots", "theirs")]
    for folder in folders:
        folder.mkdir()
    file = open_state(folders[1])
    os.chown(folders[1], 65534, 65534)
    (folders[0] / "state").symlink_to(folders[1] / "state")
    file.write_text(f'[state]\ndirectory = "{folders[0]}/state"\n')
    [fix] = stranger.run("doctor", "state", "--fix", "--yes", "--config", file, "--json").rows("fixes")
    assert (fix["is_done"], (folders[1] / "state").stat().st_mode & 0o777) == (False, 0o777)


@other_user.needs_root
def test_a_link_of_another_user_in_a_folder_of_everybodys_is_never_taken_for_roots(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    (tmp_path / "theirs").symlink_to("/usr/bin")
    os.chown(tmp_path / "theirs", 65534, 65534, follow_symlinks=False)
    (tmp_path / "through").symlink_to(tmp_path / "theirs")
    (tmp_path / "roots").symlink_to("/usr/bin")
    told = [stays_roots(tmp_path / name / "env") for name in ("theirs", "through", "roots")]
    assert (told, stays_roots(tmp_path)) == ([False, False, True], False)


def test_a_name_that_is_no_text_breaks_no_json(stranger: User, tmp_path: Path) -> None:
    place = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    place.touch()
    assert stranger.run("doctor", "socket", "--json", "--socket", place).json["cause"] == "socket.not_socket"
    assert stranger.run("status", "--json", "--socket", place).status == 3


def test_each_fix_is_a_command_of_this_system_or_our_own() -> None:
    programs = {one.fix[0] for module in MODULES for one in outcomes(module) if one.fix}
    assert programs == {"systemctl", "timedatectl", "chmod", "cardctl"}


def test_whoever_watches_sees_how_far_it_is(stranger: User) -> None:
    with Terminal(stranger.command("doctor", "--lang", "fr"), stranger.environment, watched=True) as terminal:
        terminal.wait_for(f"examens sur {len(CHECKS)}")
        out = terminal.end()
    assert "examens sur" not in out
    assert out.splitlines()[0].startswith(("ÉCHEC", "attention"))


def test_every_code_is_told_once_and_belongs_to_a_check() -> None:
    codes = [one.code for module in MODULES for one in outcomes(module)]
    assert len(codes) == len(set(codes))
    assert {code.partition(".")[0] for code in codes} == set(CHECKS)
    assert len(CHECKS) >= 35
