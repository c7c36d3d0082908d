"""The organisation's key files as one reader with one token in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from cardd.driver import Card
from cardd.errors import CardTimeout
from cardd.model import CardKind, KeyPurpose
from cardd.ports import Connection, ReaderListener, SourceSettings, Token
from cardd.worker import Worker

if TYPE_CHECKING:
    from cardd_drivers.pkcs12.card import KeyFiles

T = TypeVar("T")


class FilesConnection:
    """``cardd.ports.Connection``: nobody else uses the keys, so that a transaction is only the time they are open."""

    resets = 0
    has_pinpad = False

    def __init__(self, files: Mapping[KeyPurpose, Path]) -> None:
        self._files = files
        self._card: KeyFiles | None = None

    def open(self) -> Card:
        """Return the files as a card."""
        from cardd_drivers.pkcs12.card import KeyFiles  # noqa: PLC0415 - cryptography would slow the daemon's start

        self._card = KeyFiles(self._files)
        return self._card

    def begin(self) -> None:
        """Begin at once: there is nothing to wait for."""

    def end(self, *, reset: bool) -> None:
        """Forget the private keys."""
        if reset and self._card:
            self._card.lock()

    def disconnect(self) -> None:
        """Forget the private keys, and what the files told."""
        self.end(reset=True)
        self._card = None


class FilesReader:
    """``cardd.ports.Reader`` over key files; their key derivation runs on a thread of its own."""

    def __init__(self, files: Mapping[KeyPurpose, Path]) -> None:
        self.name = "PKCS#12: " + ", ".join(path.name for path in files.values())
        self._connection = FilesConnection(files)
        self._worker = Worker("pkcs12", lambda timeout: CardTimeout(seconds=round(timeout)))

    async def run(self, job: Callable[[Connection], T], *, timeout: float) -> T:
        """Run one blocking job on the thread."""
        return await self._worker.run(partial(job, self._connection), timeout=timeout)

    async def close(self) -> None:
        """Forget everything and end the thread."""
        await self._worker.close(self._connection.disconnect, timeout=1.0)


class FilesSource:
    """``cardd.ports.ReaderSource``: the one token is there as long as the daemon runs."""

    def __init__(self, files: Mapping[KeyPurpose, Path]) -> None:
        self._reader = FilesReader(files)

    async def start(self, listener: ReaderListener) -> None:
        """Report it."""
        listener.reader_added(self._reader)
        listener.token_inserted(self._reader.name, Token(CardKind.PKCS12))

    async def stop(self) -> None:
        """Forget the keys."""
        await self._reader.close()


def pkcs12_source(settings: SourceSettings) -> FilesSource | None:
    """Return the source of the configured files, None where there are none: the entry point."""
    return FilesSource(settings.organisation) if settings.organisation else None
