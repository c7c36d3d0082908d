"""From SCardGetStatusChange's own return, in a program beside the daemon, to the event on the stream."""

from __future__ import annotations

import threading
import time

from cardd.pcsc.winscard import EventState, WinScard
from tests.bench.measure import Measure, Series
from tests.bench.station import Station
from tests.rig.here import use_here
from tests.rig.lps import EventStream, UnixConnection

TIMEOUT = 10_000


class Witness:
    """Waits in SCardGetStatusChange, as bare as can be, until the slot has a card or none; notes when it returned."""

    def __init__(self, reader: str, *, is_in: bool = True) -> None:
        self.seen_at = 0.0
        self._reader = reader
        self._before, self._until = (EventState.EMPTY, EventState.PRESENT)[:: 1 if is_in else -1]
        self._winscard = WinScard()
        self._thread = threading.Thread(target=self._wait)
        self._waiting = threading.Event()

    def start(self) -> None:
        """Begin to wait."""
        self._thread.start()
        self._waiting.wait()

    def join(self) -> float:
        """When it was seen (``time.monotonic``)."""
        self._thread.join()
        return self.seen_at

    def _wait(self) -> None:
        context = self._winscard.establish()
        known = int(self._before)
        states = self._winscard.wait(context, [(self._reader, known)], 0) or []
        known = states[0].event if states else known
        self._waiting.set()
        while not known & self._until:
            states = self._winscard.wait(context, [(self._reader, known)], TIMEOUT) or []
            self.seen_at = time.monotonic()
            known = states[0].event if states else known
        self._winscard.release(context)


def insertion_to_event(station: Station, rounds: int) -> Measure:
    """The median of several insertions; the event may even come first."""
    use_here(station.pcscd)
    events = EventStream(UnixConnection(station.daemon.socket))
    events.wait("hello")
    late = Series()
    for _ in range(rounds):
        witness = Witness(station.pcscd.reader_names[0])
        witness.start()
        with station.card():
            told_at, _ = events.wait("card.inserted")
            late.add([1000 * (told_at - witness.join())])
        events.wait("card.removed")
    return late.measure("insertion to event, after SCardGetStatusChange", "ms", 5)
