"""The readers of this machine, as PC/SC shows them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from functools import partial

from cardd.pcsc.channel import Holder, PcscReader
from cardd.pcsc.watch import Change, ChangeKind, Missed, Watch, log_absence
from cardd.pcsc.winscard import WinScard
from cardd.ports import ReaderListener
from cardd.worker import Background, post

LOOK_LIMIT = 2.0  # seconds that a request waits while an absent pcscd is looked for
CARD_LIMIT = 1.0  # and then for the first card of one that has come
STOP_LIMIT = 2.0  # seconds that stop() gives a PC/SC service or a card that hangs


class PcscReaders:
    """``cardd.ports.ReaderSource`` over PC/SC; started once. ``language`` (``fr``, ``en``) is for readers' keypads.

    ``holder`` tells who holds a card that is in use; it blocks. ``user`` is the OS user whose alone the readers are,
    where these are not this machine's own; ``missed`` is told when PC/SC is not there, by another thread.
    """

    def __init__(
        self,
        *,
        language: str = "fr",
        winscard: WinScard | None = None,
        holder: Holder = dict,
        user: int | None = None,
        missed: Missed = log_absence,
    ) -> None:
        self._holder = holder
        self._user = user
        self._missed = missed
        self._language = language
        self._winscard = winscard or WinScard()
        self._readers: dict[str, PcscReader] = {}
        self._closing = Background()
        self._available: bool | None = None
        self._listener: ReaderListener | None = None
        self._ended = asyncio.Event()
        self._looking: asyncio.Future[None] | None = None
        self._has_card = asyncio.Event()
        self._watch: Watch | None = None

    @property
    def last_change(self) -> float:
        """Return when SCardGetStatusChange last returned with news (``time.monotonic``)."""
        return self._watch.last_change if self._watch else 0.0

    async def start(self, listener: ReaderListener) -> None:
        """Begin to watch; returns at once, whether pcscd is there or not."""
        loop = asyncio.get_running_loop()
        self._listener = listener
        self._watch = Watch(
            self._winscard,
            lambda available, changes: post(loop, partial(self._deliver, available, changes)),
            lambda: post(loop, self._ended.set),
            lambda: post(loop, self._looked),
            self._missed,
        )
        self._watch.start()

    async def look(self) -> None:
        """Look at once for an absent pcscd, as the contract says."""
        if self._watch is None or self._available:
            return
        if self._looking is None:
            self._looking = asyncio.get_running_loop().create_future()
            self._watch.look()
        await asyncio.wait([self._looking], timeout=LOOK_LIMIT)
        if self._available and self._readers:  # a pcscd that has just come powers its cards up a moment later
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._has_card.wait(), CARD_LIMIT)

    def _looked(self) -> None:
        if self._looking is not None:
            self._looking.set_result(None)
            self._looking = None

    def forsake(self) -> None:
        """Tell at once that every reader has gone, and nothing more; ``stop`` comes next."""
        listener, self._listener = self._listener, None
        if listener is not None:
            for name in list(self._readers):
                listener.reader_removed(name)

    async def stop(self) -> None:
        """Stop watching and release the readers; the listener is told nothing more."""
        if self._watch is None:
            return
        self._listener = None
        self._watch.stop()
        closing = [reader.close(timeout=STOP_LIMIT) for reader in self._readers.values()]
        self._readers.clear()
        await asyncio.gather(self._wait_ended(), *closing, self._closing.settle())

    async def _wait_ended(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), STOP_LIMIT)

    def _deliver(self, available: bool, changes: Sequence[Change]) -> None:
        listener = self._listener
        if listener is None:
            return
        if available is not self._available:
            self._available = available
            self._has_card.clear()
            if self._user is None:
                listener.readers_available(available)
        for change in changes:
            self._tell(listener, change)

    def _tell(self, listener: ReaderListener, change: Change) -> None:
        match change.kind:
            case ChangeKind.ADDED:
                opener = partial(listener.open_card, change.reader)
                reader = PcscReader(change.reader, self._winscard, self._language, opener, self._holder)
                self._readers[change.reader] = reader
                listener.reader_added(reader, self._user)
            case ChangeKind.REMOVED:
                self._closing.start(self._readers.pop(change.reader).close())
                listener.reader_removed(change.reader)
            case ChangeKind.CARD_IN:
                self._has_card.set()
                listener.card_inserted(change.reader, change.atr)
            case ChangeKind.CARD_OUT:
                listener.card_removed(change.reader)
