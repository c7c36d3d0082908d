"""Faults of the machine: its disk, its clock, what a process may have, sleep, the buses and the keyring."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from http.client import HTTPException
from pathlib import Path

from tests.faults.callers import connected
from tests.faults.injecting import injected, is_alive
from tests.faults.network import logs_in
from tests.faults.site import Site
from tests.faults.table import Listed, add, fault
from tests.faults.work import LPS, Caller, Problem
from tests.integration.workstation import wait_until
from tests.rig.lps import UnixConnection

SHORTLY = 2.0
MANY = 500  # values that are thrown away while their rows cannot be written
WRITES = "openat,write,pwrite64,ftruncate,fsync,fdatasync,rename,unlink"
DAY = 86_400
CLOCKS = ("upstream.clock", "upstream.certificate", "signing_certificate.expired", "signing_certificate.not_yet_valid")
GROUPS = Path("/sys/fs/cgroup/memory")


@fault(Listed.DISK, "full for 2 s", within=3, thrown=MANY, says=("audit.unavailable", "state.unavailable"))
def full(site: Site) -> None:
    """Fill the disk with the state to its last byte, while the log has no room of its own; have a program paired."""
    state, caller = site.station.daemon.state, Caller(site.station.daemon.port)
    ballast = state / "ballast"
    with site.at_rest(), closing(sqlite3.connect(state / "audit" / "audit.db")) as log:
        log.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        fill(ballast)
    until = time.monotonic() + SHORTLY
    while time.monotonic() < until:
        fill(ballast)
        with suppress(Problem):
            caller.ask("POST", "/v1/clients", {"name": "Nouveau", **LPS}, None)
    ballast.unlink()


def fill(ballast: Path) -> None:
    """Take what room there is."""
    with ballast.open("ab", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass


def failing(site: Site, calls: str, what: str, seconds: float) -> None:
    """Let system calls about the state end so for a while."""
    state = site.station.daemon.state
    paths = [path for path in (state, *state.rglob("*")) if path.exists()]
    with injected(site.pid, calls, what, *paths):
        time.sleep(seconds)


says: tuple[str, ...]
for told, error in (("read-only", "EROFS"), ("failing (EIO)", "EIO")):
    inject = partial(failing, calls=WRITES, what=f"error={error}", seconds=SHORTLY)
    says = ("audit.unavailable", "state.unavailable")
    add(Listed.DISK, f"{told} for 2 s", inject, within=4, thrown=MANY, says=says)
for told, delay, seconds, says in (
    ("0.7 s for each sync", 700_000, 4.0, ()),
    ("8 s for each sync", 8_000_000, 7.0, ("audit.slow",)),
):
    inject = partial(failing, calls="fsync,fdatasync", what=f"delay_enter={delay}", seconds=seconds)
    add(Listed.DISK, f"slow, {told}", inject, within=20, says=says)


def clock(site: Site, ahead: int) -> None:
    """Set the clock, and set it right again."""
    site.around.clock.set(ahead)
    time.sleep(SHORTLY)
    site.around.clock.set(0)


for told, ahead in (
    ("an hour forward", 3600),
    ("an hour back", -3600),
    ("a day forward", DAY),
    ("a day back", -DAY),
    ("ten years forward, when certificates have ended", 3650 * DAY),
    ("to 1970", -int(time.time()) + DAY),
):
    add(Listed.CLOCK, f"{told}, and back after 2 s", partial(clock, ahead=ahead), within=4, says=CLOCKS)


@contextmanager
def limited(site: Site, what: int, allowed: int) -> Iterator[None]:
    """Let the daemon have no more of something inside."""
    before = resource.prlimit(site.pid, what)
    resource.prlimit(site.pid, what, (allowed, before[1]))
    yield
    resource.prlimit(site.pid, what, before)


@fault(Listed.DESCRIPTORS, "for 3 s: none is left", within=4, thrown=MANY, says=("daemon.exhausted",))
def no_descriptor(site: Site) -> None:
    """Let it open nothing more."""
    used = [int(file.name) for file in Path(f"/proc/{site.pid}/fd").iterdir()]
    with limited(site, resource.RLIMIT_NOFILE, min(set(range(max(used) + 2)) - set(used))):
        time.sleep(3)


@fault(Listed.DESCRIPTORS, "for 3 s: eight are left, and twenty connections come", within=4, thrown=MANY)
def few_descriptors(site: Site) -> None:
    """Let it open a few."""
    used = [int(file.name) for file in Path(f"/proc/{site.pid}/fd").iterdir()]
    with limited(site, resource.RLIMIT_NOFILE, max(used) + 9), ExitStack() as open_:
        for _ in range(20):
            open_.enter_context(connected(site))
        time.sleep(3)


def memory(site: Site, more: int, size: int) -> None:
    """Let it have so many bytes more, and ask it for what takes more: that is refused, and work goes on."""
    [held] = re.findall(r"VmData:\s+(\d+) kB", Path(f"/proc/{site.pid}/status").read_text())
    body = f'{{"document": "{"QUFB" * (size // 4)}"}}'
    told = []
    with limited(site, resource.RLIMIT_DATA, int(held) * 1024 + more):
        for _ in range(4):
            with suppress(OSError, HTTPException), closing(UnixConnection(site.station.daemon.socket)) as connection:
                connection.request("POST", "/v1/verifications", body, {"Content-Type": "application/json"})
                told.append(json.loads(connection.getresponse().read())["code"])
    assert set(told) == {"daemon.exhausted"}, told


add(Listed.MEMORY, "that a large request meets", partial(memory, more=24_000_000, size=15_000_000), within=4)


@fault(Listed.MEMORY, "at which the kernel ends the daemon", within=15, thrown=1)
def ended(site: Site) -> None:
    """Let its group have no memory more; where this machine makes no such group, end it by the kernel's own signal."""
    group = GROUPS / f"cardd-faults-{site.station.directory.parent.name}"
    pid = site.pid
    with site.restarts():
        try:
            group.mkdir()
            (group / "memory.limit_in_bytes").write_text("100000")
            (group / "cgroup.procs").write_text(str(pid))
            wait_until(lambda: not is_alive(pid))
        except (OSError, AssertionError):
            os.kill(pid, signal.SIGKILL)

    def is_gone() -> bool:
        with suppress(OSError):  # busy, until the kernel is done with the dead
            group.rmdir()
        return not group.exists()

    wait_until(is_gone)


@fault(Listed.SUSPEND, "with sessions open", within=4)
def sleeps(site: Site) -> None:
    """Say what logind says around sleep."""
    around, asked = site.around, site.pins_asked()
    around.loop.run(around.logind.sleep(begins=True))
    time.sleep(1)
    around.loop.run(around.logind.sleep(begins=False))
    wait_until(lambda: site.pins_asked() > asked)


@fault(Listed.SUSPEND, "three times, while dialogs come", within=4)
def sleeps_often(site: Site) -> None:
    """Sleep again as soon as it wakes."""
    for _ in range(3):
        sleeps(site)


@fault(Listed.SUSPEND, "or rather a screen that is locked and unlocked", within=4)
def locked(site: Site) -> None:
    """Say what logind says around a lock."""
    around, asked = site.around, site.pins_asked()
    around.loop.run(around.logind.hint("1", locked=True))
    time.sleep(1)
    around.loop.run(around.logind.hint("1", locked=False))
    wait_until(lambda: site.pins_asked() > asked)


@fault(Listed.KEYRING, "the system's bus, for 2 s", within=4)
def no_system_bus(site: Site) -> None:
    """End the bus that logind is on, and start it again."""
    site.around.stop_system()
    time.sleep(SHORTLY)
    site.around.start_system()


def without_keyring(site: Site, *, bus: bool) -> None:
    """End it, and start it again; a login that would be kept in it is one all the same."""
    keyring = site.around.keyring
    with keyring.away(bus=bus):
        until = time.monotonic() + SHORTLY
        while time.monotonic() < until:
            assert logs_in(site) == "active"
    kept = site.station.daemon.state / "ecps-sessions.json"
    kept.unlink(missing_ok=True)
    assert logs_in(site) == "active"
    assert kept.exists(), "the keyring is not found when it is back"


add(Listed.KEYRING, "the keyring, for 2 s", partial(without_keyring, bus=False), within=4)
add(Listed.KEYRING, "the session's bus with the keyring, for 2 s", partial(without_keyring, bus=True), within=4)
