"""The PINs of a simulated card: tries that outlive power, logins that do not."""

from __future__ import annotations

from cardd.apdu import SW
from cardd_simulators.cards.answers import Refused

DIGITS = frozenset(b"0123456789")


class Pin:
    """One PIN. ``tries`` is what a fresh card allows, ``left`` what remains, ``verified`` the login.

    ``blocked`` is the status word of a PIN without tries.
    """

    def __init__(self, value: bytes, tries: int, lengths: tuple[int, int], blocked: int = SW.BLOCKED) -> None:
        self.tries = tries
        self.left = tries
        self.verified = False
        self._value = value
        self._lengths = lengths
        self._blocked = blocked
        self._renewed = False

    @property
    def status(self) -> int:
        """The status word of an empty VERIFY."""
        if self.verified:
            return SW.OK
        return SW.TRIES_LEFT | self.left if self.left else self._blocked

    def present(self, value: bytes) -> None:
        """Log in. Raises Refused: 63Cx with the tries left (63C0 at the last), 6983 once blocked."""
        self._spend(right=value == self._value)

    def change(self, old_and_new: bytes) -> None:
        """Replace the value, given the old one and the new. Raises Refused as ``present``, and 6A80 for a bad new."""
        self._spend(right=old_and_new.startswith(self._value))
        self._set(old_and_new[len(self._value) :])

    def unblock(self, new: bytes) -> None:
        """Give all tries back, with a new value; it is not logged in by that. Raises Refused (6A80) for a bad one."""
        self._set(new)
        self.left = self.tries
        self.verified = False

    def renew(self) -> None:
        """Give all tries back, and let a new value be set without the old one."""
        self.left = self.tries
        self.verified = False
        self._renewed = True

    def replace(self, new: bytes) -> None:
        """Set a new value after a login or ``renew``. Raises Refused: 6982 without either, 6A80 for a bad value."""
        if not (self.verified or self._renewed):
            raise Refused(SW.SECURITY_STATUS)
        self._set(new)
        self._renewed = False

    def forget(self) -> None:
        """The card was reset."""
        self.verified = self._renewed = False

    def _spend(self, *, right: bool) -> None:
        self.verified = False
        if not self.left:
            raise Refused(self._blocked)
        if not right:
            self.left -= 1
            raise Refused(SW.TRIES_LEFT | self.left)
        self.left = self.tries
        self.verified = True

    def _set(self, new: bytes) -> None:
        minimum, maximum = self._lengths
        if not minimum <= len(new) <= maximum or not DIGITS.issuperset(new):
            raise Refused(SW.BAD_DATA)
        self._value = new
