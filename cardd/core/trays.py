"""The items in desktops' trays: what each person is shown of cards and sessions, and what they do from there.

A tray hears what its person's status page hears, and does by the same calls what that page does: whose the readers are,
who may change a PIN and how often, is decided there and not here. No holder is named.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from cardd.config import Config
from cardd.core.events import EventBus
from cardd.core.inserted_card import InsertedCard
from cardd.core.leases import Leases
from cardd.core.lifecycle import Part
from cardd.core.owners import OwnedReaders
from cardd.core.pin import PinLife
from cardd.core.session import Session
from cardd.core.sessions import Sessions
from cardd.errors import CarddError, PcscUnavailable, PinCancelled, ReaderNotYours
from cardd.model import Caller, CallerKind, CardKind, JsonValue, Peer
from cardd.worker import Background

SHOWN_MAX = 8  # cards, and sessions: a menu with more is not read
NAME_MAX = 200  # characters of a name; who shows it may show less
SHOWN_AS = "cardd-agent"  # what dialogs and rows call who asked

Tell = Callable[[Mapping[str, object]], bool]


class Trays(Part):
    """The trays that are shown; ``prompt.tray`` says whether any is."""

    def __init__(
        self,
        config: Config,
        readers: OwnedReaders,
        sessions: Sessions,
        leases: Leases,
        pin_life: PinLife,
        *,
        events: EventBus,
    ) -> None:
        self.is_wanted = config.prompt.tray
        self.readers = readers
        self.sessions = sessions
        self.leases = leases
        self.pin_life = pin_life
        self.events = events
        self._trays: set[Tray] = set()

    def reconfigured(self, config: Config) -> None:
        """Show the trays, or no more, as is configured now."""
        self.is_wanted = config.prompt.tray
        self._refresh()

    def session_opened(self, session: Session) -> None:  # noqa: ARG002 - of every part
        """Tell the other users too that the card is in use; their trays hear nothing of this session."""
        self._refresh()

    def session_closed(self, session: Session, reason: str) -> None:  # noqa: ARG002 - of every part
        """Tell the other users too that the card is not in use any more."""
        self._refresh()

    def open(self, uid: int, language: str, tell: Tell) -> Tray:
        """Return the tray of a desktop of this user's, which is told how things stand from now on."""
        tray = Tray(self, uid, language, tell, self._trays.discard)
        self._trays.add(tray)
        return tray

    async def stop(self) -> None:
        """End what was begun from a tray."""
        for tray in tuple(self._trays):
            tray.close()
            await tray.settle()

    def _refresh(self) -> None:
        for tray in tuple(self._trays):
            tray.refresh()


class Tray:
    """One desktop's tray. ``tell`` returns whether the desktop listens; nobody waits for one that does not."""

    def __init__(self, trays: Trays, uid: int, language: str, tell: Tell, left: Callable[[Tray], None]) -> None:
        self._trays = trays
        self._language = language
        self._tell = tell
        self._left = left
        name = f"local:{uid}"
        self._caller = Caller(CallerKind.LOCAL, name, SHOWN_AS, f"urn:cardd:{name}", Peer(uid))
        self._told: Mapping[str, object] | None = {"state": None}
        self._background = Background()
        self._changing: asyncio.Task[None] | None = None
        self._following = self._background.start(self._follow())

    def lock(self) -> None:
        """Lock the person's sessions, as the screen's lock does; one without a card no PIN would unlock."""
        for session in self._sessions():
            if session.card is not None:
                self._trays.sessions.lock(session)

    def log_out(self) -> None:
        """End the person's sessions."""
        for session in self._sessions():
            self._trays.sessions.close(session, "logout")

    def change_pin(self, card: str) -> None:
        """Have the person change the PIN of this card, one at a time."""
        if self._trays.is_wanted and (self._changing is None or self._changing.done()):
            self._changing = self._background.start(self._change_pin(card))

    async def changed(self) -> None:
        """Return when no PIN is being changed from here."""
        if self._changing:
            await asyncio.wait([self._changing])

    def refresh(self) -> None:
        """Tell how things stand, where that has changed."""
        told = {"state": self._state() if self._trays.is_wanted else None}
        if told != self._told:
            self._told = told
            self._tell(told)

    def close(self) -> None:
        """Tell nothing more; nobody waits any more for the PIN's change."""
        self._left(self)
        self._following.cancel()
        if self._changing:
            self._changing.cancel()

    async def settle(self) -> None:
        """Return when all that was begun has ended."""
        await self._background.settle()

    def _sessions(self) -> list[Session]:
        return self._trays.sessions.of(self._caller.peer.uid) if self._trays.is_wanted else []

    async def _follow(self) -> None:
        """Tell what changes. The stream ends when the readers come to belong to somebody else: the next one begins."""
        trays = self._trays
        while True:
            is_owner = trays.readers.of(self._caller).is_owner
            heard = trays.events.subscribe(self._caller.key, public=is_owner, whole_user=True)
            try:
                self.refresh()
                while await heard.next() is not None:
                    self.refresh()
            finally:
                heard.end()

    def _state(self) -> dict[str, JsonValue]:
        cards: list[InsertedCard] = []
        readers = "ready"
        try:
            cards = self._trays.readers.of(self._caller).cards()
        except PcscUnavailable:
            readers = "unavailable"
        except ReaderNotYours:
            readers = "not_yours"
        return {
            "readers": readers,
            "cards": [self._card(card) for card in cards[:SHOWN_MAX]],
            "sessions": [_session(session) for session in self._sessions()[-SHOWN_MAX:]],
        }

    def _card(self, card: InsertedCard) -> dict[str, JsonValue]:
        problem = card.problem
        return {
            "id": card.id,
            "kind": card.kind.value.upper(),
            "reader": card.reader[:NAME_MAX],
            "problem": problem.told(self._language).title if problem else "",
            "in_use": "yes" if self._trays.leases.of_others(card, self._caller.peer.uid) else "",
            "pin": "" if problem or card.kind is CardKind.PKCS12 else "yes",
        }

    async def _change_pin(self, card: str) -> None:
        """Say what came of it: nobody else does."""
        trays = self._trays
        try:
            await trays.pin_life.change(self._caller, trays.readers.of(self._caller).choose(card))
        except PinCancelled:
            return
        except CarddError as error:
            if isinstance(error, ReaderNotYours):
                await trays.readers.owners.record_refusal(self._caller)
            told = error.told(self._language)
            self._tell({"failure": [told.title, f"{told.detail} {told.remedy}"]})
        else:
            self._tell({"done": "PIN"})


def _session(session: Session) -> dict[str, JsonValue]:
    return {
        "client": session.caller.name[:NAME_MAX],
        "state": session.state.value,
        "card": "yes" if session.card else "",
    }
