"""Login through Pro Santé Connect: a pending session, the person's answer, and a session that lives with PSC's."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from cardd.core.consent import ConsentDesk
from cardd.core.sessions import Pending, Session, Sessions, new_session_id
from cardd.errors import (
    AuditUnavailable,
    CarddError,
    ConsentRefused,
    InvalidRequest,
    PscFlowUnavailable,
    PscSessionOver,
    SessionNotPsc,
    StateUnavailable,
    TooManyRequests,
)
from cardd.identity.card_login import person_of
from cardd.identity.csa_login import CsaLogin
from cardd.identity.ecps.approach import Approach
from cardd.identity.ecps.asking import Desk
from cardd.identity.ecps.hints import LoginHints
from cardd.identity.ecps.kept import KeptSession, KeptSessions
from cardd.identity.ecps.lease import abandoned
from cardd.identity.ecps.pace import PushPace
from cardd.identity.ecps.settings import EcpsSettings
from cardd.identity.ecps.way import (
    FINAL,
    METHOD,
    PAUSE_FIRST,
    PAUSE_MAX,
    Channel,
    Flow,
    HandedToken,
    OpenLogin,
    Reach,
    Waiting,
    Wanted,
)
from cardd.identity.situations import ASK, picked_by
from cardd.model import AuditEntry, Caller, Choice, Identity, Outcome, Situation
from cardd.ports import AuditLog, Clock, Prompter, SecretStore, Store

DAEMON_STOPPED = "daemon_stopped"
BY_MOBILE = "MOBILE"  # as PSC's authMode has it
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


class EcpsLogin:
    """Starts logins, waits for the person, and logs out at the provider when a session closes."""

    def __init__(
        self,
        sessions: Sessions,
        prompter: Prompter,
        consents: ConsentDesk,
        audit: AuditLog,
        clock: Clock,
        *,
        settings: EcpsSettings | None,
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
        self._attempts: dict[str, _Attempt] = {}
        self._staying: dict[str, asyncio.Task[None]] = {}
        self._logins: dict[str, OpenLogin] = {}
        self._by_mobile: set[str] = set()
        self._restored: list[tuple[Session, KeptSession]] = []
        self._pace = PushPace(clock)
        self._tasks: set[asyncio.Task[None]] = set()
        self.hints = LoginHints(store)
        sessions.on_situated.append(self._kept.situated)

    async def examine(self) -> Examined:
        """Whether a login could begin now: this side's credentials, the other side, its clock. Nobody is asked.

        Raises MethodUnavailable where no provider is configured, PscIncomplete, and what ``Way.reach`` raises.
        """
        way = await self.approach.way()
        resumes = self.approach.check().proxy is None and await self._kept.can_keep()
        return Examined(await way.reach(), resumes)

    async def start(self, caller: Caller, request: Request) -> tuple[Session, str]:
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
        try:
            waiting = await self._begun(caller, request.wanted)
        except CarddError as error:
            await self._record(replace(entry, outcome=Outcome.FAILED, code=error.code))
            raise
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
        if attempt is None or session.id in self._logins or attempt.request.wanted.flow is not Flow.MOBILE:
            raise PscFlowUnavailable(flow=Flow.MOBILE.value)
        waiting = await self._begun(session.caller, attempt.request.wanted)
        self._sessions.ensure_open(session)
        if session.id in self._logins:
            return  # the person has agreed to the push before meanwhile
        attempt.waiting = waiting
        self._sessions.wait_anew(session, waiting.pending)
        if attempt.task is not None:
            attempt.task.cancel()
        self._wait(session, attempt)

    async def token(self, session: Session, api: str | None) -> HandedToken:
        """A token of this session for a client that may have it; the row is on disk before it leaves.

        Raises SessionNotPsc, SessionLocked, PscSessionOver, PscApiUnknown, AuditUnavailable, and what
        ``OpenLogin.token`` raises.
        """
        if session.method != METHOD:
            raise SessionNotPsc
        self._sessions.ensure_unlocked(session)
        login = self._logins.get(session.id)
        if login is None:
            raise PscSessionOver
        caller = session.caller
        entry = AuditEntry("psc_token.give", Outcome.DONE, caller.peer.uid, caller.id, caller.name, session.id)
        entry = replace(entry, document=api, consent="pairing")
        try:
            given = await login.token(api)
        except CarddError as error:
            await self._record(replace(entry, outcome=Outcome.FAILED, code=error.code))
            raise
        await self._audit.append(entry)
        return given

    def session_closed(self, session: Session, reason: str) -> None:
        """Stop asking for a login that nobody waits for any more, and end at the provider one that was made.

        One that is kept does not end with the daemon: the next daemon resumes it.
        """
        attempt = self._attempts.pop(session.id, None)
        for task in (attempt.task if attempt else None, self._staying.pop(session.id, None)):
            if task is not None and task is not asyncio.current_task():
                task.cancel()
        self._by_mobile.discard(session.id)
        login = self._logins.pop(session.id, None)
        if session.method == METHOD and not (reason == DAEMON_STOPPED and self._kept.has(session.id)):
            self._spawn(self._log_out(session.id, login))

    def means_of(self, session: Session) -> str | None:
        """How this session's person logged in: PSC's ``authMode``, or the mobile that we had it ask; None: unknown.

        Raises SessionLocked.
        """
        self._sessions.ensure_unlocked(session)
        login = self._logins.get(session.id)
        told = login.means if login else None
        return told or (BY_MOBILE if session.id in self._by_mobile else None)

    def open_logins(self) -> list[OpenLogin]:
        """The login behind each open session."""
        return list(self._logins.values())

    def restore(self) -> None:
        """Know the sessions that the daemon before this one kept, before anybody asks; pending until PSC agrees.

        Raises StateUnavailable.
        """
        for kept in self._kept.all() if self.approach.settings is not None else ():
            session = kept.session(METHOD)
            self._sessions.restore(session)
            self._restored.append((session, kept))

    def resume(self) -> None:
        """Ask PSC to go on with the restored ones."""
        for session, kept in self._restored:
            if self._sessions.is_open(session):
                self._staying[session.id] = self._spawn(self._resume(session, kept))
        self._restored.clear()

    async def close(self) -> None:
        """Let the logouts under way end, for a moment, and give the connections back."""
        for attempt in self._attempts.values():
            if attempt.task is not None:
                attempt.task.cancel()
        for task in self._staying.values():
            task.cancel()
        self._spawn(self._kept.settle())
        await asyncio.wait(self._tasks, timeout=2.0)
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
        attempt.task = self._spawn(self._finish(session, attempt))

    async def _finish(self, session: Session, attempt: _Attempt) -> None:
        showing, watching = (self._spawn(work(session, attempt)) for work in (self._show, self._watch))
        try:
            self._logins[session.id] = login = await attempt.waiting.finish()
            who, how = person_of(login.identity), attempt.request.wanted.flow.value
            self._pace.agreed(session.caller, login.identity.national_id)
            await self._audit.append(replace(attempt.entry, document=who, consent=how))
            showing.cancel()
            await self._open(session, attempt.request, login)
        except CarddError as error:
            await self._record(replace(attempt.entry, outcome=Outcome.REFUSED, code=error.code))
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
        if request.wanted.flow is Flow.MOBILE and request.wanted.channel is not Channel.CARD:
            self._by_mobile.add(session.id)
        self._sessions.activate(session, login.identity, picked)
        self._staying[session.id] = self._spawn(self._stay(session, login))
        if request.remember:
            self._spawn(self._remember(session.caller, login.identity.national_id))

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

    async def _stay(self, session: Session, login: OpenLogin) -> None:
        await login.stay(partial(self._kept.keep, session))
        self._sessions.close(session, "provider_ended")

    async def _remember(self, caller: Caller, national_id: str) -> None:
        with contextlib.suppress(StateUnavailable):
            if self.hints.of(caller.peer.uid) != national_id and await self._desk.may_remember(caller, national_id):
                self.hints.keep(caller.peer.uid, national_id)

    async def _resume(self, session: Session, kept: KeptSession) -> None:
        try:
            login = await self._login_behind(kept)
        except FINAL as error:
            self._sessions.fail(session, error)
            return
        self._logins[session.id] = login
        session.situations = login.situations
        situation = next((one for one in login.situations if one.id == kept.situation), None)
        self._sessions.resume(session, login.identity, situation)
        await self._stay(session, login)

    async def _login_behind(self, kept: KeptSession) -> OpenLogin:
        """Try until PSC agrees or says no, or the session grows too old: after a boot the network comes late."""
        pause = PAUSE_FIRST
        while True:
            try:
                found = await self._kept.take(kept)
                if found is None:
                    raise PscSessionOver
                keep = partial(self._kept.renew, kept.id)
                with found:
                    return await (await self.approach.way()).resume(found, kept.national_id, keep)
            except FINAL:
                raise
            except CarddError:
                await asyncio.sleep(pause)
                pause = min(2 * pause, PAUSE_MAX)

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

    async def _log_out(self, identifier: str, login: OpenLogin | None) -> None:
        with contextlib.suppress(CarddError):
            await self._kept.forget(identifier)
        if login is not None:
            with contextlib.suppress(CarddError):
                await login.log_out()

    async def _record(self, entry: AuditEntry) -> None:
        with contextlib.suppress(AuditUnavailable):
            await self._audit.append(entry)

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
