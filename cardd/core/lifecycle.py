"""The parts of a running cardd: what each hears of the others, and in which order they start and stop.

A part that decides something tells the ``Lifecycle``: a session ended, a card left, a client is shut out. The
``Lifecycle`` calls every part in one stated order. Stopping is that order backwards.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from cardd.config import Config
from cardd.core.inserted_card import InsertedCard
from cardd.core.session import Session
from cardd.errors import CarddError
from cardd.model import Caller, CallerKey, Plain
from cardd.values import Value

PATIENCE = 8.0  # below the TimeoutStopSec of cardd.service

log = logging.getLogger(__name__)


class Part:
    """One part; a class overrides what concerns it."""

    __slots__ = ()

    async def start(self) -> None:
        """Begin what the first request needs."""

    async def watch(self) -> None:
        """Begin the rest, once requests are answered."""

    async def stop(self) -> None:
        """End what was begun; ``watch`` may not have been called."""

    def reconfigured(self, config: Config) -> None:
        """Take the settings that may change while cardd runs (``Section.LIVE``)."""

    def session_opened(self, session: Session) -> None:
        """Note a session whose person has logged in."""

    def session_closed(self, session: Session, reason: str) -> None:
        """Forget a session that ended; its PIN is wiped already."""

    def session_locked(self, session: Session) -> None:
        """Give up what needs the PIN of a session that was locked."""

    def session_situated(self, session: Session) -> None:
        """Note that the person picked another situation."""

    def card_inserted(self, card: InsertedCard) -> None:
        """Note a card that came into a reader; a token of a module's or a file's is none."""

    def card_removed(self, card: InsertedCard, reason: str) -> None:
        """Forget a card that left its reader, or whose reader's service left, before anything else happens."""

    def pin_changed(self, card: InsertedCard) -> None:
        """Forget the card's PIN: it is another one now."""

    def pin_refused(self, card: InsertedCard, caller: CallerKey, tries_left: int) -> None:
        """Note how many tries the card's PIN has left, where its caller got no further."""

    def client_shut_out(self, client: CallerKey, reason: str, name: str) -> None:
        """Forget a program or a page that was removed or locked out; ``name`` is what a person knows it by."""

    def client_let_in(self, client: Caller, act: str, consent: str | None) -> None:
        """Note a program that was paired or unlocked, or a page that was allowed."""

    def client_refused(self, client: Caller, act: str, error: CarddError) -> None:
        """Note a program or a page that a person did not let in."""


class Outer(Part, Value):
    """A part of an outer layer, which does not know this protocol, by its own functions."""

    name: str
    stopping: Callable[[], Awaitable[None]]
    watching: Callable[[], Awaitable[None]] | None = None

    async def watch(self) -> None:
        """Call ``watching``."""
        if self.watching:
            await self.watching()

    async def stop(self) -> None:
        """Call ``stopping``."""
        await self.stopping()


class Lifecycle(Part):
    """All the parts in order. A part that fails is logged, and keeps no other from hearing or from stopping.

    ``patience`` is how many seconds all the parts may take to stop. Each may take half of what is left, so that every
    one has some; what hangs longer is abandoned.
    """

    def __init__(self, *, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._parts: tuple[Part, ...] = ()
        self._started: list[Part] = []

    def join(self, *parts: Part) -> None:
        """Take these parts in, behind those that are there; the order is that of starting."""
        self._parts += parts

    async def start(self) -> None:
        """Start every part. Raises what a part raises, once those that had started are stopped again."""
        try:
            for part in self._parts:
                await part.start()
                self._started.append(part)
        except BaseException:
            await self.stop()
            raise

    async def watch(self) -> None:
        """Have every part begin the rest. Raises what a part raises."""
        for part in self._parts:
            await part.watch()

    async def stop(self) -> None:
        """Stop every part that has started, the last one first."""
        now = asyncio.get_running_loop().time
        until = now() + self._patience
        while self._started:
            await self._stop(self._started.pop(), max(0.0, until - now()) / 2)

    async def _stop(self, part: Part, patience: float) -> None:
        stopping = asyncio.ensure_future(part.stop())
        await asyncio.wait([stopping], timeout=patience)
        if not stopping.done():
            stopping.cancel()
            log.error("%s does not stop and is abandoned", _name(part))
        elif not stopping.cancelled() and (error := stopping.exception()):
            log.error("%s failed to stop", _name(part), exc_info=error)

    def reconfigured(self, config: Config) -> None:
        """Tell every part."""
        self._tell(lambda part: part.reconfigured(config))

    def session_opened(self, session: Session) -> None:
        """Tell every part."""
        self._tell(lambda part: part.session_opened(session))

    def session_closed(self, session: Session, reason: str) -> None:
        """Tell every part."""
        self._tell(lambda part: part.session_closed(session, reason))

    def session_locked(self, session: Session) -> None:
        """Tell every part."""
        self._tell(lambda part: part.session_locked(session))

    def session_situated(self, session: Session) -> None:
        """Tell every part."""
        self._tell(lambda part: part.session_situated(session))

    def card_inserted(self, card: InsertedCard) -> None:
        """Tell every part."""
        self._tell(lambda part: part.card_inserted(card))

    def card_removed(self, card: InsertedCard, reason: str) -> None:
        """Tell every part."""
        self._tell(lambda part: part.card_removed(card, reason))

    def pin_changed(self, card: InsertedCard) -> None:
        """Tell every part."""
        self._tell(lambda part: part.pin_changed(card))

    def pin_refused(self, card: InsertedCard, caller: CallerKey, tries_left: int) -> None:
        """Tell every part."""
        self._tell(lambda part: part.pin_refused(card, caller, tries_left))

    def client_shut_out(self, client: CallerKey, reason: str, name: str) -> None:
        """Tell every part."""
        self._tell(lambda part: part.client_shut_out(client, reason, name))

    def client_let_in(self, client: Caller, act: str, consent: str | None) -> None:
        """Tell every part."""
        self._tell(lambda part: part.client_let_in(client, act, consent))

    def client_refused(self, client: Caller, act: str, error: CarddError) -> None:
        """Tell every part."""
        self._tell(lambda part: part.client_refused(client, act, error))

    def _tell(self, call: Callable[[Part], None]) -> None:
        for part in self._parts:
            try:
                call(part)
            except Exception:  # the PIN of the next session must be wiped all the same
                log.exception("%s failed to hear what happened", _name(part))


def _name(part: Part) -> Plain:
    return Plain(part.name if isinstance(part, Outer) else type(part).__name__)
