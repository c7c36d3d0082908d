"""Sessions: one identity, opened by one client for one OS user, until logout, age, idleness or the card's removal.

Rules 6, 7 and 9: a session answers only to its own caller and user, closes when its card leaves, loses its PIN when
the screen locks, and its token is kept only as a hash.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta

from cardd.config import Config, SessionRules
from cardd.core.events import EventBus
from cardd.core.inserted_card import InsertedCard
from cardd.core.lifecycle import Lifecycle, Part
from cardd.core.session import Credential, Pending, Session, SessionState
from cardd.errors import (
    CarddError,
    SessionClosed,
    SessionExpired,
    SessionLocked,
    SessionPending,
    SessionUnknown,
)
from cardd.model import Caller, CallerKey, Event, Identity, KeyPurpose, Situation
from cardd.ports import Clock
from cardd.request import current
from cardd.secret import fingerprint, new_token
from cardd.values import Record, field
from cardd.worker import Background

REMEMBERED_ENDS = 256


class Sessions(Part, Record):
    """All open sessions, and the reason why recent ones ended; ``lifecycle`` is told of each that ends."""

    clock: Clock
    events: EventBus
    rules: SessionRules
    lifecycle: Lifecycle
    _open: dict[str, Session] = field(default_factory=dict)
    _ended: OrderedDict[str, CarddError] = field(default_factory=OrderedDict)
    _timers: dict[str, asyncio.TimerHandle] = field(default_factory=dict)
    _logouts: Background = field(default_factory=Background)
    _has_stopped: bool = False
    _away: frozenset[int] = frozenset()

    @property
    def hold_pins(self) -> bool:
        """Whether a session keeps the PIN that its card accepted."""
        return self.rules.pin == "hold"

    def open(
        self,
        *,
        session_id: str,
        caller: Caller,
        method: str,
        identity: Identity,
        card: InsertedCard | None,
        credentials: dict[KeyPurpose, Credential],
        pending: Pending | None = None,
    ) -> tuple[Session, str]:
        """Open a session, active or pending; return it with its token, which is not kept.

        Raises SessionClosed when the daemon stops: a login may have been under way.
        """
        self.ensure_opening()
        token, now = new_token(), self.clock.monotonic()
        session = Session(
            id=session_id,
            token=fingerprint(token),
            caller=caller,
            method=method,
            identity=identity,
            card=card,
            credentials=credentials,
            opened_at=self.clock.now(),
            started=now,
            used=now,
            pending=pending,
            state=SessionState.PENDING if pending else SessionState.ACTIVE,
        )
        self._open[session.token] = session
        if request := current():
            request.session = session_id
        self._watch(session)
        if pending:
            self._tell_pending(session, pending)
        else:
            self._publish("session.opened", session)
            self.lifecycle.session_opened(session)
        return session, token

    def ensure_opening(self) -> None:
        """Raises SessionClosed when the daemon stops: nobody is asked for a login that comes to nothing."""
        if self._has_stopped:
            raise SessionClosed(reason="daemon_stopped")

    def wait_anew(self, session: Session, pending: Pending) -> None:
        """A pending session waits with other digits, or longer: the push was sent again."""
        session.pending = pending
        self._tell_pending(session, pending)

    def restore(self, session: Session) -> None:
        """A session of the daemon before this one, pending until ``resume``; its age counts on."""
        age = (self.clock.now() - session.opened_at).total_seconds()
        session.used = self.clock.monotonic()
        session.started = session.used - age
        session.state = SessionState.PENDING
        session.pending = Pending(session.opened_at + timedelta(seconds=self.rules.max_age))
        self._open[session.token] = session
        self._watch(session)

    def resume(self, session: Session, identity: Identity, situation: Situation | None) -> None:
        """A restored session goes on, for whoever has its token."""
        session.identity, session.pending, session.state = identity, None, SessionState.ACTIVE
        session.situate(situation)
        self._publish("session.opened", session)
        self.lifecycle.session_opened(session)
        if session.opens_locked:
            self.lock(session)

    def activate(self, session: Session, identity: Identity, situation: Situation | None = None) -> None:
        """A pending session's person has agreed, and acts in this situation of theirs, if one is known yet."""
        session.started = session.used = self.clock.monotonic()
        session.opened_at = self.clock.now()
        self.resume(session, identity, situation)

    def situate(self, session: Session, identifier: str) -> None:
        """Pick one of the person's situations. Raises SituationUnknown."""
        session.situate(session.situation_named(identifier))
        self._publish("session.situated", session, situation=identifier)
        self.lifecycle.session_situated(session)

    def fail(self, session: Session, error: CarddError) -> None:
        """End a pending session; whoever asks for it gets this error."""
        self.close(session, error.code)
        self._ended[session.token] = error

    def authenticate(
        self, token: str, caller_id: str | None, uid: int, *, touch: bool = True, pending: bool = False
    ) -> Session:
        """The session of this token, for its own OS user and, where the caller is known otherwise, its own caller.

        ``touch`` counts this as a use, which puts off the end of an idle session; ``pending`` takes one that waits too,
        and whoever asks for such a one shows that somebody still waits.
        Raises SessionUnknown for any mismatch, SessionPending, SessionClosed or SessionExpired with the reason for one
        that ended, and for one that failed its error.
        """
        kept = fingerprint(token)
        session = self._open.get(kept)
        if session is None:
            raise self._why_ended(kept)
        if session.caller.peer.uid != uid or caller_id not in (None, session.caller.id):
            raise SessionUnknown
        reason = self._overdue(session)
        if reason:
            self.close(session, reason)
            raise self._why_ended(kept)
        if session.pending and not pending:
            raise SessionPending
        if touch or session.pending:
            self.touch(session)
        return session

    def touch(self, session: Session) -> None:
        """Count a use of the session, which puts off its end by idleness."""
        session.used = self.clock.monotonic()

    def use(self, session: Session) -> bool:
        """Return whether it is open, and count this as a use, which puts off its end."""
        if not self.is_open(session):
            return False
        if reason := self._overdue(session):
            self.close(session, reason)
            return False
        self.touch(session)
        return True

    def is_open(self, session: Session) -> bool:
        """Return whether it has not ended; one that waits for the person has not."""
        return session.token in self._open

    def ensure_open(self, session: Session) -> None:
        """Raises SessionClosed or SessionExpired when the session ended while one of its requests was under way."""
        if not self.is_open(session):
            raise self._why_ended(session.token)

    def expires_at(self, session: Session) -> datetime:
        """Return when the session ends if nothing more is asked of it, or nobody agrees on the mobile."""
        if session.pending:
            return session.pending.expires_at
        return self.clock.now() + timedelta(seconds=max(0.0, self._remaining(session)))

    def of(self, uid: int) -> list[Session]:
        """The open sessions of one OS user, oldest first."""
        return [session for session in self._open.values() if session.caller.peer.uid == uid]

    def every(self) -> list[Session]:
        """The open sessions of all users, oldest first."""
        return list(self._open.values())

    def close(self, session: Session, reason: str) -> None:
        """End it: the PIN is wiped, the card de-authenticated, the client told."""
        if self._open.pop(session.token, None) is None:
            return
        session.forget_pin()
        self._timers.pop(session.id).cancel()
        self._remember(session.token, reason)
        self._logout(session)
        self._publish("session.closed", session, reason=reason)
        self.lifecycle.session_closed(session, reason)

    def close_where(self, condition: Callable[[Session], bool], reason: str) -> None:
        """Close every session for which the condition holds."""
        for session in list(self._open.values()):
            if condition(session):
                self.close(session, reason)

    def lock_where(self, condition: Callable[[Session], bool]) -> None:
        """Lock every session for which the condition holds: screen lock, suspend."""
        for session in list(self._open.values()):
            if condition(session):
                self.lock(session)

    def screens_locked(self, users: frozenset[int]) -> None:
        """Take note of all users whose screens are locked now; sessions of whom that is new for are locked."""
        new, self._away = users - self._away, users
        self.lock_where(lambda session: session.caller.peer.uid in new)

    def lock_watch(self, uid: int) -> Callable[[], bool]:
        """Return what tells whether the user's screen was locked since now, and is still.

        A PIN that was typed before is on its way to the card then: the session that it would unlock stays locked. Who
        types one while a screen of theirs is locked, as over ssh, is there.
        """
        was_away = uid in self._away
        return lambda: uid in self._away and not was_away

    def distrust_pins(self, card: InsertedCard) -> None:
        """The card refuses a PIN that it had accepted, or has one try left: every session of it asks again."""
        self.lock_where(lambda session: session.card is card)

    def lock(self, session: Session) -> None:
        """Wipe the PIN and de-authenticate the card; the next operation asks for the PIN. What waits opens locked."""
        session.opens_locked = session.state is SessionState.PENDING
        if session.state is SessionState.ACTIVE:
            session.lock()
            self._logout(session)
            self._publish("session.locked", session)
            self.lifecycle.session_locked(session)

    def unlock_where(self, condition: Callable[[Session], bool]) -> None:
        """The user is back: a locked session without a card, which has no PIN to ask for, goes on."""
        for session in list(self._open.values()):
            if session.card is not None or not condition(session):
                continue
            session.opens_locked = False
            if session.state is SessionState.LOCKED:
                session.state = SessionState.ACTIVE
                self._publish("session.unlocked", session)

    def ensure_unlocked(self, session: Session) -> None:
        """Raises SessionLocked for a session that no PIN unlocks, while its user's screen is locked."""
        if session.state is SessionState.LOCKED and session.card is None:
            raise SessionLocked

    def ensure_usable(self, session: Session) -> None:
        """Raises as ``ensure_open`` and ``ensure_unlocked``; called after a dialog, which may outlast the session."""
        self.ensure_open(session)
        self.ensure_unlocked(session)

    async def settle(self) -> None:
        """Wait until the cards of closed and locked sessions are de-authenticated."""
        await self._logouts.settle()

    # --- what other parts tell ---

    def card_removed(self, card: InsertedCard, reason: str) -> None:
        """Rule 7: the sessions of a card end with it."""
        self.close_where(lambda session: session.card is card, reason)

    def pin_changed(self, card: InsertedCard) -> None:
        """End the card's sessions: the PIN that they hold would cost a try."""
        self.close_where(lambda session: session.card is card, "pin_changed")

    def client_shut_out(self, client: CallerKey, reason: str, _name: str) -> None:
        """End the client's sessions."""
        self.close_where(lambda session: session.caller.key.is_of(client), reason)

    def reconfigured(self, config: Config) -> None:
        """Count by the new times, also for sessions that are open; a PIN that may be held no more is wiped."""
        self.rules = config.session
        for session in self._open.values():
            if not self.hold_pins and session.pin is not None:
                session.forget_pin()
                self._logout(session)
            self._timers[session.id].cancel()
            self._watch(session)

    async def stop(self) -> None:
        """Close every session and open none any more; each PIN is wiped, and each card de-authenticated."""
        self._has_stopped = True
        self.close_where(lambda _: True, "daemon_stopped")
        await self.settle()

    def _logout(self, session: Session) -> None:
        if session.card is not None:
            self._logouts.start(session.card.access.logout(session.id))

    def _remaining(self, session: Session) -> float:
        now = self.clock.monotonic()
        return min(session.used + self.rules.idle, session.started + self.rules.max_age) - now

    def _overdue(self, session: Session) -> str | None:
        now = self.clock.monotonic()
        if now >= session.started + self.rules.max_age:
            return "max_age"
        return "idle" if now >= session.used + self.rules.idle else None

    def _watch(self, session: Session) -> None:
        """One timer a session, set for its next possible end and moved only when it fires: idle means no wake-ups."""
        delay = max(0.01, self._remaining(session))
        self._timers[session.id] = asyncio.get_running_loop().call_later(delay, self._check, session)

    def _check(self, session: Session) -> None:
        reason = self._overdue(session)
        if reason:
            self.close(session, reason)
        else:
            self._watch(session)

    def _remember(self, token: str, reason: str) -> None:
        timed = reason in ("idle", "max_age")
        self._ended[token] = SessionExpired(reason=reason) if timed else SessionClosed(reason=reason)
        if len(self._ended) > REMEMBERED_ENDS:
            self._ended.popitem(last=False)

    def _why_ended(self, token: str) -> CarddError:
        return self._ended.get(token) or SessionUnknown()

    def _tell_pending(self, session: Session, pending: Pending) -> None:
        given = {
            "binding_message": pending.binding_message,
            "authorization_url": pending.authorization_url,
            "start_url": pending.start_url,
        }
        data = {name: value for name, value in given.items() if value is not None}
        self._publish("session.pending", session, expires_at=pending.expires_at.isoformat(), **data)

    def _publish(self, kind: str, session: Session, **data: str) -> None:
        self.events.publish(Event(kind, {"session": session.id, **data}, to=session.caller.key))
