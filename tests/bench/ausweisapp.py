"""AusweisApp from Debian as the peer for what needs no card: start, a call's time, memory, idleness.

Where it is not installed there is no peer. It runs without a window, with a home of its own and without a network: it
and what asks it (this module as a program) are in a namespace that has the loopback alone.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from tests.bench.floor import PACE
from tests.bench.measure import Measure, Series, ratio
from tests.bench.process import pss, system_calls
from tests.bench.station import Station
from tests.bench.status import times

NAMES = ("AusweisApp", "AusweisApp2")  # of Debian 13 and of Debian 12
PORT = 24727  # nobody else is in the namespace
OWN_NETWORK = ["unshare", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh"]
HOMES = ("HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME")
UPGRADE = (
    "GET /eID-Kernel HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: c2l4dGVlbiBieXRlcyAhIQ==\r\n\r\n"
)
ASKED = b'{"cmd":"GET_INFO"}'
FRAME = bytes((0x81, 0x80 | len(ASKED), 0, 0, 0, 0)) + ASKED  # masked, as a client's is, with zeros


def program() -> str | None:
    """Return where it is; None where it is not installed."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def beside(station: Station, count: int, rounds: int) -> Iterator[Measure]:
    """The time of a call, in turn with cardd's; then memory, idleness, size, and the time to its first answer."""
    ours, theirs, starts = Series(), Series(), Series()
    home = station.directory / "ausweisapp"
    home.mkdir(mode=0o700)
    for _ in range(3):
        with _running(home) as peer:
            starts.add([cast(float, _ask(peer, "started"))])
    with _running(home) as peer:
        _ask(peer, "started")
        for _ in PACE.rounds(rounds, ours, theirs):
            theirs.add(cast(list[float], _ask(peer, f"times {count}")))
            ours.add(times(station.daemon.port, count))
        memory, idle = cast(float, _ask(peer, "memory")), cast(float, _ask(peer, "idle"))
    beside_it, noise = ratio(ours, theirs)
    yield Measure("GET /v1/status / AusweisApp's GET_INFO", beside_it, "x", 1, noise=noise)
    yield ours.measure("  a call of cardd, one after the other", "ms")
    yield theirs.measure("  a call of AusweisApp", "ms")
    yield Measure("  AusweisApp, from its start to its first answer", starts.p50, "ms", noise=starts.noise)
    yield Measure("  AusweisApp, its share of memory (PSS)", memory, "MB")
    yield Measure("  AusweisApp, system calls in 10 s of idleness", idle, "calls")
    yield Measure("  AusweisApp, size of its package, without Qt", _size(), "MB")


def _size() -> float:
    told = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${Installed-Size}\n", *(name.lower() for name in NAMES)],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    return sum(map(int, re.findall(r"^\d+$", told, re.MULTILINE))) * 1024 / 1e6


@contextmanager
def _running(home: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [*OWN_NETWORK, sys.executable, "-m", "tests.bench.ausweisapp", str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as peer:
        yield peer
        assert peer.stdin
        peer.stdin.close()


def _ask(peer: subprocess.Popen[str], what: str) -> object:
    assert peer.stdin
    assert peer.stdout
    peer.stdin.write(f"{what}\n")
    peer.stdin.flush()
    return json.loads(peer.stdout.readline())


class Peer:
    """AusweisApp and one WebSocket to it."""

    def __init__(self, home: Path) -> None:
        found = program()
        assert found
        around = {**os.environ, **dict.fromkeys(HOMES, str(home)), "QT_QPA_PLATFORM": "offscreen"}
        command = [found, "--ui", "websocket", "--port", str(PORT), "--address", "127.0.0.1"]
        began = time.monotonic()
        self._process = subprocess.Popen(
            [*command, "--no-logfile", "--no-proxy"], env=around, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._socket = self._connected()
        self.ask()
        self.started = 1000 * (time.monotonic() - began)

    def ask(self) -> None:
        """Ask for its versions, and read the answer."""
        self._socket.sendall(FRAME)
        while b'"INFO"' not in self._message():
            pass

    def _message(self) -> bytes:
        head = self._read(2)
        size = head[1] & 0x7F
        if size > 125:
            size = int.from_bytes(self._read(2 if size == 126 else 8), "big")
        return self._read(size)

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            data += self._socket.recv(size - len(data))
        return data

    def _connected(self) -> socket.socket:
        while True:
            try:
                made = socket.create_connection(("127.0.0.1", PORT), timeout=60)
            except ConnectionRefusedError:
                time.sleep(0.002)
                continue
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            made.sendall(UPGRADE.format(port=PORT).encode())
            heard = b""
            while not heard.endswith(b"\r\n\r\n"):
                heard += made.recv(1)
            return made

    def answer(self, what: str) -> object:
        """Return what is asked for."""
        match what.split():
            case ["started"]:
                return self.started
            case ["times", count]:
                return [self._timed() for _ in range(int(count))]
            case ["memory"]:
                return pss(self._process.pid)
            case _:
                return len(system_calls(self._process.pid))

    def _timed(self) -> float:
        began = time.perf_counter()
        self.ask()
        return 1000 * (time.perf_counter() - began)

    def stop(self) -> None:
        """End it."""
        self._socket.close()
        self._process.terminate()
        self._process.wait(15)


def _main() -> None:
    peer = Peer(Path(sys.argv[1]))
    try:
        for line in sys.stdin:
            print(json.dumps(peer.answer(line)), flush=True)
    finally:
        peer.stop()


if __name__ == "__main__":
    _main()
