"""The organisation's certificate (CSA): login with it, and its keys for AIR and for the service's own connections.

A login with the certificate proves the structure; the person is as the practice software says. In AIR, Pro Santé
Connect vouches for the person, and the organisation's key signs.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

from cardd.core.card_transaction import HolderVerification
from cardd.core.dialog_lines import question_of
from cardd.core.inserted_card import InsertedCard
from cardd.core.lifecycle import Part
from cardd.core.owners import OwnedReaders
from cardd.core.pin import PinEntry
from cardd.core.session import Credential, Session
from cardd.core.sessions import Sessions
from cardd.driver import Card
from cardd.errors import (
    AssertionOrganisationMissing,
    CarddError,
    CardIncomplete,
    MethodUnavailable,
    PcscUnavailable,
    PinRequired,
    PscIncomplete,
    SecretStoreUnavailable,
)
from cardd.formats.certificate import facts_of, serial_of
from cardd.identity.card_login import CardLogins, Method
from cardd.identity.expiry import ExpiryWatch
from cardd.identity.holders import acting_identity, structure_identity
from cardd.model import Algorithm, Caller, CardKind, Identity, KeyPurpose
from cardd.ports import SecretStore
from cardd.secret import Secret
from cardd.values import Value

CSA = "csa"
NOBODY = "service"  # in the place of a session

T = TypeVar("T")


class CsaLogins:
    """Logins with the organisation's key files, or with its PKCS#11 token of the label ``token``."""

    def __init__(
        self,
        by_card: CardLogins,
        readers: OwnedReaders,
        secrets: SecretStore,
        expiry: ExpiryWatch,
        *,
        token: str | None,
    ) -> None:
        self._by_card = by_card
        self._readers = readers
        self.password = StoredPassword(secrets)
        self._expiry = expiry
        self._token = token

    async def open(self, caller: Caller, acting: Identity) -> tuple[Session, str]:
        """Open a session for the person whom the software declares; the token is given once.

        The password comes from systemd's credential or the keyring's entry ``csa``, and is asked for otherwise. Raises
        MethodUnavailable when no organisation's certificate is configured, and what ``CardLogins.open`` raises.
        """
        method = Method(CSA, partial(self.card, caller), partial(acting_identity, acting=acting), self.password)
        session, token = await self._by_card.open(caller, method)
        self._expiry.note({each.serial: facts_of(each.certificate).not_after for each in session.credentials.values()})
        return session, token

    async def open_for_program(self, program: Caller) -> tuple[Session, str]:
        """Open a session of another program's (PKCS#11), in which nobody says who the person is. Raises as ``open``."""
        method = Method(CSA, partial(self.card, program), structure_identity, self.password)
        return await self._by_card.open(program, method)

    async def card(self, caller: Caller | None) -> InsertedCard:
        """Return the organisation's keys; ``caller`` None is the daemon itself.

        Raises MethodUnavailable; ReaderNotYours where they may be a token in a reader that is not the caller's.
        """
        with contextlib.suppress(PcscUnavailable):  # which the organisation's keys do not need
            for card in self._cards(caller):
                if await self.owns(card):
                    return card
        raise MethodUnavailable(method=CSA, why="no_organisation")

    def _cards(self, caller: Caller | None) -> list[InsertedCard]:
        if caller is None:
            return self._readers.every.cards()
        readers = self._readers.of(caller)
        return readers.cards() if self._token else readers.visible()

    async def owns(self, card: InsertedCard) -> bool:
        """Return whether these keys are the organisation's."""
        if self._token is None or card.kind is not CardKind.PKCS11:
            return card.kind is CardKind.PKCS12
        with contextlib.suppress(CarddError):
            return (await card.access.info()).label == self._token
        return False


class StoredPassword:
    """``StoredPin`` from the OS's secrets; a wrong one is presented once in the daemon's life: tokens count."""

    def __init__(self, secrets: SecretStore) -> None:
        self._secrets = secrets
        self._lent: tuple[Secret, ...] = ()
        self.was_refused = False

    async def get(self) -> Secret | None:
        """Return the password; None where nothing keeps one, or the kept one was wrong. It is wiped once it is."""
        password = None
        if not self.was_refused:
            with contextlib.suppress(SecretStoreUnavailable):
                password = await self._secrets.get(CSA)
        if password is not None:
            self._lent = (*filter(None, self._lent), password)
            if self.was_refused:  # meanwhile
                password.wipe()
        return password

    def refused(self) -> None:
        """Take note that the password was wrong, on the reader's thread: it is not tried again by who waits either."""
        self.was_refused = True
        for password in self._lent:
            password.wipe()


class OrganisationKey(Part):
    """The organisation's keys in AIR; a password that nothing keeps is asked for once in a session."""

    def __init__(self, csa: CsaLogins, pins: PinEntry, sessions: Sessions) -> None:
        self._csa = csa
        self._pins = pins
        self._sessions = sessions
        self._given: dict[str, Secret] = {}
        self._turns: dict[str, asyncio.Lock] = {}

    async def card(self, caller: Caller) -> InsertedCard:
        """Return where the keys are. Raises AssertionOrganisationMissing, ReaderNotYours."""
        try:
            return await self._csa.card(caller)
        except MethodUnavailable as none:
            raise AssertionOrganisationMissing from none

    async def use(
        self, session: Session, work: Callable[[Card, Credential], T], purpose: KeyPurpose = KeyPurpose.SIGNATURE
    ) -> T:
        """Let ``work`` sign with the key for this purpose, on the key's own thread.

        Raises AssertionOrganisationMissing where there is no such key, what ``Sessions.ensure_usable`` raises, and the
        errors of PIN and card.
        """
        caller = session.caller
        card = await self.card(caller)

        def unless_ended(opened: Card) -> T:
            self._sessions.ensure_usable(session)
            credential = _credential(opened, purpose)
            if credential is None:
                raise AssertionOrganisationMissing
            return work(opened, credential)

        question = question_of(caller, "organisation")
        async with self._turns.setdefault(session.id, asyncio.Lock()):  # so that two requests do not both ask
            given, kept = self._given.pop(session.id, None), self._csa.password
            stored = given or await kept.get()
            refused = kept.refused if stored is not given else self._forget
            value, password = await self._pins.login(
                card, session.id, caller.key, question, unless_ended, stored=stored, refused=refused
            )
            if password is not None and self._sessions.is_open(session):
                self._given[session.id] = password
            elif password is not None:
                password.wipe()
        return value

    def _forget(self) -> None:
        """Forget every password that was given: the one of one session is wrong now, and so are those of the others."""
        for password in tuple(self._given.values()):  # on the reader's thread
            password.wipe()
        self._given.clear()

    def session_closed(self, session: Session, _reason: str) -> None:
        """Forget the password that was given for the session."""
        self._turns.pop(session.id, None)
        if password := self._given.pop(session.id, None):
            password.wipe()


class ServiceKey(Value):
    """The certificate, and the key behind it, whose password the keyring or systemd has (entry ``csa``)."""

    csa: CsaLogins
    card: InsertedCard
    credential: Credential

    async def ask(self, algorithm: Algorithm, digest: bytes) -> bytes:
        """Sign a SHA-256 digest of ours. Raises PscIncomplete without a password, and the errors of the card."""
        key = self.credential.key
        return await _use(
            self.csa, self.card, lambda opened: opened.authenticate(key, algorithm, digest), accepted=True
        )


class KeySigner(Value):
    """A signer of assertions with this key (``AssertionSigner``); the provider finds the key by ``header``."""

    key: ServiceKey
    header: Mapping[str, str]

    @property
    def algorithm(self) -> str:
        """Return what the key does best."""
        return self.key.credential.key.algorithms[0].value

    async def sign(self, message: bytes) -> bytes:
        """Return the signature in JWS form."""
        return await self.key.ask(Algorithm(self.algorithm), hashlib.sha256(message).digest())


async def service_key(csa: CsaLogins) -> ServiceKey:
    """Return the key as it is here now.

    Raises MethodUnavailable where no organisation's certificate is, PscIncomplete without its password, CardIncomplete
    without an authentication key.
    """
    card = await csa.card(None)
    credential = await _use(csa, card, lambda opened: _credential(opened, KeyPurpose.AUTHENTICATION))
    if credential is None:
        raise CardIncomplete(what="certificate")
    return ServiceKey(csa, card, credential)


async def _use(csa: CsaLogins, card: InsertedCard, work: Callable[[Card], T], *, accepted: bool = False) -> T:
    password = await csa.password.get()
    if not password:
        raise PscIncomplete(what=CSA, why="refused" if csa.password.was_refused else "absent")
    login = HolderVerification(NOBODY, password, accepted=accepted, refused=csa.password.refused)
    with password:
        try:
            return await card.access.use(work, login)
        except PinRequired:
            if password:
                raise
            raise PscIncomplete(what=CSA, why="refused") from None


def _credential(card: Card, purpose: KeyPurpose) -> Credential | None:
    """Return the card's key for this purpose with its certificate; None where either is missing."""
    by_key = {found.key_id: found.der for found in card.certificates()}
    key = card.info.key(purpose)
    if key is None or key.id not in by_key:
        return None
    return Credential(key, by_key[key.id], serial_of(by_key[key.id]))
