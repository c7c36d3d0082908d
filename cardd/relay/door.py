"""Whose key opens a server's door for a session: its own card's, or, for an e-CPS login, the organisation's.

An e-CPS login has no key. Joined with the organisation (AIR), it shows the organisation's certificate (EX_AIR-080).
"""

from __future__ import annotations

from dataclasses import dataclass

from cardd.core.sessions import Credential, Session
from cardd.core.signing import Signing
from cardd.driver import Card
from cardd.errors import AssertionOrganisationMissing, SessionCannotSign
from cardd.identity.organisation_key import OrganisationKey
from cardd.model import Algorithm, KeyPurpose
from cardd.relay.upstream import Upstream


@dataclass(frozen=True, slots=True)
class Doors:
    """Shows certificates and has handshakes signed, recorded before the signature is known."""

    signing: Signing
    organisation: OrganisationKey

    async def credential(self, session: Session) -> Credential:
        """What is shown. Raises SessionCannotSign, CardIncomplete, the errors of PIN and card."""
        if session.card is not None:
            return self.signing.authentication(session)
        try:
            return await self.organisation.use(session, lambda _, found: found, KeyPurpose.AUTHENTICATION)
        except AssertionOrganisationMissing:
            raise SessionCannotSign from None

    async def sign(self, session: Session, upstream: Upstream, algorithm: Algorithm, digest: bytes) -> bytes:
        """The signature of a handshake's digest. Raises the PIN's and the card's errors, AuditUnavailable."""
        if session.card is not None:
            return await self.signing.handshake(
                session, upstream.name, upstream.host, algorithm=algorithm, digest=digest, asked=upstream.asks
            )

        def work(card: Card, credential: Credential) -> bytes:
            value = card.authenticate(credential.key, algorithm, digest)
            self.signing.record_handshake(
                session, credential, upstream.name, upstream.host, digest=digest, asked=upstream.asks
            )
            return value

        return await self.organisation.use(session, work, KeyPurpose.AUTHENTICATION)
