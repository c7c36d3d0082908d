"""A card that is put in: how soon its first signature is there, the login before it included."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tests.bench.measure import Measure, Series
from tests.bench.station import Station
from tests.bench.wire import digests
from tests.rig.lps import EventStream, UnixConnection
from tests.rig.pinentry import READING

SLOW = 400  # milliseconds of a signature, as on a real card


def first_signature(station: Station, rounds: int) -> Iterator[Measure]:
    """From the event of the insertion to the first signature, less the time that the person reads the dialogs."""
    lps = station.pair()
    events = EventStream(UnixConnection(station.daemon.socket))
    events.wait("hello")
    source = digests()
    for delay_ms, count in ((0, rounds), (SLOW, 2)):
        late = Series()
        for number in range(count + 1):
            with station.card(delay_ms=delay_ms):
                began, _ = events.wait("card.inserted")
                shown = len(station.pinentry.shown())
                session = station.log_in(lps=lps)
                session.sign(next(source))
                read = READING * (len(station.pinentry.shown()) - shown)
                if number:  # the first has the card known
                    late.add([1000 * (time.monotonic() - began - read)])
            events.wait("card.removed")
        yield late.measure(f"insertion to the first signature, without the person, card of {delay_ms} ms", "ms")
    events.close()
