"""What every login with a key has in common: the PIN, accepted by the card or token, makes a session."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Protocol

from cardd.core.consent import Consents
from cardd.core.pin import PinEntry
from cardd.core.readers import InsertedCard, Readers
from cardd.core.sessions import Credential, Session, Sessions, new_session_id
from cardd.errors import AuditUnavailable, CarddError, CardIncomplete, TooManyRequests
from cardd.identity.authorities import KnownAuthorities
from cardd.identity.cpx import serial_of
from cardd.model import AuditEntry, Caller, CardCertificate, CardInfo, Identity, KeyPurpose, Outcome, Question
from cardd.ports import AuditLog
from cardd.secret import Secret

SESSIONS_MAX = 16


class StoredPin(Protocol):
    """A PIN that need not be asked for."""

    async def get(self) -> Secret | None:
        """The PIN; None when there is none, or when it was refused before."""
        ...

    def refused(self) -> None:
        """It was wrong: it is not to be tried again."""
        ...


@dataclass(frozen=True, slots=True)
class Way:
    """How one method logs in: its name, whose keys it takes, who a certificate speaks for, and a PIN kept for it."""

    method: str
    choose: Callable[[], Awaitable[InsertedCard]]
    identify: Callable[[bytes], Identity]
    stored: StoredPin | None = None


class CardLogin:
    """Opens sessions with the keys of cards and tokens."""

    def __init__(
        self,
        readers: Readers,
        sessions: Sessions,
        pins: PinEntry,
        consents: Consents,
        audit: AuditLog,
        *,
        hold_pin: bool,
        authorities: KnownAuthorities,
    ) -> None:
        self._readers = readers
        self._sessions = sessions
        self._pins = pins
        self._consents = consents
        self._audit = audit
        self._hold_pin = hold_pin
        self._authorities = authorities

    async def open(self, caller: Caller, way: Way) -> tuple[Session, str]:
        """Ask for the PIN and open a session; the token is given once.

        Raises what the way's ``choose`` and ``PinEntry.login`` raise, CardIncomplete when the card has no certificate
        for its keys, AuditUnavailable, TooManyRequests.
        """
        mine = [session for session in self._sessions.of(caller.peer.uid) if session.caller.id == caller.id]
        if len(mine) >= SESSIONS_MAX:
            raise TooManyRequests(retry_after=60)
        session_id = new_session_id()
        entry = AuditEntry("session.open", Outcome.DONE, caller.peer.uid, caller.id, caller.name, session_id)
        try:
            return await self._open(caller, way, session_id, entry)
        except CarddError as error:
            with contextlib.suppress(AuditUnavailable):
                await self._audit.append(replace(entry, outcome=Outcome.REFUSED, code=error.code))
            raise

    async def _open(self, caller: Caller, way: Way, session_id: str, entry: AuditEntry) -> tuple[Session, str]:
        card = await way.choose()
        certificates, pin, consent = await self._unlock(caller, way, card, session_id)
        try:
            credentials = self._credentials(await card.access.info(), certificates)
            proof = credentials.get(KeyPurpose.AUTHENTICATION) or next(iter(credentials.values()))
            identity = way.identify(proof.certificate)
            who = person_of(identity) if identity.is_declared else None  # a card's certificate tells
            await self._audit.append(replace(entry, certificate=proof.serial, consent=consent, document=who))
            self._readers.card(card.id)  # it may have left while the row was written
            session, token = self._sessions.open(
                session_id=session_id,
                caller=caller,
                method=way.method,
                identity=identity,
                card=card,
                credentials=credentials,
            )
        except BaseException:
            _wipe(pin)
            raise
        self._consents.allow_reading(caller, card.id)
        if self._hold_pin:
            session.take_pin(pin)
        else:
            _wipe(pin)
        return session, token

    async def _unlock(
        self, caller: Caller, way: Way, card: InsertedCard, session_id: str
    ) -> tuple[tuple[CardCertificate, ...], Secret | None, str]:
        """The certificates, the PIN that the card accepted, and whose consent that was."""
        question = Question("login", caller.peer.uid, {"client": caller.name}, caller=caller.id)
        stored = await way.stored.get() if way.stored else None
        accepted = False
        try:
            certificates, pin = await self._pins.login(
                card, session_id, caller.id, question, lambda opened: opened.certificates(), stored=stored
            )
            accepted = pin is stored
        finally:
            if way.stored and stored is not None and not accepted:
                way.stored.refused()
        return certificates, pin, "stored" if stored is not None and accepted else "pin"

    def _credentials(self, info: CardInfo, certificates: tuple[CardCertificate, ...]) -> dict[KeyPurpose, Credential]:
        by_key = {certificate.key_id: certificate.der for certificate in certificates}
        found: dict[KeyPurpose, Credential] = {
            key.purpose: Credential(key, der, serial_of(der), self._authorities.above(der))
            for key in info.keys
            if (der := by_key.get(key.id)) is not None and key.purpose is not KeyPurpose.TECHNICAL
        }
        if not found:
            raise CardIncomplete(what="certificate")
        return found


def person_of(identity: Identity) -> str:
    """Whom a session is for, in its row of the audit log, where no certificate of theirs tells (EX_AIR-070)."""
    return f"person:{identity.national_id}"


def _wipe(pin: Secret | None) -> None:
    if pin is not None:
        pin.wipe()
