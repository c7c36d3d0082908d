"""One login through Pro Santé Connect, from the push to its end: the whole of its life is in this file.

    pending   the person has not answered; after a restart, PSC has not confirmed
    agreed    the person agreed; dialogs ask for the situation of practice, and for assertions
    open      the session is active
    renewing  its tokens are being renewed
    over      the session has ended

One task lives it. A push that is sent again replaces the task by one with the new push.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime, timedelta
from enum import StrEnum

from cardd.backoff import BackOff
from cardd.core.consents import Consents
from cardd.core.dialog_lines import DialogLines
from cardd.core.presence import waited_for_by
from cardd.core.recording import append_if_possible
from cardd.core.session import Pending, Session
from cardd.core.sessions import Sessions
from cardd.errors import (
    CarddError,
    ConsentError,
    ConsentRefused,
    PromptError,
    PscFlowUnavailable,
    PscSessionElsewhere,
    PscSessionOver,
    PscUnavailable,
    StateUnavailable,
)
from cardd.identity.ecps.connection import LoginLimits, ProviderConnection
from cardd.identity.ecps.provider import (
    FINAL,
    Flow,
    HandedToken,
    PscAttempt,
    PscChannel,
    PscLogin,
    Wanted,
)
from cardd.identity.ecps.state import LoginHints, ResumableSession, ResumableSessions
from cardd.identity.situations import ASK, picked_by
from cardd.model import AuditEntry, Choice, Outcome, Question, Situation
from cardd.ports import AuditLog, Clock
from cardd.request import Where, step
from cardd.secret import Secret
from cardd.values import Record, Value, replace
from cardd.worker import Background

DAEMON_STOPPED = "daemon_stopped"
GIVEN_UP = ("logout", "client_gone")  # the reasons of sessions that their program ended, or left
RETRY_AFTER_MAX = 300.0  # seconds: refresh tokens do not last much longer
BY_MOBILE = "MOBILE"  # as PSC's authMode has it


class LoginState(StrEnum):
    """Where a login is in its life."""

    PENDING = "pending"
    AGREED = "agreed"
    OPEN = "open"
    RENEWING = "renewing"
    OVER = "over"


class Request(Value):
    """What a client asks for: the login, and what is to happen once it succeeded.

    ``situation`` is one's identifier, ``ask`` to have the user pick, None to leave it to a later call; ``remember``
    asks the user whether the national id may be kept, ``assertions`` for the consent to assertions in their name.
    """

    wanted: Wanted
    situation: str | None = None
    remember: bool = False
    assertions: bool = False


class Asked(Record):
    """What a client asked for, the row that the audit log will have of it, and the push or page that waits."""

    request: Request
    entry: AuditEntry
    attempt: PscAttempt


class LoginContext(Value):
    """What all logins use."""

    sessions: Sessions
    dialogs: DialogLines
    consents: Consents
    audit: AuditLog
    clock: Clock
    connection: ProviderConnection
    resumable: ResumableSessions
    hints: LoginHints
    background: Background
    limits: LoginLimits


class EcpsLogin:
    """One login. ``origin`` is what a client asked for, or what the daemon before this one kept of it."""

    def __init__(self, context: LoginContext, session: Session, origin: Asked | ResumableSession) -> None:
        self.session = session
        self.state = LoginState.PENDING
        self.psc: PscLogin | None = None
        self._context = context
        self._origin = origin
        self._task: asyncio.Task[None] | None = None
        self._is_given_up = False
        self._remembering: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()  # to renew

    @property
    def is_restored(self) -> bool:
        """Whether it is a login of the daemon before this one."""
        return isinstance(self._origin, ResumableSession)

    # --- what is asked of it

    def run(self) -> None:
        """Begin to live; a push that was sent again takes the place of the one before."""
        self.stop()
        with waited_for_by(None):  # whoever asked for it has an answer long before its end
            self._task = self._context.background.start(self._live())

    async def push_again(self) -> None:
        """Wake the mobile once more, with new digits; the push before is worth nothing any more.

        Raises PscFlowUnavailable for a login that waits for no mobile, PushTooSoon, and what ``PscProvider.begin``
        raises.
        """
        asked = self._origin
        is_pending = self.state is LoginState.PENDING
        if not isinstance(asked, Asked) or asked.request.wanted.flow is not Flow.MOBILE or not is_pending:
            raise PscFlowUnavailable(flow=Flow.MOBILE.value)
        with step("ecps", Where.NETWORK, does="push"):
            attempt = await self._context.connection.begin(self.session.caller, asked.request.wanted)
        self._context.sessions.ensure_open(self.session)
        if self.state is not LoginState.PENDING:
            return  # the person has agreed to the push before meanwhile
        asked.attempt = attempt
        self._context.sessions.wait_anew(self.session, attempt.pending)
        self.run()

    async def token(self, api: str | None) -> HandedToken:
        """Return a token that is good for a while. Raises PscSessionOver, and what ``PscLogin.token`` raises."""
        if self.psc is None or self.state not in (LoginState.OPEN, LoginState.RENEWING):
            raise PscSessionOver
        try:
            await self._renew(self.psc, self._context.limits.good_for)
        except FINAL:
            self.psc.over.set()
            raise
        return await self.psc.token(api)

    @property
    def means(self) -> str | None:
        """How the person logged in: PSC's ``authMode``, or the mobile that we had it ask; None: unknown."""
        told = self.psc.means if self.psc else None
        return told or (BY_MOBILE if self.psc and self._is_by_mobile else None)

    def stop(self) -> None:
        """Cancel the login's task; a caller that runs in this task ends it by returning."""
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()

    def end(self, reason: str) -> None:
        """End the login at the provider, for its session ended; not where the next daemon resumes it."""
        self.state = LoginState.OVER
        self._is_given_up = reason in GIVEN_UP
        self.stop()
        if self._remembering is not None:
            self._remembering.cancel()
        if not (reason == DAEMON_STOPPED and self._context.resumable.has(self.session.id)):
            self._context.background.start(self._log_out())

    # --- its life

    async def _live(self) -> None:
        try:
            if isinstance(self._origin, Asked):
                psc = await self._agreed(self._origin)
            else:
                psc = await self._resumed(self._origin)
        except CarddError as error:
            self._context.sessions.fail(self.session, error)
            return
        await self._stay(psc)

    async def _agreed(self, asked: Asked) -> PscLogin:
        """Wait for the person, then ask what else is to be asked; the session is open when this returns."""
        background, audit = self._context.background, self._context.audit
        showing, watching = background.start(self._show(asked)), background.start(self._watch())
        try:
            with step("ecps", Where.PERSON, does="wait", flow=asked.request.wanted.flow.value):
                psc = await asked.attempt.finish()
            self.psc = psc = psc if not psc.asked_nobody else await self._of_before(psc, asked, showing)
            self.state = LoginState.AGREED
            self._context.connection.pushes.agreed(self.session.caller, psc.identity.national_id)
            who, how = psc.identity.person, asked.request.wanted.flow.value
            await audit.append(replace(asked.entry, document=who, consent=how))
            showing.cancel()
            await self._open(psc, asked.request)
        except CarddError as error:
            if asked.attempt.unsent:
                self._context.connection.pushes.unsent(self.session.caller, asked.request.wanted.login_hint or "")
            await append_if_possible(audit, replace(asked.entry, outcome=Outcome.REFUSED, code=error.code))
            raise
        finally:
            showing.cancel()
            watching.cancel()
        return psc

    async def _of_before(self, psc: PscLogin, asked: Asked, showing: asyncio.Task[None]) -> PscLogin:
        """Return a login that somebody agreed to, where the other side had a session and woke no mobile.

        Whom this OS user logged in before is asked on the desktop; else that session is ended there, and the mobile is
        asked. Raises ConsentRefused, PscSessionElsewhere, and what ``PscAttempt.finish`` raises.
        """
        caller, national_id = self.session.caller, psc.identity.national_id
        if self._context.connection.pushes.has_agreed(caller, national_id):
            showing.cancel()  # its digits are on no mobile
            params: dict[str, str | int] = {"client": caller.name, "national_id": national_id}
            question = Question("ecps_active", caller.peer.uid, params, caller=caller.key)
            if await self._confirm(question, Choice.NO) is Choice.YES:
                return psc
            with contextlib.suppress(CarddError):
                await psc.log_out()
            raise ConsentRefused
        await psc.log_out()
        psc = await asked.attempt.finish()
        if psc.asked_nobody:
            with contextlib.suppress(CarddError):
                await psc.log_out()
            raise PscSessionElsewhere
        return psc

    async def _open(self, psc: PscLogin, request: Request) -> None:
        """Open the session once its situation is picked and assertions are agreed to, where the request wants it."""
        self.session.situations = psc.situations
        picked = await self._picked(request.situation)
        if request.assertions:
            await self._context.consents.assertions(self.session, psc.identity)
        self.state = LoginState.OPEN
        self._context.sessions.activate(self.session, psc.identity, picked)
        if request.remember:
            self._remembering = self._context.background.start(self._remember(psc.identity.national_id))

    async def _resumed(self, record: ResumableSession) -> PscLogin:
        """Go on with a login of the daemon before this one. Raises one of ``FINAL``.

        PSC is asked until it agrees or says no, or the session grows too old: after a boot the network comes late.
        """
        back_off = BackOff(self._context.limits.first_pause, self._context.limits.longest_pause)
        while self.psc is None:
            try:
                self.psc = await self._asked_for(record)
            except FINAL:
                raise
            except CarddError as error:
                await asyncio.sleep(_pause(back_off, error))
        self.session.situations = self.psc.situations
        situation = next((one for one in self.psc.situations if one.id == record.situation), None)
        self.state = LoginState.OPEN
        self._context.sessions.resume(self.session, self.psc.identity, situation)
        return self.psc

    async def _asked_for(self, record: ResumableSession) -> PscLogin:
        secret = await self._context.resumable.take(record)
        if secret is None:
            raise PscSessionOver
        provider = await self._context.connection.provider()
        with secret:
            return await provider.resume(secret, record.national_id, self._write)

    async def _stay(self, psc: PscLogin) -> None:
        """Renew the tokens before they end, and go on trying, until the provider says that the login is over."""
        limits = self._context.limits
        back_off, pause = BackOff(limits.first_pause, limits.longest_pause), limits.first_pause
        while not psc.over.is_set():
            if secret := psc.resumption_secret():
                await self._context.resumable.keep(self.session, secret)
            left = psc.seconds_left()
            with contextlib.suppress(TimeoutError):
                wait = None if left is None else max(pause, left - limits.renewal_margin)
                await asyncio.wait_for(psc.over.wait(), wait)
                break
            try:
                await self._renew(psc, limits.renewal_margin)
                back_off.reset()
                pause = limits.first_pause
            except FINAL:
                break
            except CarddError as error:
                pause = _pause(back_off, error)
        self._context.sessions.close(self.session, "provider_ended")

    async def _renew(self, psc: PscLogin, margin: float) -> None:
        """Have tokens that are good for longer than this."""
        async with self._turn:
            left = psc.seconds_left()
            if left is None or left > margin:
                return
            self.state = LoginState.RENEWING
            try:
                with step("ecps", Where.NETWORK, does="renew"):
                    await psc.renew()
            finally:
                if self.state is LoginState.RENEWING:
                    self.state = LoginState.OPEN

    async def _write(self, secret: Secret) -> None:
        await self._context.resumable.renew(self.session.id, secret)

    async def _log_out(self) -> None:
        with contextlib.suppress(CarddError):
            await self._context.resumable.forget(self.session.id)
        if self.psc is not None:
            with contextlib.suppress(CarddError):
                await self.psc.log_out()

    @property
    def _is_by_mobile(self) -> bool:
        wanted = self._origin.request.wanted if isinstance(self._origin, Asked) else None
        return wanted is not None and wanted.flow is Flow.MOBILE and wanted.channel is not PscChannel.CARD

    # --- while it is pending, and its dialogs

    async def _watch(self) -> None:
        """End a login that nobody asks about, nor listens for: a late approval must not leave a session to nobody."""
        sessions, left = self._context.sessions, self._context.limits.unheard
        while left > 0:
            await asyncio.sleep(left)
            is_heard = sessions.events.is_heard_by(self.session.caller.key)
            limit = self._context.limits.unheard
            left = limit if is_heard else self.session.used + limit - sessions.clock.monotonic()
        sessions.close(self.session, "client_gone")

    async def _show(self, asked: Asked) -> None:
        """Show the digits on the user's own desktop; whoever refuses there ends the login."""
        choice = Choice.AGAIN
        while choice is Choice.AGAIN:
            question = _digits(self.session, asked.attempt.pending, self._context.clock.now())
            choice = await self._confirm(question, Choice.YES)
            if choice is Choice.AGAIN:
                with contextlib.suppress(CarddError):
                    await self.push_again()
                    return  # another dialog shows the new digits; where there are none, these are still good
        if choice is Choice.NO:
            self._context.sessions.fail(self.session, ConsentRefused())

    async def _picked(self, wanted: str | None) -> Situation | None:
        """Return the situation of practice. Raises SituationUnknown, ConsentRefused, ConsentTimeout."""
        session = self.session
        if wanted not in (None, ASK):
            return session.situation_named(wanted)
        if len(session.situations) == 1:
            return session.situations[0]
        if wanted is None or not session.situations:
            return None
        until = self._context.clock.now() + timedelta(seconds=self._context.limits.picking)
        self._context.sessions.wait_anew(session, Pending(until))  # no digits: the mobile has agreed
        return await picked_by(self._context.dialogs, session.caller, session.situations)

    async def _remember(self, national_id: str) -> None:
        """Ask whether the person's national id may be kept for the next login of this OS user."""
        caller, hints = self.session.caller, self._context.hints
        params: dict[str, str | int] = {"client": caller.name, "national_id": national_id}
        question = Question("remember_hint", caller.peer.uid, params, caller=caller.key)
        with contextlib.suppress(StateUnavailable):
            if hints.of(caller.peer.uid) != national_id and await self._confirm(question, Choice.NO) is Choice.YES:
                hints.keep(caller.peer.uid, national_id)

    async def _confirm(self, question: Question, without: Choice) -> Choice:
        """Return the answer; ``without`` where nobody can be asked, which is no reason to fail."""
        with contextlib.suppress(PromptError, ConsentError):
            return await self._context.dialogs.confirm(question, lambda: self._is_given_up)
        return without


def _pause(back_off: BackOff, error: CarddError) -> float:
    """Return how long not to ask the provider again; at least as long as it wants, within reason."""
    wanted = error.retry_after if isinstance(error, PscUnavailable) else None
    return max(back_off.pause(), min(wanted or 0, RETRY_AFTER_MAX))


def _digits(session: Session, pending: Pending, now: datetime) -> Question:
    """Return the dialog with the two digits, or that the browser waits: NO ends the login, AGAIN sends a new push."""
    topic = "ecps" if pending.binding_message else "ecps_browser"
    digits = {"digits": pending.binding_message} if pending.binding_message else {}
    params: dict[str, str | int] = {"client": session.caller.name, **digits}
    return Question(
        topic,
        session.caller.peer.uid,
        params,
        third=Choice.AGAIN if pending.binding_message else None,
        timeout=max(1.0, (pending.expires_at - now).total_seconds()),
        own_time=True,
        caller=session.caller.key,
    )
