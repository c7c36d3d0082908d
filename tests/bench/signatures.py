"""What a signature costs through cardd, beside a bare PC/SC script and OpenSC's module on the same card."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench.measure import Measure, p50
from tests.bench.station import PIN, Session, Station

BARE = Path(__file__).parent / "bare.py"
OPENSC = Path(__file__).parent / "opensc.py"
SYNC = re.compile(r"fdatasync.* = 0 <([0-9.]+)>")


def digests() -> Iterator[str]:
    """Digests that differ, in base64."""
    number = 0
    while True:
        yield base64.b64encode(hashlib.sha256(str(number).encode()).digest()).decode()
        number += 1


def overhead(held: Station, fresh: Station, count: int, rounds: int) -> list[Measure]:
    """Milliseconds above the bare script, with a held login (2 APDUs) and with one for each signature (4 APDUs)."""
    measures = []
    for station, mode, apdus in ((held, "held", 2), (fresh, "fresh", 4)):
        with station.card():
            session = station.log_in()
            ours, bare = _in_turn(station, session, mode, count, rounds)
            sync = p50(_syncs(station, session, count))
        measures += [
            Measure(f"signature over HTTP, {apdus} APDUs, above bare PC/SC (p50)", ours - bare, "ms", 1.5),
            Measure("  of which the disk takes to sync the audit row (p50)", sync, "ms"),
            Measure(f"  the same over HTTP, {apdus} APDUs (p50)", ours, "ms"),
            Measure(f"  the same by a bare PC/SC script, {apdus} APDUs (p50)", bare, "ms"),
        ]
    return measures


def slow_card(station: Station, count: int) -> Measure:
    """With a card as slow as a real one, cardd must not be felt at all."""
    with station.card(delay_ms=400):
        session = station.log_in()
        ours, bare = _in_turn(station, session, "fresh", count, 1)
    return Measure("signature over HTTP / bare PC/SC, card of 400 ms", ours / bare, "x", 1.02)


def opensc(station: Station, count: int) -> list[Measure]:
    """OpenSC's PKCS#11 module with the authentication key (it cannot use the signature key), in process."""
    with station.card():
        times = _script(station, OPENSC, str(count), PIN)
        session = station.log_in()
        ours = _time(session, count)
    return [
        Measure("signature by OpenSC's module in process (p50), 10 APDUs", p50(times), "ms"),
        Measure("signature over HTTP / by OpenSC's module", p50(ours) / p50(times), "x"),
    ]


def _in_turn(station: Station, session: Session, mode: str, count: int, rounds: int) -> tuple[float, float]:
    """Medians of ours and of the bare script, measured in turn so that the machine's moods meet both."""
    ours: list[float] = []
    bare: list[float] = []
    _time(session, 3)
    for _ in range(rounds):
        ours += _time(session, count)
        _settle(station)
        bare += _script(station, BARE, station.pcscd.reader_names[0], str(count), mode, PIN)
    return p50(ours), p50(bare)


def _time(session: Session, count: int) -> list[float]:
    """Each signature, with a call between that lets the transaction of the one before end, off the clock."""
    times, source = [], digests()
    for _ in range(count):
        digest = next(source)
        started = time.perf_counter()
        session.sign(digest)
        times.append(1000 * (time.perf_counter() - started))
        session.pause()
    return times


def _syncs(station: Station, session: Session, count: int) -> list[float]:
    """Each time that the disk takes to sync the row of a signature, as strace sees the daemon wait for it."""
    with tempfile.NamedTemporaryFile("r") as trace:
        command = ["strace", "-f", "-q", "-T", "-e", "trace=fdatasync", "-o", trace.name, "-p", str(station.daemon.pid)]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as strace:
            while not SYNC.search(Path(trace.name).read_text()):  # until it is there
                assert strace.poll() is None, "strace may not look at the daemon"
                _time(session, 1)
            _time(session, count)
            strace.terminate()
        found = SYNC.findall(Path(trace.name).read_text())
    return [1000 * float(seconds) for seconds in found]


def _settle(station: Station) -> None:
    """Let the idle hold run out: the bare script waits for the card else."""
    time.sleep(0.7)


def _script(station: Station, script: Path, *arguments: str) -> list[float]:
    environment = {**os.environ, **station.pcscd.environment}
    ended = subprocess.run(
        [sys.executable, str(script), *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return [float(value) for value in json.loads(ended.stdout)]
