"""A card as the work of a logged-in request sees it: where a signature takes the login with it, VERIFY is repeated.

Some cards end the login with each signature (6982 for the next one). The PIN is presented once more then, in the same
transaction, and the signature is asked for again; from then on that is known of the card. A PIN that is typed on the
reader's keypad is presented once more only where the person knows that it will be asked for so often.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cardd.driver import Card
from cardd.errors import PinRequired
from cardd.model import Algorithm, CardCertificate, CardInfo, KeyRef, Message, PinStatus, Situation
from cardd.secret import Secret


@dataclass(slots=True)
class LoginUse:
    """What is known of one card's logins: whether one operation ends them, and whether this one has served."""

    ends_with_operation: bool = False
    has_served: bool = False


class VerifiedCard(Card):
    """The driver's card while a login stands; ``verify_again`` presents the PIN of that login once more."""

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
        """What the driver's card tells."""
        return self._card.info

    def certificates(self) -> tuple[CardCertificate, ...]:
        """The driver's."""
        return self._card.certificates()

    def situations(self) -> tuple[Situation, ...]:
        """The driver's."""
        return self._card.situations()

    def pin_status(self) -> PinStatus:
        """The driver's."""
        return self._card.pin_status()

    def puk_status(self) -> PinStatus:
        """The driver's."""
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
