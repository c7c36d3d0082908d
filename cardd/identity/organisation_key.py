"""The organisation's keys, for a person whom Pro Santé Connect vouches for (AIR)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from cardd.core.pin import PinDesk
from cardd.core.sessions import Credential, Session, Sessions
from cardd.driver import Card
from cardd.errors import AssertionOrganisationMissing, MethodUnavailable
from cardd.identity.cpx import serial_of
from cardd.identity.csa_login import CsaLogin
from cardd.model import KeyPurpose, Question
from cardd.secret import Secret

T = TypeVar("T")


class OrganisationKey:
    """Works with them; a password that nothing keeps is asked for once in a session, and forgotten with it."""

    def __init__(self, csa: CsaLogin, pins: PinDesk, sessions: Sessions) -> None:
        self._csa = csa
        self._pins = pins
        self._sessions = sessions
        self._given: dict[str, Secret] = {}

    async def use(
        self, session: Session, work: Callable[[Card, Credential], T], purpose: KeyPurpose = KeyPurpose.SIGNATURE
    ) -> T:
        """Let ``work`` sign with the key of this purpose, on the key's own thread.

        Raises AssertionOrganisationMissing where there is no such key, and the errors of PIN and card.
        """
        try:
            card = await self._csa.card()
        except MethodUnavailable as none:
            raise AssertionOrganisationMissing from none
        caller = session.caller
        question = Question("unlock", caller.peer.uid, {"client": caller.name}, caller=caller.id)
        stored = self._given.pop(session.id, None) or await self._csa.password.get()
        value, password = await self._pins.login(
            card,
            session.id,
            caller.id,
            question,
            lambda opened: work(opened, _credential(opened, purpose)),
            stored=stored,
        )
        if password is not None and self._sessions.is_open(session):
            self._given[session.id] = password
        elif password is not None:
            password.wipe()
        return value

    def session_closed(self, session: Session, _reason: str) -> None:
        """Forget the password that was given for it."""
        if kept := self._given.pop(session.id, None):
            kept.wipe()


def _credential(card: Card, purpose: KeyPurpose) -> Credential:
    """Raises AssertionOrganisationMissing."""
    by_key = {found.key_id: found.der for found in card.certificates()}
    key = card.info.key(purpose)
    if key is None or key.id not in by_key:
        raise AssertionOrganisationMissing
    return Credential(key, by_key[key.id], serial_of(by_key[key.id]))
