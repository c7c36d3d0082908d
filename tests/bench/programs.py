"""Other programs through PKCS#11: a signature beside OpenSC's module behind p11-kit's own server, TLS handshakes."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cardd_simulators.cards.card import SimulatedCard
from tests.bench.measure import Measure, p50
from tests.bench.opensc import MODULE
from tests.bench.station import PIN, Station
from tests.p11.client import Client, ulong
from tests.p11.programs import CERTIFICATE, KEY, LIMIT, MODULES
from tests.rig.nginx import Nginx, authority, issued
from tests.rig.simulator import inserted, simulated_card, store
from tests.rig.waiting import eventually_here

SCRIPT = Path(__file__).parent / "opensc.py"
TLS_1_2 = "NORMAL:-VERS-TLS1.3"  # a CPS3's authentication key has no RSA-PSS
SLOW = 400  # milliseconds of a signature, as on a real card
IDLE = 1.5  # seconds after which the daemon has given up a card that nobody is logged in to


def through_pkcs11(station: Station, count: int, rounds: int) -> Iterator[Measure]:
    """Measure signatures on a card that takes no time and on a slow one, null calls, handshakes; the station runs."""
    with inserted(simulated_card(), station.pcscd) as card, _served_by_p11_kit(station) as opensc:
        yield from _apdus_and_times(_in_turn(station, card, opensc, count, rounds))
        for name, socket in (("cardd", station.directory / "p11"), ("p11-kit server, OpenSC", opensc)):
            trip = p50(asyncio.run(_null_calls(socket, 10 * count)))
            yield Measure(f"null round trip of PKCS#11 to {name} (p50)", 1000 * trip, "us")
        yield from _handshakes(station, card, count)
    with inserted(simulated_card(delay_ms=SLOW), station.pcscd) as card, _served_by_p11_kit(station) as opensc:
        ours, theirs = _in_turn(station, card, opensc, 5, 1)
        yield Measure(f"C_Sign by cardd, card of {SLOW} ms (p50)", p50(ours.times), "ms", p50(theirs.times))
        yield Measure("  the same by OpenSC behind p11-kit server (p50)", p50(theirs.times), "ms")


@contextmanager
def _served_by_p11_kit(station: Station) -> Iterator[Path]:
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


def _leading_to(socket: Path) -> dict[str, str]:
    return {**os.environ, "P11_KIT_SERVER_ADDRESS": f"unix:path={socket}", "LC_ALL": "C.UTF-8"}


@dataclass(frozen=True)
class _Seat:
    """A workstation, and the card in it."""

    station: Station
    card: SimulatedCard

    @property
    def dialogs(self) -> int:
        """How many there were so far."""
        return len(self.station.pinentry.shown())


@dataclass
class _Signed:
    """The milliseconds of each signature, and the APDUs of each run."""

    times: list[float] = field(default_factory=list)
    apdus: list[int] = field(default_factory=list)


def _in_turn(station: Station, card: SimulatedCard, opensc: Path, count: int, rounds: int) -> tuple[_Signed, _Signed]:
    """Sign by cardd and by OpenSC, round by round."""
    ours, theirs = _Signed(), _Signed()
    both = ((ours, station.directory / "p11", ""), (theirs, opensc, PIN))
    for _ in range(rounds):
        for signed, socket, pin in both:
            # the first run has the question whether this program may; each has a PIN, and looks at the card anew
            _, few, many = (_sign(socket, pin, wanted, card) for wanted in (0, 0, count))
            signed.times += many.times
            signed.apdus.append(many.apdus[0] - few.apdus[0])
    return ours, theirs


def _apdus_and_times(both: tuple[_Signed, _Signed]) -> Iterator[Measure]:
    ours, theirs = both
    each = [sum(signed.apdus) / len(signed.times) for signed in both]
    yield Measure("C_Sign by cardd, PIN held, card of 0 ms (p50)", p50(ours.times), "ms")
    yield Measure("  the same by OpenSC behind p11-kit server (p50)", p50(theirs.times), "ms")
    yield Measure("APDUs of each C_Sign by cardd, PIN held", each[0], "APDUs", 2)
    yield Measure("  the same by OpenSC behind p11-kit server", each[1], "APDUs")


def _sign(socket: Path, pin: str, count: int, card: SimulatedCard) -> _Signed:
    """Run the script, once nobody else has the card."""
    time.sleep(IDLE)
    before = card.count
    command = [sys.executable, str(SCRIPT), str(count), pin, str(MODULES[0])]
    times: list[float] = json.loads(_run(command, _leading_to(socket)))
    return _Signed(times, [card.count - before])


async def _null_calls(socket: Path, count: int) -> list[float]:
    """Ask again and again for what neither the card nor the disk is needed for; milliseconds."""
    client = await Client.at(socket, highest=0)
    [slot, *_] = await client.slots(with_token=True)
    asked = ulong(await client.session(slot))
    times = []
    for _ in range(count):
        started = time.perf_counter()
        await client.call("get_session_info", asked)
        times.append(1000 * (time.perf_counter() - started))
    await client.close()
    return times


def _handshakes(station: Station, card: SimulatedCard, count: int) -> Iterator[Measure]:
    """Log in at a server, each time by a process of its own: its start, finding the certificate, the handshake."""
    here = station.directory
    own = authority(here)
    pair = issued(here, own, "server", names="DNS:localhost")
    around = _leading_to(here / "p11")
    nickname = _in_database(here / "nss", around)
    with Nginx(here / "nginx", store().chain, pair, protocols="TLSv1.2").running() as nginx:
        gnutls = [
            *("gnutls-cli", "--provider", str(MODULES[0]), "--x509certfile", CERTIFICATE, "--x509keyfile", KEY),
            *("--priority", TLS_1_2, "--x509cafile", str(own.certificate), "-p", str(nginx.port), "localhost"),
        ]
        nss = ["tstclnt", "-4", "-h", "localhost", "-p", str(nginx.port), "-d", f"sql:{here / 'nss'}", "-n", nickname]
        nss += ["-V", "tls1.2:tls1.2", "-o", "-Q"]
        for name, command in (("GnuTLS", gnutls), ("NSS", nss)):
            yield from _handshake(name, command, around, _Seat(station, card), count)


def _handshake(name: str, command: list[str], around: Mapping[str, str], seat: _Seat, count: int) -> Iterator[Measure]:
    shown = seat.dialogs
    _run(command, around)
    yield Measure(f"dialogs of the first handshake by {name}", seat.dialogs - shown, "dialogs", 2)
    shown, before, times = seat.dialogs, seat.card.count, []
    for _ in range(count):
        started = time.perf_counter()
        _run(command, around)
        times.append(1000 * (time.perf_counter() - started))
    yield Measure("  dialogs of all further ones", seat.dialogs - shown, "dialogs", 0)
    yield Measure("  each of them, the program's start included (p50)", p50(times), "ms")
    yield Measure("  APDUs of each of them", (seat.card.count - before) / count, "APDUs", 4)


def _in_database(place: Path, around: Mapping[str, str]) -> str:
    """Make a database of NSS with p11-kit's module; return how the certificate is called there."""
    place.mkdir()
    database = f"sql:{place}"
    _run(["certutil", "-N", "--empty-password", "-d", database], around)
    _run(["modutil", "-force", "-dbdir", database, "-add", "cardd", "-libfile", str(MODULES[0])], around)
    listed = _run(["certutil", "-L", "-h", "all", "-d", database], around).splitlines()
    [line] = [line for line in listed if "Authentification" in line]
    return line.rsplit(maxsplit=1)[0]


def _run(command: list[str], around: Mapping[str, str]) -> str:
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
