"""One signature by every way to one card over one pcscd, in turn, each way a program of its own.

The limit is a script that sends the APDUs of a signature and nothing else. OpenSC cannot use the signature key: its
module, and PKCS#11 through cardd, sign with the authentication key, which takes as many APDUs at the least.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cardd_simulators.cards.card import SimulatedCard
from tests.bench.floor import PACE
from tests.bench.measure import Measure, Series, ratio
from tests.bench.opensc import MODULE
from tests.bench.station import PIN, Session, Station
from tests.p11.programs import LIMIT, MODULES
from tests.rig.simulator import inserted, simulated_card
from tests.rig.waiting import eventually_here

HERE = Path(__file__).parent
SCDAEMON = Path("/usr/lib/gnupg/scdaemon")
SLOW = 400  # milliseconds of a signature, as on a real card; a PIN takes a quarter, another command a fortieth
IDLE = 1.5  # seconds after which the daemon has given up a card that nobody is logged in to
LIMIT_OF_ALL, UNIX, HTTP, PKCS11 = "bare PC/SC script", "cardd, Unix socket", "cardd, HTTP", "cardd, PKCS#11"
IN_PROCESS, SERVED = "OpenSC in process", "OpenSC behind p11-kit server"


@dataclass
class Way:
    """How a program signs so many times, and what it took."""

    command: Callable[[int], list[str]]
    around: Mapping[str, str]
    times: Series = field(default_factory=Series)
    apdus: float = 0.0

    def sign(self, count: int) -> list[float]:
        """Milliseconds of each signature."""
        time.sleep(IDLE)
        return [float(value) for value in json.loads(run(self.command(count), self.around))]


def signatures(station: Station, count: int, rounds: int, delay_ms: int) -> Iterator[Measure]:
    """Each way's time and APDUs, and what it is beside the limit and the best peer."""
    with inserted(simulated_card(delay_ms=delay_ms), station.pcscd) as card, served_by_p11_kit(station) as opensc:
        ways = _ways(station, station.log_in(), opensc)
        for way in ways.values():
            _count_apdus(way, card)
        for _ in PACE.rounds(rounds, *(way.times for way in ways.values())):
            for way in ways.values():
                way.times.add(way.sign(count))
        if not delay_ms:
            yield Measure("scdaemon drives a CPS3: 1 yes, 0 no", float(_scdaemon_drives(station)), "")
    yield from _compared(ways, f"card of {delay_ms} ms", is_slow=delay_ms > 0)


def _compared(ways: Mapping[str, Way], card: str, *, is_slow: bool) -> Iterator[Measure]:
    for name, way in ways.items():
        yield way.times.measure(f"a signature by {name}, {card}", "ms")
        yield Measure(f"  its APDUs, {card}", way.apdus, "APDUs", 2 if name.startswith("cardd") else None)
    limit = ways[LIMIT_OF_ALL].times
    best = min((ways[IN_PROCESS], ways[SERVED]), key=lambda way: way.times.p50).times
    for name in (UNIX, HTTP, PKCS11):
        times, noise = ratio(ways[name].times, limit)
        target = 1.005 if is_slow and name == HTTP else None
        yield Measure(f"{name} / bare PC/SC script, {card}", times, "x", target, noise=noise)
        times, noise = ratio(ways[name].times, best)
        yield Measure(f"{name} / the best peer, {card}", times, "x", noise=noise)
    times, noise = ratio(ways[HTTP].times, ways[IN_PROCESS].times)
    yield Measure(f"{HTTP} / {IN_PROCESS}, {card}", times, "x", 1 if is_slow else 0.8, noise=noise)
    times, noise = ratio(ways[PKCS11].times, ways[SERVED].times)
    yield Measure(f"{PKCS11} / {SERVED}, {card}", times, "x", 1 if is_slow else None, noise=noise)


def _ways(station: Station, session: Session, opensc: Path) -> dict[str, Way]:
    python, plain = sys.executable, {**os.environ, **station.pcscd.environment}
    [reader, *_] = station.pcscd.reader_names

    def client(address: str) -> Way:
        path = f"{session.path}/signatures"
        return Way(
            lambda count: [python, "-m", "tests.bench.client", address, path, session.token, str(count)], os.environ
        )

    def module(pin: str, library: Path, around: Mapping[str, str]) -> Way:
        return Way(lambda count: [python, str(HERE / "opensc.py"), str(count), pin, str(library)], around)

    return {
        LIMIT_OF_ALL: Way(lambda count: [python, str(HERE / "bare.py"), reader, str(count), "held", PIN], plain),
        UNIX: client(str(station.daemon.socket)),
        HTTP: client(str(station.daemon.port)),
        PKCS11: module("", MODULES[0], leading_to(station.directory / "p11")),
        IN_PROCESS: module(PIN, MODULE, plain),
        SERVED: module(PIN, MODULES[0], leading_to(opensc)),
    }


def _count_apdus(way: Way, card: SimulatedCard, count: int = 4) -> None:
    """Tell a signature's APDUs from a run's; the first run of all has the questions to the person."""
    used = []
    for wanted in (0, 0, count):
        before = card.count
        way.sign(wanted)
        used.append(card.count - before)
    way.apdus = (used[2] - used[1]) / count


def _scdaemon_drives(station: Station) -> bool:
    """Return whether GnuPG's own daemon finds an application of its own on the card."""
    if not SCDAEMON.exists():
        return False
    home = station.directory / "gnupg"
    home.mkdir(mode=0o700)
    command = [str(SCDAEMON), "--server", "--homedir", str(home), "--disable-ccid"]
    around = {**os.environ, **station.pcscd.environment}
    ran = subprocess.run(
        [*command, "--pcsc-driver", "libpcsclite.so.1"],
        input="SERIALNO\nBYE\n",
        env=around,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    return "S SERIALNO" in ran.stdout


@contextmanager
def served_by_p11_kit(station: Station) -> Iterator[Path]:
    """Serve OpenSC's module by p11-kit's own server, as it would be served to a sandbox; yield its socket."""
    socket = station.directory / "opensc"
    command = ["p11-kit", "server", "--foreground", "--name", str(socket), "--provider", str(MODULE), "pkcs11:"]
    around = {**os.environ, **station.pcscd.environment}
    with subprocess.Popen(command, env=around, stdout=subprocess.DEVNULL) as server:
        try:
            eventually_here(socket.exists)
            yield socket
        finally:
            server.terminate()


def leading_to(socket: Path) -> dict[str, str]:
    """Return what makes p11-kit's client use this socket."""
    return {**os.environ, "P11_KIT_SERVER_ADDRESS": f"unix:path={socket}", "LC_ALL": "C.UTF-8"}


def run(command: list[str], around: Mapping[str, str]) -> str:
    """Return what the program prints; it must succeed."""
    ran = subprocess.run(
        command,
        env=around,
        input="",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert ran.returncode == 0, (command, ran.stdout)
    return ran.stdout
