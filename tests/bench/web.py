"""Pages in browsers: how soon they find cardd, have its PIN dialog and know of a pulled card."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench.measure import Measure, p50
from tests.bench.station import Station
from tests.rig.browsers import NAMES, PROGRAMS, Browser, Portal, Tab, running
from tests.rig.lps import EventStream, UnixConnection

BEGIN = """
const {Cardd} = await import(location.origin + "/cardd.js");
window.made = () => new Cardd({bases: [arguments[0]], language: "en"});
window.cardd = window.made();
await window.cardd.find();
await window.cardd.enter();
window.removed = [];
window.cardd.addEventListener("card.removed", () => window.removed.push(Date.now()));
const greeted = new Promise(done => window.cardd.addEventListener("hello", done, {once: true}));
window.cardd.listen();
await greeted;
"""
FIND = """
const times = [];
for (let round = 0; round < arguments[0]; round++) {
  const began = performance.now();
  const found = await window.made().find();
  times.push(performance.now() - began);
  if (found.state !== "ready") throw new Error(JSON.stringify(found));
}
return times;
"""
LOG_IN = """
const clicked = Date.now();
await (await window.cardd.login()).close();
return clicked;
"""


def pages(directory: Path, rounds: int) -> Iterator[Measure]:
    """The figures of each browser that is here."""
    for name in NAMES:
        if all(shutil.which(program) for program in PROGRAMS[name]):
            place = directory / name
            place.mkdir()
            with Portal(place).running() as portal, running(name, [portal.port], place) as browser:
                yield from _of(browser, portal, place, rounds)


def _of(browser: Browser, portal: Portal, directory: Path, rounds: int) -> Iterator[Measure]:
    station = Station(directory, hold=0.0, extra=f'\n[web]\nallowed_origins = ["{portal.origin()}"]\n')
    browser.permit(portal.origin())
    with station.running(), browser.tab(portal.origin()) as tab:
        tab.run(BEGIN, station.daemon.url)
        yield Measure(f"find() to its answer, {browser.name} (p50)", p50(tab.run(FIND, 4 * rounds)), "ms", 30)
        with station.card():
            tab.run(LOG_IN)  # the card is known from now on
            late = [_until_dialog(station, tab) for _ in range(rounds)]
        yield Measure(f"click to PIN dialog, card of 0 ms, {browser.name} (p50)", p50(late), "ms", 100)
        pulled = _pulled(station, tab, rounds)
        yield Measure(f"card pulled: the page after the daemon's event, {browser.name}, slowest", pulled, "ms", 100)


def _until_dialog(station: Station, tab: Tab) -> float:
    """From the click until pinentry is told to show the dialog: what it wrote last."""
    clicked: int = tab.run(LOG_IN)
    assert station.pinentry.shown()[-1].kind == "pin"
    return station.pinentry.shown_at() * 1000 - clicked


def _pulled(station: Station, tab: Tab, rounds: int) -> float:
    """How much later the page knows than a program on the Unix socket, at the most."""
    events = EventStream(UnixConnection(station.daemon.socket))
    events.wait("hello")
    told = []
    for _ in range(rounds):
        with station.card():
            events.wait("card.inserted")
        at, _ = events.wait("card.removed")
        told.append(1000 * (at - time.monotonic() + time.time()))
    seen: list[float] = []
    while len(seen) <= rounds:
        seen = tab.run("return window.removed")
    return max(here - there for here, there in zip(seen[-rounds:], told, strict=True))
