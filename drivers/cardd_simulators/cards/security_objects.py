"""GET DATA of the security objects: the counters of PINs, the rules and sizes of keys.

Source: the emulation facts, section 2, "Security objects". The answer for the holder's PIN is a real card's; the
PUK's rules and the keys' are those that OpenSC accepts.
"""

from __future__ import annotations

from collections.abc import Mapping

from cardd.apdu import SW
from cardd.errors import CardGarbled
from cardd.tlv import Tlv, encode, parse_one
from cardd_simulators.cards.answers import Refused
from cardd_simulators.cards.pins import Pin

REQUEST, OBJECT, CONTENT = 0x4D, 0x70, 0xA0
PIN_OBJECT, KEY_OBJECT = 0xBF8100, 0xBF9000
TRIES, LEFT, SIZE = 0x9A, 0x9B, 0x80
RULES, CONTACT_RULE = 0xA1, 0x8C
PIN_RULES = bytes.fromhex("F3000013FF00")
KEY_RULES = {1: bytes.fromhex("7311FFFFFFFF00"), 2: bytes.fromhex("73FF1111FFFF00")}
MODULUS_SIZE = 256


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
    """The object asked for. Only its whole content (A0) can be read, not the public parts (7F41, 7F48)."""
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
