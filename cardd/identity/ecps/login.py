"""Login through Pro Santé Connect: a pending session, the person's answer, and a session that lives with PSC's."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, replace
from datetime import timedelta

from cardd.config import Psc
from cardd.core.background import Background
from cardd.core.consent import Consents
from cardd.core.lifecycle import Part
from cardd.core.recording import recorded
from cardd.core.sessions import Pending, Session, Sessions, new_session_id
from cardd.errors import (
    AuditUnavailable,
    CarddError,
    ConsentRefused,
    InvalidRequest,
    PscFlowUnavailable,
    StateUnavailable,
    TooManyRequests,
)
from cardd.identity.card_login import person_of
from cardd.identity.csa import CsaLogin
from cardd.identity.ecps.approach import Approach
from cardd.identity.ecps.asking import Desk
from cardd.identity.ecps.hints import LoginHints
from cardd.identity.ecps.kept import KeptSessions
from cardd.identity.ecps.lease import abandoned
from cardd.identity.ecps.opened import OpenLogins
from cardd.identity.ecps.pace import PushPace
from cardd.identity.ecps.way import (
    METHOD,
    Channel,
    Flow,
    OpenLogin,
    Reach,
    Waiting,
    Wanted,
)
from cardd.identity.situations import ASK, picked_by
from cardd.model import AuditEntry, Caller, Choice, Identity, Outcome, Situation
from cardd.ports import AuditLog, Clock, Prompter, SecretStore, Store

SESSIONS_MAX = 64  # of one program: of all the people who work on one machine
PICKING = timedelta(seconds=120)  # as long as a dialog stays open


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks for: the login, and what is to happen once it succeeded.

    ``situation`` is one's identifier, ``ask`` to have the user pick, None to leave it to a later call; ``remember``
    asks the user whether the national id may be kept, ``assertions`` for the consent to assertions in their name.
    """

    wanted: Wanted
    situation: str | None = None
    remember: bool = False
    assertions: bool = False


@dataclass(frozen=True, slots=True)
class Examined:
    """How a login would go: the other side as it was found, and whether sessions outlive the daemon."""

    reach: Reach
    resumes: bool


@dataclass(slots=True)
class _Attempt:
    """A login under way: what it waits for, and the task that waits."""

    request: Request
    entry: AuditEntry
    waiting: Waiting
    task: asyncio.Task[None] | None = None


class EcpsLogin(Part):
    """Starts logins, waits for the person, and logs out at the provider when a session closes."""

    def __init__(
        self,
        sessions: Sessions,
        prompter: Prompter,
        consents: Consents,
        audit: AuditLog,
        clock: Clock,
        *,
        settings: Psc,
        secrets: SecretStore,
        store: Store,
        organisation: CsaLogin | None = None,
    ) -> None:
        self._sessions = sessions
        self._prompter = prompter
        self._desk = Desk(prompter)
        self._consents = consents
        self._audit = audit
        self._clock = clock
        self.approach = Approach(settings, secrets, clock, organisation)
        self._kept = KeptSessions(store, secrets)
        self._background = Background()
        self.opened = OpenLogins(sessions, audit, self.approach, self._kept, self._background)
        self._attempts: dict[str, _Attempt] = {}
        self._pace = PushPace(clock)
        self.hints = LoginHints(store)

    async def examine(self) -> Examined:
        """Whether a login could begin now: this side's credentials, the other side, its clock. Nobody is asked.

        Raises MethodUnavailable where no provider is configured, PscIncomplete, and what ``Way.reach`` raises.
        """
        way = await self.approach.way()
        resumes = self.approach.check().proxy is None and await self._kept.can_keep()
        return Examined(await way.reach(), resumes)

    async def open(self, caller: Caller, request: Request) -> tuple[Session, str]:
        """Wake the mobile, or prepare the page: a pending session, and its token, given once.

        Raises MethodUnavailable, InvalidRequest without a national id for the mobile, TooManyRequests, PushTooSoon, and
        what ``Way.begin`` raises.
        """
        self.approach.check()
        if sum(session.caller.id == caller.id for session in self._sessions.of(caller.peer.uid)) >= SESSIONS_MAX:
            raise TooManyRequests(retry_after=60)
        named = request.wanted.login_hint  # only what the client knows already may be told before the person agreed
        request = self._completed(caller, request)
        entry = AuditEntry("session.open", Outcome.DONE, caller.peer.uid, caller.id, caller.name, new_session_id())
        async with recorded(self._audit, entry):
            waiting = await self._begun(caller, request.wanted)
        session, token = self._sessions.open(
            session_id=entry.session or "",
            caller=caller,
            method=METHOD,
            identity=Identity(named or "", "", "", is_declared=True),
            card=None,
            credentials={},
            pending=waiting.pending,
        )
        self._wait(session, _Attempt(request, entry, waiting))
        return session, token

    async def push_again(self, session: Session) -> None:
        """Wake the mobile once more, with new digits; the push before is worth nothing any more.

        Raises PscFlowUnavailable for a session that waits for no mobile, PushTooSoon, and what ``Way.begin`` raises.
        """
        attempt = self._attempts.get(session.id)
        if attempt is None or self.opened.has(session) or attempt.request.wanted.flow is not Flow.MOBILE:
            raise PscFlowUnavailable(flow=Flow.MOBILE.value)
        waiting = await self._begun(session.caller, attempt.request.wanted)
        self._sessions.ensure_open(session)
        if self.opened.has(session):
            return  # the person has agreed to the push before meanwhile
        attempt.waiting = waiting
        self._sessions.wait_anew(session, waiting.pending)
        if attempt.task is not None:
            attempt.task.cancel()
        self._wait(session, attempt)

    def session_closed(self, session: Session, reason: str) -> None:
        """Stop asking for a login that nobody waits for any more, and end at the provider one that was made."""
        attempt = self._attempts.pop(session.id, None)
        if attempt is not None and attempt.task is not None and attempt.task is not asyncio.current_task():
            attempt.task.cancel()
        self.opened.session_closed(session, reason)

    def session_situated(self, session: Session) -> None:
        """Keep the situation for the daemon that resumes the session."""
        self._kept.situated(session)

    async def start(self) -> None:
        """Know the sessions of the daemon before this one. Raises StateUnavailable, StateDamaged."""
        self.opened.restore()

    async def watch(self) -> None:
        """Resume them."""
        self.opened.resume()

    async def stop(self) -> None:
        """Let the logouts under way end, for a moment, and give the connections back."""
        for attempt in self._attempts.values():
            if attempt.task is not None:
                attempt.task.cancel()
        self.opened.stop()
        await self._background.settle(timeout=2.0)
        await self.approach.close()

    async def _begun(self, caller: Caller, wanted: Wanted) -> Waiting:
        way = await self.approach.way()
        if wanted.flow is not Flow.MOBILE:
            return await way.begin(wanted)
        with self._pace.push(caller, wanted.login_hint or ""):
            return await way.begin(wanted)

    def _completed(self, caller: Caller, request: Request) -> Request:
        """With the national id that the user had kept, where a mobile is to be woken and the request has none."""
        if request.wanted.login_hint is not None or request.wanted.flow is not Flow.MOBILE:
            return request
        hint = self.hints.of(caller.peer.uid)
        if hint is None:
            raise InvalidRequest(where="$.login_hint", why="missing")
        return replace(request, wanted=replace(request.wanted, login_hint=hint))

    def _wait(self, session: Session, attempt: _Attempt) -> None:
        self._attempts[session.id] = attempt
        attempt.task = self._background.start(self._finish(session, attempt))

    async def _finish(self, session: Session, attempt: _Attempt) -> None:
        showing, watching = (self._background.start(work(session, attempt)) for work in (self._show, self._watch))
        try:
            login = await attempt.waiting.finish()
            self.opened.add(session, login)
            who, how = person_of(login.identity), attempt.request.wanted.flow.value
            self._pace.agreed(session.caller, login.identity.national_id)
            await self._audit.append(replace(attempt.entry, document=who, consent=how))
            showing.cancel()
            await self._open(session, attempt.request, login)
        except CarddError as error:
            with contextlib.suppress(AuditUnavailable, StateUnavailable):
                await self._audit.append(replace(attempt.entry, outcome=Outcome.REFUSED, code=error.code))
            self._sessions.fail(session, error)
        finally:
            showing.cancel()
            watching.cancel()

    async def _open(self, session: Session, request: Request, login: OpenLogin) -> None:
        """The session is open once its situation is picked and assertions are agreed to, where the request wants it."""
        session.situations = login.situations
        picked = await self._picked(session, request.situation)
        if request.assertions:
            await self._consents.assertions(session, login.identity)
        del self._attempts[session.id]
        self._sessions.activate(session, login.identity, picked)
        wanted = request.wanted
        self.opened.stay(session, by_mobile=wanted.flow is Flow.MOBILE and wanted.channel is not Channel.CARD)
        if request.remember:
            self._background.start(self._remember(session.caller, login.identity.national_id))

    async def _picked(self, session: Session, wanted: str | None) -> Situation | None:
        """Raises SituationUnknown, ConsentRefused, ConsentTimeout."""
        if wanted not in (None, ASK):
            return session.situation_named(wanted)
        if len(session.situations) == 1:
            return session.situations[0]
        if wanted is None or not session.situations:
            return None
        self._sessions.wait_anew(session, Pending(self._clock.now() + PICKING))  # no digits: the mobile has agreed
        return await picked_by(self._prompter, session.caller, session.situations)

    async def _remember(self, caller: Caller, national_id: str) -> None:
        with contextlib.suppress(StateUnavailable):
            if self.hints.of(caller.peer.uid) != national_id and await self._desk.may_remember(caller, national_id):
                self.hints.keep(caller.peer.uid, national_id)

    async def _show(self, session: Session, attempt: _Attempt) -> None:
        """On the user's own desktop; whoever refuses there ends the login."""
        choice = Choice.AGAIN
        while choice is Choice.AGAIN:
            choice = await self._desk.show(session, attempt.waiting.pending, self._clock.now())
            if choice is Choice.AGAIN:
                with contextlib.suppress(CarddError):
                    await self.push_again(session)
                    return  # another dialog shows the new digits; where there are none, these are still good
        if choice is Choice.NO:
            self._sessions.fail(session, ConsentRefused())

    async def _watch(self, session: Session, _: _Attempt) -> None:
        await abandoned(session, self._sessions.events, self._sessions.clock)
        self._sessions.close(session, "client_gone")
