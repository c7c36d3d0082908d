"""Many signatures for one card or for several: a batch of 50, eight programs on one card, four cards at once."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import islice

from tests.bench.floor import PACE
from tests.bench.measure import Measure, Series
from tests.bench.station import Session, Station
from tests.bench.wire import digests

READERS, CLIENTS, BATCH = 4, 8, 50
SLOW = 400  # milliseconds, as a real card
BUSY = 50  # of a card that eight share: each signature waits for seven others


def batch(station: Station, rounds: int) -> Iterator[Measure]:
    """A list of 50 in one request, beside one at a time: milliseconds of each signature."""
    alone, listed = Series(), Series()
    with station.card():
        session = station.log_in()
        for _ in PACE.rounds(rounds, alone, listed):
            alone.add([_timed(session, [digest]) for digest in islice(digests(), BATCH)])
            listed.add([_timed(session, list(islice(digests(), BATCH))) / BATCH for _ in range(3)])
    yield listed.measure(f"each of a batch of {BATCH} over HTTP, card of 0 ms", "ms")
    yield alone.measure("  each of as many requests", "ms")


def clients(station: Station, count: int) -> Iterator[Measure]:
    """The rate of eight programs' sessions on one card against that of one: each signature has its own VERIFY."""
    with station.card(delay_ms=BUSY):
        sessions = [station.log_in() for _ in range(CLIENTS)]
        _rate(sessions, 1)  # each asks for its consent
        before, _ = _rate(sessions[:1], count)
        eight, waits = _rate(sessions, count)
        after, _ = _rate(sessions[:1], count)
    one = (before + after) / 2
    noise = eight / one * abs(before - after) / one
    yield Measure(
        f"signatures a second, {CLIENTS} programs / one, card of {BUSY} ms", eight / one, "x", 0.97, True, noise
    )
    yield Measure("  the longest wait / the mean wait of the eight", max(waits) / statistics.mean(waits), "x", 2)


def cards(station: Station, count: int) -> Measure:
    """The rate of four cards as slow as real ones, against that of one."""
    with ExitStack() as seats:
        for slot in range(READERS):
            seats.enter_context(station.card(slot=slot, delay_ms=SLOW))
        known = [str(card["id"]) for card in station.cards()]
        sessions = [station.log_in(card) for card in known]
        _rate(sessions, 1)
        one, _ = _rate(sessions[:1], count)
        four, _ = _rate(sessions, count)
    return Measure(f"signatures a second, four cards / one card ({SLOW} ms)", four / one, "x", 3.9, at_least=True)


def _timed(session: Session, wanted: list[str]) -> float:
    began = time.perf_counter()
    session.sign(*wanted)
    return 1000 * (time.perf_counter() - began)


def _rate(sessions: list[Session], count: int) -> tuple[float, list[float]]:
    """Signatures a second, each session signing its own one after the other; and how long each took."""
    with ThreadPoolExecutor(len(sessions)) as pool:
        began = time.perf_counter()
        done = [pool.submit(_sign, session, count) for session in sessions]
        waits = [wait for one in done for wait in one.result()]
        return len(sessions) * count / (time.perf_counter() - began), waits


def _sign(session: Session, count: int) -> list[float]:
    return [_timed(session, [digest]) for digest in islice(digests(), count)]
