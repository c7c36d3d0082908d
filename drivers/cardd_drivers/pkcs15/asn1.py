"""The few DER values that PKCS#15 records hold, each with a limit: the card's word is not taken for a size.

Source: ITU-T X.690 section 8; the limits are cardd's own.
"""

from __future__ import annotations

from collections.abc import Iterable

from cardd.errors import CardGarbled
from cardd.tlv import Tlv

INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
UTF8_STRING = 0x0C
SEQUENCE = 0x30

INTEGER_MAX = 4
BIT_STRING_MAX = 5
IDENTIFIER_MAX = 64
LABEL_MAX = 255
PATH_MAX = 16


def first(objects: Iterable[Tlv], tag: int) -> bytes | None:
    """Return the value of the first object with this tag; None when there is none."""
    return next((found.value for found in objects if found.tag == tag), None)


def integer(value: bytes) -> int:
    """Return a small INTEGER, signed as DER has it."""
    if not 1 <= len(value) <= INTEGER_MAX:
        raise CardGarbled(what="a number that no directory holds")
    return int.from_bytes(value, "big", signed=True)


def reference(value: bytes) -> int:
    """Return a one-byte reference of a key or a PIN, whether 0x81 was written as 129 or as -127: cards do both."""
    number = integer(value)
    if not -0x80 <= number <= 0xFF:
        raise CardGarbled(what="a reference longer than a byte")
    return number & 0xFF


def bits(value: bytes) -> int:
    """Return a named-bit BIT STRING as a number whose bit n is the string's bit n (the first bit is bit 0)."""
    if not 1 <= len(value) <= BIT_STRING_MAX:
        raise CardGarbled(what="a bit string that no directory holds")
    octets = value[1:]
    return sum(1 << n for n in range(8 * len(octets)) if octets[n // 8] & (0x80 >> n % 8))


def identifier(value: bytes) -> bytes:
    """Return an object's identifier."""
    if not 1 <= len(value) <= IDENTIFIER_MAX:
        raise CardGarbled(what="an identifier that no directory holds")
    return value


def label(value: bytes) -> str:
    """Return a label that people read: what is not printable is left out, the rest is cut at ``LABEL_MAX`` bytes."""
    text = value[:LABEL_MAX].decode("utf-8", "replace")
    return "".join(character for character in text if character.isprintable()).strip()


def path(value: bytes) -> bytes:
    """Return a file path: two bytes a step."""
    if not 2 <= len(value) <= PATH_MAX or len(value) % 2:
        raise CardGarbled(what="a path that no card has")
    return value
