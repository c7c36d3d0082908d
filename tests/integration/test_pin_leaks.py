"""Rule 2: the PIN stands nowhere but in locked memory, and there no longer than it serves."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.cli.station import User
from tests.integration.workstation import Session, Workstation, problem, wait_until
from tests.rig.logind import Bus, SimulatedLogind
from tests.rig.lps import TIMEOUT, Lps
from tests.rig.simulator import simulated_card

PIN, WRONG = "73190462", "80264917"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="the daemon shows its memory to nobody but root")


def use(workstation: Workstation, lps: Lps) -> Session:
    """All that a PIN is asked for: a wrong one, a login, signatures, a login that fails, signatures again."""
    workstation.pinentry.answer(f"pin:{WRONG}", f"pin:{PIN}")
    session = workstation.log_in(lps)
    for number in range(3):
        session.sign(f"document {number}")
    workstation.pinentry.answer(f"pin:{WRONG}", "cancel")
    problem(403, "pin.wrong", lps.call("POST", "/v1/sessions", {"method": "cpx"}))
    session.sign("after another login failed")
    return session


class Recording:
    """Everything that the event stream tells this program, as bytes."""

    def __init__(self, lps: Lps) -> None:
        self._connection = HTTPConnection("127.0.0.1", lps.port, timeout=TIMEOUT)
        self._connection.request("GET", "/v1/events", headers={"Authorization": f"Bearer {lps.credential}"})
        self._response = self._connection.getresponse()
        self._told: list[bytes] = []
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        self._told.extend(self._response)

    def ended(self) -> bytes:
        """What was said until the daemon ended."""
        self._thread.join(TIMEOUT)
        self._response.close()
        self._connection.close()
        return b"".join(self._told)


@contextmanager
def halted(pid: int) -> Iterator[None]:
    """The process stands still, with all its threads: no mapping comes or goes."""
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: all(" T " in stat.read_text() for stat in Path(f"/proc/{pid}/task").glob("*/stat")))
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def memory(pid: int) -> Iterator[tuple[str, bytes]]:
    """Every mapping that the process can write to, with its content."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as content:
        for line in lines:
            span, rights, *_ = line.split()
            if rights.startswith("rw"):
                start, end = (int(place, 16) for place in span.split("-"))
                content.seek(start)
                whole = content.read(end - start)
                assert len(whole) == end - start, line
                yield line, whole


def found_in_memory(pid: int, *secrets: str) -> list[str]:
    """Each occurrence, with the place and the bytes around it."""
    with halted(pid):
        return [
            f"{place}+{found.start():#x} {whole[max(0, found.start() - 48) : found.end() + 48]!r}"
            for place, whole in memory(pid)
            for secret in secrets
            for found in re.finditer(re.escape(secret.encode()), whole)
        ]


def settings(pin: str) -> str:
    return f'\n[session]\npin = "{pin}"\n[card]\nhold = 0.05\n'


@pytest.fixture(params=["hold", "ask"])
def station(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Workstation]:
    """With a PIN that cannot stand anywhere by chance."""
    with Workstation(tmp_path, pin=PIN, extra=settings(request.param)).running() as workstation:
        yield workstation


@needs_root
@pytest.mark.parametrize(("pin", "copies"), [("hold", 1), ("ask", 0)])
def test_the_daemons_memory_has_the_pin_once_while_it_is_held_and_never_after_logout(
    tmp_path: Path, pin: str, copies: int
) -> None:
    rules = settings(pin)
    card = simulated_card(pin=PIN.encode())
    with Workstation(tmp_path, pin=PIN, extra=rules).running() as workstation, workstation.card(card):
        session = use(workstation, workstation.pair())
        while_open = found_in_memory(workstation.daemon.pid, PIN)
        assert len(while_open) == copies, while_open
        session.close()
        assert found_in_memory(workstation.daemon.pid, PIN, WRONG) == []


@pytest.fixture
def system_bus(tmp_path: Path) -> Iterator[Bus]:
    """A bus for a simulated logind."""
    bus = Bus(tmp_path)
    bus.start()
    yield bus
    bus.stop()


def pins_asked(workstation: Workstation) -> int:
    return [shown.kind for shown in workstation.pinentry.shown()].count("pin")


@needs_root
async def test_a_locked_screen_takes_the_pin_out_of_memory_and_the_next_signature_asks_again(
    system_bus: Bus, tmp_path: Path
) -> None:
    there = {"DBUS_SYSTEM_BUS_ADDRESS": system_bus.address}
    async with SimulatedLogind(system_bus.address, {"1": os.geteuid()}) as logind:
        with Workstation(tmp_path, pin=PIN, extra=settings("hold"), environment=there).running() as workstation:
            locked = asyncio.to_thread(sign_until_locked, workstation, asyncio.get_running_loop(), logind)
            assert await locked == []


def sign_until_locked(workstation: Workstation, loop: asyncio.AbstractEventLoop, logind: SimulatedLogind) -> list[str]:
    """Gives what was found in memory while the screen was locked."""
    with workstation.card(simulated_card(pin=PIN.encode())):
        session = workstation.log_in()
        session.sign()
        asyncio.run_coroutine_threadsafe(logind.lock("1"), loop).result(10)
        wait_until(lambda: session.state() == "locked")
        found = found_in_memory(workstation.daemon.pid, PIN)
        assert pins_asked(workstation) == 1
        session.sign()
        assert pins_asked(workstation) == 2
        return found


def test_the_pin_is_in_nothing_that_the_daemon_writes_or_says(station: Workstation, tmp_path: Path) -> None:
    lps = station.pair()
    recording = Recording(lps)
    user = User(tmp_path / "home", station.daemon)
    user.home.mkdir()
    (user.home / "document").write_text("SIMULATION")
    with station.card(simulated_card(pin=PIN.encode())):
        session = use(station, lps)
        outputs = [user.run(*words.split()) for words in ("login", f"sign {user.home}/document", "sessions", "logout")]
        session.close()
    written = content(station.daemon.state, user.home)
    station.daemon.stop()
    said = {"events": recording.ended(), "cardctl": repr(outputs).encode(), "log": station.daemon.log.read_bytes()}
    assert [ran.status for ran in outputs] == [0] * 4, outputs
    assert b"session.closed" in said["events"]
    assert {Path(name).name for name in written} >= {"audit.db", "audit.db-wal", "clients.json", "cardctl-client.json"}
    everything = {**said, **written, **content(station.daemon.state)}
    assert [name for name, whole in everything.items() for pin in (PIN, WRONG) if pin.encode() in whole] == []


def content(*places: Path) -> dict[str, bytes]:
    """Every file below these places."""
    return {str(path): path.read_bytes() for place in places for path in place.rglob("*") if path.is_file()}
