"""The tokens of the configured modules, as readers with a token in each."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from cardd.driver import Card
from cardd.errors import CarddError, CardTimeout
from cardd.model import CardKind
from cardd.ports import Connection, ReaderListener, SourceSettings, Token
from cardd.worker import Worker, post
from cardd_drivers.pkcs11.module import Module
from cardd_drivers.pkcs11.registered import resolve
from cardd_drivers.pkcs11.wire import ListTokens, TokenState

if TYPE_CHECKING:
    from cardd_drivers.pkcs11.card import TokenCard

T = TypeVar("T")

LIST_LIMIT = 30.0
KEYPAD = 0x100  # CKF_PROTECTED_AUTHENTICATION_PATH

log = logging.getLogger(__name__)


class TokenConnection:
    """``cardd.ports.Connection`` to one token: its transaction is its login."""

    def __init__(self, module: Module, token: TokenState, reader: str) -> None:
        self._module = module
        self._token = token
        self._reader = reader
        self._card: TokenCard | None = None
        self.has_pinpad = bool(token.flags & KEYPAD)

    @property
    def resets(self) -> int:
        """A new process knows nothing of what the one before was told."""
        return self._module.generation

    def open(self) -> Card:
        """Ask the token what it has."""
        from cardd_drivers.pkcs11.card import TokenCard  # noqa: PLC0415 - cryptography would slow the daemon's start

        self._card = TokenCard(self._module, self._token.slot, self._reader)
        return self._card

    def begin(self) -> None:
        """Nothing to wait for: the module's calls come one after the other."""

    def end(self, *, reset: bool) -> None:
        """Log out. A module that cannot any more has no login either."""
        if reset and self._card:
            with contextlib.suppress(CarddError):
                self._card.logout()

    def disconnect(self) -> None:
        """Log out and forget the token."""
        self.end(reset=True)
        self._card = None


class TokenReader:
    """``cardd.ports.Reader`` for one slot of a module."""

    def __init__(self, module: Module, token: TokenState) -> None:
        self.name = f"{module.name}: {token.slot_name or token.label}"
        self.token = token
        self._connection = TokenConnection(module, token, self.name)
        self._worker = Worker(self.name, lambda timeout: CardTimeout(seconds=round(timeout)))

    async def run(self, job: Callable[[Connection], T], *, timeout: float) -> T:
        """Run one blocking job on the thread."""
        return await self._worker.run(partial(job, self._connection), timeout=timeout)

    async def close(self) -> None:
        """Log out and end the thread."""
        await self._worker.close(self._connection.disconnect, timeout=2.0)


class ModuleTokens:
    """One module's tokens, kept up to date: read at the start, and whenever the module says that something changed."""

    def __init__(self, path: str, listener: ReaderListener) -> None:
        self._loop = asyncio.get_running_loop()
        self.module = Module(path, lambda why: post(self._loop, partial(self._failed, why)))
        self._listener: ReaderListener | None = listener
        self._readers: dict[tuple[int, str], TokenReader] = {}
        self._worker = Worker(self.module.name, lambda timeout: CardTimeout(seconds=round(timeout)))
        self._tasks: set[asyncio.Task[None]] = set()
        self._lock = asyncio.Lock()

    def start(self) -> None:
        """Begin to watch; the first list comes by itself."""
        self._loop.add_reader(self.module.events, self._changed)
        self._spawn()

    async def stop(self) -> None:
        """End the module's process."""
        self._listener = None
        self._loop.remove_reader(self.module.events)
        for task in self._tasks:
            task.cancel()
        for reader in self._readers.values():
            await reader.close()
        await self._worker.close(self.module.close, timeout=3.0)
        self.module.close()

    def _changed(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self.module.events.recv(4096)
        self._spawn()

    def _failed(self, why: str) -> None:
        if self._listener:
            log.warning("PKCS#11 module %s: %s", self.module.path, why)
            self._listener.source_failed(self.module.name, why)

    def _spawn(self) -> None:
        task = asyncio.ensure_future(self._refresh())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _refresh(self) -> None:
        async with self._lock:
            try:
                reply = await self._worker.run(lambda: self.module.call(ListTokens()), timeout=LIST_LIMIT)
            except CarddError:
                return  # told by _failed
            present = {(token.slot, token.serial): token for token in reply.tokens}
            for gone in [key for key in self._readers if key not in present]:
                await self._remove(self._readers.pop(gone))
            for key, token in present.items():
                if key not in self._readers and self._listener:
                    self._add(self._listener, key, token)

    def _add(self, listener: ReaderListener, key: tuple[int, str], token: TokenState) -> None:
        reader = TokenReader(self.module, token)
        if reader.name in {other.name for other in self._readers.values()}:
            reader.name += f" #{token.slot}"
        self._readers[key] = reader
        listener.reader_added(reader)
        listener.token_inserted(reader.name, Token(CardKind.PKCS11, token.slot_name))

    async def _remove(self, reader: TokenReader) -> None:
        if self._listener:
            self._listener.reader_removed(reader.name)
        await reader.close()


class Pkcs11Source:
    """``cardd.ports.ReaderSource`` over PKCS#11 modules."""

    def __init__(self, modules: Sequence[str]) -> None:
        self._modules = modules
        self._tokens: list[ModuleTokens] = []

    async def start(self, listener: ReaderListener) -> None:
        """Start every module; one that fails is told in the journal and does not keep the others back."""
        for name in self._modules:
            path = resolve(name)
            if path is None:
                log.warning("no PKCS#11 module %s is there", name)
                continue
            tokens = ModuleTokens(path, listener)
            self._tokens.append(tokens)
            tokens.start()

    async def stop(self) -> None:
        """End the modules' processes."""
        for tokens in self._tokens:
            await tokens.stop()


def pkcs11_source(settings: SourceSettings) -> Pkcs11Source | None:
    """The entry point: None where no module is configured."""
    return Pkcs11Source(settings.modules) if settings.modules else None
