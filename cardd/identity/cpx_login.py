"""Login with a CPx card: the PIN, accepted by the card, makes a session of the certificate's identity."""

from __future__ import annotations

import contextlib
from dataclasses import replace

from cardd.core.consent import ConsentDesk
from cardd.core.pin import PinDesk
from cardd.core.readers import InsertedCard, Readers
from cardd.core.sessions import Credential, Session, Sessions, new_session_id
from cardd.errors import AuditUnavailable, CarddError, CardIncomplete, TooManyRequests
from cardd.identity.cpx import identity_of, serial_of
from cardd.model import AuditEntry, Caller, CardCertificate, CardInfo, KeyPurpose, Outcome, Question
from cardd.ports import AuditLog
from cardd.secret import Secret

METHOD = "cpx"
SESSIONS_MAX = 16


class CpxLogin:
    """Opens sessions with the cards in the readers."""

    def __init__(
        self,
        readers: Readers,
        sessions: Sessions,
        pins: PinDesk,
        consents: ConsentDesk,
        audit: AuditLog,
        *,
        hold_pin: bool,
    ) -> None:
        self._readers = readers
        self._sessions = sessions
        self._pins = pins
        self._consents = consents
        self._audit = audit
        self._hold_pin = hold_pin

    async def open(self, caller: Caller, card_id: str | None) -> tuple[Session, str]:
        """Ask for the PIN and open a session; the token is given once.

        Raises what ``Readers.choose`` and ``PinDesk.login`` raise, CardIncomplete when the card has no certificate for
        its keys, AuditUnavailable, TooManyRequests.
        """
        mine = [session for session in self._sessions.of(caller.peer.uid) if session.caller.id == caller.id]
        if len(mine) >= SESSIONS_MAX:
            raise TooManyRequests(retry_after=60)
        session_id = new_session_id()
        entry = AuditEntry("session.open", Outcome.DONE, caller.peer.uid, caller.id, caller.name, session_id)
        try:
            return await self._open(caller, self._readers.choose(card_id), session_id, entry)
        except CarddError as error:
            with contextlib.suppress(AuditUnavailable):
                await self._audit.append(replace(entry, outcome=Outcome.REFUSED, code=error.code))
            raise

    async def _open(
        self, caller: Caller, card: InsertedCard, session_id: str, entry: AuditEntry
    ) -> tuple[Session, str]:
        question = Question("login", caller.peer.uid, {"client": caller.name}, caller=caller.id)
        certificates, pin = await self._pins.login(
            card, session_id, caller.id, question, lambda opened: opened.certificates()
        )
        try:
            credentials = _credentials(await card.access.info(), certificates)
            proof = credentials.get(KeyPurpose.AUTHENTICATION) or next(iter(credentials.values()))
            await self._audit.append(replace(entry, certificate=proof.serial, consent="pin"))
            self._readers.card(card.id)  # it may have left while the row was written
            session, token = self._sessions.open(
                session_id=session_id,
                caller=caller,
                method=METHOD,
                identity=identity_of(proof.certificate),
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


def _credentials(info: CardInfo, certificates: tuple[CardCertificate, ...]) -> dict[KeyPurpose, Credential]:
    by_key = {certificate.key_id: certificate.der for certificate in certificates}
    found: dict[KeyPurpose, Credential] = {
        key.purpose: Credential(key, by_key[key.id], serial_of(by_key[key.id]))
        for key in info.keys
        if key.id in by_key and key.purpose is not KeyPurpose.TECHNICAL
    }
    if not found:
        raise CardIncomplete(what="certificate")
    return found


def _wipe(pin: Secret | None) -> None:
    if pin is not None:
        pin.wipe()
