"""Pages: how soon they find cardd, have its PIN dialog and know of a pulled card; what many that listen cost."""

from __future__ import annotations

import contextlib
import encodings.idna  # noqa: F401 - a user of ours may not read this Python
import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cardd.system.store import FileStore
from tests.bench.measure import Measure, p50
from tests.bench.process import idle_wake_ups, memory
from tests.bench.station import Station
from tests.rig.browsers import NAMES, PROGRAMS, Browser, Portal, Tab, running
from tests.rig.daemon import DaemonProcess
from tests.rig.lps import EventStream, Json, Lps, UnixConnection
from tests.rig.page_keys import BrowserKey, consents

USERS = range(61001, 61021)
PAGES_OF_ONE = 50  # a user may have 128 connections, and a page 64 requests that wait
ORIGIN = "https://portal.test"
FETCHED = {"Origin": ORIGIN, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
LISTENING = {
    **FETCHED,
    "Sec-Fetch-Mode": "websocket",
    "Sec-Fetch-Dest": "websocket",
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "c2l4dGVlbiBieXRlcyAhIQ==",
}

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


def listening(directory: Path) -> Iterator[Measure]:
    """Streams of pages of as many users as it takes: only root can be them, else there is one."""
    users = USERS if os.geteuid() == 0 else [os.getuid()]
    place, key = directory / "listening", BrowserKey()
    place.mkdir()
    extra = f'\n[web]\nallowed_origins = ["{ORIGIN}"]\nbrowsers = ["any"]\n'
    station = Station(place, extra=extra)
    station.daemon.state.mkdir(mode=0o700)
    FileStore(station.daemon.state).save("clients", consents(key, [ORIGIN], users))
    with station.running(), contextlib.ExitStack() as streams:
        before = memory(station.daemon).value
        for user in users:
            for stream in page_streams(station.daemon, key, user, PAGES_OF_ONE):
                streams.enter_context(stream)
        count = len(users) * PAGES_OF_ONE
        idle, after = idle_wake_ups(station.daemon), memory(station.daemon).value
        yield Measure(f"{idle.name}, {count} pages listening", idle.value, idle.unit, 0)
        yield Measure("  resident memory of each of them", 1000 * (after - before) / count, "kB")


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


def page_streams(daemon: DaemonProcess, key: BrowserKey, user: int, count: int) -> Iterator[socket.socket]:
    """Open the WebSockets of so many pages of one user, each by a ticket; each is a socket that has heard ``hello``."""
    with _as(user):
        lps = Lps(daemon.port)
        challenge = _post(lps, "/v1/clients/challenges", {})["challenge"]
        proof = key.proof(str(challenge), ORIGIN, f"127.0.0.1:{daemon.port}")
        entered = _post(lps, "/v1/clients", {"page_key": key.jwk, "proof": proof})
        lps.credential = str(entered["token"])
        head = "".join(f"{name}: {value}\r\n" for name, value in LISTENING.items())
        for _ in range(count):
            ticket = _post(lps, "/v1/events/tickets", {})["ticket"]
            stream = socket.create_connection(("127.0.0.1", daemon.port), timeout=10)
            asked = f"GET /v1/events?ticket={ticket} HTTP/1.1\r\nHost: 127.0.0.1:{daemon.port}\r\n{head}\r\n"
            stream.sendall(asked.encode())
            heard = b""
            while b'"hello"' not in heard:
                some = stream.recv(65536)
                assert some, heard
                heard += some
            yield stream
        lps.close()


def _post(lps: Lps, path: str, body: Json) -> Json:
    status, answer = lps.call("POST", path, body, **FETCHED)
    assert status == 201, answer
    return answer


@contextmanager
def _as(user: int) -> Iterator[None]:
    """Be this user for the sockets that are made inside the ``with``."""
    before = os.geteuid()
    if user != before:
        os.seteuid(user)
    try:
        yield
    finally:
        if user != before:
            os.seteuid(before)
