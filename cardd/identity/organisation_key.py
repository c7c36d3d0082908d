"""The organisation's keys, for a person whom Pro Santé Connect vouches for (AIR)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from cardd.core.pin import PinEntry
from cardd.core.readers import InsertedCard
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

    def __init__(self, csa: CsaLogin, pins: PinEntry, sessions: Sessions) -> None:
        self._csa = csa
        self._pins = pins
        self._sessions = sessions
        self._given: dict[str, Secret] = {}
        self._turns: dict[str, asyncio.Lock] = {}

    async def card(self) -> InsertedCard:
        """Where the keys are. Raises AssertionOrganisationMissing."""
        try:
            return await self._csa.card()
        except MethodUnavailable as none:
            raise AssertionOrganisationMissing from none

    async def use(
        self, session: Session, work: Callable[[Card, Credential], T], purpose: KeyPurpose = KeyPurpose.SIGNATURE
    ) -> T:
        """Let ``work`` sign with the key for this purpose, on the key's own thread.

        Raises AssertionOrganisationMissing where there is no such key, what ``Sessions.ensure_usable`` raises, and the
        errors of PIN and card.
        """
        card = await self.card()
        caller = session.caller

        def unless_ended(opened: Card) -> T:
            self._sessions.ensure_usable(session)
            return work(opened, _credential(opened, purpose))

        question = Question("organisation", caller.peer.uid, {"client": caller.name}, caller=caller.id)
        async with self._turns.setdefault(session.id, asyncio.Lock()):  # so that two requests do not both ask
            stored = self._given.pop(session.id, None) or await self._csa.password.get()
            value, password = await self._pins.login(card, session.id, caller.id, question, unless_ended, stored=stored)
            if password is not None and self._sessions.is_open(session):
                self._given[session.id] = password
            elif password is not None:
                password.wipe()
        return value

    def session_closed(self, session: Session, _reason: str) -> None:
        """Forget the password that was given for it."""
        self._turns.pop(session.id, None)
        if kept := self._given.pop(session.id, None):
            kept.wipe()


def _credential(card: Card, purpose: KeyPurpose) -> Credential:
    """Raises AssertionOrganisationMissing."""
    by_key = {found.key_id: found.der for found in card.certificates()}
    key = card.info.key(purpose)
    if key is None or key.id not in by_key:
        raise AssertionOrganisationMissing
    return Credential(key, by_key[key.id], serial_of(by_key[key.id]))
