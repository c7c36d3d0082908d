"""One token of a module as a reader with a card in it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from cardd.driver import Card
from cardd.errors import CarddError, CardRemoved, CardTimeout
from cardd.ports import Connection
from cardd.worker import Worker
from cardd_drivers.pkcs11.module import Module
from cardd_drivers.pkcs11.pcsc import means
from cardd_drivers.pkcs11.wire import TokenState

if TYPE_CHECKING:
    from cardd_drivers.pkcs11.card import TokenCard

T = TypeVar("T")

KEYPAD = 0x100  # CKF_PROTECTED_AUTHENTICATION_PATH


class TokenConnection:
    """``cardd.ports.Connection`` to one token: its transaction is its login, and a claim on the reader it sits in."""

    def __init__(self, module: Module, token: TokenState, reader: str) -> None:
        self._module = module
        self._token = token
        self._reader = reader
        self._card: TokenCard | None = None
        self._is_claimed = False
        self.has_pinpad = bool(token.flags & KEYPAD)

    @property
    def resets(self) -> int:
        """Return the module's generation: a new process knows nothing of what the one before was told."""
        return self._module.generation

    def open(self) -> Card:
        """Ask the token what it has. A card opened anew in one transaction has the login of the one before."""
        from cardd_drivers.pkcs11.card import TokenCard  # noqa: PLC0415 - cryptography would slow the daemon's start

        login = self._card.login if self._card else None
        self._card = TokenCard(self._module, self._token.slot, self._reader, login)
        return self._card

    def begin(self) -> None:
        """Begin: what the module does with the card is one transaction from here on. Raises ReaderBusy."""
        self._module.gate.claim(self._token.slot_name)
        self._is_claimed = True

    def end(self, *, reset: bool) -> None:
        """Log out, and end the transaction. A module that cannot any more has no login either."""
        gate, slot = self._module.gate, self._token.slot_name
        if reset and self._card:
            with contextlib.suppress(CarddError):
                self._card.logout(reset=not gate.keeps(slot))
        if self._is_claimed:
            self._is_claimed = False
            gate.release(slot, reset=reset)

    def leave(self) -> None:
        """End a login at once that other programs could use: the module has gone round the gate.

        The card says then that the PIN is missing, and VERIFY is repeated before the next operation.
        """
        is_logged_in = self._card is not None and self._card.login is not None
        if self._card and is_logged_in and self._token.is_card and not self._module.gate.keeps(self._token.slot_name):
            with contextlib.suppress(CarddError):
                self._card.logout(reset=True)

    def disconnect(self) -> None:
        """Log out and forget the token."""
        self.end(reset=True)
        self._card = None


class TokenReader:
    """``cardd.ports.Reader`` for one slot of a module; ``on_gone`` is called, on the loop, when the token is missed."""

    def __init__(self, module: Module, token: TokenState, on_gone: Callable[[], None]) -> None:
        place = f"{token.label} ({token.slot_name})" if token.label and token.slot_name else ""
        self.name = f"{module.name}: {place or token.slot_name or token.label}"
        self.token = token
        self._on_gone = on_gone
        self._connection = TokenConnection(module, token, self.name)
        self._worker = Worker(self.name, lambda timeout: CardTimeout(seconds=round(timeout)))

    def is_in(self, readers: frozenset[str]) -> bool:
        """Return whether the token sits in one of these PC/SC readers."""
        return any(means(self.token.slot_name, reader) for reader in readers)

    async def run(self, job: Callable[[Connection], T], *, timeout: float) -> T:
        """Run one blocking job on the thread."""
        try:
            return await self._worker.run(partial(self._do, job), timeout=timeout)
        except CardRemoved:
            self._on_gone()
            raise

    def _do(self, job: Callable[[Connection], T]) -> T:
        try:
            return job(self._connection)
        finally:
            self._connection.leave()

    async def close(self) -> None:
        """Log out and end the thread."""
        await self._worker.close(self._connection.disconnect, timeout=2.0)
