"""A card, two sessions, other programs and hands at the reader, as small as what must never happen allows.

``World`` runs cardd's own ``CardTransaction`` against a card that is a few variables. It counts as a violation, in a
sentence, whatever must never happen between them.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from cardd.core.card_transaction import CardTransaction, HolderVerification, Progress, Turns
from cardd.core.pin_guard import PinGuard
from cardd.driver import Card
from cardd.errors import CarddError, CardReset, PinBlocked, PinRequired, PinWrong, SessionClosed
from cardd.model import (
    Algorithm,
    CardCertificate,
    CardInfo,
    CardKind,
    KeyPurpose,
    KeyRef,
    Message,
    PinInfo,
    PinStatus,
)
from cardd.secret import Secret
from cardd.values import replace
from tests.rig.memory import ManualClock

SESSIONS = ("A", "B")
LOCKED, ENDED = "locked", "ended"  # in place of a held PIN: a request that waits finds it wiped, or its session gone
OWN, OTHER = b"certificate of the person's card", b"certificate of another card"
TRIES = 2  # as few as tell the first mistake from the last try
LONG = 1000.0  # seconds, in which every mistake is forgotten and a back-off over

_PINS = {digits: Secret.of(digits.encode()) for digits in ("1111", "2222", "9999")}
_WIPED = Secret()
_CLOCK = ManualClock()
_GUARD = PinGuard(_CLOCK)


T = TypeVar("T", bound=object)


def _copy(one: T) -> T:
    """Return a shallow copy, many thousand times: copy.copy takes as long as all else together."""
    other = object.__new__(type(one))
    other.__dict__.update(one.__dict__)
    return other


def _digits(pin: Secret) -> str:
    with pin.view() as view:
        return bytes(view).decode()


@dataclass
class Plastic:
    """The card in the reader: whose it is, its PIN, and who is logged in to it."""

    certificate: bytes = OWN
    pin: str = "1111"
    tries: int = TRIES
    logged_in: str | None = None  # a session, or "another program"


@dataclass
class World:
    """Everything that there is, and what went wrong. ``tries_known`` is ``CardTransaction``'s, in seconds."""

    make: Callable[..., CardTransaction] = CardTransaction
    tries_known: float = 0.0
    names_the_card: bool = True  # whether a session's login says on which certificates it stands
    violations: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.transaction = self.make(_GUARD, Turns(turn=math.inf), tries_known=self.tries_known, others=lambda: True)
        self.plastic = Plastic()
        self.held = dict[str, str]()  # of each session, the PIN that the card accepted for it
        self.connection = _Connection(self)
        self.acting: HolderVerification | None = None
        self.doubted = set[str]()  # whose held PIN is old, as far as the card has told: it refused one

    def fork(self) -> World:
        """Another world that is just as this one, and goes its own way."""
        other = _copy(self)
        other.violations = []
        other.doubted = set(self.doubted)
        other.plastic = _copy(self.plastic)
        other.held = dict(self.held)
        other.connection = self.connection.fork(other)
        other.transaction = ours = _copy(self.transaction)
        ours.login_use = replace(ours.login_use)
        ours._trusted = None if ours._trusted is None else set(ours._trusted)
        if isinstance(ours.card, _OpenCard):
            ours.card = ours.card.fork(other)
        return other

    def key(self) -> tuple[object, ...]:
        """What tells two worlds apart, as far as anything that follows depends on it."""
        ours = self.transaction
        opened = ours.card.stands_for if isinstance(ours.card, _OpenCard) else None
        return (
            (self.plastic.certificate, self.plastic.pin, self.plastic.tries, self.plastic.logged_in),
            frozenset(self.held.items()),
            (opened, ours.certificates, ours.in_transaction, ours.login, ours.is_given_up),
            (ours.login_use.ends_with_operation, ours.login_use.has_served),
            (None if ours._trusted is None else frozenset(ours._trusted), ours._tries_known_until == math.inf),
            (self.connection.resets != ours._resets, self.connection.is_unsettled, frozenset(self.doubted)),
        )

    def sign(self, session: str, typed: str | None = None, *, spend_last_try: bool = False) -> None:
        """A request of a session signs, by a PIN that the person types or by the held one."""
        held = self.held.get(session)
        if typed is None and held is None:
            return
        _CLOCK.seconds += LONG
        login = HolderVerification(
            session,
            _PINS.get(typed or held or "", _WIPED),
            accepted=typed is None,
            spend_last_try=spend_last_try,
            certificates=frozenset([OWN]) if self.names_the_card else frozenset(),
            ensure_wanted=lambda: self._ensure_wanted(session, typed),
        )
        try:
            self._use(login, lambda card: card.sign(_KEY, Algorithm.RS256, Message(bytes(32))))
        except PinWrong:
            if typed is None:
                del self.held[session]  # it is forgotten at once: the session's part of the rule
        except CarddError:
            pass
        else:
            self.held[session] = typed or held or ""

    def look(self) -> None:
        """A request that needs no login reads the card."""
        self._use_quietly(lambda card: card.pin_status())

    def sign_without_login(self) -> None:
        """Work that has no login of its own tries to ride on one that stands."""
        self._use_quietly(lambda card: card.sign(_KEY, Algorithm.RS256, Message(bytes(32))))

    def hold_ends(self) -> None:
        """The idle hold is over, or the session of the login logs out."""
        if self.transaction.in_transaction:
            self.transaction.release(self.connection)
        self._ensure_free()

    def lock(self, session: str) -> None:
        """The screen is locked: the held PIN is wiped."""
        if session in self.held:
            self.held[session] = LOCKED

    def end(self, session: str) -> None:
        """The session ends, while a request of its own waits."""
        if session in self.held:
            self.held[session] = ENDED

    def another_program(self, act: Callable[[Plastic], object]) -> None:
        """Another program has the card to itself, which it can only between our transactions."""
        if not self.connection.in_transaction:
            if self.plastic.logged_in in SESSIONS:
                self.violations.append("another program could sign with a login of ours")
            act(self.plastic)
            self.plastic.logged_in = None
            self.connection.resets += 1

    def swap(self) -> None:
        """A hand puts another card into the reader, or the first one back, at any moment."""
        certificate = OTHER if self.plastic.certificate == OWN else OWN
        self.plastic = Plastic(certificate)
        self.connection.is_unsettled = True

    def check_presentation(self, login: HolderVerification) -> None:
        """A PIN is on its way to the card: count what must never happen."""
        tries = self.plastic.tries
        if self.plastic.certificate != OWN:
            self.violations.append("a PIN reached another card")
        if login.accepted and self.held.get(login.session) in (LOCKED, ENDED):
            self.violations.append("a PIN was sent for a session that is locked or has ended")
        if login.accepted and login.session in self.doubted:
            self.violations.append("a held PIN was sent after the card refused one")
        if login.accepted and tries == 1:
            self.violations.append("a held PIN was sent on the last try")
        if not login.accepted and tries == 1 and not login.spend_last_try:
            self.violations.append("the last try was spent unasked")

    def _ensure_wanted(self, session: str, typed: str | None) -> None:
        if typed is None and self.held.get(session) == ENDED:
            raise SessionClosed(reason="logout")

    def _ensure_free(self) -> None:
        if not self.connection.in_transaction and self.plastic.logged_in in SESSIONS:
            self.violations.append("the card was left logged in")

    def _use_quietly(self, work: Callable[[Card], object]) -> None:
        with contextlib.suppress(CarddError):
            self._use(None, work)

    def _use(self, login: HolderVerification | None, work: Callable[[Card], object]) -> None:
        self.acting = login
        try:
            self.transaction.go_on(self.connection, Progress(work), login, lambda: 0, reset=False)
        finally:
            self.acting = None
            self._ensure_free()
            if self.transaction.is_replaced:  # the card is another one: its sessions are closed
                self.transaction.is_replaced = False
                self.held.clear()


_KEY = KeyRef("01", "signature", KeyPurpose.SIGNATURE, 1, (Algorithm.RS256,), 1)
_INFO = CardInfo(CardKind.OTHER, "model", "1", "SIMULATION", (_KEY,), PinInfo(1, "PIN", 4, 4, TRIES))


class _OpenCard(Card):
    """What a driver makes of the card that is in the reader when it is opened."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.stands_for = world.plastic.certificate

    def fork(self, world: World) -> _OpenCard:
        other = _copy(self)
        other._world = world
        return other

    @property
    def info(self) -> CardInfo:
        return _INFO

    def certificates(self) -> tuple[CardCertificate, ...]:
        self._reach()
        return (CardCertificate("01", "signature", self.stands_for),)

    def pin_status(self) -> PinStatus:
        return PinStatus(self._reach().tries)

    def verify(self, pin: Secret | None) -> None:
        plastic, login, world = self._reach(), self._world.acting, self._world
        assert pin is not None
        assert login is not None
        world.check_presentation(login)
        if plastic.tries == 0:
            raise PinBlocked
        if _digits(pin) != plastic.pin:
            plastic.tries -= 1
            plastic.logged_in = None
            if login.accepted:
                world.doubted.update(SESSIONS)
            raise PinWrong(tries_left=plastic.tries)
        plastic.tries, plastic.logged_in = TRIES, login.session
        if not login.accepted:
            world.doubted.discard(login.session)

    def sign(self, key: KeyRef, algorithm: Algorithm, message: Message) -> bytes:
        plastic, login = self._reach(), self._world.acting
        if plastic.logged_in is None:
            raise PinRequired
        if login is None or plastic.logged_in != login.session:
            self._world.violations.append("the card signed with the login of another")
        return b"signature"

    def authenticate(self, key: KeyRef, algorithm: Algorithm, digest: bytes) -> bytes:
        return self.sign(key, algorithm, Message(digest))

    def _reach(self) -> Plastic:
        if self._world.connection.is_unsettled or not self._world.connection.in_transaction:
            raise CardReset
        return self._world.plastic


class _Connection:
    """PC/SC as the transaction sees it: a card that was changed answers nothing until the next transaction begins."""

    has_pinpad = False

    def __init__(self, world: World) -> None:
        self._world = world
        self.resets = 0
        self.in_transaction = False
        self.is_unsettled = False

    def fork(self, world: World) -> _Connection:
        other = _copy(self)
        other._world = world
        return other

    def open(self) -> Card:
        return _OpenCard(self._world)

    def begin(self) -> None:
        self.in_transaction = True
        if self.is_unsettled:
            self.is_unsettled = False
            self.resets += 1

    def end(self, *, reset: bool) -> None:
        self.in_transaction = False
        if reset:
            self._world.plastic.logged_in = None

    def disconnect(self) -> None:
        self.in_transaction = False
