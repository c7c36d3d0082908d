"""Faults of the machine: its disk, its clock, what a process may have, sleep, the buses and the keyring."""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from http.client import HTTPException
from pathlib import Path

from tests.faults.injecting import injected, is_alive
from tests.faults.site import Site
from tests.faults.table import Listed, add, fault
from tests.integration.workstation import wait_until
from tests.rig.lps import UnixConnection

SHORTLY = 2.0
MANY = 500  # values that are thrown away while their rows cannot be written
WRITES = "openat,write,pwrite64,ftruncate,fsync,fdatasync,rename,unlink"
DAY = 86_400
GROUPS = Path("/sys/fs/cgroup/memory")


@fault(Listed.DISK, "full for 2 s", within=3, thrown=MANY)
def full(site: Site) -> None:
    """Fill the disk with the state to its last byte."""
    ballast = site.station.daemon.state / "ballast"
    with ballast.open("wb", buffering=0) as file:
        until = time.monotonic() + SHORTLY
        while time.monotonic() < until:
            with suppress(OSError):
                while file.write(bytes(4096)):
                    pass
            time.sleep(0.01)
    ballast.unlink()


def failing(site: Site, calls: str, what: str, seconds: float) -> None:
    """Let system calls about the state end so for a while."""
    state = site.station.daemon.state
    paths = [path for path in (state, *state.rglob("*")) if path.exists()]
    with injected(site.pid, calls, what, *paths):
        time.sleep(seconds)


add(Listed.DISK, "read-only for 2 s", partial(failing, calls=WRITES, what="error=EROFS", seconds=SHORTLY), within=3,
    thrown=MANY)  # fmt: skip
add(Listed.DISK, "failing (EIO) for 2 s", partial(failing, calls=WRITES, what="error=EIO", seconds=SHORTLY), within=4,
    thrown=MANY)  # fmt: skip
for told, delay, seconds in (("0.7 s for each sync", 700_000, 4.0), ("8 s for each sync", 8_000_000, 3.0)):
    inject = partial(failing, calls="fsync,fdatasync", what=f"delay_enter={delay}", seconds=seconds)
    add(Listed.DISK, f"slow, {told}", inject, within=20)


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
    add(Listed.CLOCK, f"{told}, and back after 2 s", partial(clock, ahead=ahead), within=4)


@contextmanager
def limited(site: Site, what: int, allowed: int) -> Iterator[None]:
    """Let the daemon have no more of something inside."""
    before = resource.prlimit(site.pid, what)
    resource.prlimit(site.pid, what, (allowed, before[1]))
    yield
    resource.prlimit(site.pid, what, before)


@fault(Listed.DESCRIPTORS, "for 3 s: none is left", within=4, thrown=MANY)
def no_descriptor(site: Site) -> None:
    """Let it open nothing more."""
    used = [int(file.name) for file in Path(f"/proc/{site.pid}/fd").iterdir()]
    with limited(site, resource.RLIMIT_NOFILE, min(set(range(max(used) + 2)) - set(used))):
        time.sleep(3)


@fault(Listed.DESCRIPTORS, "for 3 s: eight are left", within=4, thrown=MANY)
def few_descriptors(site: Site) -> None:
    """Let it open a few."""
    used = [int(file.name) for file in Path(f"/proc/{site.pid}/fd").iterdir()]
    with limited(site, resource.RLIMIT_NOFILE, max(used) + 9):
        time.sleep(3)


def memory(site: Site, more: int, size: int) -> None:
    """Let it have so many bytes more, and ask it for what takes more."""
    status = Path(f"/proc/{site.pid}/statm").read_text()
    held = int(status.split()[0]) * resource.getpagesize()
    body = f'{{"name": "{"x" * size}", "vendor": "SIMULATION", "software_id": "faults"}}'
    with limited(site, resource.RLIMIT_AS, held + more):
        for _ in range(4):
            with suppress(OSError, HTTPException), closing(UnixConnection(site.station.daemon.socket)) as connection:
                connection.request("POST", "/v1/verifications", body, {"Content-Type": "application/json"})
                connection.getresponse().read()


add(Listed.MEMORY, "that a large request meets", partial(memory, more=30_000_000, size=15_000_000), within=4)


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
    around = site.around
    around.loop.run(around.logind.sleep(begins=True))
    time.sleep(1)
    around.loop.run(around.logind.sleep(begins=False))


@fault(Listed.SUSPEND, "three times, while dialogs come", within=4)
def sleeps_often(site: Site) -> None:
    """Sleep again as soon as it wakes."""
    for _ in range(3):
        sleeps(site)


@fault(Listed.SUSPEND, "or rather a screen that is locked and unlocked", within=4)
def locked(site: Site) -> None:
    """Say what logind says around a lock."""
    around = site.around
    around.loop.run(around.logind.hint("1", locked=True))
    time.sleep(1)
    around.loop.run(around.logind.hint("1", locked=False))


@fault(Listed.KEYRING, "the system's bus, for 2 s", within=4)
def no_system_bus(site: Site) -> None:
    """End the bus that logind is on, and start it again."""
    site.around.stop_system()
    time.sleep(SHORTLY)
    site.around.start_system()


@fault(Listed.KEYRING, "the keyring, for 2 s", within=4)
def no_keyring(site: Site) -> None:
    """End it, and start it again."""
    site.around.keyring.unlock(after=SHORTLY)
