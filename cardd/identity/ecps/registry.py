"""All logins through Pro Santé Connect: begins them, finds them by their session, ends them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from cardd.config import Psc
from cardd.core.consents import Consents
from cardd.core.dialog_lines import DialogLines
from cardd.core.lifecycle import Part
from cardd.core.recording import ensure_recordable, entry_of, recorded
from cardd.core.session import Session
from cardd.core.sessions import Sessions
from cardd.errors import (
    InvalidRequest,
    PscDirectNotAgreed,
    PscFlowUnavailable,
    PscSessionOver,
    SessionNotPsc,
    TooManyRequests,
)
from cardd.identity.csa import CsaLogins
from cardd.identity.ecps.connection import LoginLimits, ProviderConnection
from cardd.identity.ecps.login import Asked, EcpsLogin, LoginContext, Request
from cardd.identity.ecps.provider import METHOD, Flow, HandedToken, Reach
from cardd.identity.ecps.state import LoginHints, ResumableSessions
from cardd.model import Caller, Identity
from cardd.outward import DIRECT, Outward
from cardd.ports import AuditLog, Clock, SecretStore, Store
from cardd.request import Where, step
from cardd.secret import new_id
from cardd.values import Value, replace
from cardd.worker import Background

if TYPE_CHECKING:
    from cardd.oidc.logout import LogoutNotice
    from cardd.oidc.loopback import PeerOf

_log = logging.getLogger(__name__)


class Examined(Value):
    """How a login would go: the other side as it was found, and whether sessions outlive the daemon."""

    reach: Reach
    resumes: bool


class EcpsLogins(Part):
    """The registry of logins. ``settings`` may configure no provider: then no login begins."""

    def __init__(
        self,
        sessions: Sessions,
        dialogs: DialogLines,
        consents: Consents,
        audit: AuditLog,
        clock: Clock,
        *,
        settings: Psc,
        secrets: SecretStore,
        store: Store,
        peer_of: PeerOf,
        organisation: CsaLogins | None = None,
        outward: Outward = DIRECT,
    ) -> None:
        self.limits = LoginLimits()
        self.connection = ProviderConnection(
            settings,
            secrets,
            clock,
            organisation,
            self._heard,
            peer_of=peer_of,
            limits=self.limits,
            outward=outward,
        )
        self.hints = LoginHints(store)
        self._context = LoginContext(
            sessions=sessions,
            dialogs=dialogs,
            consents=consents,
            audit=audit,
            clock=clock,
            connection=self.connection,
            resumable=ResumableSessions(store, secrets),
            hints=self.hints,
            background=Background(),
            limits=self.limits,
        )
        self._logins: dict[str, EcpsLogin] = {}

    def all(self) -> list[EcpsLogin]:
        """Return those that are not over."""
        return list(self._logins.values())

    async def examine(self) -> Examined:
        """Return whether a login could begin now: this side's credentials, the other side, its clock. Nobody is asked.

        Raises MethodUnavailable where no provider is configured, PscIncomplete, and what ``PscProvider.reach`` raises.
        """
        await self.connection.provider()
        resumes = not self.connection.check().by_proxy and await self._context.resumable.can_keep()
        return Examined(await self.connection.reach(), resumes)

    async def open(self, caller: Caller, request: Request) -> tuple[Session, str]:
        """Wake the mobile, or prepare the page: a pending session, and its token, given once.

        Raises MethodUnavailable, InvalidRequest without a national id for the mobile, TooManyRequests, RefusedTooOften,
        PushTooSoon, SessionClosed when the daemon stops, and what ``PscProvider.begin`` raises.
        """
        self.connection.check()
        context, sessions = self._context, self._context.sessions
        sessions.ensure_opening()
        context.dialogs.ensure_askable(caller.key)
        if sum(session.caller.key == caller.key for session in sessions.of(caller.peer.uid)) >= self.limits.sessions:
            raise TooManyRequests(retry_after=60)
        named = request.wanted.login_hint  # only what the client knows already may be told before the person agreed
        request = self._completed(caller, request)
        entry = entry_of(caller, "session.open", session=new_id())
        async with recorded(context.audit, entry):
            await ensure_recordable(context.audit)  # before the mobile wakes
            with step("ecps", Where.NETWORK, does="begin", flow=request.wanted.flow.value):
                attempt = await context.connection.begin(caller, request.wanted)
        session, token = sessions.open(
            session_id=entry.session or "",
            caller=caller,
            method=METHOD,
            identity=Identity(named or "", "", "", is_declared=True),
            card=None,
            credentials={},
            pending=attempt.pending,
        )
        self._add(EcpsLogin(context, session, Asked(request, entry, attempt))).run()
        return session, token

    async def push_again(self, session: Session) -> None:
        """Wake the mobile once more. Raises as ``EcpsLogin.push_again``."""
        login = self._logins.get(session.id)
        if login is None:
            raise PscFlowUnavailable(flow=Flow.MOBILE.value)
        await ensure_recordable(self._context.audit)
        await login.push_again()

    async def token(self, session: Session, api: str | None) -> HandedToken:
        """Return a token of this session for a client that may have it; the row is on disk before it leaves.

        Raises SessionNotPsc, SessionLocked, PscSessionOver, PscApiUnknown, AuditUnavailable, and what
        ``EcpsLogin.token`` raises.
        """
        if session.method != METHOD:
            raise SessionNotPsc
        self._context.sessions.ensure_unlocked(session)
        login = self._logins.get(session.id)
        if login is None:
            raise PscSessionOver
        entry = entry_of(session.caller, "psc_token.give", session=session.id, document=api, consent="pairing")
        async with recorded(self._context.audit, entry):
            given = await login.token(api)
        await self._context.audit.append(entry)
        return given

    def means_of(self, session: Session) -> str | None:
        """Return how this session's person logged in, as ``EcpsLogin.means``. Raises SessionLocked."""
        self._context.sessions.ensure_unlocked(session)
        login = self._logins.get(session.id)
        return login.means if login else None

    def session_closed(self, session: Session, reason: str) -> None:
        """End its login."""
        login = self._logins.pop(session.id, None)
        if login is not None:
            login.end(reason)

    def session_situated(self, session: Session) -> None:
        """Keep the situation for the daemon that resumes the session."""
        self._context.resumable.situated(session)

    async def start(self) -> None:
        """Know the sessions that the daemon before this one kept, before anybody asks; pending until PSC agrees.

        Raises StateUnavailable, StateDamaged.
        """
        settings = self.connection.settings
        if settings.is_configured and not settings.is_agreed:
            _log.warning("e-CPS is off: %s", PscDirectNotAgreed(host=settings.host).told("en").detail)
        for record in self._context.resumable.all() if settings.is_configured and settings.is_agreed else ():
            session = record.session(METHOD)
            self._context.sessions.restore(session)
            self._add(EcpsLogin(self._context, session, record))

    async def watch(self) -> None:
        """Ask PSC to go on with them."""
        for login in self.all():
            if login.is_restored:
                login.run()

    async def stop(self) -> None:
        """Let the logouts under way end, for a moment, and give the connections back."""
        for login in self._logins.values():
            login.stop()
        self._context.background.start(self._context.resumable.settle())
        await self._context.background.settle(timeout=2.0)
        await self.connection.close()

    def _add(self, login: EcpsLogin) -> EcpsLogin:
        self._logins[login.session.id] = login
        return login

    def _completed(self, caller: Caller, request: Request) -> Request:
        """Add the national id that the user had kept, where a mobile is to be woken and the request has none."""
        if request.wanted.login_hint is not None or request.wanted.flow is not Flow.MOBILE:
            return request
        hint = self.hints.of(caller.peer.uid)
        if hint is None:
            raise InvalidRequest(where="$.login_hint", why="missing")
        return replace(request, wanted=replace(request.wanted, login_hint=hint))

    def _heard(self, notice: LogoutNotice) -> None:
        """Tell the logins that the provider ended a session there; whose it is not, heeds nothing."""
        for login in self.all():
            if login.psc is not None:
                login.psc.heed(notice)
