"""Whose key opens a server's door for a session: its own card's, or, for an e-CPS login, the organisation's.

An e-CPS login has no key. Joined with the organisation (AIR), it shows the organisation's certificate (EX_AIR-080).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from cardd.core.recording import recorded
from cardd.core.sessions import Credential, Session
from cardd.core.signing import Signing
from cardd.driver import Card
from cardd.errors import AssertionOrganisationMissing, SessionCannotSign
from cardd.identity.organisation_key import OrganisationKey
from cardd.model import Algorithm, KeyPurpose
from cardd.ports import AuditLog
from cardd.relay.upstream import Upstream


@dataclass(frozen=True, slots=True)
class Doors:
    """Shows certificates and has handshakes signed, recorded before the signature is known."""

    signing: Signing
    organisation: OrganisationKey
    audit: AuditLog

    async def credential(self, session: Session, upstream: Upstream) -> Credential:
        """What is shown, once the person agreed to reach this server.

        Raises SessionCannotSign, CardIncomplete, the consent's errors, those of PIN and card.
        """
        if session.card is not None:
            credential = self.signing.authentication(session)
            await self._agreed(session, upstream)
            return credential
        try:
            await self.organisation.card()
            await self._agreed(session, upstream)
            return await self.organisation.use(session, lambda _, found: found, KeyPurpose.AUTHENTICATION)
        except AssertionOrganisationMissing:
            raise SessionCannotSign from None

    async def sign(self, session: Session, upstream: Upstream, algorithm: Algorithm, digest: bytes) -> bytes:
        """The signature of a handshake's digest. Raises the PIN's and the card's errors, AuditUnavailable."""
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
