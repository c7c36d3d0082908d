"""The commands of a CPS3 (IAS-ECC), one small function each. Source: the card facts."""

from __future__ import annotations

from dataclasses import dataclass

from cardd.apdu import LE_MAX, Command

AID = bytes.fromhex("E828BD080F8025000001FF0010")
CONTACTLESS_AID = bytes.fromhex("E828BD080F8025000001FF0020")

SFI_SERIAL, EF_SN = 0x1C, bytes.fromhex("3F00D003")
SFI_EF_DIR, EF_DIR = 0x1E, bytes.fromhex("3F002F00")
SFI_ODF, ODF = 0x11, bytes.fromhex("5031")  # in the application
SERIAL_SIZE = 12
SERIAL_TAG = 0x5A
SERIAL_PREFIX = bytes.fromhex("8025000001")

PIN_TRIES = 3
PIN_LENGTHS = (4, 8)
PUK_TRIES = 10
PUK_LENGTHS = (8, 8)

PIN_OBJECT, CONTENT, LEFT = 0xBF8100, 0xA0, 0x9B  # the reference is the object's last byte

RSA_PKCS1_SHA256 = 0x42
RSA_PKCS1_AUTHENTICATION = 0x02
SHA256 = 0x40

# DER DigestInfo of a SHA-256 digest, all but the digest (RFC 8017, section 9.2, note 1)
DIGEST_INFO_SHA256 = bytes.fromhex("3031300D060960864801650304020105000420")


@dataclass(frozen=True, slots=True)
class Operation:
    """One use of a key: the commands that prepare the card for it, and the one that does it.

    ``lasting`` tells that the same preparation serves further operations with this key.
    """

    preparation: tuple[Command, ...]
    command: Command
    lasting: bool


def verify(reference: int) -> Command:
    """VERIFY; without body it asks for the tries left."""
    return Command(0x00, 0x20, 0x00, reference)


def counters(reference: int) -> Command:
    """GET DATA of a code's counters, in the master file: the other way to the tries left."""
    wanted = bytes((0x4D, 0x08, 0x70, 0x06, 0xBF, 0x81, reference, 0x02, 0xA0, 0x80))
    return Command(0x00, 0xCB, 0x3F, 0xFF, wanted, le=LE_MAX)


def change(reference: int) -> Command:
    """CHANGE REFERENCE DATA; the body is the old code and the new one, without anything between."""
    return Command(0x00, 0x24, 0x00, reference)


def unblock(reference: int) -> Command:
    """RESET RETRY COUNTER with a new code as the body, after the unblocking code was presented."""
    return Command(0x00, 0x2C, 0x02, reference)


def _set_environment(template: int, content: bytes) -> Command:
    return Command(0x00, 0x22, 0x41, template, content)


def _key_environment(template: int, algorithm: int, key: int) -> Command:
    return _set_environment(template, bytes((0x80, 0x01, algorithm, 0x84, 0x01, key)))


def sign_digest(key: int, digest: bytes) -> Operation:
    """Sign a SHA-256 digest that was computed off the card."""
    compute = Command(0x00, 0x2A, 0x9E, 0x9A, digest, le=LE_MAX)
    return Operation((_key_environment(0xB6, RSA_PKCS1_SHA256, key),), compute, lasting=True)


def sign_last_block(key: int, intermediate: bytes, last_block: bytes) -> Operation:
    """Sign a message whose last block the card itself hashes.

    ``intermediate`` is the SHA-256 state and the count of bits hashed before (40 bytes), empty when there were none.
    """
    objects = bytes((0x90, len(intermediate))) + intermediate + bytes((0x80, len(last_block))) + last_block
    preparation = (
        _set_environment(0xAA, bytes((0x80, 0x01, SHA256))),
        Command(0x00, 0x2A, 0x90, 0xA0, objects),
        _key_environment(0xB6, RSA_PKCS1_SHA256, key),
    )
    return Operation(preparation, Command(0x00, 0x2A, 0x9E, 0x9A, le=LE_MAX), lasting=False)


def authenticate(key: int, digest: bytes) -> Operation:
    """INTERNAL AUTHENTICATE over the DigestInfo of a SHA-256 digest."""
    command = Command(0x00, 0x88, 0x00, 0x00, DIGEST_INFO_SHA256 + digest, le=LE_MAX)
    return Operation((_key_environment(0xA4, RSA_PKCS1_AUTHENTICATION, key),), command, lasting=True)
