"""Certificates that no authority would sign: a simulated card's own, one part of it replaced."""

from __future__ import annotations

from functools import cache

from cardd.tlv import Tlv, encode, parse_one
from tests.hostile.cards import AUTHENTICATION, CDF, files_of
from tests.hostile.malices import nested
from tests.rig.simulator import simulated_card

SERIAL, SUBJECT, KEY, EXTENSIONS = 1, 5, 6, 7  # places in the signed part (RFC 5280, section 4.1)
RSA = bytes.fromhex("06092A864886F70D0101010500")
P256 = bytes.fromhex("301306072A8648CE3D020106082A8648CE3D030107")
P256_POINT = bytes.fromhex(  # the curve's own base point
    "046B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296"
    "4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5"
)
COMMON_NAME = bytes.fromhex("0603550403")
UNKNOWN_EXTENSION = bytes.fromhex("06082B060104018D1F01")


@cache
def honest() -> bytes:
    return files_of(simulated_card())[AUTHENTICATION]


def with_part(place: int, part: bytes) -> bytes:
    """The certificate with another part; nobody here checks its issuer's signature."""
    signed, algorithm, signature = parse_one(honest()).children
    parts = [found.encode() for found in signed.children]
    parts[place] = part
    return encode(0x30, encode(0x30, b"".join(parts)) + algorithm.encode() + signature.encode())


def with_extension(value: bytes) -> bytes:
    """One extension more."""
    extensions = _signed_part(EXTENSIONS).children[0].value
    more = encode(0x30, UNKNOWN_EXTENSION + encode(0x04, value))
    return with_part(EXTENSIONS, encode(0xA3, encode(0x30, extensions + more)))


def _signed_part(place: int) -> Tlv:
    return parse_one(honest()).children[0].children[place]


def rsa_key(modulus: int, exponent: int = 65537) -> bytes:
    """A subject public key."""
    numbers = encode(0x30, _integer(modulus) + _integer(exponent))
    return encode(0x30, encode(0x30, RSA) + encode(0x03, b"\x00" + numbers))


def _integer(number: int) -> bytes:
    return encode(0x02, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def _name(*values: bytes) -> bytes:
    return encode(0x30, b"".join(encode(0x31, encode(0x30, COMMON_NAME + value)) for value in values))


NOT_READ = {
    "nothing": b"",
    "zeros": bytes(400),
    "only a header": bytes.fromhex("30820800"),
    "a directory": files_of(simulated_card())[CDF],
    "a thousand levels": nested(1000),
    "a thousand levels for a name": with_part(SUBJECT, nested(1000)),
    "a thousand levels for a key": with_part(KEY, nested(1000)),
    "longer than any": with_extension(bytes(17_000)),
    "a serial of zero": with_part(SERIAL, encode(0x02, b"\x00")),
    "a negative serial": with_part(SERIAL, encode(0x02, b"\x85")),
    "a serial of 12000 bytes": with_part(SERIAL, encode(0x02, b"\x01" * 12_000)),
    "nobody's name": with_part(SUBJECT, _name()),
    "a name that is a number": with_part(SUBJECT, _name(encode(0x02, b"\x05"))),
    "a name that is no text": with_part(SUBJECT, _name(encode(0x0C, b"\xff\xfe"))),
    "a name of control characters": with_part(SUBJECT, _name(encode(0x0C, b"\x1b\x07\x08\x00"))),
}
NOT_VERIFIED = {
    "an elliptic key": with_part(KEY, encode(0x30, P256 + encode(0x03, b"\x00" + P256_POINT))),
    "a key of zero": with_part(KEY, rsa_key(0)),
    "an even key": with_part(KEY, rsa_key(1 << 2047)),
    "a key of 512 bits": with_part(KEY, rsa_key((1 << 511) + 1)),
    "a key of 100000 bits": with_part(KEY, rsa_key((1 << 100_000) + 1)),
    "an exponent of one": with_part(KEY, rsa_key((1 << 2047) + 1, 1)),
    "an exponent of 2000 bits": with_part(KEY, rsa_key((1 << 2047) + 1, (1 << 2000) + 1)),
    "another key": with_part(KEY, rsa_key((1 << 2047) + 1)),
    "an extension of a thousand levels, and another key": with_part(KEY, rsa_key((1 << 2047) + 3)),
}
