"""The organisation's key at a TLS handshake, for a person whom Pro Santé Connect vouches for (EX_AIR-080)."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cardd.core.consent import ConsentDesk
from cardd.core.sessions import Credential, Session, Sessions
from cardd.driver import Card
from cardd.errors import AssertionOrganisationMissing, AuditUnavailable, CarddError, SessionCannotSign
from cardd.identity.organisation_key import OrganisationKey
from cardd.model import Algorithm, AuditEntry, KeyPurpose, Outcome
from cardd.ports import AuditLog
from cardd.relay.upstream import Upstream

if TYPE_CHECKING:
    from cardd.tls.connector import Credentials


@dataclass(frozen=True, slots=True)
class OrganisationTls:
    """What an e-CPS session shows a server that wants a certificate: the person agrees, and each handshake is a row."""

    sessions: Sessions
    consents: ConsentDesk
    key: OrganisationKey
    audit: AuditLog

    async def credentials(self, session: Session, upstream: Upstream) -> Credentials:
        """What the server is shown, once the person agreed.

        Raises SessionCannotSign without such a key, SessionLocked, ConsentRefused, and the errors of PIN and card.
        """
        from cardd.tls.connector import Credentials  # noqa: PLC0415 - the TLS library, when it is first needed

        self.sessions.ensure_unlocked(session)
        if upstream.asks:
            await self.consents.relaying(session, upstream.name, upstream.host)
        try:
            shown = await self.key.use(
                session, lambda _, found: self._usable(session, found), KeyPurpose.AUTHENTICATION
            )
        except AssertionOrganisationMissing:
            raise SessionCannotSign from None

        async def ask(algorithm: Algorithm, digest: bytes) -> bytes:
            return await self._handshake(session, upstream, algorithm, digest)

        return Credentials(shown.certificate, shown.key.algorithms, ask, shown.chain)

    async def _handshake(self, session: Session, upstream: Upstream, algorithm: Algorithm, digest: bytes) -> bytes:
        consent = "dialog" if upstream.asks else "login"
        entry = replace(_entry(session, upstream), digest=digest.hex(), consent=consent)

        def work(card: Card, found: Credential) -> bytes:
            credential = self._usable(session, found)
            value = card.authenticate(credential.key, algorithm, digest)
            self.audit.write([replace(entry, certificate=credential.serial)])
            return value

        try:
            return await self.key.use(session, work, KeyPurpose.AUTHENTICATION)
        except CarddError as error:
            with contextlib.suppress(AuditUnavailable):
                await self.audit.append(replace(entry, outcome=Outcome.FAILED, code=error.code))
            raise

    def _usable(self, session: Session, credential: Credential) -> Credential:
        """Its session may have ended, or its screen been locked, while a dialog was open."""
        self.sessions.ensure_open(session)
        self.sessions.ensure_unlocked(session)
        return credential


def _entry(session: Session, upstream: Upstream) -> AuditEntry:
    caller, document = session.caller, f"{upstream.name} {upstream.host}"
    return AuditEntry(
        "tls.handshake", Outcome.DONE, caller.peer.uid, caller.id, caller.name, session.id, document=document
    )
