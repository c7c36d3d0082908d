"""Run every measure, print the table, write ``bench.json``; exit status 1 when a target is missed."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.bench import apdus, ecps, formats, insertion, modules, process, programs, readers, relay, signatures, web
from tests.bench.measure import Measure, table, write
from tests.bench.station import Station
from tests.rig.daemon import DaemonProcess
from tests.rig.oidc.provider import is_installed

RESULT = Path("bench.json")


def main() -> int:
    """The exit status."""
    with tempfile.TemporaryDirectory(prefix="cardd-bench-") as directory:
        measures = list(_measures(Path(directory)))
    print(table(measures))
    write(measures, RESULT)
    return 0 if all(measure.met for measure in measures) else 1


def _measures(directory: Path) -> Iterator[Measure]:
    yield from asyncio.run(apdus.counts())
    yield from apdus.over_pcscd(directory / "apdus")
    held, fresh = _station(directory, "held", 0.5), _station(directory, "fresh", 0.0)
    with held.running(), fresh.running():
        yield from signatures.overhead(held, fresh, count=40, rounds=8)
        yield signatures.slow_card(fresh, count=5)
        yield from signatures.opensc(held, count=100)
        yield insertion.insertion_to_event(held, rounds=15)
        yield process.memory(held.daemon)
        yield process.idle_wake_ups(held.daemon)
    four = _station(directory, "four", 0.5, devices=2)
    with four.running():
        yield readers.together(four, count=5)
    tokens = directory / "tokens-alone"
    tokens.mkdir()
    yield modules.own_process(tokens, count=200, rounds=3)
    if is_installed():
        yield asyncio.run(ecps.approval_to_login(rounds=12))
        yield asyncio.run(ecps.pending_logins(interval=5))
        yield asyncio.run(ecps.pending_logins(interval=1))
        yield from ecps.open_session(directory, rounds=5)
    documents = _station(directory, "documents", 0.5)
    with documents.running():
        yield from formats.above_raw(documents, count=15)
    others = _station(directory, "programs", 0.5)
    with others.running():
        yield from programs.through_pkcs11(others, count=40, rounds=3)
    yield from relay.relayed(directory, count=200, rounds=5)
    yield from web.pages(directory, rounds=10)
    yield from web.listening(directory)
    yield process.start_to_ready(_starts(directory))


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
    sys.exit(main())
