"""Pages that listen, a thousand of them: what they cost, and how soon all of them hear of a card."""

from __future__ import annotations

import contextlib
import encodings.idna  # noqa: F401 - a user of ours may not read this Python
import os
import selectors
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cardd.system.store import FileStore
from tests.bench.insertion import Witness
from tests.bench.measure import Measure, Series
from tests.bench.process import idle_wake_ups, memory
from tests.bench.station import Station
from tests.rig.daemon import DaemonProcess
from tests.rig.here import use_here
from tests.rig.lps import Json, Lps
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

PATIENCE = 10.0  # seconds: a stream that is told nothing must not hold up the bench


class Ears:
    """Hears one event on many streams, in a thread of its own, and notes when the last of them had it."""

    def __init__(self, streams: Sequence[socket.socket], kind: str) -> None:
        self._streams = streams
        self._kind = f'"{kind}"'.encode()
        self._last_at = 0.0
        self._missing = len(streams)
        self._thread = threading.Thread(target=self._hear)
        self._thread.start()

    def join(self) -> float:
        """When the last one had it (``time.monotonic``)."""
        self._thread.join()
        assert not self._missing, f"{self._missing} of {len(self._streams)} streams did not hear {self._kind!r}"
        return self._last_at

    def _hear(self) -> None:
        with selectors.DefaultSelector() as selector:
            for stream in self._streams:
                selector.register(stream, selectors.EVENT_READ, stream.recv)
            while self._missing and (ready := selector.select(PATIENCE)):
                for key, _ in ready:
                    self._missing -= self._kind in key.data(65536)
                self._last_at = time.monotonic()


def listening(directory: Path, rounds: int) -> Iterator[Measure]:
    """Streams of pages of as many users as it takes: only root can be them, else there is one.

    All of them own the readers, as the configuration may say: others are told of no card.
    """
    users = USERS if os.geteuid() == 0 else [os.getuid()]
    place, key = directory / "listening", BrowserKey()
    place.mkdir()
    owners = ", ".join(f'"{user}"' for user in users)
    extra = f'\n[web]\nallowed_origins = ["{ORIGIN}"]\nbrowsers = ["any"]\n[access]\nowners = [{owners}]\n'
    station = Station(place, extra=extra)
    station.daemon.state.mkdir(mode=0o700)
    FileStore(station.daemon.state).save("clients", consents(key, [ORIGIN], users))
    with station.running(), contextlib.ExitStack() as opened:
        before = memory(station.daemon).value
        streams = [
            opened.enter_context(stream)
            for user in users
            for stream in page_streams(station.daemon, key, user, PAGES_OF_ONE)
        ]
        idle, after = idle_wake_ups(station.daemon), memory(station.daemon).value
        yield Measure(f"{idle.name}, {len(streams)} pages listening", idle.value, idle.unit, 0)
        yield Measure("  resident memory of each of them", 1000 * (after - before) / len(streams), "kB")
        yield from _cards_heard(station, streams, rounds)


def _cards_heard(station: Station, streams: Sequence[socket.socket], rounds: int) -> Iterator[Measure]:
    """From SCardGetStatusChange's own return, in a program beside the daemon, until the last stream has the event."""
    use_here(station.pcscd)
    [reader, *_] = station.pcscd.reader_names
    late = {"insertion": Series(), "removal": Series()}
    for _ in range(rounds):
        put_in, inserted = Witness(reader), Ears(streams, "card.inserted")
        put_in.start()
        with station.card():
            late["insertion"].add([1000 * (inserted.join() - put_in.join())])
            pulled, removed = Witness(reader, is_in=False), Ears(streams, "card.removed")
            pulled.start()
        late["removal"].add([1000 * (removed.join() - pulled.join())])
    for what, series in late.items():
        yield series.measure(f"{what} to the last of {len(streams)} pages that listen", "ms", 50)


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
