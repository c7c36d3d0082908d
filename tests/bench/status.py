"""Calls that need no card: how many a second of one core, and how soon each is answered, beside bare aiohttp."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.bench.floor import PACE
from tests.bench.measure import Measure, Series, ratio
from tests.bench.station import Station
from tests.bench.wire import connected, host_of
from tests.rig.ports import free_port
from tests.rig.waiting import eventually_here

CONNECTIONS = 16
BARE = Path(__file__).parent / "aiohttp_server.py"
NANOSECONDS = 1e9


def calls(station: Station, count: int, rounds: int) -> Iterator[Measure]:
    """Return the rates by the processor's time of each server, as the machine does other things meanwhile."""
    with _bare() as (process, port):
        servers = {station.daemon.pid: station.daemon.port, process: port}
        rates: dict[int, Series] = {pid: Series() for pid in servers}
        waits: dict[int, Series] = {pid: Series() for pid in servers}
        for pid, at in servers.items():
            _rate(pid, at, count)  # to warm up
        for _ in PACE.rounds(rounds, *rates.values(), *waits.values()):
            for pid, at in servers.items():
                rates[pid].add([_rate(pid, at, count)])
                waits[pid].add(times(at, count // 20))
    ours, bare = rates[station.daemon.pid], rates[process]
    name = "GET /v1/status, a second of one core"
    yield Measure(name, ours.p50, "calls", 12_000, at_least=True, noise=ours.noise)
    yield Measure("  the same by bare aiohttp", bare.p50, "calls", noise=bare.noise)
    times_of, noise = ratio(ours, bare)
    yield Measure("  cardd / bare aiohttp", times_of, "x", noise=noise)
    yield waits[station.daemon.pid].measure("GET /v1/status, one after the other", "ms")
    yield waits[process].measure("  the same by bare aiohttp", "ms")


def _rate(pid: int, port: int, count: int) -> float:
    with ExitStack() as closing:
        wires = [_Caller(port) for _ in range(CONNECTIONS)]
        for wire in wires:
            closing.callback(wire.close)
            wire.ask()
            wire.hear()
        before = cpu_seconds(pid)
        for _ in range(count // CONNECTIONS):
            for wire in wires:
                wire.ask()
            for wire in wires:
                wire.hear()
        return count // CONNECTIONS * CONNECTIONS / (cpu_seconds(pid) - before)


def times(port: int, count: int) -> list[float]:
    """Milliseconds of each of so many calls, one after the other."""
    wire, taken = _Caller(port), []
    for _ in range(count):
        began = time.perf_counter()
        wire.ask()
        wire.hear()
        taken.append(1000 * (time.perf_counter() - began))
    wire.close()
    return taken


def cpu_seconds(pid: int) -> float:
    """The time for which the process' threads have run, as the scheduler counts it."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / NANOSECONDS


class _Caller:
    """One kept-alive connection; an answer is as long as the first one was."""

    def __init__(self, port: int) -> None:
        self._socket = connected(port)
        self._request = f"GET /v1/status HTTP/1.1\r\nHost: {host_of(port)}\r\n\r\n".encode()

    def ask(self) -> None:
        """Send the request."""
        self._socket.sendall(self._request)

    def hear(self) -> bytes:
        """Read the answer, whose head and body come at once."""
        answer = self._socket.recv(65536, 0)
        assert answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"}"), answer  # noqa: PT018 - one answer
        return answer

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


@contextmanager
def _bare() -> Iterator[tuple[int, int]]:
    port = free_port()
    with subprocess.Popen([sys.executable, str(BARE), str(port)]) as server:
        try:
            eventually_here(lambda: _is_open(port))
            yield server.pid, port
        finally:
            server.terminate()


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
