"""What tokens a module has, kept up to date without polling."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from functools import partial

from cardd.errors import CarddError, CardTimeout
from cardd.model import CardKind
from cardd.ports import ReaderListener, Token
from cardd.worker import Worker, post
from cardd_drivers.pkcs11.module import Module
from cardd_drivers.pkcs11.reader import TokenReader
from cardd_drivers.pkcs11.wire import ListTokens, TokenState

LIST_LIMIT = 30.0
LOOKS, LOOK_PAUSE = 3, 0.5  # at what was mute when it came: after so many seconds, and twice as many each further time
FAILURES_MAX = 8  # one after the other; then nobody starts the module but who wants something of it

log = logging.getLogger(__name__)


class ModuleTokens:
    """One module's tokens, read at the start, when the module tells a change, and when a token is missed at use.

    A module whose process ended is started anew, each time later, until it has failed too often.
    """

    def __init__(self, path: str, listener: ReaderListener) -> None:
        self._loop = asyncio.get_running_loop()
        self.module = Module(path, lambda why: post(self._loop, partial(self._failed, why)))
        self._listener: ReaderListener | None = listener
        self._readers: dict[tuple[int, str], TokenReader] = {}
        self._worker = Worker(self.module.name, lambda timeout: CardTimeout(seconds=round(timeout)))
        self._tasks: set[asyncio.Task[None]] = set()
        self._lock = asyncio.Lock()
        self._again: asyncio.TimerHandle | None = None
        self._looks = 0

    def start(self) -> None:
        """Begin to watch; the first list comes by itself."""
        self._loop.add_reader(self.module.events, self._changed)
        self._spawn()

    async def stop(self) -> None:
        """Log out everywhere and end the module's process, in a few seconds, whatever it does."""
        self._listener = None
        self._loop.remove_reader(self.module.events)
        if self._again:
            self._again.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*(reader.close() for reader in self._readers.values()))
        await asyncio.to_thread(self.module.close)
        await self._worker.close(lambda: None, timeout=1.0)

    async def refresh(self) -> None:
        """Read the list again: a module that tells no changes has no other way to show a new token."""
        async with self._lock:
            try:
                reply = await self._worker.run(lambda: self.module.call(ListTokens()), timeout=LIST_LIMIT)
            except CarddError:
                self._try_again()  # _failed has told why
                return
            if reply.code:
                log.warning("PKCS#11 module %s lists no tokens: %#x %s", self.module.path, reply.code, reply.why)
                return
            present = {(token.slot, token.serial): token for token in reply.tokens}
            for gone in [key for key in self._readers if key not in present]:
                await self._remove(self._readers.pop(gone))
            for key, token in present.items():
                if key not in self._readers and self._listener:
                    self._add(self._listener, key, token)
            self._look_again(reply.mute)

    def _changed(self) -> None:
        self._looks = 0
        with contextlib.suppress(BlockingIOError):
            self.module.events.recv(4096)
        self._spawn()

    def _look_again(self, mute: int) -> None:
        """A card that was just put in may not answer yet, and no event tells when it does."""
        if mute and self._looks < LOOKS:
            self._later(LOOK_PAUSE * 2**self._looks)
            self._looks += 1

    def _failed(self, why: str) -> None:
        if self._listener:
            log.warning("PKCS#11 module %s: %s", self.module.path, why)
            self._listener.source_failed(self.module.name, why)

    def _spawn(self) -> None:
        task = asyncio.ensure_future(self.refresh())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _try_again(self) -> None:
        if self.module.failures <= FAILURES_MAX:
            self._later(self.module.pause)
        elif self._listener:
            log.error("PKCS#11 module %s failed too often and is left alone until it is needed", self.module.path)

    def _later(self, pause: float) -> None:
        if self._again:
            self._again.cancel()
        if self._listener:
            self._again = self._loop.call_later(pause, self._spawn)

    def _add(self, listener: ReaderListener, key: tuple[int, str], token: TokenState) -> None:
        reader = TokenReader(self.module, token, self._spawn)
        if reader.name in {other.name for other in self._readers.values()}:
            reader.name += f" #{token.slot}"
        self._readers[key] = reader
        listener.reader_added(reader)
        listener.token_inserted(reader.name, Token(CardKind.PKCS11, token.slot_name))

    async def _remove(self, reader: TokenReader) -> None:
        if self._listener:
            self._listener.reader_removed(reader.name)
        await reader.close()
