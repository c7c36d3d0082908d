"""A program's login with a card: one for all its processes and connections, asked for once, shared while it lives.

The login is a session of the core, so that idleness, age, the card's removal and the status page's logout end it as any
other; so does the screen's lock. Nobody has its token.
"""

from __future__ import annotations

import asyncio
from collections import Counter

from cardd.core.inserted_card import InsertedCard
from cardd.core.lifecycle import Part
from cardd.core.presence import Presence, waited_for_by
from cardd.core.programs import Programs
from cardd.core.session import Session, SessionState
from cardd.core.sessions import Sessions
from cardd.core.signing import Signing
from cardd.errors import CallerLeft, ProgramRefused
from cardd.identity.card_login import CpxLogins
from cardd.identity.csa import CsaLogins
from cardd.model import Caller, CallerKey
from cardd.ports import ProgramFiles
from cardd.values import Record, Value, field

Place = tuple[CallerKey, str]  # of which program, with which card


class Keys(Value):
    """What all programs use keys by."""

    programs: Programs
    logins: ProgramLogins
    signing: Signing
    files: ProgramFiles


class _Login(Record):
    """One login: under way, or open; ``presence`` is who waits for it."""

    task: asyncio.Task[Session]
    presence: Presence = field(default_factory=lambda: Presence(0))


class ProgramLogins(Part):
    """The logins of all programs."""

    def __init__(self, cpx: CpxLogins, csa: CsaLogins, sessions: Sessions) -> None:
        self._cpx = cpx
        self._csa = csa
        self._sessions = sessions
        self._logins: dict[Place, _Login] = {}
        self._users: Counter[Place] = Counter()  # connections that said C_Login

    async def session(self, program: Caller, card: InsertedCard, presence: Presence) -> Session:
        """Return the program's session, which this use keeps from being idle; its PIN is asked for where it has none.

        Who asks while the login is under way has its answer; ``presence`` is who asks. Raises what ``CpxLogins.open``
        and ``CsaLogins.open_for_program`` raise.
        """
        place = (program.key, card.id)
        while True:
            if session := self.open_one(program, card):
                return session
            login = self._logins.get(place) or self._begin(place, program, card)
            try:
                with login.presence.joined(presence):
                    return await asyncio.shield(login.task)
            except CallerLeft:  # the last one who waited before us has gone, and the dialog with them
                if presence.is_left:
                    raise

    def open_one(self, program: Caller, card: InsertedCard) -> Session | None:
        """Return the session of a login that is open, and note that it is used."""
        login = self._logins.get((program.key, card.id))
        if login is None or not login.task.done():
            return None
        session = login.task.result()
        if not self._sessions.use(session):
            return None
        if session.state is SessionState.LOCKED:
            self._sessions.close(session, "locked")
            return None
        return session

    def is_open(self, program: Caller, card: InsertedCard) -> bool:
        """Return whether the program is logged in."""
        login = self._logins.get((program.key, card.id))
        return login is not None and login.task.done() and self._sessions.is_open(login.task.result())

    def join(self, program: Caller, card: InsertedCard) -> None:
        """Note that one more connection of the program has logged in by itself."""
        self._users[program.key, card.id] += 1

    def leave(self, program: Caller, card: InsertedCard, *, ends: bool) -> None:
        """Note that it has logged out, which ends the login where it was the last one, or that it has gone."""
        place = (program.key, card.id)
        self._users[place] -= 1
        if self._users[place] > 0:
            return
        del self._users[place]
        if ends and self.is_open(program, card):
            self._sessions.close(self._logins[place].task.result(), "logout")

    def session_locked(self, session: Session) -> None:
        """End a login whose user's screen was locked."""
        if self._place_of(session) is not None:
            self._sessions.close(session, "locked")

    def session_closed(self, session: Session, _reason: str) -> None:
        """Forget a login that has ended."""
        place = self._place_of(session)
        if place is not None:
            del self._logins[place]

    def client_shut_out(self, client: CallerKey, _reason: str, _name: str) -> None:
        """Close the PIN's dialog of a program that is shut out."""
        for (program, _), login in self._logins.items():
            if program == client and not login.task.done():
                login.presence.revoke(ProgramRefused(program=""), is_by_caller=False)

    def _begin(self, place: Place, program: Caller, card: InsertedCard) -> _Login:
        presence = Presence(0)
        with waited_for_by(presence):
            task = asyncio.ensure_future(self._open(program, card))
        login = self._logins[place] = _Login(task, presence)
        task.add_done_callback(lambda done: self._ended(place, done))
        return login

    async def _open(self, program: Caller, card: InsertedCard) -> Session:
        if await self._csa.owns(card):
            session, _ = await self._csa.open_for_program(program)
        else:
            session, _ = await self._cpx.open(program, card.id)
        return session

    def _ended(self, place: Place, done: asyncio.Task[Session]) -> None:
        """Forget a login that came to nothing: the next use asks anew."""
        has_failed = done.cancelled() or done.exception() is not None
        if has_failed and place in self._logins and self._logins[place].task is done:
            del self._logins[place]

    def _place_of(self, session: Session) -> Place | None:
        if session.card is None:
            return None
        place = (session.caller.key, session.card.id)
        login = self._logins.get(place)
        if login is None or not login.task.done() or login.task.cancelled() or login.task.exception():
            return None
        return place if login.task.result() is session else None
