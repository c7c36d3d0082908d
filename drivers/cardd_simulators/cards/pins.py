"""The PINs of a simulated card, and the security objects that GET DATA tells of them and of the keys.

Tries outlive power, logins do not. Source: the emulation facts, section 2, "Security objects". The answer for the
holder's PIN is a real card's. The PUK's rules and the keys' are those that OpenSC accepts.
"""

from __future__ import annotations

from collections.abc import Mapping

from cardd.apdu import SW
from cardd.errors import CardGarbled
from cardd.tlv import Tlv, encode, parse_one
from cardd_simulators.cards.interface import Refused

DIGITS = frozenset(b"0123456789")

REQUEST, OBJECT, CONTENT = 0x4D, 0x70, 0xA0
PIN_OBJECT, KEY_OBJECT = 0xBF8100, 0xBF9000
TRIES, LEFT, SIZE = 0x9A, 0x9B, 0x80
RULES, CONTACT_RULE = 0xA1, 0x8C
PIN_RULES = bytes.fromhex("F3000013FF00")
KEY_RULES = {1: bytes.fromhex("7311FFFFFFFF00"), 2: bytes.fromhex("73FF1111FFFF00")}
MODULUS_SIZE = 256


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
        """Return the status word of an empty VERIFY."""
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
        """Forget the login: the card was reset."""
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


def security_object(request: bytes, pins: Mapping[int, Pin]) -> bytes:
    """Answer one request. Raises Refused: 6A80 for public parts and bad requests, 6A88 for what there is not."""
    wanted = _wanted(request)
    kind, reference = wanted.tag & 0xFFFF00, wanted.tag & 0xFF
    if kind == PIN_OBJECT and reference in pins:
        return _answer(wanted.tag, _counters(pins[reference]) + _rules(PIN_RULES))
    if kind == KEY_OBJECT and reference in KEY_RULES:
        size = encode(SIZE, MODULUS_SIZE.to_bytes(2, "big"))
        return _answer(wanted.tag, size + _rules(KEY_RULES[reference]))
    raise Refused(SW.REFERENCE_NOT_FOUND)


def _wanted(request: bytes) -> Tlv:
    """Return the object asked for. Only its whole content (A0) can be read, not the public parts (7F41, 7F48)."""
    try:
        outer = parse_one(request)
        inner = outer.find(OBJECT) if outer.tag == REQUEST else None
        wanted = inner.children[0] if inner and inner.children else None
        asked = wanted.value[:1] if wanted else b""
    except CardGarbled:
        raise Refused(SW.BAD_DATA) from None
    if wanted is None or asked != bytes((CONTENT,)):
        raise Refused(SW.BAD_DATA)
    return wanted


def _counters(pin: Pin) -> bytes:
    return encode(TRIES, bytes((pin.tries,))) + encode(LEFT, bytes((pin.left,)))


def _rules(rules: bytes) -> bytes:
    return encode(RULES, encode(CONTACT_RULE, rules))


def _answer(tag: int, content: bytes) -> bytes:
    return encode(OBJECT, encode(tag, encode(CONTENT, content)))
