"""The machine and the service: the configuration, disks, the clock, denials, the audit log, systemd, the socket."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from cardd.cli.doctor.surroundings import Forbidding, Surroundings
from cardd.config import Config, State
from cardd.values import replace
from tests.cli.breakages.making import NOBODY, breakage, child, listening, small_disk
from tests.cli.practice import Practice
from tests.cli.test_records import change_row
from tests.rig.ports import free_port

DENIED = (
    'audit: type=1400 audit(1.2:3): apparmor="DENIED" operation="open" profile="pcscd" name="/x" pid=7 comm="pcscd"'
)
AVC = 'audit: type=1400 audit(1.2:3): avc:  denied  { connectto } for  pid=9 comm="cardd" path="/run/pcscd/pcscd.comm"'


def forbidden(*lines: str) -> list[Forbidding]:
    """These lines of the kernel's log, a minute and more after it started."""
    return [Forbidding(line, at) for at, line in enumerate(lines, 60_000_000)]


LISTEN = """
import socket, sys, threading
taken = socket.create_server(("127.0.0.1", int(sys.argv[1])))
def hang_up():
    while True:
        taken.accept()[0].close()
threading.Thread(target=hang_up, daemon=True).start()
print(1, flush=True)
sys.stdin.read()
"""


@breakage("config.invalid")
def wrong_configuration(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """A key is misspelt."""
    surroundings = practice.surroundings(directory)
    assert surroundings.config_file
    surroundings.config_file.write_text(surroundings.config_file.read_text().replace("tcp =", "tpc ="))
    yield surroundings


@breakage("disk.full")
def full_disk(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """The audit log's disk is full."""
    with small_disk(directory) as place:
        (place / "film").write_bytes(bytes(60 * 1024))
        yield practice.surroundings(directory, {"audit": {"directory": place}})


@breakage("disk.read_only")
def disk_that_can_be_read_only(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """The kernel has made the disk read-only, as it does after a fault."""
    with small_disk(directory, "ro") as place:
        yield practice.surroundings(directory, {"audit": {"directory": place}})


@breakage("state.open")
def open_state(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """Somebody has given everybody the right to change the state."""
    practice.station.daemon.state.chmod(0o777)
    yield practice.surroundings(directory)
    practice.station.daemon.state.chmod(0o700)


@breakage("state.owner")
def foreign_state(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """The state was copied by somebody else, in its usual place."""
    state = practice.station.daemon.state
    os.chown(state, NOBODY, NOBODY)
    yield replace(practice.surroundings(directory), usual=Config(state=State(directory=state)))
    os.chown(state, 0, 0)


@breakage("state.foreign")
def somebodys_folder(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """The configuration names somebody's folder."""
    os.chown(practice.station.daemon.state, NOBODY, NOBODY)
    yield practice.surroundings(directory)
    os.chown(practice.station.daemon.state, 0, 0)


@breakage("clock.past")
def dead_battery(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """The clock has begun anew."""
    yield replace(practice.surroundings(directory), now=lambda: datetime(2001, 1, 1, tzinfo=UTC))


@breakage("denials.apparmor")
def apparmor(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """AppArmor forbids."""
    yield replace(practice.surroundings(directory), kernel_log=lambda: forbidden("unrelated", DENIED))


@breakage("denials.selinux")
def selinux(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """SELinux forbids."""
    yield replace(practice.surroundings(directory), kernel_log=lambda: forbidden(AVC))


@breakage("audit.broken")
def changed_log(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """Somebody has changed a row of the audit log."""
    copy = directory / "audit"
    subprocess.run(["cp", "-a", practice.station.daemon.state / "audit", copy], check=True)
    change_row(copy, 1)
    yield practice.surroundings(directory, {"audit": {"directory": copy}})


@breakage("service.failed")
def failed_service(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """Systemd has given the service up, and says so."""
    yield replace(practice.surroundings(directory), unit=lambda _: {"ActiveState": "failed"})


@breakage("service.restarting")
def service_in_vain(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """The service ends as soon as it is started."""
    unit = {"LoadState": "loaded", "ActiveState": "activating", "NRestarts": "3"}
    yield replace(practice.surroundings(directory), unit=lambda _: unit)


@breakage("service.masked")
def masked_service(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """An administrator has switched the service off."""
    yield replace(practice.surroundings(directory), unit=lambda _: {"LoadState": "masked", "ActiveState": "inactive"})


@breakage("port.taken")
def taken_port(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """Another program listens on the port."""
    port = free_port()
    with child(sys.executable, "-c", LISTEN, str(port)):
        yield practice.surroundings(directory, {"listen": {"tcp": port}})


@breakage("socket.dead")
def killed_daemon(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """The daemon was killed."""
    practice.station.daemon.kill()
    yield practice.surroundings(directory)
    practice.station.daemon.start()
    practice.station.wait_for_cards(1)


@breakage("socket.absent")
def no_daemon(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """Nobody has started the daemon of this configuration."""
    yield practice.surroundings(directory, {"listen": {"tcp": free_port(), "socket": directory / "none.sock"}})


@breakage("version.differs")
def older_daemon(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """The package was updated, and the daemon that runs is the old one: here, one that says so."""
    with answering(directory / "old.sock", b'{"name": "cardd", "version": "0.1.0", "state": "ready"}') as path:
        yield practice.surroundings(directory, {"listen": {"tcp": 0, "socket": path}})


@contextmanager
def answering(path: Path, body: bytes) -> Iterator[Path]:
    """Something that answers every request so."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"

    def answer(connection: socket.socket) -> None:
        if connection.recv(65536):
            connection.sendall(head % len(body) + body)

    with listening(path, answer):
        yield path
