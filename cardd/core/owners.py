"""Whose the readers are now (rule 12): one question, asked before anything of a reader or a card is told or touched.

The readers belong to whoever sits at the machine, the users of its active local sessions, and to the owners that the
configuration names. Where nobody tells who sits there (no logind), they belong to the only person who has an account.
Root and the service's own user may use them, and who has a session open on a card may go on with that card. A key file
is in no reader: it serves the programs of every user. A reader that a session's agent lends is its user's alone,
whoever sits at the machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Collection, Sequence

from cardd.config import Access, Config
from cardd.core.events import EventBus, Subscription
from cardd.core.inserted_card import InsertedCard
from cardd.core.lifecycle import Part
from cardd.core.readers import Among, Readers, ReaderState
from cardd.core.recording import append_if_possible, entry_of
from cardd.core.session import Session
from cardd.core.sessions import Sessions
from cardd.errors import PcscUnavailable, ReaderNotYours
from cardd.model import Caller, CallerKey, CardKind, Outcome
from cardd.ports import AuditLog, People
from cardd.values import Value, replace

ROOT = 0
ANYBODY = "*"  # in the configuration: whoever can connect
TOLD_WITHIN = 3.0  # seconds after the start for which requests wait until it is known who sits here


def is_administrator(uid: int) -> bool:
    """Return whether this is root or the service's own user."""
    return uid in (ROOT, os.geteuid())


def is_named(uid: int, named: Collection[str], people: People) -> bool:
    """Return whether this OS user is among those that the configuration names, by name or number."""
    # the names that were configured are looked up, not whoever comes: a directory service may take its time
    return str(uid) in named or any(people.uid(name) == uid for name in named if not name.isdecimal())


class _Known(Value):
    """Whose the readers are: the owners by configuration, and who is at the machine."""

    named: frozenset[str]
    present: frozenset[int]


class Owners(Part):
    """Decides whether an OS user may use the readers, or one card, at this moment.

    ``is_told`` says that ``seated`` will be called: until then nobody sits here, and requests wait for ``told``. Who
    ceases to own the readers has locked sessions from then on, and hears no more of readers and cards: streams of
    ``buses`` end, as do those of whoever comes to own them, so that the next one begins with what is there.
    """

    def __init__(
        self,
        sessions: Sessions,
        audit: AuditLog,
        people: People,
        rules: Access,
        buses: Sequence[EventBus],
        *,
        is_told: bool,
    ) -> None:
        self.told_within = TOLD_WITHIN
        self._sessions = sessions
        self._audit = audit
        self._people = people
        self._named = frozenset(rules.owners)
        self._buses = buses
        self._seated: frozenset[int] | None = frozenset() if is_told else None
        self.told = asyncio.Event()
        if not is_told:
            self.told.set()

    async def start(self) -> None:
        """Wait for nobody's word any more after a moment."""
        asyncio.get_running_loop().call_later(self.told_within, self.told.set)

    def seated(self, users: frozenset[int] | None) -> None:
        """Take note of who sits at the machine now; None where nobody tells."""
        before, self._seated = self._known(), users
        self.told.set()
        self._changed_since(before)

    def reconfigured(self, config: Config) -> None:
        """Take note of the owners that are configured now."""
        before, self._named = self._known(), frozenset(config.access.owners)
        self._changed_since(before)

    def _changed_since(self, before: _Known) -> None:
        """Lock the sessions of who owns the readers no more, and end the streams of whom it changed for."""

        def is_left(session: Session) -> bool:
            uid, card = session.caller.peer.uid, session.card
            is_in_reader = card is not None and card.user is None and card.kind is not CardKind.PKCS12
            return is_in_reader and not self.owns(uid) and self._owned(uid, before)

        def is_changed(subscription: Subscription) -> bool:
            caller = subscription.caller
            return caller is not None and self.owns(caller.uid) != self._owned(caller.uid, before)

        self._sessions.lock_where(is_left)
        for bus in self._buses:
            bus.end_where(is_changed)

    def owns(self, uid: int) -> bool:
        """Return whether the readers are this user's now, and all that is in them."""
        return self._owned(uid, self._known())

    def may_use(self, uid: int, card: InsertedCard) -> bool:
        """Return whether this user may use this card now."""
        if card.user is not None:
            return card.user == uid
        return (
            card.kind is CardKind.PKCS12
            or self.owns(uid)
            or any(session.card is card for session in self._sessions.of(uid))
        )

    def admit(self, caller: CallerKey, card: InsertedCard) -> None:
        """Raises ReaderNotYours where this caller may not use this card now: a dialog may outlast a change of user."""
        if not self.may_use(caller.uid, card):
            raise ReaderNotYours

    async def record_refusal(self, caller: Caller) -> None:
        """Note that this caller was refused."""
        row = replace(entry_of(caller, "reader.use"), outcome=Outcome.REFUSED, code=ReaderNotYours.code)
        await append_if_possible(self._audit, row)

    def _known(self) -> _Known:
        if self._seated is not None:
            return _Known(self._named, self._seated)
        person = self._people.only_one()
        return _Known(self._named, frozenset() if person is None else frozenset({person}))

    def _owned(self, uid: int, known: _Known) -> bool:
        if is_administrator(uid) or ANYBODY in known.named or uid in known.present:
            return True
        return is_named(uid, known.named, self._people)


class OwnedReaders(Value):
    """The readers as callers have them, by ``of``; ``every`` has them all, for the daemon itself."""

    every: Readers
    owners: Owners

    def of(self, caller: Caller) -> CallersReaders:
        """Return what this caller may use of the readers."""
        return CallersReaders(self.every, self.owners, caller.peer.uid)


class CallersReaders(Value):
    """What one OS user may use of the readers now; each answer is about this moment."""

    _every: Readers
    _owners: Owners
    _uid: int

    @property
    def is_owner(self) -> bool:
        """Whether all of them are this user's."""
        return self._owners.owns(self._uid)

    def readers(self) -> list[ReaderState]:
        """Every reader slot, or those that the user may use. Raises ReaderNotYours, PcscUnavailable."""
        if not self.is_owner and not self._any(self._sees):
            raise ReaderNotYours
        return self._every.readers(self._sees)

    def cards(self) -> list[InsertedCard]:
        """The cards that the user may use. Raises ReaderNotYours where no reader is theirs, PcscUnavailable."""
        if not self.is_owner and not self._any(self._sees):
            raise ReaderNotYours
        return self._every.cards(self._sees)

    def visible(self) -> list[InsertedCard]:
        """The cards that the user may use; none where the readers are somebody else's."""
        with contextlib.suppress(PcscUnavailable):
            return self._every.cards(self._sees)
        return []

    def _sees(self, state: ReaderState) -> bool:
        """Return whether this reader slot is the user's, or has a card that they may use."""
        if state.user is not None:
            return state.user == self._uid
        return self.is_owner or (state.card is not None and self._owners.may_use(self._uid, state.card))

    def _any(self, among: Among) -> bool:
        with contextlib.suppress(PcscUnavailable):
            return bool(self._every.readers(among))
        return False

    def card(self, identifier: str) -> InsertedCard:
        """The card with this identifier. Raises ReaderNotYours, CardUnknown."""
        self._admit(identifier)
        return self._every.card(identifier, self._sees)

    def readable(self, identifier: str) -> InsertedCard:
        """Raises ReaderNotYours, and what ``Readers.readable`` raises."""
        self._admit(identifier)
        return self._every.readable(identifier, self._sees)

    def choose(self, identifier: str | None) -> InsertedCard:
        """Raises ReaderNotYours, and what ``Readers.choose`` raises."""
        self._admit(identifier)
        return self._every.choose(identifier, self._sees)

    def _admit(self, identifier: str | None) -> None:
        """Raises ReaderNotYours. Who is lent a reader of their own asks for its cards like an owner."""
        if self.is_owner or self._any(lambda state: state.user == self._uid):
            return
        if not any(card.id == identifier for card in self.visible()):
            raise ReaderNotYours
