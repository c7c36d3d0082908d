"""Requests of a session to configured servers: consent, certificate, one handshake, the server's clock.

The certificate and its key are those of the session's own card. A session opened by e-CPS has no key: joined with the
organisation (AIR), it shows the organisation's certificate (EX_AIR-080).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, TypeVar

from cardd.config import Upstream
from cardd.core.lifecycle import Part
from cardd.core.recording import recorded
from cardd.core.session import Credential, Session
from cardd.core.sessions import Sessions
from cardd.core.signing import Signing
from cardd.driver import Card
from cardd.errors import (
    AssertionOrganisationMissing,
    SessionCannotSign,
    UpstreamClockOff,
    UpstreamClosed,
    UpstreamGarbled,
    UpstreamProduction,
)
from cardd.formats.certificate import facts_of
from cardd.identity.csa import CSA, OrganisationKey
from cardd.identity.holders import is_of_tests
from cardd.model import Algorithm, KeyPurpose
from cardd.outward import Outward
from cardd.ports import AuditLog, Clock
from cardd.relay.upstream import Upstreams
from cardd.relay.vouching import Vouching
from cardd.request import Where, step
from cardd.values import Value, replace
from cardd.worker import Background

if TYPE_CHECKING:
    import aiohttp
    from multidict import CIMultiDictProxy

    from cardd.relay.pool import UpstreamPool, UpstreamRequest
    from cardd.relay.tunnels import Tunnel, TunnelPool
    from cardd.tls.dialler import Credentials

Pool = TypeVar("Pool", "UpstreamPool", "TunnelPool")

STATUSES = range(200, 1000)  # no status of HTTP, or 101: nobody asked to change the protocol


class ClientCertificates(Value):
    """The certificates shown to servers, and the signatures of their handshakes, each recorded before it is given."""

    signing: Signing
    organisation: OrganisationKey
    audit: AuditLog

    async def credential(self, session: Session, upstream: Upstream) -> Credential:
        """Return the certificate to show, once the person agreed to reach this server.

        Raises SessionCannotSign, CardIncomplete, UpstreamProduction, the consent's errors, those of PIN and card.
        """
        if session.card is not None:
            credential = self.signing.authentication(session)
            _require_fit(credential, upstream, "organisation" if session.method == CSA else "card")
            await self._agreed(session, upstream)
            return credential
        if session.identity.is_test:
            _require_tests(upstream, "person")
        try:
            await self.organisation.card(session.caller)
            await self._agreed(session, upstream)
            credential = await self.organisation.use(session, lambda _, found: found, KeyPurpose.AUTHENTICATION)
        except AssertionOrganisationMissing:
            raise SessionCannotSign from None
        _require_fit(credential, upstream, "organisation")
        return credential

    async def sign(self, session: Session, upstream: Upstream, algorithm: Algorithm, digest: bytes) -> bytes:
        """Sign a handshake's digest. Raises the PIN's and the card's errors, AuditUnavailable."""
        name, host, asks = upstream.name, upstream.host, upstream.asks
        if session.card is not None:
            return await self.signing.handshake(session, name, host, algorithm=algorithm, digest=digest, asked=asks)
        entry = self.signing.handshake_entry(session, name, host, digest, asked=asks)

        def work(card: Card, credential: Credential) -> bytes:
            value = card.authenticate(credential.key, algorithm, digest)
            self.audit.write([replace(entry, certificate=credential.serial)])
            return value

        async with recorded(self.audit, entry):
            return await self.organisation.use(session, work, KeyPurpose.AUTHENTICATION)

    async def _agreed(self, session: Session, upstream: Upstream) -> None:
        await self.signing.agree_to_relay(session, upstream.name, upstream.host, asks=upstream.asks)


def _require_fit(credential: Credential, upstream: Upstream, what: str) -> None:
    """Let a certificate of tests reach test environments alone (EX_GEN-1430). Raises UpstreamProduction."""
    if is_of_tests(facts_of(credential.certificate)):
        _require_tests(upstream, what)


def _require_tests(upstream: Upstream, what: str) -> None:
    if not upstream.is_test_environment:
        raise UpstreamProduction(name=upstream.name, host=upstream.host, what=what)


class Relay(Part):
    """The connections of every session to configured servers; a connection ends with its session, and with its lock."""

    def __init__(
        self,
        upstreams: Mapping[str, Upstream],
        sessions: Sessions,
        certificates: ClientCertificates,
        vouching: Vouching,
        clock: Clock,
        *,
        outward: Outward,
    ) -> None:
        self._outward = outward
        self.upstreams = Upstreams(upstreams)
        self._sessions = sessions
        self._certificates = certificates
        self._vouching = vouching
        self._clock = clock
        self._pools: dict[tuple[str, str], UpstreamPool | TunnelPool] = {}
        self._opening: dict[tuple[str, str], asyncio.Lock] = {}
        self._ending = Background()

    @asynccontextmanager
    async def request(
        self, session: Session, upstream: Upstream, sent: UpstreamRequest
    ) -> AsyncIterator[tuple[aiohttp.ClientResponse, UpstreamPool]]:
        """Send a request and yield the server's answer, whose body is read inside ``pool.reading()``.

        Raises SessionCannotSign, SessionLocked, the consent's, the PIN's and the card's errors, AlgorithmUnsupported,
        UpstreamError.
        """
        from cardd.relay.pool import UpstreamPool  # noqa: PLC0415 - the TLS library is loaded when it is first needed

        pool = await self._pool(session, upstream, UpstreamPool)
        try:
            async with AsyncExitStack() as opened:
                with step("relay", Where.NETWORK, method=sent.method, upstream=upstream.name) as told:
                    answer = await opened.enter_async_context(pool.request(sent))
                    told.about["status"] = answer.status
                if answer.status not in STATUSES:
                    raise UpstreamGarbled(name=upstream.name)
                self._check_clock(upstream, answer.status, answer.headers)
                yield answer, pool
        except UpstreamClosed:
            self._sessions.ensure_open(session)  # it was we who hung up
            raise

    @asynccontextmanager
    async def tunnel(self, session: Session, upstream: Upstream) -> AsyncIterator[Tunnel]:
        """Yield a connection to the server, which ends with the session's lock at the latest. Raises as ``request``."""
        from cardd.relay.tunnels import TunnelPool  # noqa: PLC0415 - as above

        pool = await self._pool(session, upstream, TunnelPool)
        try:
            async with pool.tunnel() as tunnel:
                yield tunnel
        except UpstreamClosed:
            self._sessions.ensure_open(session)  # it was we who hung up
            self._sessions.ensure_unlocked(session)
            raise

    def session_locked(self, session: Session) -> None:
        """Give no connection of the session to a new request; what is under way goes on, but tunnels end."""
        for pool in self._taken(session):
            self._ending.start(pool.retire())

    def session_closed(self, session: Session, _reason: str) -> None:
        """End every connection of the session at once."""
        self._opening = {key: lock for key, lock in self._opening.items() if key[0] != session.id}
        for pool in self._taken(session):
            self._ending.start(pool.close())

    async def stop(self) -> None:
        """Wait for the connections of ended sessions to be closed."""
        await self._ending.settle()

    async def _pool(self, session: Session, upstream: Upstream, kind: type[Pool]) -> Pool:
        """Return the session's connections to this server, made when they are first wanted."""
        self._sessions.ensure_open(session)  # it may have ended while the request's body came
        async with self._opening.setdefault((session.id, upstream.name), asyncio.Lock()):
            found = self._pools.get((session.id, upstream.name))
            if isinstance(found, kind):
                return found
            shown = await self._shown(session, upstream)
            made = self._pools[session.id, upstream.name] = kind(upstream, shown, self._vouching, self._outward)
            return made

    async def _shown(self, session: Session, upstream: Upstream) -> Credentials:
        """Return the certificate that the server is shown, and the way to its key."""
        from cardd.tls.dialler import Credentials  # noqa: PLC0415 - as above

        self._sessions.ensure_unlocked(session)
        credential = await self._certificates.credential(session, upstream)
        self._sessions.ensure_open(session)

        async def ask(algorithm: Algorithm, digest: bytes) -> bytes:
            self._sessions.ensure_usable(session)
            return await self._certificates.sign(session, upstream, algorithm, digest)

        return Credentials(credential.certificate, credential.key.algorithms, ask, credential.chain)

    def _check_clock(self, upstream: Upstream, status: int, headers: CIMultiDictProxy[str]) -> None:
        """Refuse a clock that is off: an assertion that one side takes for old is hard to explain otherwise."""
        try:
            theirs = parsedate_to_datetime(headers["Date"])
            off = (self._clock.now() - theirs).total_seconds()
        except (KeyError, ValueError, TypeError, OverflowError):
            return  # a Date without a zone, or none
        if abs(off) > upstream.clock:
            raise UpstreamClockOff(name=upstream.name, seconds=round(off), answered=status)

    def _taken(self, session: Session) -> list[UpstreamPool | TunnelPool]:
        return [self._pools.pop(key) for key in list(self._pools) if key[0] == session.id]
