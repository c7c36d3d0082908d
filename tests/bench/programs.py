"""Other programs through PKCS#11: calls without a card, beside p11-kit's own server, and TLS handshakes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cardd_simulators.cards.card import SimulatedCard
from tests.bench.measure import Measure, p50
from tests.bench.station import Station
from tests.bench.ways import leading_to, run, served_by_p11_kit
from tests.p11.client import Client, ulong
from tests.p11.programs import CERTIFICATE, KEY, MODULES
from tests.rig.nginx import Nginx, authority, issued
from tests.rig.simulator import inserted, simulated_card, store

TLS_1_2 = "NORMAL:-VERS-TLS1.3"  # a CPS3's authentication key has no RSA-PSS


def through_pkcs11(station: Station, count: int) -> Iterator[Measure]:
    """Measure null calls and handshakes; the station runs."""
    with inserted(simulated_card(), station.pcscd) as card, served_by_p11_kit(station) as opensc:
        for name, socket in (("cardd", station.directory / "p11"), ("p11-kit server, OpenSC", opensc)):
            trip = p50(asyncio.run(_null_calls(socket, 10 * count)))
            yield Measure(f"null round trip of PKCS#11 to {name} (p50)", 1000 * trip, "us")
        yield from _handshakes(station, card, count)


@dataclass(frozen=True)
class _Seat:
    """A workstation, and the card in it."""

    station: Station
    card: SimulatedCard

    @property
    def dialogs(self) -> int:
        """How many there were so far."""
        return len(self.station.pinentry.shown())


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
    around = leading_to(here / "p11")
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
    run(command, around)
    yield Measure(f"dialogs of the first handshake by {name}", seat.dialogs - shown, "dialogs", 2)
    shown, before, times = seat.dialogs, seat.card.count, []
    for _ in range(count):
        started = time.perf_counter()
        run(command, around)
        times.append(1000 * (time.perf_counter() - started))
    yield Measure("  dialogs of all further ones", seat.dialogs - shown, "dialogs", 0)
    yield Measure("  each of them, the program's start included (p50)", p50(times), "ms")
    yield Measure("  APDUs of each of them", (seat.card.count - before) / count, "APDUs", 4)


def _in_database(place: Path, around: Mapping[str, str]) -> str:
    """Make a database of NSS with p11-kit's module; return how the certificate is called there."""
    place.mkdir()
    database = f"sql:{place}"
    run(["certutil", "-N", "--empty-password", "-d", database], around)
    run(["modutil", "-force", "-dbdir", database, "-add", "cardd", "-libfile", str(MODULES[0])], around)
    listed = run(["certutil", "-L", "-h", "all", "-d", database], around).splitlines()
    [line] = [line for line in listed if "Authentification" in line]
    return line.rsplit(maxsplit=1)[0]
