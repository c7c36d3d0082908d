"""The login behind each open e-CPS session: renewed while it lasts, handed out where approved, ended with it."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from functools import partial

from cardd.core.background import Background
from cardd.core.recording import recorded
from cardd.core.sessions import Session, Sessions
from cardd.errors import CarddError, PscSessionOver, SessionNotPsc
from cardd.identity.ecps.approach import Approach
from cardd.identity.ecps.kept import KeptSession, KeptSessions
from cardd.identity.ecps.way import FINAL, METHOD, PAUSE_FIRST, PAUSE_MAX, HandedToken, OpenLogin
from cardd.model import AuditEntry, Outcome
from cardd.ports import AuditLog

DAEMON_STOPPED = "daemon_stopped"
BY_MOBILE = "MOBILE"  # as PSC's authMode has it


class OpenLogins:
    """Knows them by their sessions; those that are kept outlive the daemon."""

    def __init__(
        self, sessions: Sessions, audit: AuditLog, approach: Approach, kept: KeptSessions, background: Background
    ) -> None:
        self._sessions = sessions
        self._audit = audit
        self._approach = approach
        self._kept = kept
        self._background = background
        self._logins: dict[str, OpenLogin] = {}
        self._by_mobile: set[str] = set()
        self._staying: dict[str, asyncio.Task[None]] = {}
        self._restored: list[tuple[Session, KeptSession]] = []

    def all(self) -> list[OpenLogin]:
        """Each of them."""
        return list(self._logins.values())

    def has(self, session: Session) -> bool:
        """Whether the session's person has agreed."""
        return session.id in self._logins

    def add(self, session: Session, login: OpenLogin) -> None:
        """The person has agreed; the session may still wait for what else they are asked."""
        self._logins[session.id] = login

    def stay(self, session: Session, *, by_mobile: bool) -> None:
        """The session is open: renew its login until the provider ends it. ``by_mobile``: we had the mobile asked."""
        if by_mobile:
            self._by_mobile.add(session.id)
        self._staying[session.id] = self._background.start(self._stay(session, self._logins[session.id]))

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
        async with recorded(self._audit, entry):
            given = await login.token(api)
        await self._audit.append(entry)
        return given

    def means_of(self, session: Session) -> str | None:
        """How this session's person logged in: PSC's ``authMode``, or the mobile that we had it ask; None: unknown.

        Raises SessionLocked.
        """
        self._sessions.ensure_unlocked(session)
        login = self._logins.get(session.id)
        told = login.means if login else None
        return told or (BY_MOBILE if session.id in self._by_mobile else None)

    def session_closed(self, session: Session, reason: str) -> None:
        """End the login at the provider; one that is kept does not end with the daemon: the next one resumes it."""
        staying = self._staying.pop(session.id, None)
        if staying is not None and staying is not asyncio.current_task():
            staying.cancel()
        self._by_mobile.discard(session.id)
        login = self._logins.pop(session.id, None)
        if session.method == METHOD and not (reason == DAEMON_STOPPED and self._kept.has(session.id)):
            self._background.start(self._log_out(session.id, login))

    def restore(self) -> None:
        """Know the sessions that the daemon before this one kept, before anybody asks; pending until PSC agrees.

        Raises StateUnavailable, StateDamaged.
        """
        for kept in self._kept.all() if self._approach.settings.is_configured else ():
            session = kept.session(METHOD)
            self._sessions.restore(session)
            self._restored.append((session, kept))

    def resume(self) -> None:
        """Ask PSC to go on with the restored ones."""
        for session, kept in self._restored:
            if self._sessions.is_open(session):
                self._staying[session.id] = self._background.start(self._resume(session, kept))
        self._restored.clear()

    def stop(self) -> None:
        """Renew none any more."""
        for task in self._staying.values():
            task.cancel()
        self._background.start(self._kept.settle())

    async def _stay(self, session: Session, login: OpenLogin) -> None:
        await login.stay(partial(self._kept.keep, session))
        self._sessions.close(session, "provider_ended")

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
                    return await (await self._approach.way()).resume(found, kept.national_id, keep)
            except FINAL:
                raise
            except CarddError:
                await asyncio.sleep(pause)
                pause = min(2 * pause, PAUSE_MAX)

    async def _log_out(self, identifier: str, login: OpenLogin | None) -> None:
        with contextlib.suppress(CarddError):
            await self._kept.forget(identifier)
        if login is not None:
            with contextlib.suppress(CarddError):
                await login.log_out()
