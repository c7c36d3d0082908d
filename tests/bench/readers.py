"""Four cards in four readers: each has its own thread, so that none waits for another."""

from __future__ import annotations

import base64
import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from tests.bench.measure import Measure
from tests.bench.station import Session, Station

READERS = 4
DELAY_MS = 400


def together(station: Station, count: int) -> Measure:
    """The rate of four cards as slow as real ones, against that of one."""
    with ExitStack() as cards:
        for slot in range(READERS):
            cards.enter_context(station.card(slot=slot, delay_ms=DELAY_MS))
        known = [str(card["id"]) for card in station.cards()]
        sessions = [station.log_in(card) for card in known]
        one = _rate(sessions[:1], count)
        four = _rate(sessions, count)
    return Measure("signatures a second, four cards / one card (400 ms)", four / one, "x", 3.5, at_least=True)


def _rate(sessions: list[Session], count: int) -> float:
    """Signatures a second, each session signing its own one after the other."""
    with ThreadPoolExecutor(len(sessions)) as pool:
        started = time.perf_counter()
        for done in [pool.submit(_sign, session, count) for session in sessions]:
            done.result()
        return len(sessions) * count / (time.perf_counter() - started)


def _sign(session: Session, count: int) -> None:
    for number in range(count):
        session.sign(base64.b64encode(hashlib.sha256(str(number).encode()).digest()).decode())
