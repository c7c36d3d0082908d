"""Doctor on the daemon's own things and on the machine: each failure is made."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cardd.cli.doctor.check import Check, Finding, Level, ok
from cardd.cli.doctor.examining import examine
from cardd.cli.doctor.machine import lockable_memory
from cardd.cli.doctor.surroundings import Surroundings, is_synchronised
from cardd.config import Config, Listen
from cardd.sandbox import Offer
from cardd.system.audit_store import Custody
from cardd.system.people import Accounts
from cardd.values import replace
from tests.api.workbench import Workbench
from tests.cli.doctor import code, configured, result
from tests.cli.station import User
from tests.cli.test_records import change_row, written
from tests.rig import other_user
from tests.rig.pinentry import ScriptedPinentry
from tests.rig.ports import free_port


async def test_a_wrong_configuration_is_told_and_the_other_checks_go_on(tmp_path: Path) -> None:
    surroundings = configured(tmp_path, "[listen]\ntpc = 1\n")
    found = await result("config", surroundings)
    assert (found.code, found.params["key"]) == ("config.invalid", "listen.tpc")
    assert (await result("clock", surroundings)).level is not Level.SKIPPED
    assert await code("config", configured(tmp_path, "")) == "config.ok"


async def test_a_configuration_without_end_is_told_and_not_read(tmp_path: Path) -> None:
    surroundings = configured(tmp_path, "")
    assert surroundings.config_file
    with surroundings.config_file.open("wb") as film:
        film.truncate(2**33)
    found = await result("config", surroundings)
    assert (found.code, found.params["expected"]) == ("config.invalid", "> 1024 KiB")


# --- port ---


def on_port(directory: Path, port: int) -> Surroundings:
    """A configuration with this port."""
    return configured(directory, f"[listen]\ntcp = {port}\n")


async def test_a_port_is_ours_or_free(tmp_path: Path) -> None:
    bench = Workbench(tmp_path)
    await bench.start()
    assert await code("port", on_port(tmp_path, bench.port)) == "port.ours"
    await bench.stop()
    assert await code("port", on_port(tmp_path, bench.port)) == "port.free"
    assert await code("port", on_port(tmp_path, 0)) == "skipped.no_port"


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
async def test_a_port_that_another_program_has_taken_is_told(tmp_path: Path, family: socket.AddressFamily) -> None:
    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        writer.close()

    host = "127.0.0.1" if family is socket.AF_INET else "::1"
    server = await asyncio.start_server(greet, host, 0)
    async with server:
        found = await result("port", on_port(tmp_path, server.sockets[0].getsockname()[1]))
    assert found.code == "port.taken"


# --- socket ---


async def test_a_socket_that_answers_is_fine(tmp_path: Path) -> None:
    bench = Workbench(tmp_path)
    await bench.start()
    assert await code("socket", Surroundings(base=Path(bench.path))) == "socket.ok"
    let_everybody_write(tmp_path)
    assert await code("socket", Surroundings(base=Path(bench.path))) == "socket.directory"
    await bench.stop()


def let_everybody_write(directory: Path) -> None:
    """Open the file to everybody, as a careless hand would."""
    directory.chmod(0o777)


async def test_a_socket_that_is_none_or_dead_is_told(tmp_path: Path) -> None:
    assert await code("socket", Surroundings(base=tmp_path / "none")) == "socket.absent"
    assert await code("socket", Surroundings(base=Path(__file__))) == "socket.not_socket"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "dead"))
    assert await code("socket", Surroundings(base=tmp_path / "dead")) == "socket.dead"


def as_shared(directory: Path) -> None:
    """Give everybody the folder, as /tmp is everybody's."""
    directory.chmod(0o1777)


async def test_nobody_is_told_to_change_a_folder_that_is_everybodys(tmp_path: Path) -> None:
    as_shared(tmp_path)
    with socket.socket(socket.AF_UNIX) as own:
        own.bind(str(tmp_path / "cardd.sock"))
        found = await result("socket", Surroundings(base=tmp_path / "cardd.sock"))
    assert (found.code, str(tmp_path) in found.remedy("en")) == ("socket.shared", False)


async def test_a_state_directory_that_is_none_or_everybodys_is_told_and_not_changed(tmp_path: Path) -> None:
    (tmp_path / "state").symlink_to("/dev/null")
    found = await result("state", configured(tmp_path, f'[state]\ndirectory = "{tmp_path}/state"\n'))
    assert (found.code, found.finding.fix) == ("state.not_directory", [])
    (tmp_path / "state").unlink()
    (tmp_path / "state").mkdir()
    as_shared(tmp_path / "state")
    found = await result("state", configured(tmp_path, f'[state]\ndirectory = "{tmp_path}/state"\n'))
    assert (found.code, found.finding.fix) == ("state.shared", [])


async def test_a_socket_where_another_program_answers_is_told(tmp_path: Path) -> None:
    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_unix_server(greet, tmp_path / "cardd.sock"):
        assert await code("socket", Surroundings(base=tmp_path / "cardd.sock")) == "socket.silent"


IMPORTS = """
import asyncio, base64, encodings.idna, logging, sqlite3
from pathlib import Path
import cardd.formats.certificate, cardd.system.audit_file, cardd.core.readers
from cardd.cli.doctor import CHECKS
from cardd.cli.doctor.examining import examine
from cardd.cli.doctor.surroundings import Surroundings
"""
EXAMINE = """
surroundings = Surroundings(base=Path(sys.argv[2])) if sys.argv[1] == "socket" else Surroundings(Path(sys.argv[2]))
print(asyncio.run(examine(CHECKS, [sys.argv[1]], surroundings))[0].code)
"""


@other_user.needs_root
def test_a_socket_that_this_user_may_not_use_is_told(tmp_path: Path) -> None:
    other_user.open_to_everybody(tmp_path)
    tmp_path.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as closed:
        closed.bind(str(tmp_path / "cardd.sock"))
        closed.listen()
        (tmp_path / "cardd.sock").chmod(0o600)
        told = other_user.run(EXAMINE, "socket", tmp_path / "cardd.sock", imports=IMPORTS)
    assert told.strip() == "socket.refused"


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ({"ActiveState": "active", "SocketState": "active"}, "service.ok"),
        ({"ActiveState": "inactive", "SocketState": "active"}, "service.waiting"),
        ({"ActiveState": "inactive", "SocketState": "inactive"}, "service.stopped"),
    ],
)
async def test_a_service_that_waits_for_a_call_is_not_said_to_run(unit: dict[str, str], expected: str) -> None:
    assert await code("service", Surroundings(unit=lambda _: unit)) == expected


async def test_a_strangers_socket_makes_nobody_the_directorys_owner(tmp_path: Path) -> None:
    """Who may write there may have put a socket of their own in its place: the remedy gives it to the service."""
    with socket.socket(socket.AF_UNIX) as planted:
        planted.bind(str(tmp_path / "cardd.sock"))
    let_everybody_write(tmp_path)
    own = await result("socket", Surroundings(base=tmp_path / "cardd.sock"))
    assert f"chown {Accounts().name(os.geteuid())} " in own.remedy("en")
    if os.geteuid() == 0:
        os.chown(tmp_path / "cardd.sock", 65534, 65534)
        elsewhere = Surroundings(base=tmp_path / "cardd.sock")
        strangers = await result("socket", replace(elsewhere, usual=Config(listen=Listen(socket=elsewhere.socket))))
        assert f"chown cardd {tmp_path}”" in strangers.remedy("en")
        assert await code("socket", elsewhere) == "socket.shared"  # a share is not given away
        os.chown(tmp_path, 65534, 65534)
        assert f"chown nobody {tmp_path}”" in (await result("socket", elsewhere)).remedy("en")


@other_user.needs_root
async def test_a_share_that_the_configuration_names_is_not_taken_from_its_group(tmp_path: Path) -> None:
    (tmp_path / "share").mkdir()
    (tmp_path / "share").chmod(0o2775)
    with socket.socket(socket.AF_UNIX) as services:
        services.bind(str(tmp_path / "cardd.sock"))
        os.chown(tmp_path / "cardd.sock", 65534, 65534)
        text = f'[state]\ndirectory = "{tmp_path}/share"\n[listen]\nsocket = "{tmp_path}/cardd.sock"\n'
        found = await result("state", configured(tmp_path, text))
        (tmp_path / "share").chmod(0o755)
        assert await code("state", configured(tmp_path, text)) == "state.foreign"  # cardd cannot write there
    assert (found.code, found.finding.fix, "“sudo ch" in found.remedy("en")) == ("state.shared", [], False)


# --- pinentry ---


def with_pinentry(directory: Path, program: str | Path) -> Surroundings:
    """A configuration with this pinentry."""
    return configured(directory, f'[prompt]\npinentry = "{program}"\n')


async def test_debians_pinentry_tells_its_version(tmp_path: Path) -> None:
    found = await result("pinentry", with_pinentry(tmp_path, "/usr/bin/pinentry-tty"))
    assert found.code == "pinentry.ok"
    assert str(found.params["version"])[0].isdigit()


async def test_a_pinentry_without_a_version_is_one_too(tmp_path: Path) -> None:
    assert await code("pinentry", with_pinentry(tmp_path, ScriptedPinentry(tmp_path).path)) == "pinentry.ok"


@pytest.mark.parametrize("program", ["/usr/bin/no-such/pinentry-x11", "/bin/true", "/bin/ls"])
async def test_a_pinentry_that_is_missing_or_none_is_told(tmp_path: Path, program: str) -> None:
    found = await result("pinentry", with_pinentry(tmp_path, program))
    assert (found.code, found.params["program"]) == ("pinentry.broken", program)
    assert "apt install --reinstall pinentry-gnome3" in found.remedy("en")


async def test_a_broken_pinentry_of_debians_is_told_with_its_package(tmp_path: Path) -> None:
    broken, usual = tmp_path / "pinentry-gtk-2", tmp_path / "pinentry"
    broken.symlink_to("/bin/true")
    found = await result("pinentry", with_pinentry(tmp_path, broken))
    assert found.params["package"] == "pinentry-gnome3"  # what it leads to is no pinentry
    broken.unlink()
    broken.write_text("#!/bin/sh\n")
    broken.chmod(0o755)
    usual.symlink_to(broken)
    found = await result("pinentry", with_pinentry(tmp_path, usual))
    assert found.params["package"] == "pinentry-gtk2"


async def test_no_pinentry_anywhere_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert await code("pinentry", configured(tmp_path, "")) == "pinentry.absent"


async def test_a_pinentry_that_is_only_the_persons_own_is_told_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "bin" / "pinentry"
    own.parent.mkdir(mode=0o777)
    own.parent.chmod(0o777)
    shutil.copy(ScriptedPinentry(tmp_path).path, own)
    monkeypatch.setenv("PATH", str(own.parent))
    found = await result("pinentry", configured(tmp_path, ""))
    assert (found.code, found.params["program"]) == ("pinentry.exposed", str(own))


# --- audit ---


def with_log(directory: Path, log: Path) -> Surroundings:
    """A configuration with this audit log."""
    return configured(directory, f'[state]\ndirectory = "{log.parent}"\n[audit]\ndirectory = "{log}"\n')


async def test_a_log_is_whole_empty_or_broken(tmp_path: Path) -> None:
    log = tmp_path / "audit"
    assert await code("audit", with_log(tmp_path, log)) == "audit.empty"
    await written(log, custody=Custody(tmp_path / "audit-head"))
    found = await result("audit", with_log(tmp_path, log))
    assert (found.code, found.params["rows"]) == ("audit.ok", 3)
    change_row(log, 2)
    found = await result("audit", with_log(tmp_path, log))
    assert (found.code, found.params["row"]) == ("audit.broken", 2)


async def test_a_log_without_its_head_and_one_that_went_on_are_told(tmp_path: Path) -> None:
    log, custody = tmp_path / "audit", Custody(tmp_path / "audit-head")
    await written(log, custody=custody)
    (tmp_path / "audit-head").unlink()
    assert await code("audit", with_log(tmp_path, log)) == "audit.head_broken"
    await written(log, custody=custody)
    found = await result("audit", with_log(tmp_path, log))
    assert (found.code, found.level, found.params["row"]) == ("audit.went_on", Level.WARNING, 4)
    await asyncio.to_thread(shutil.rmtree, log)
    assert await code("audit", with_log(tmp_path, log)) == "audit.broken"


@other_user.needs_root
async def test_a_log_that_this_user_may_not_read_is_skipped(tmp_path: Path) -> None:
    log = await written(tmp_path / "audit")
    with_log(tmp_path, log)
    other_user.open_to_everybody(tmp_path)
    assert other_user.run(EXAMINE, "audit", tmp_path / "doctor.toml", imports=IMPORTS).strip() == "skipped.no_rights"


# --- clock and memory ---


@pytest.mark.parametrize(
    ("synchronised", "expected"), [(True, "clock.ok"), (False, "clock.unsynchronised"), (None, "clock.plausible")]
)
async def test_a_clock_that_nothing_keeps_right_is_a_warning(synchronised: bool | None, expected: str) -> None:
    assert await code("clock", Surroundings(synchronised=lambda: synchronised)) == expected


async def test_a_clock_before_the_installation_is_wrong() -> None:
    assert await code("clock", Surroundings(now=lambda: datetime(2001, 1, 1, tzinfo=UTC))) == "clock.past"


def test_the_kernel_is_asked_for_the_clock() -> None:
    assert is_synchronised() in (True, False, None)


async def test_the_browsers_that_pages_may_call_from_are_told_and_what_is_wrong_with_them(tmp_path: Path) -> None:
    def browsers(*names: str) -> Surroundings:
        return configured(tmp_path, f"[web]\nbrowsers = {list(names)}")

    found = await result("browsers", browsers("/usr/bin/true", "/nowhere/browser"))
    assert (found.code, found.params) == ("browsers.ok", {"browsers": "/usr/bin/true"})
    assert await code("browsers", browsers("known", "any")) == "browsers.any"
    assert await code("browsers", browsers("/nowhere/browser")) == "browsers.none"
    own = shutil.copy("/usr/bin/sleep", tmp_path / "my-browser")
    running = await asyncio.create_subprocess_exec(own, "30")
    found = await result("browsers", browsers("/usr/bin/true", str(own)))
    running.kill()
    await running.wait()
    assert (found.code, found.params) == ("browsers.unknown", {"program": str(own)})


@pytest.mark.parametrize(
    ("session", "expected"),
    [
        ({"DISPLAY": ":0"}, "desktop.x11"),
        ({"XDG_SESSION_TYPE": "x11"}, "desktop.x11"),
        ({"DISPLAY": ":0", "WAYLAND_DISPLAY": "w"}, "desktop.ok"),
        ({}, "desktop.ok"),
    ],
)
async def test_a_desktop_where_programs_read_what_is_typed_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, session: dict[str, str], expected: str
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "XDG_SESSION_TYPE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in session.items():
        monkeypatch.setenv(name, value)
    assert await code("desktop") == expected


def test_too_little_lockable_memory_is_a_warning(stranger: User) -> None:
    doctor = stranger.command("doctor", "memory", "--json", "--socket", "/nowhere/cardd.sock")
    limited = ["prlimit", "--memlock=16384", *doctor]
    ran = subprocess.run(limited, env=stranger.environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0
    assert '"memory.low"' in ran.stdout
    assert "Only 16 KiB" in ran.stdout


def test_the_limit_that_counts_is_the_daemons() -> None:
    with subprocess.Popen(
        ["prlimit", "--memlock=32768", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdin
        assert other.stdout
        other.stdin.write(b"\n")
        other.stdin.flush()
        other.stdout.readline()  # it has become cat
        assert lockable_memory(other.pid) == 32768


UNCONFINED_CPS = '[drivers.pkcs11]\nmodules = ["cps"]\nunconfined = ["cps"]'


@pytest.mark.parametrize(
    ("text", "offered", "code", "level"),
    [
        ("", Offer(7, seccomp=True), "sandbox.ok", Level.OK),
        ("", Offer(0, seccomp=True), "sandbox.missing", Level.WARNING),
        ("[sandbox]\nrequired = true", Offer(7, seccomp=False), "sandbox.missing", Level.FAILURE),
        (
            '[drivers.pkcs11]\nmodules = ["cps"]\nunconfined = ["cps"]',
            Offer(7, seccomp=True),
            "sandbox.unconfined",
            Level.WARNING,
        ),
    ],
)
async def test_a_sandbox_that_is_missing_or_done_without_is_told(
    tmp_path: Path, text: str, offered: Offer, code: str, level: Level
) -> None:
    found = await result("sandbox", replace(configured(tmp_path, text), sandbox=lambda: offered))
    assert (found.code, found.level) == (code, level)


# --- the whole ---


async def broken(_surroundings: Surroundings) -> Finding:
    """A check with a fault of its own."""
    raise ZeroDivisionError("of its own")


async def slow(_surroundings: Surroundings) -> Finding:
    """A check that hangs."""
    await asyncio.sleep(60)
    return ok("fine.ok", "Fine.")()


async def fine(_surroundings: Surroundings) -> Finding:
    """A check that is content."""
    return ok("fine.ok", "Fine.")()


async def test_each_check_fails_alone() -> None:
    checks = {"pcscd": Check("", broken), "reader": Check("", slow), "clock": Check("", fine)}
    results = await examine(checks, checks, Surroundings(), limit=0.05)
    assert [(result.level, result.code) for result in results] == [
        (Level.FAILURE, "fault"),
        (Level.FAILURE, "late"),
        (Level.OK, "fine.ok"),
    ]
    assert "ZeroDivisionError" in results[0].sentence("fr")


def test_all_checks_come_to_an_end_where_nothing_is_there(stranger: User) -> None:
    environment = {**stranger.environment, "PCSCLITE_CSOCK_NAME": "/nowhere/pcscd.comm"}
    command = stranger.command("doctor", "--lang", "fr", "--socket", "/nowhere/cardd.sock")
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert ran.stderr == ""
    assert "pcscd ne fonctionne pas." in ran.stdout
    assert "→ Démarrez-le" in ran.stdout


def test_warnings_are_no_failure_and_json_tells_all(stranger: User, tmp_path: Path) -> None:
    on_port(tmp_path, free_port())
    ran = stranger.run("doctor", "port", "--json", "--config", tmp_path / "doctor.toml")
    assert ran.status == 0
    [check] = ran.rows("checks")
    assert (check["check"], check["level"], check["code"]) == ("port", "warning", "port.free")
    assert check["remedy"]


def test_an_unknown_check_is_a_wrong_command(stranger: User) -> None:
    ran = stranger.run("doctor", "horoscope")
    assert ran.status == 2
    assert "pcscd" in ran.err
    assert os.sep not in ran.err.replace("/openapi.json", "")


# --- network


OUTSIDE = '[timestamp]\nurl = "https://tsa.example/"\n'
LOCAL = '[psc]\nissuer = "https://localhost:17480/realm"\nclient_id = "x"'
CLOSED = {"ActiveState": "active", "IPAddressDeny": "0.0.0.0/0 ::/0", "IPAddressAllow": "127.0.0.0/8 ::1/128"}


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("", CLOSED, "skipped.no_network"),
        (LOCAL, {**CLOSED, "RestrictAddressFamilies": ""}, "network.ok"),
        (LOCAL, {**CLOSED, "RestrictAddressFamilies": "~AF_PACKET"}, "network.ok"),
        (LOCAL, {**CLOSED, "RestrictAddressFamilies": "AF_NETLINK AF_UNIX"}, "network.closed"),
        (OUTSIDE, {"ActiveState": "active", "RestrictAddressFamilies": "AF_NETLINK AF_UNIX"}, "network.closed"),
        (OUTSIDE, None, "skipped.no_unit"),
        (OUTSIDE, CLOSED, "network.closed"),
        ('[psc]\nproxy = "https://lps.example"\nclient_id = "x"', CLOSED, "network.closed"),
        ('[upstreams.dmp]\nurl = "https://dmp.example"', CLOSED, "network.closed"),
        ('[audit]\nsinks = ["https://sink.example/"]', CLOSED, "network.closed"),
        (OUTSIDE, {**CLOSED, "IPAddressDeny": ""}, "network.ok"),
        (OUTSIDE, {**CLOSED, "IPAddressAllow": "127.0.0.0/8 10.1.2.3/32"}, "network.narrowed"),
    ],
)
async def test_a_service_that_systemd_keeps_from_the_network_is_told_where_it_needs_it(
    tmp_path: Path, text: str, unit: dict[str, str] | None, expected: str
) -> None:
    found = await result("network", replace(configured(tmp_path, text), unit=lambda _: unit))
    assert found.code == expected
    assert ("network.conf" in found.remedy("fr")) is (expected == "network.closed")


async def test_the_unit_that_cardd_brings_is_closed_and_network_conf_opens_it() -> None:
    """systemd's own words of these properties are those that the check compares."""
    unit, opened = (Path("systemd") / name for name in ("cardd.service", "network.conf"))
    assert "IPAddressDeny=any\nIPAddressAllow=localhost" in unit.read_text()
    assert "RestrictAddressFamilies=AF_UNIX AF_NETLINK\n" in unit.read_text()
    assert "RestrictAddressFamilies=AF_INET AF_INET6\nIPAddressDeny=\nIPAddressAllow=\n" in opened.read_text()
