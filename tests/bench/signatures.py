"""What a signature over HTTP costs above a bare PC/SC script on the same card."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench.bare import PAUSE
from tests.bench.floor import PACE
from tests.bench.measure import Measure, Series, above, p50
from tests.bench.station import PIN, Session, Station
from tests.bench.wire import digests

BARE = Path(__file__).parent / "bare.py"
SYNC = re.compile(r"fdatasync.* = 0 <([0-9.]+)>")


def overhead(held: Station, fresh: Station, count: int, rounds: int) -> Iterator[Measure]:
    """Milliseconds above the bare script, with a held login (2 APDUs) and with one for each signature (4 APDUs)."""
    for station, mode, apdus in ((held, "held", 2), (fresh, "fresh", 4)):
        with station.card():
            session = station.log_in()
            ours, bare = _in_turn(station, session, mode, count, rounds)
            sync = p50(_syncs(station, session, count))
        more, noise = above(ours, bare)
        yield Measure(f"HTTP above bare PC/SC and the sync, {apdus} APDUs (p50)", more - sync, "ms", 1.0, noise=noise)
        yield Measure("  the disk's sync of the audit row (p50)", sync, "ms")
        yield ours.measure(f"  the signature over HTTP, {apdus} APDUs", "ms")
        yield bare.measure(f"  the same by a bare PC/SC script, {apdus} APDUs", "ms")


def _in_turn(station: Station, session: Session, mode: str, count: int, rounds: int) -> tuple[Series, Series]:
    """Ours and the bare script's, measured in turn so that the machine's moods meet both."""
    ours, bare = Series(), Series()
    _time(session, 3)
    for _ in PACE.rounds(rounds, ours, bare):
        ours.add(_time(session, count))
        _settle(station)
        bare.add(_script(station, BARE, station.pcscd.reader_names[0], str(count), mode, PIN))
    return ours, bare


def _time(session: Session, count: int) -> list[float]:
    """Each signature, after a pause in which the transaction of the one before ends; the bare script rests as long."""
    times, source = [], digests()
    for _ in range(count):
        digest = next(source)
        time.sleep(PAUSE)
        started = time.perf_counter()
        session.sign(digest)
        times.append(1000 * (time.perf_counter() - started))
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
