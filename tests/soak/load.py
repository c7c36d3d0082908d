"""Who works with the daemon during the soak; each is a thread that goes on until it is told to stop."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from threading import Event, Thread

from tests.bench.listening import page_streams
from tests.bench.station import Session, Station
from tests.bench.wire import digests
from tests.p11.client import Client, Failed
from tests.rig.lps import EventStream, Json, Lps, UnixConnection
from tests.rig.page_keys import BrowserKey
from tests.rig.pdf import pdf
from tests.rig.simulator import inserted, simulated_card
from tests.soak.samples import Answers

RAW = "raw signature"
BATCH = 20
STREAMS = 20
OTHER_SLOT = 1
PAUSE = 0.05  # seconds of a program between two requests
LEAVES = ("card.removed", "session.closed", "session.unknown", "card.mute", "card.unknown", "reader.gone")


class Load:
    """The threads, and what they share."""

    def __init__(self, station: Station, key: BrowserKey, uid: int, answers: Answers) -> None:
        self._station = station
        self._key = key
        self._uid = uid
        self._answers = answers
        self._stop = Event()
        self._lps = station.pair()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Keep all of them at work inside."""
        card = self._card_in(0)
        raw, lists, documents = (self._station.log_in(card, self._lps) for _ in range(3))
        works: list[Callable[[], None]] = [
            lambda: self._sign(raw),
            lambda: self._batches(lists),
            lambda: self._documents(documents),
            self._programs,
            self._pages,
            self._wander,
        ]
        threads = [Thread(target=self._until_stopped, args=(work,)) for work in works]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(60)

    def _until_stopped(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - whatever ends a thread is told at the end
            self._answers.wrong(f"{type(error).__name__}: {error}"[:300])

    def _timed(self, kind: str, work: Callable[[], object]) -> None:
        began = time.perf_counter()
        work()
        self._answers.took(kind, 1000 * (time.perf_counter() - began))

    def _sign(self, session: Session) -> None:
        for digest in digests():
            if self._stop.wait(PAUSE):
                return
            self._timed(RAW, lambda wanted=digest: session.sign(wanted))  # type: ignore[misc]

    def _batches(self, session: Session) -> None:
        wanted = list(islice(digests(), BATCH))
        while not self._stop.wait(10 * PAUSE):
            self._timed(f"list of {BATCH}", lambda: session.sign(*wanted))

    def _documents(self, session: Session) -> None:
        document = base64.b64encode(pdf(ballast=20_000)).decode()
        body: Json = {"format": "pades", "document": document, "document_name": "soak"}
        wanted: Json = {**body, "batch": {"name": "soak", "count": 10000}}
        while not self._stop.wait(10 * PAUSE):
            self._timed("PDF", lambda: session.post("signatures", wanted))

    def _programs(self) -> None:
        asyncio.run(self._through_pkcs11())

    async def _through_pkcs11(self) -> None:
        """Connect, sign and leave, as programs that are started again and again."""
        socket = self._station.directory / "p11"
        while not self._stop.is_set():
            client = await Client.at(socket)
            try:
                began = time.perf_counter()
                await client.signed()
                self._answers.took("PKCS#11, connection and signature", 1000 * (time.perf_counter() - began))
            except Failed as failed:
                self._answers.wrong(f"PKCS#11: {failed}")
            await client.close()
            await asyncio.sleep(4 * PAUSE)

    def _pages(self) -> None:
        """Keep streams of pages open, and open and close more of them."""
        with ExitStack() as open_ones:
            for stream in page_streams(self._station.daemon, self._key, self._uid, STREAMS):
                open_ones.enter_context(stream)
            while not self._stop.wait(20 * PAUSE):
                began = time.perf_counter()
                for stream in page_streams(self._station.daemon, self._key, self._uid, 3):
                    stream.close()
                self._answers.took("three pages that come and go", 1000 * (time.perf_counter() - began))

    def _wander(self) -> None:
        """Put a second card in, log in with it, sign, and pull it, while a signature is under way every other time."""
        lps = self._lps
        events = EventStream(UnixConnection(self._station.daemon.socket))
        number = 0
        while not self._stop.wait(4 * PAUSE):
            number += 1
            began = time.perf_counter()
            with inserted(simulated_card(), self._station.pcscd, OTHER_SLOT):
                self._use(lps, self._card_in(OTHER_SLOT), leaves_at_once=number % 2 == 0)
            events.wait("card.removed")
            self._answers.took("a card that comes, signs and goes", 1000 * (time.perf_counter() - began))
        events.close()

    def _use(self, lps: Lps, card: str, *, leaves_at_once: bool) -> None:
        status, opened = lps.call("POST", "/v1/sessions", {"method": "cpx", "card": card})
        if status != 201:
            self._answers.wrong(f"login: {opened.get('code')}")
            return
        own = lps.with_credential(str(opened["token"]))
        wanted: Json = {"document_name": "soak", "digest": next(digests()), "batch": {"name": "soak", "count": 100}}

        def sign() -> None:
            status, answer = own.call("POST", f"/v1/sessions/{opened['id']}/signatures", wanted)
            if status != 200 and (not leaves_at_once or answer.get("code") not in LEAVES):
                self._answers.wrong(f"a card that comes and goes: {answer.get('code')}")
            own.close()

        if leaves_at_once:
            Thread(target=self._until_stopped, args=(sign,)).start()
        else:
            sign()

    def _card_in(self, slot: int) -> str:
        """Return the card's identifier, once the daemon has seen it."""
        reader = self._station.pcscd.reader_names[slot]
        while True:
            lps = self._lps.with_credential(str(self._lps.credential))  # from any thread
            status, answer = lps.call("GET", "/v1/cards")
            lps.close()
            assert status == 200, answer
            for card in answer["cards"]:  # type: ignore[attr-defined]
                if card["reader"] == reader:
                    return str(card["id"])
            time.sleep(0.01)
