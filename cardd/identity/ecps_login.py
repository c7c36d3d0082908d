"""Login with e-CPS: the person agrees on the mobile, through Pro Santé Connect (CIBA)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING

from cardd.core.sessions import Pending, Session, Sessions, new_session_id
from cardd.errors import (
    AuditUnavailable,
    CarddError,
    ConsentError,
    ConsentRefused,
    MethodUnavailable,
    PromptError,
    PscSessionOver,
    PscUnavailable,
)
from cardd.identity.ecps_kept import KeptSession, KeptSessions
from cardd.identity.ecps_settings import EcpsSettings
from cardd.model import AuditEntry, Caller, Choice, Identity, Outcome, Question
from cardd.ports import AuditLog, Clock, Prompter, SecretStore, Store

if TYPE_CHECKING:
    from cardd.oidc.ciba import PendingLogin
    from cardd.oidc.provider import Login, Provider

METHOD = "ecps"
DAEMON_STOPPED = "daemon_stopped"
MARGIN = 20.0  # seconds before the access token ends
PAUSE_FIRST, PAUSE_MAX = 1.0, 30.0  # between two attempts while the provider is away


class EcpsLogin:
    """Starts logins, waits for the mobile, and logs out at the provider when a session closes."""

    def __init__(
        self,
        sessions: Sessions,
        prompter: Prompter,
        audit: AuditLog,
        clock: Clock,
        *,
        settings: EcpsSettings | None,
        secrets: SecretStore,
        store: Store,
    ) -> None:
        self._sessions = sessions
        self._prompter = prompter
        self._audit = audit
        self._clock = clock
        self._settings = settings
        self._secrets = secrets
        self._kept = KeptSessions(store, secrets)
        self._provider: Provider | None = None
        self._opening = asyncio.Lock()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._logins: dict[str, Login] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def check(self) -> None:
        """Raises MethodUnavailable where no provider is configured."""
        if self._settings is None:
            raise MethodUnavailable(method=METHOD)

    async def start(self, caller: Caller, login_hint: str) -> tuple[Session, str]:
        """Have the provider wake the mobile: a pending session, and its token, given once.

        Raises MethodUnavailable, and what ``ciba.start`` raises.
        """
        self.check()
        from cardd.oidc import ciba  # noqa: PLC0415 - 300 ms, when the first person wants it

        entry = AuditEntry("session.open", Outcome.DONE, caller.peer.uid, caller.id, caller.name, new_session_id())
        try:
            waiting = await ciba.start(await self._connected(), login_hint)
        except CarddError as error:
            await self._record(replace(entry, outcome=Outcome.FAILED, code=error.code))
            raise
        session, token = self._sessions.open(
            session_id=entry.session or "",
            caller=caller,
            method=METHOD,
            identity=Identity(login_hint, "", "", is_declared=True),
            card=None,
            credentials={},
            pending=Pending(waiting.binding_message, waiting.expires_at),
        )
        self._running[session.id] = self._spawn(self._finish(session, waiting, entry))
        return session, token

    def session_closed(self, session: Session, reason: str) -> None:
        """Stop asking for a login that nobody waits for any more, and end at the provider one that was made.

        One that ends with the daemon is kept: the next daemon resumes it.
        """
        task = self._running.pop(session.id, None)
        if task is not None and task is not asyncio.current_task():
            task.cancel()
        login = self._logins.pop(session.id, None)
        if login is not None and reason != DAEMON_STOPPED:
            self._spawn(self._log_out(session.id, login))

    def open_logins(self) -> list[Login]:
        """What the provider gave for each open session; its tokens are for the provider and for nobody else."""
        return list(self._logins.values())

    async def close(self) -> None:
        """Let the logouts under way end, for a moment, and give the connections back."""
        for task in self._running.values():
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2.0)
        if self._provider is not None:
            await self._provider.close()

    async def _finish(self, session: Session, waiting: PendingLogin, entry: AuditEntry) -> None:
        shown = self._spawn(self._show(session, waiting))
        try:
            login = await waiting.finish()
            await self._audit.append(replace(entry, consent="mobile"))
        except CarddError as error:
            await self._record(replace(entry, outcome=Outcome.REFUSED, code=error.code))
            self._sessions.fail(session, error)
            return
        finally:
            shown.cancel()
        self._sessions.activate(session, login.person.identity)
        await self._renew(session, login)

    async def _renew(self, session: Session, login: Login) -> None:
        """Keep the login alive as long as the session is open, and the session no longer than the login."""
        from cardd.oidc import renewal  # noqa: PLC0415 - as above

        pause = PAUSE_FIRST
        while True:
            self._logins[session.id] = login
            await self._keep(session, login)
            await asyncio.sleep(max(pause, self._left(login) - MARGIN))
            try:
                login = replace(login, tokens=await renewal.refresh(await self._connected(), login))
                pause = PAUSE_FIRST
            except PscUnavailable:
                pause = min(2 * pause, PAUSE_MAX)
            except CarddError:
                self._sessions.close(session, "provider_ended")
                return

    def _left(self, login: Login) -> float:
        return (login.tokens.expires_at - self._clock.now()).total_seconds()

    async def _keep(self, session: Session, login: Login) -> None:
        if login.tokens.refresh is not None:
            await self._kept.keep(session, login.tokens.refresh.to_secret())

    async def resume(self) -> None:
        """Go on with the sessions that the daemon before this one kept; those that PSC has ended are forgotten."""
        if self._settings is None:
            return
        for kept in self._kept.all():
            self._spawn(self._resume(kept))

    async def _resume(self, kept: KeptSession) -> None:
        from cardd.oidc import renewal  # noqa: PLC0415 - as above
        from cardd.oidc.token import Token  # noqa: PLC0415

        found = await self._kept.take(kept)
        try:
            if found is None:
                raise PscSessionOver
            with found:
                token = Token.from_secret(found)
            login = await renewal.resume(await self._connected(), token, kept.national_id)
        except CarddError:
            await self._kept.forget(kept.id)
            return
        session = Session(
            id=kept.id,
            token=kept.token,
            caller=kept.caller,
            method=METHOD,
            identity=login.person.identity,
            card=None,
            credentials={},
            opened_at=kept.opened_at,
            started=0.0,
            used=0.0,
        )
        self._sessions.restore(session)
        self._running[session.id] = self._spawn(self._renew(session, login))

    async def _show(self, session: Session, waiting: PendingLogin) -> None:
        """The two digits, on the user's own desktop; whoever refuses there ends the login."""
        left = (waiting.expires_at - self._clock.now()).total_seconds()
        params: dict[str, str | int] = {"client": session.caller.name, "digits": waiting.binding_message}
        uid, caller = session.caller.peer.uid, session.caller.id
        question = Question("ecps", uid, params, timeout=max(1.0, left), caller=caller)
        with contextlib.suppress(PromptError, ConsentError):  # the program shows them too
            if await self._prompter.confirm(question) is Choice.NO:
                self._sessions.fail(session, ConsentRefused())

    async def _log_out(self, identifier: str, login: Login) -> None:
        from cardd.oidc import logout  # noqa: PLC0415 - as above

        await self._kept.forget(identifier)
        with contextlib.suppress(CarddError):
            await logout.log_out(await self._connected(), login.tokens)

    async def _connected(self) -> Provider:
        from cardd.identity.ecps_provider import provider_of  # noqa: PLC0415 - as above

        async with self._opening:
            if self._provider is None:
                self.check()
                assert self._settings is not None  # noqa: S101 - checked
                self._provider = await provider_of(self._settings, self._secrets, self._clock)
            return self._provider

    async def _record(self, entry: AuditEntry) -> None:
        with contextlib.suppress(AuditUnavailable):
            await self._audit.append(entry)

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
