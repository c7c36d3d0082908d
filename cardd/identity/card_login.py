"""Login with a key on a card or a token: which card, then the PIN, which makes a session when the card accepts it.

A request names its card, or takes the only one that is there. Where several could serve, a program that names none gets
their list, to show a choice of its own; ``ask`` leaves the choice to the user.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Awaitable, Callable
from itertools import cycle
from typing import Protocol

from cardd.core.consents import Consents
from cardd.core.dialog_lines import DialogLines, question_of
from cardd.core.inserted_card import InsertedCard
from cardd.core.leases import Leases, telling
from cardd.core.owners import OwnedReaders
from cardd.core.pin import PinEntry
from cardd.core.recording import append_if_possible, entry_of
from cardd.core.session import Credential, Session
from cardd.core.sessions import Sessions
from cardd.errors import (
    CardAmbiguous,
    CardContactless,
    CarddError,
    CardIncomplete,
    ConsentRefused,
    HolderUnknown,
    KeysUnusable,
    MethodUnavailable,
    PromptUnavailable,
    ReaderNotYours,
    SessionError,
    TooManyRequests,
)
from cardd.formats.certificate import require_validity, serial_of
from cardd.identity.chain import KnownAuthorities
from cardd.identity.holders import identity_of
from cardd.model import (
    AuditEntry,
    Caller,
    CallerKey,
    CardCertificate,
    CardInfo,
    Choice,
    Identity,
    KeyPurpose,
    Outcome,
    Question,
)
from cardd.ports import AuditLog
from cardd.secret import Secret, new_id
from cardd.values import Value, replace

log = logging.getLogger(__name__)

CPX = "cpx"
ASK = "ask"  # in the place of a card's identifier
SESSIONS_MAX = 16


class CardChoice:
    """The choice among several cards that can serve; the user is asked if the request wants that."""

    def __init__(self, readers: OwnedReaders, dialogs: DialogLines) -> None:
        self._readers = readers
        self._dialogs = dialogs

    async def choose(self, caller: Caller, card_id: str | None) -> InsertedCard:
        """Return the card to use. Raises what ``CallersReaders.choose`` raises; ConsentRefused when none is taken.

        CardAmbiguous is raised for a request that names none and leaves no choice to the user, and where nobody can be
        asked.
        """
        readers = self._readers.of(caller)
        if card_id != ASK:
            return readers.choose(card_id)
        try:
            return readers.choose(None)
        except CardAmbiguous as several:
            try:
                return await self._pick(caller, several.cards)
            except PromptUnavailable:
                raise several from None

    async def _pick(self, caller: Caller, cards: tuple[str, ...]) -> InsertedCard:
        readers = self._readers.of(caller)
        turns = cycle(cards)
        while True:
            identifier = next(turns)
            card = readers.choose(identifier)
            params: dict[str, str | int] = {"client": caller.name, "card": card.kind.value, "reader": card.reader}
            params |= await _holder(card)
            question = Question("card", caller.peer.uid, params, third=Choice.ANOTHER, caller=caller.key)
            match await self._dialogs.confirm(question):
                case Choice.NO:
                    raise ConsentRefused
                case Choice.ANOTHER:
                    continue
                case _:
                    return readers.choose(identifier)


async def _holder(card: InsertedCard) -> dict[str, str | int]:
    """Return whose card this is, for the person who is asked: two cards of a kind look alike without a name."""
    with contextlib.suppress(CarddError):
        for certificate in await card.access.certificates():
            try:
                identity = identity_of(certificate.der)
            except HolderUnknown:
                continue
            return {"holder": f"{identity.given_name} {identity.family_name}".strip() or identity.national_id}
    return {}


class StoredPin(Protocol):
    """A PIN that need not be asked for."""

    async def get(self) -> Secret | None:
        """Return the PIN; None when there is none, or when it was refused before."""
        ...

    def refused(self) -> None:
        """Take note that the PIN was wrong: it is not to be tried again, by whoever was given it before either."""
        ...


class Method(Value):
    """How one login method uses a key: its name, which card, whom a certificate stands for, and a PIN kept for it."""

    name: str
    choose: Callable[[], Awaitable[InsertedCard]]
    identify: Callable[[bytes], Identity]
    stored: StoredPin | None = None


class CardLogins:
    """Logins with the keys of cards and tokens, whatever they are for."""

    def __init__(
        self,
        readers: OwnedReaders,
        sessions: Sessions,
        pins: PinEntry,
        consents: Consents,
        audit: AuditLog,
        *,
        leases: Leases,
        authorities: KnownAuthorities,
    ) -> None:
        self._leases = leases
        self._readers = readers
        self._sessions = sessions
        self._pins = pins
        self._consents = consents
        self._audit = audit
        self._authorities = authorities

    async def open(self, caller: Caller, method: Method) -> tuple[Session, str]:
        """Ask for the PIN and open a session; the token is given once.

        Raises what the method's ``choose`` and ``PinEntry.login`` raise; before any PIN SessionClosed when the daemon
        stops, KeysUnusable and CardContactless for a card without a key for a session; CardIncomplete when it has no
        certificate for its keys, HolderUnknown, LoginCertificateExpired, LoginCertificateNotYetValid, AuditUnavailable,
        TooManyRequests; CardInUse where another OS user came to hold a person's card while its PIN was asked for.
        """
        self._sessions.ensure_opening()
        mine = [session for session in self._sessions.of(caller.peer.uid) if session.caller.key == caller.key]
        if len(mine) >= SESSIONS_MAX:
            raise TooManyRequests(retry_after=60)
        session_id = new_id()  # before it is opened: the PIN's transaction belongs to it
        entry = entry_of(caller, "session.open", session=session_id)
        try:
            return await self._open(caller, method, session_id, entry)
        except ReaderNotYours:
            raise  # recorded for every request alike
        except CarddError as error:
            await append_if_possible(self._audit, replace(entry, outcome=Outcome.REFUSED, code=error.code))
            raise

    async def _open(self, caller: Caller, method: Method, session_id: str, entry: AuditEntry) -> tuple[Session, str]:
        card = await method.choose()
        is_locked = self._sessions.lock_watch(caller.peer.uid)
        others = self._leases.of_others(card, caller.peer.uid)
        question = telling(question_of(caller, "login"), others)
        certificates, pin, consent = await self._unlock(method, card, session_id, question, caller.key)
        try:
            credentials = self._credentials(await card.access.info(), certificates)
            proof = credentials.get(KeyPurpose.AUTHENTICATION) or next(iter(credentials.values()))
            self._require_validity(proof.certificate)
            identity = method.identify(proof.certificate)
            who = identity.person if identity.is_declared else None  # a card's certificate tells
            await self._audit.append(replace(entry, certificate=proof.serial, consent=consent, document=who))
            self._readers.of(caller).card(card.id)  # it may have left, or its user, while the row was written
            self._leases.ensure_told(card, caller.peer.uid, others)
            self._leases.take(card, caller.peer.uid)
            session, token = self._sessions.open(
                session_id=session_id,
                caller=caller,
                method=method.name,
                identity=identity,
                card=card,
                credentials=credentials,
            )
        except BaseException:
            _wipe(pin)
            await card.access.logout(session_id)  # no session of this login will ever be closed
            raise
        self._consents.allow_reading(caller, card.id)
        if self._sessions.hold_pins and not is_locked():
            session.take_pin(pin)
        else:
            _wipe(pin)
        if is_locked():
            self._sessions.lock(session)
        return session, token

    async def _unlock(
        self, method: Method, card: InsertedCard, session_id: str, question: Question, client: CallerKey
    ) -> tuple[tuple[CardCertificate, ...], Secret | None, str]:
        """Return the certificates, the PIN that the card accepted, and whose consent that was."""
        stored = await method.stored.get() if method.stored else None
        _require_keys(await card.access.info())
        certificates, pin = await self._pins.login(
            card,
            session_id,
            client,
            question,
            lambda opened: opened.certificates(),
            stored=stored,
            refused=method.stored.refused if method.stored else None,
        )
        if stored is None or pin is not stored:
            return certificates, pin, "pin"
        with stored:  # its owner wipes it when another one that was kept is refused, and this one serves on
            return certificates, stored.copy() or None, "stored"

    def _require_validity(self, certificate: bytes) -> None:
        """Raises LoginCertificateExpired or LoginCertificateNotYetValid, where such a certificate is not just noted."""
        try:
            require_validity(certificate, self._sessions.clock.now())
        except SessionError as error:
            if self._sessions.rules.invalid_certificate == "refuse":
                raise
            log.warning("a session is opened all the same (session.invalid_certificate): %s", error)

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


def _require_keys(info: CardInfo) -> None:
    """Before anybody is asked for a PIN: a card that is known to have no key for a session opens none.

    A token that shows nothing yet may have its keys behind the PIN. Raises KeysUnusable, CardContactless.
    """
    if info.keys and all(key.purpose is KeyPurpose.TECHNICAL for key in info.keys):
        raise CardContactless  # such a key speaks for the card alone
    if info.unusable and not info.keys:
        raise KeysUnusable(kinds=", ".join(info.unusable))


def _wipe(pin: Secret | None) -> None:
    if pin is not None:
        pin.wipe()


class CpxLogins:
    """Logins with professionals' cards; ``is_organisations`` tells the keys that stand for no person."""

    def __init__(
        self, by_card: CardLogins, choice: CardChoice, is_organisations: Callable[[InsertedCard], Awaitable[bool]]
    ) -> None:
        self._by_card = by_card
        self._choice = choice
        self._is_organisations = is_organisations

    async def open(self, caller: Caller, card_id: str | None) -> tuple[Session, str]:
        """Ask for the PIN and open a session; the token is given once.

        Raises what ``CardChoice.choose`` and ``CardLogins.open`` raise, MethodUnavailable for an organisation's keys.
        """

        async def choose() -> InsertedCard:
            card = await self._choice.choose(caller, card_id)
            if await self._is_organisations(card):
                raise MethodUnavailable(method=CPX, why="organisation_s")
            return card

        return await self._by_card.open(caller, Method(CPX, choose, identity_of))
