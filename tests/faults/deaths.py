"""The daemon is killed at each step, and started again as systemd does it."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from functools import partial
from http.client import HTTPException
from pathlib import Path

from tests.faults.injecting import killed_at, stands_still
from tests.faults.network import logs_in
from tests.faults.site import Site
from tests.faults.table import Listed, add, fault
from tests.faults.watched import AUTHENTICATE, FETCH, MSE, PSO, VERIFY, Go, of
from tests.faults.work import LOST, LPS, Caller

BACK = 15.0  # seconds, of which one login of each program, and half a second that systemd waits
COMMANDS = (
    ("VERIFY", VERIFY),
    ("MSE SET", MSE),
    ("PSO COMPUTE DIGITAL SIGNATURE", PSO),
    ("GET RESPONSE", FETCH),
    ("INTERNAL AUTHENTICATE", AUTHENTICATE),
)


def at_command(site: Site, kind: int) -> None:
    """Kill it while it waits for the card's answer."""

    def answered(go: Go) -> bytes:
        os.kill(site.pid, signal.SIGKILL)
        return go()

    with site.restarts():
        site.meets(of(kind), answered)


for name, kind in COMMANDS:
    add(Listed.SIGNATURE, f"at {name}", partial(at_command, kind=kind), within=BACK, thrown=1, says=(LOST,))


def log_of(site: Site) -> Path:
    """Return where SQLite writes a row first."""
    return site.station.daemon.state / "audit" / "audit.db-wal"


def at_row(site: Site, calls: str, nth: int) -> None:
    """Kill it at a write of the row."""
    with site.restarts():
        killed_at(site.pid, calls, log_of(site), nth=nth)


for name, calls, nth in (
    ("the first write of its row", "pwrite64", 1),
    ("the second write of its row", "pwrite64", 2),
    ("the sync of its row", "fdatasync", 1),
    ("the sync of a later row", "fdatasync", 3),
):
    add(Listed.SIGNATURE, f"at {name}", partial(at_row, calls=calls, nth=nth), within=BACK, thrown=1, says=(LOST,))


@fault(Listed.SIGNATURE, "at the write of the log's head", within=BACK, thrown=1, says=(LOST,))
def at_head(site: Site) -> None:
    """Kill it between its row and the head in the second place."""
    with site.restarts():
        killed_at(site.pid, "pwrite64", site.station.daemon.state / "audit-head")


@fault(Listed.SIGNATURE, "at the answer, once its row is on the disk", within=BACK, thrown=1, says=(LOST,))
def at_answer(site: Site) -> None:
    """Kill it when it writes to a client's connection."""
    with site.restarts():
        killed_at(site.pid, "sendto,sendmsg", nth=5)


@fault(Listed.SIGNATURE, "stopped, with clients at work", within=BACK, says=(LOST,))
def stopped(site: Site) -> None:
    """Ask it to stop."""
    with site.restarts():
        os.kill(site.pid, signal.SIGTERM)


@fault(Listed.SIGNATURE, "three times, each time as soon as it has started", within=BACK, thrown=3, says=(LOST,))
def again_and_again(site: Site) -> None:
    """Kill it whenever it comes back."""
    for _ in range(3):
        with site.restarts():
            os.kill(site.pid, signal.SIGKILL)


@fault(Listed.SIGNATURE, "not killed but standing still for 3 s", within=2)
def standing_still(site: Site) -> None:
    """Let it hang."""
    stands_still(site.pid, 3)


def at_state(site: Site, calls: str, name: str) -> None:
    """Kill it while it writes down a new pairing."""
    path = site.station.daemon.state / name
    pairing = threading.Thread(target=pairs, args=(site.station.daemon.port,))

    with site.restarts():
        threading.Timer(1.0, pairing.start).start()
        killed_at(site.pid, calls, path)
    pairing.join()


def pairs(port: int) -> None:
    """Ask for a pairing."""
    with suppress(OSError, HTTPException):
        Caller(port).ask("POST", "/v1/clients", {"name": "Nouveau", **LPS}, None)
        time.sleep(0)


@fault(Listed.STATE, "at the renaming of the file of logins by e-CPS", within=BACK, thrown=1, says=(LOST,))
def at_login(site: Site) -> None:
    """Kill it while it writes down a session of e-CPS."""

    def comes_to_nothing() -> None:
        with suppress(OSError, HTTPException):
            logs_in(site)

    logging_in = threading.Thread(target=comes_to_nothing)
    with site.restarts():
        threading.Timer(1.0, logging_in.start).start()
        killed_at(site.pid, "rename", site.station.daemon.state / "ecps-sessions.new")
    logging_in.join()


for name, calls, path in (
    ("the file's making", "openat", "clients.new"),
    ("the file's write", "write", "clients.new"),
    ("the file's sync", "fsync", "clients.new"),
    ("the file's renaming", "rename", "clients.new"),
    ("the directory's sync", "fsync", "."),
):
    add(Listed.STATE, f"at {name}", partial(at_state, calls=calls, name=path), within=BACK, thrown=1, says=(LOST,))
