"""One card as its reader's thread uses it: the work that is asked of it, its login, and the transaction around both.

Rule 3 lives here: VERIFY and the operations that it allows run in one PC/SC transaction, and the reset that ends the
transaction leaves the card de-authenticated. ``card_access`` says when it is given up. Work may come in pieces,
between which others have the card.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from typing import Generic, TypeVar

from cardd.core.pin_guard import PinGuard
from cardd.driver import Card
from cardd.errors import (
    CarddError,
    CardGarbled,
    CardMute,
    CardRemoved,
    CardReset,
    LastTryRefused,
    PinBlocked,
    PinRequired,
    PinWrong,
    ReaderError,
    SignatureInvalid,
)
from cardd.model import Algorithm, CallerKey, CardCertificate, CardInfo, KeyRef, Message, PinStatus, Situation
from cardd.ports import Connection
from cardd.secret import Secret, new_id
from cardd.values import Record, Value, replace

T = TypeVar("T")

SWAP_MIN = 0.1  # seconds without a command in which nobody can put another card in the first one's place

# After these nobody knows whether the card is still the same one.
UNSURE = (CardGarbled, CardMute, CardRemoved, CardReset, ReaderError, SignatureInvalid)


def do_nothing() -> None:
    """Raise nothing, and tell nobody."""


class HolderVerification(Value):
    """A PIN to present before the work, on behalf of one session; ``pin`` None has the reader's keypad ask.

    ``accepted`` says that this card has accepted this PIN before: a held one. Nobody is asked about it, so it is never
    sent on the last try, nor after the card refused one that it had accepted (rule 4).
    ``spend_last_try`` says that the user agreed to risk the last one. ``certificates`` are those that the session
    stands on: a card that does not have them is another one, and gets neither the PIN nor the work. ``caller`` is whose
    mistake a wrong PIN is, None for the daemon's own. ``ensure_wanted`` raises when the session has ended meanwhile.
    ``refused`` is called when the card says that the PIN is wrong, on the reader's thread, before anybody else's turn.
    ``times`` is how often the person at the keypad expects to be asked.
    """

    session: str
    pin: Secret | None
    accepted: bool = False
    spend_last_try: bool = False
    certificates: frozenset[bytes] = frozenset()
    caller: CallerKey | None = None
    ensure_wanted: Callable[[], None] = do_nothing
    refused: Callable[[], None] = do_nothing
    times: int = 1

    @property
    def is_wanted(self) -> bool:
        """Return whether its session is as it was: the PIN of one that was closed or locked is wiped."""
        if self.pin is not None and not self.pin:
            return False
        try:
            self.ensure_wanted()
        except CarddError:
            return False
        return True


class InPieces(Value, Generic[T]):
    """Work in pieces: at each ``yield`` the card may be given to others, and is given back, logged in, by ``send``."""

    begin: Callable[[Card], Generator[None, Card, T]]


Work = Callable[[Card], T] | InPieces[T]


class Progress(Generic[T]):
    """How far a piece of work is; on the reader's thread."""

    def __init__(self, work: Work[T]) -> None:
        self._work = work
        self._rest: Generator[None, Card, T] | None = None
        self.result: T

    def go_on(self, card: Card, gives_way: Callable[[], bool]) -> bool:
        """Work until the end, or until it is time to give way; return whether that was the end."""
        if not isinstance(self._work, InPieces):
            self.result = self._work(card)
            return True
        try:
            if self._rest is None:
                self._rest = self._work.begin(card)
                next(self._rest)
            else:
                self._rest.send(card)
            while not gives_way():
                self._rest.send(card)
        except StopIteration as end:
            self.result = end.value
            return True
        return False


class PinForEach(PinRequired):
    """The card wants the PIN for each operation, and the person at the keypad was not told: nothing left the card."""


class HeldPinKept(PinRequired):
    """A held PIN was not sent: it would spend the last try, or the card has refused one like it. Nothing was done."""


class LoginUse(Record):
    """What is known of one card's logins: whether one operation ends them, and whether this one has served."""

    ends_with_operation: bool = False
    has_served: bool = False


class VerifiedCard(Card):
    """The driver's card while a login stands; ``verify_again`` presents the PIN of that login once more.

    Some cards end the login with each signature (6982 for the next one). The PIN is presented once more then, in the
    same transaction, and the signature is asked for again; from then on that is known of the card. A PIN that is typed
    on the reader's keypad is presented once more only where the person knows that it will be asked for so often.
    """

    def __init__(self, card: Card, login: LoginUse, verify_again: Callable[[], None]) -> None:
        self._card = card
        self._login = login
        self._verify_again = verify_again

    def sign(self, key: KeyRef, algorithm: Algorithm, message: Message) -> bytes:
        """Sign, with VERIFY before it where the card wants one for each."""
        return self._operate(lambda: self._card.sign(key, algorithm, message))

    def authenticate(self, key: KeyRef, algorithm: Algorithm, digest: bytes) -> bytes:
        """Sign a digest of the daemon's own, with VERIFY before it where the card wants one for each."""
        return self._operate(lambda: self._card.authenticate(key, algorithm, digest))

    def authenticate_info(self, key: KeyRef, info: bytes) -> bytes:
        """Sign a DigestInfo, with VERIFY before it where the card wants one for each."""
        return self._operate(lambda: self._card.authenticate_info(key, info))

    def authenticate_pss(self, key: KeyRef, kind: str, digest: bytes) -> bytes:
        """Sign a digest by RSA-PSS, with VERIFY before it where the card wants one for each."""
        return self._operate(lambda: self._card.authenticate_pss(key, kind, digest))

    def decrypt(self, key: KeyRef, cryptogram: bytes) -> bytes:
        """Decrypt, with VERIFY before it where the card wants one for each."""
        return self._operate(lambda: self._card.decrypt(key, cryptogram))

    def _operate(self, operation: Callable[[], bytes]) -> bytes:
        if self._login.ends_with_operation and self._login.has_served:
            self._verify_again()
        try:
            value = operation()
        except PinRequired:
            self._login.ends_with_operation |= self._login.has_served
            self._verify_again()
            value = operation()
        self._login.has_served = True
        return value

    @property
    def info(self) -> CardInfo:
        """Return what the driver's card tells."""
        return self._card.info

    def certificates(self) -> tuple[CardCertificate, ...]:
        """Return what the driver's card tells."""
        return self._card.certificates()

    def situations(self) -> tuple[Situation, ...]:
        """Return what the driver's card tells."""
        return self._card.situations()

    def pin_status(self) -> PinStatus:
        """Return what the driver's card tells."""
        return self._card.pin_status()

    def puk_status(self) -> PinStatus:
        """Return what the driver's card tells."""
        return self._card.puk_status()

    def verify(self, pin: Secret | None) -> None:
        """Present a PIN by the driver."""
        self._card.verify(pin)

    def change_pin(self, old: Secret | None, new: Secret | None) -> None:
        """Replace the PIN by the driver."""
        self._card.change_pin(old, new)

    def unblock_pin(self, puk: Secret, new: Secret) -> None:
        """Unblock the PIN by the driver."""
        self._card.unblock_pin(puk, new)


class Turns(Record):
    """How the card's time is divided among all who want it, in seconds.

    Other programs wait while we use the card: steady traffic of ours leaves it ``free`` after a ``turn``, for long
    enough that pcsc-lite, which looks every 100 ms whether a waiting program may go on, looks twice. Where no other
    program is seen that could wait, turn follows turn, and the card is left free after ``unseen`` only: a program in a
    network namespace of its own is not seen. A long list divides ``shared`` with our own callers that wait, so that
    each waits no longer, but goes on for ``least``.
    """

    turn: float = 6.0
    free: float = 0.22
    unseen: float = 24.0
    shared: float = 6.0
    least: float = 0.5


class CardTransaction:
    """The card between jobs of its reader's thread, which are one at a time.

    ``name`` is the card's in the guard's count of PINs; ``tries_known`` is how many seconds after our own login the
    tries are known to be whole. ``others`` returns whether another program may wait for a card. ``login`` is the
    session whose login the transaction holds. ``now`` gives the seconds of a clock that nobody sets.
    """

    def __init__(
        self,
        guard: PinGuard,
        turns: Turns,
        *,
        tries_known: float,
        others: Callable[[], bool],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.now = now
        self.turns = turns
        self.name = new_id()
        self.card: Card | None = None
        self.certificates: tuple[CardCertificate, ...] | None = None
        self.has_pinpad = False
        self.in_transaction = False
        self.is_replaced = False
        self.is_given_up = False
        self.login: str | None = None
        self.login_use = LoginUse()
        self.turn_began = self.left = -math.inf
        self._was_free = -math.inf  # for as long as another program needs
        self._others = others
        self._guard = guard
        self._tries_known = tries_known
        self._tries_known_until = -math.inf
        self._trusted: set[str] | None = None  # whose held PIN is sent: None for all, until the card refuses one
        self._resets = 0
        self._used = -math.inf

    @property
    def is_turn_over(self) -> bool:
        """Whether other programs may have waited for long enough."""
        return self.now() - self.turn_began > self.turns.turn

    def _end_turn(self) -> None:
        """Begin the next turn at once where nobody is seen that could wait; else the card is to be left free."""
        now = self.now()
        if now - self._was_free <= self.turns.unseen and not self._others():
            self.turn_began = now

    def go_on(
        self,
        connection: Connection,
        progress: Progress[T],
        login: HolderVerification | None,
        queued: Callable[[], int],
        *,
        reset: bool,
    ) -> bool:
        """Go on with the work, logged in where ``login`` is given; return whether that was its end.

        ``queued`` returns how many others want the card. Raises what the reader, the card and the work raise.
        """
        began = self.now()

        def gives_way() -> bool:
            """Return whether others come first, or the work is wanted no more; no others where a keypad asks again."""
            if login is not None and not login.is_wanted:
                return True
            others = queued()
            share = max(self.turns.least, self.turns.shared / (others + 1))
            has_had_its_share = others > 0 and self.now() - began > share
            return not (login and login.pin is None) and (self.is_turn_over or has_had_its_share)

        try:
            self._enter(connection, login)
            card = self._open(connection)
            is_over = progress.go_on(self._verified(card, login) if login else card, gives_way)
        except BaseException as error:
            self._doubt(error)
            self._leave(connection, reset=reset or login is not None)
            raise
        self._used = self.now()
        if self.is_turn_over:
            self._end_turn()
        if self.login is None:
            self._leave(connection, reset=reset)
        return is_over

    def _enter(self, connection: Connection, login: HolderVerification | None) -> None:
        if self.login is not None and (login is None or login.session != self.login):
            self.release(connection)
        if not self.in_transaction:
            connection.begin()
            self.in_transaction = True
            now = self.now()
            if now - self.left >= self.turns.free:
                self.turn_began = self._was_free = now
        if connection.resets != self._resets or self.is_given_up:
            self.forget()
            self._resets, self.is_given_up = connection.resets, False

    def _doubt(self, error: BaseException) -> None:
        """After a failure that another card would explain, read anew which card it is before it gets a PIN."""
        if isinstance(error, UNSURE):
            self.is_replaced |= isinstance(error, CardMute) and self.card is not None
            self.forget()

    def forget(self) -> None:
        """Have the card opened anew at its next use."""
        self.card = self.certificates = None
        self._tries_known_until = -math.inf

    def read_certificates(self, card: Card) -> tuple[CardCertificate, ...]:
        """Return the card's certificates, which are kept. Raises what the driver does."""
        certificates = self.certificates = card.certificates()
        return certificates

    def _open(self, connection: Connection) -> Card:
        if self.card is None:
            self.card = connection.open()
            self.has_pinpad = connection.has_pinpad
        return self.card

    def _verified(self, card: Card, login: HolderVerification) -> Card:
        """The card, logged in. Raises HeldPinKept where the user must be asked, LastTryRefused, what VERIFY raises."""
        if login.pin is not None and not login.pin:
            raise PinRequired  # wiped while this request waited: its session was closed or locked
        login.ensure_wanted()
        if not (login.accepted and self.login == login.session):
            if login.certificates and not login.certificates <= {found.der for found in card.certificates()}:
                self.is_replaced = True
                raise CardRemoved  # swapped before the sensor told, or reset into another
            self._ensure_tries(card, login)
            self._verify(card, login)
            login.ensure_wanted()  # a keypad's PIN may outlast the session that it is for
        return VerifiedCard(card, self.login_use, lambda: self._verify_again(card, login))

    def _ensure_tries(self, card: Card, login: HolderVerification) -> None:
        if login.accepted and self._trusted is not None and login.session not in self._trusted:
            raise HeldPinKept  # the card refused a PIN that it had accepted: this one is old too
        if login.spend_last_try or (login.accepted and self.now() < self._tries_known_until):
            return
        if card.pin_status().tries_left == 1:
            raise HeldPinKept if login.accepted else LastTryRefused(tries_left=1)

    def _verify(self, card: Card, login: HolderVerification) -> None:
        self.login_use.has_served = False
        try:
            with self._guard.presenting(self.name, login.caller, is_held=login.accepted):
                card.verify(login.pin)
        except (PinWrong, PinBlocked):
            if login.accepted:
                self._trusted = set()
            login.refused()
            raise
        if self._trusted is not None:
            self._trusted.add(login.session)
        self.login = login.session

    def _verify_again(self, card: Card, login: HolderVerification) -> None:
        """Present the PIN of a login that the card has ended. Raises PinForEach, and what VERIFY raises."""
        if login.pin is not None:
            self._verify(card, replace(login, accepted=True))
        elif login.times > 1:
            self._verify(card, login)
            login.ensure_wanted()
        else:
            raise PinForEach

    def release(self, connection: Connection) -> None:
        """End the transaction. A reset would wake a card that was put in meanwhile, as if it were the first."""
        if self.card is not None and self.login is not None and self.now() - self._used > SWAP_MIN:
            try:
                self.card.pin_status()
            except CarddError as error:
                self._doubt(error)
        self._leave(connection, reset=self.login is not None)

    def _leave(self, connection: Connection, *, reset: bool) -> None:
        if self.in_transaction:
            self.in_transaction = False
            self._tries_known_until = self.now() + self._tries_known if self.login is not None else -math.inf
            self.login = None
            connection.end(reset=reset)
            self.left = self.now()
