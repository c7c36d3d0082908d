"""What a person is told on their desktop, beside dialogs: cards, PINs, sessions, and who was let in.

Each person is told of their own sessions, of the programs that came to them, and of cards that they may use.
No holder, patient or document is named. Nothing here has a timer: a card's certificates are looked at when a session
opens with them. Nobody is told of what they did themselves: a logout, a changed PIN, a program that they removed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from typing import Protocol

from cardd.config import Config
from cardd.core.inserted_card import InsertedCard
from cardd.core.lifecycle import Part
from cardd.core.session import Session
from cardd.errors import CarddError, ConsentTimeout
from cardd.model import Caller, CallerKey
from cardd.ports import Clock

LET_IN = ("client.pair", "origin.allow", "program.allow")
ENDS_SOON = 60  # days
# why a session ended that neither its person nor its program did end
ENDED = ("idle", "max_age", "card_removed", "readers_gone", "locked", "provider_ended", "taken_over")
IMPORTANT = frozenset(
    (
        "let_in",
        "unanswered",
        "pin_tries",
        "pin_blocked",
        "certificate_soon",
        "certificate_ended",
        "session_provider_ended",
        "session_taken_over",
    )
)


class Tell(Protocol):
    """The desktops."""

    def tell(self, uid: int, topic: str, params: Mapping[str, str]) -> bool:
        """Show this user a notification; return whether there is a desktop that shows some."""
        ...

    def told(self) -> Iterable[int]:
        """Return the users whose desktops show notifications."""
        ...


class News(Part):
    """Hears what happened from the ``Lifecycle``, and tells whom it concerns.

    ``may_use`` returns whether this user may use this card now; ``not_after`` when a certificate ends.
    """

    def __init__(
        self,
        config: Config,
        desktops: Tell,
        clock: Clock,
        *,
        may_use: Callable[[int, InsertedCard], bool],
        not_after: Callable[[bytes], datetime],
    ) -> None:
        self._level = config.prompt.notifications
        self._desktops = desktops
        self._clock = clock
        self._may_use = may_use
        self._not_after = not_after
        self._ended: dict[tuple[int, str, str], None] = {}  # told at the end of this turn of the loop, each once
        self._is_ending = False
        self._tries: dict[tuple[int, str], int] = {}  # what each user was told of a card's PIN
        self._warned: dict[tuple[int, str], date] = {}  # of a certificate, by its serial number

    def reconfigured(self, config: Config) -> None:
        """Tell as much as is configured now."""
        self._level = config.prompt.notifications

    def card_inserted(self, card: InsertedCard) -> None:
        """Tell who may use it of a card that opens sessions; a patient's card concerns nobody here."""
        if not card.is_served_natively:
            return
        for uid in tuple(self._desktops.told()):
            if self._may_use(uid, card):
                self._tell(uid, "card_in", {"card": card.kind.value.upper(), "reader": card.reader})

    def card_removed(self, card: InsertedCard, reason: str) -> None:  # noqa: ARG002 - of every part
        """Forget what was told of the card."""
        self._forget_tries(card)

    def pin_changed(self, card: InsertedCard) -> None:
        """Forget what was told of the old PIN."""
        self._forget_tries(card)

    def pin_refused(self, card: InsertedCard, caller: CallerKey, tries_left: int) -> None:
        """Tell who entered it how many tries are left; once, though a program asks again and again."""
        key = caller.uid, card.id
        if self._tries.get(key) != tries_left:
            self._tries[key] = tries_left
            params = {"card": card.kind.value.upper(), "reader": card.reader, "tries_left": str(tries_left)}
            self._tell(caller.uid, "pin_tries" if tries_left else "pin_blocked", params)

    def session_opened(self, session: Session) -> None:
        """Tell that the certificates end soon, or have ended; once a day for each."""
        if session.card is None:
            return
        self._forget_tries(session.card)  # a right PIN made them whole
        ends = {one.serial: self._not_after(one.certificate) for one in session.credentials.values()}
        if not ends:
            return
        serial, first = min(ends.items(), key=lambda one: one[1])
        now, key = self._clock.now(), (session.caller.peer.uid, serial)
        self._warned = {known: day for known, day in self._warned.items() if day == now.date()}
        days = (first - now).days
        if days <= ENDS_SOON and key not in self._warned:
            self._warned[key] = now.date()
            topic = "certificate_soon" if first > now else "certificate_ended"
            self._tell(session.caller.peer.uid, topic, {"reader": session.card.reader, "days": str(max(0, days))})

    def session_locked(self, session: Session) -> None:
        """Tell that the PIN will be asked again; a session without a card asks for none."""
        if session.card is not None:
            self._later(session, "session_asks_again")

    def session_closed(self, session: Session, reason: str) -> None:
        """Tell why a session ended that its program did not end; nobody had one that still waited for the person."""
        if reason == "locked":  # it ended because it was locked: that alone is told
            self._ended.pop((session.caller.peer.uid, "session_asks_again", session.caller.name), None)
        if reason in ENDED and session.pending is None:
            self._later(session, f"session_{reason}")

    def client_let_in(self, client: Caller, act: str, consent: str | None) -> None:  # noqa: ARG002 - of every part
        """Tell the person, who may have agreed to what they did not read."""
        if act in LET_IN:
            self._tell(client.peer.uid, "let_in", {"client": client.name})

    def client_refused(self, client: Caller, act: str, error: CarddError) -> None:
        """Tell a person who did not answer that somebody asked."""
        if act in LET_IN and isinstance(error, ConsentTimeout):
            self._tell(client.peer.uid, "unanswered", {"client": client.name})

    def _forget_tries(self, card: InsertedCard) -> None:
        self._tries = {key: tries for key, tries in self._tries.items() if key[1] != card.id}

    def _later(self, session: Session, topic: str) -> None:
        """Tell once of all the sessions of a program that end together."""
        if not self._is_ending:
            self._is_ending = True
            asyncio.get_running_loop().call_soon(self._tell_ended)
        self._ended[session.caller.peer.uid, topic, session.caller.name] = None

    def _tell_ended(self) -> None:
        ended, self._ended, self._is_ending = self._ended, {}, False
        for uid, topic, client in ended:
            self._tell(uid, topic, {"client": client})

    def _tell(self, uid: int, topic: str, params: Mapping[str, str]) -> None:
        if self._level == "all" or (self._level == "important" and topic in IMPORTANT):
            self._desktops.tell(uid, topic, params)
