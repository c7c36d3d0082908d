"""Run the groups of measures, all or those that are named, print one table, write ``bench.json``.

Exit status 1 when a target is missed by more than the noise.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.bench import (
    apdus,
    ausweisapp,
    ecps,
    formats,
    fresh,
    insertion,
    listening,
    modules,
    process,
    programs,
    relay,
    signatures,
    status,
    together,
    ways,
    web,
)
from tests.bench.floor import Floor
from tests.bench.measure import Measure, table, write
from tests.bench.station import Station
from tests.rig.daemon import DaemonProcess
from tests.rig.oidc.provider import is_installed

RESULT = Path("bench.json")


def main(wanted: list[str]) -> int:
    """The exit status."""
    unknown = set(wanted) - GROUPS.keys()
    if unknown:
        print(f"no such group: {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}", file=sys.stderr)
        return 2
    measures: dict[str, list[Measure]] = {}
    with tempfile.TemporaryDirectory(prefix="cardd-bench-") as directory:
        floor = Floor(Path(directory))
        for name in wanted or GROUPS:
            floor.look()
            print(f"{name} …", file=sys.stderr, flush=True)
            place = Path(directory) / name
            place.mkdir()
            measures[name] = list(GROUPS[name](place))
        floor.look()
        measures["the machine alone"] = list(floor.measures())
    print(table(measures))
    write(measures, RESULT)
    return 0 if all(measure.met for group in measures.values() for measure in group) else 1


def _apdus(directory: Path) -> Iterator[Measure]:
    yield from asyncio.run(apdus.counts())
    yield from apdus.over_pcscd(directory / "cards")


def _signatures(directory: Path) -> Iterator[Measure]:
    held, fresh_one = _station(directory, "held", 0.5), _station(directory, "fresh", 0.0)
    with held.running(), fresh_one.running():
        yield from signatures.overhead(held, fresh_one, count=40, rounds=8)
        yield from together.batch(held, rounds=4)
        yield from together.clients(fresh_one, count=10)
        yield process.memory(held.daemon, target=58)


def _ways(directory: Path) -> Iterator[Measure]:
    station = _station(directory, "ways", 0.5)
    with station.running():
        yield from ways.signatures(station, count=30, rounds=8, delay_ms=0)
        yield from ways.signatures(station, count=5, rounds=2, delay_ms=ways.SLOW)


def _cards(directory: Path) -> Iterator[Measure]:
    four = _station(directory, "four", 0.5, devices=2)
    with four.running():
        yield together.cards(four, count=5)


def _insertion(directory: Path) -> Iterator[Measure]:
    station = _station(directory, "held", 0.5)
    with station.running():
        yield insertion.insertion_to_event(station, rounds=16)
        yield from fresh.first_signature(station, rounds=6)


def _status(directory: Path) -> Iterator[Measure]:
    station = _station(directory, "held", 0.5)
    with station.running():
        yield from status.calls(station, count=6000, rounds=5)
        if ausweisapp.program():
            yield from ausweisapp.beside(station, count=300, rounds=6)


def _process(directory: Path) -> Iterator[Measure]:
    station = _station(directory, "idle", 0.5)
    with station.running():
        yield process.idle_wake_ups(station.daemon)
    yield from process.starts(_starts(directory))
    yield from process.installed()


def _ecps(directory: Path) -> Iterator[Measure]:
    if is_installed():
        yield asyncio.run(ecps.approval_to_login(rounds=12))
        yield asyncio.run(ecps.pending_logins(interval=5))
        yield asyncio.run(ecps.pending_logins(interval=1))
        yield from ecps.open_session(directory, rounds=5)


def _formats(directory: Path) -> Iterator[Measure]:
    documents = _station(directory, "documents", 0.5)
    with documents.running():
        yield from formats.above_raw(documents, count=15)


def _pkcs11(directory: Path) -> Iterator[Measure]:
    tokens = directory / "tokens-alone"
    tokens.mkdir()
    yield modules.own_process(tokens, count=200, rounds=3)
    others = _station(directory, "programs", 0.5)
    with others.running():
        yield from programs.through_pkcs11(others, count=40)


def _relay(directory: Path) -> Iterator[Measure]:
    return relay.relayed(directory, count=200, rounds=5)


def _pages(directory: Path) -> Iterator[Measure]:
    yield from web.pages(directory, rounds=10)
    yield from listening.listening(directory, rounds=20)


GROUPS: dict[str, Callable[[Path], Iterator[Measure]]] = {
    "apdus": _apdus,
    "signatures": _signatures,
    "ways": _ways,
    "cards": _cards,
    "insertion": _insertion,
    "status": _status,
    "process": _process,
    "ecps": _ecps,
    "formats": _formats,
    "pkcs11": _pkcs11,
    "relay": _relay,
    "pages": _pages,
}


def _station(directory: Path, name: str, hold: float, devices: int = 1) -> Station:
    place = directory / name
    place.mkdir()
    return Station(place, hold=hold, devices=devices)


def _starts(directory: Path) -> Iterator[DaemonProcess]:
    number = 0
    while True:
        place = directory / f"start{number}"
        place.mkdir()
        yield DaemonProcess(place)
        number += 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
