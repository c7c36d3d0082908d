"""One open CPS4 card: a CPS3 but for the way to select, the commands of its keys and its PIN.

The short identifiers of its files are not known, so every file is selected by its path. EF.DIR and the ODF have the
identifiers of ISO/IEC 7816-4 and 7816-15; the ODF's directories tell the rest. The card takes the new PIN alone once
the old one or the PUK was presented. Source: the card facts, section "CPS4"; the emulation facts, section 5.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from typing import ClassVar

from cardd.apdu import LE_MAX, SW, Command, Response
from cardd.driver import RSA, CardMemory, Channel
from cardd.errors import AlgorithmUnsupported, CardIncomplete, CardRefused
from cardd.model import Algorithm, CardKind, KeyPurpose, KeyRef, Message
from cardd.secret import Secret
from cardd_drivers.cps3.card import Cps3Card
from cardd_drivers.cps3.contents import Directories
from cardd_drivers.cps3.keys import Operation
from cardd_drivers.cps3.pins import CardPins
from cardd_drivers.cps4.channel import LogicalChannel
from cardd_drivers.pkcs15.files import Files
from cardd_drivers.pkcs15.objects import MASTER_FILE

SIGNATURES = {Algorithm.RS256: 0x28, Algorithm.PS256: 0x2C}
PSS = ("sha256", "sha384", "sha512")
LOCAL = 0x80  # a key of the current application, in a signature's environment

CURRENT = 0x80  # with a reference: of the current application

PADDING_MIN = 8  # bytes
MODULI = range(1024, 4096 + 1, 8)  # bits


class Cps4Files(Files):
    """Selects as a CPS4 wants it: by a path without the master file, answered with an FCI that nobody reads."""

    def master_command(self) -> Command:
        """SELECT the master file by its identifier."""
        return Command(self.cla, 0xA4, 0x00, 0x00, MASTER_FILE, le=LE_MAX)

    def path_command(self, path: bytes) -> Command:
        """SELECT by path from the master file."""
        return Command(self.cla, 0xA4, 0x08, 0x00, path.removeprefix(MASTER_FILE), le=LE_MAX)

    def relative_command(self, path: bytes) -> Command:
        """SELECT by path from the current DF."""
        return Command(self.cla, 0xA4, 0x09, 0x00, path, le=LE_MAX)


class Cps4Directories(Directories):
    """Finds everything by paths; EF.SN is looked for where a CPS3 has it."""

    has_short_ids = False
    algorithms: ClassVar[Mapping[KeyPurpose, tuple[Algorithm, ...]]] = {
        KeyPurpose.SIGNATURE: (Algorithm.RS256, Algorithm.PS256),
        KeyPurpose.AUTHENTICATION: (Algorithm.RS256, Algorithm.PS256),
        KeyPurpose.TECHNICAL: (Algorithm.RS256,),
    }


def sign_digest(key: int, algorithm: Algorithm, digest: bytes) -> Operation:
    """Sign a SHA-256 digest; the card itself adds the padding of the algorithm."""
    environment = Command(0x00, 0x22, 0x81, 0xB6, bytes((0x91, 0x02, SIGNATURES[algorithm], key | LOCAL)))
    return Operation((environment,), Command(0x00, 0x2A, 0x9E, 0x9A, digest, le=LE_MAX), lasting=True)


def authenticate(key: int, info: bytes, size: int) -> Operation:
    """Return a PKCS#1 v1.5 signature of a DigestInfo by the raw RSA of PSO DECIPHER: the padding is made here.

    ``size`` is that of the modulus, in bytes: the block is longer than one short APDU, and goes out chained.
    """
    return raw_rsa(key, b"\x00\x01" + b"\xff" * (size - 3 - len(info)) + b"\x00" + info)  # RFC 8017, section 9.2


def pss_block(digest: bytes, bits: int, kind: str = "sha256") -> bytes:
    """Return EMSA-PSS of a digest of this kind for a modulus of so many bits, the salt as long as the digest.

    Source: RFC 8017, sections 9.1.1 and B.2.1.
    """
    size, salt = (bits - 1 + 7) // 8, secrets.token_bytes(len(digest))
    hashed = hashlib.new(kind, bytes(8) + digest + salt).digest()
    content = (b"\x01" + salt).rjust(size - len(hashed) - 1, b"\0")
    counters = range(-(-len(content) // len(hashed)))
    mask = b"".join(hashlib.new(kind, hashed + counter.to_bytes(4, "big")).digest() for counter in counters)
    masked = bytearray(one ^ other for one, other in zip(content, mask, strict=False))
    masked[0] &= 0xFF >> 8 * size - (bits - 1)
    return (bytes(masked) + hashed + b"\xbc").rjust((bits + 7) // 8, b"\0")


def raw_rsa(key: int, block: bytes) -> Operation:
    """Return the RSA operation on a whole block, by PSO DECIPHER."""
    environment = Command(0x00, 0x22, 0x41, 0xB8, bytes((0x83, 0x01, key)))
    return Operation((environment,), Command(0x00, 0x2A, 0x80, 0x86, block, le=LE_MAX), lasting=True)


def unpadded(block: bytes) -> bytes | None:
    """Return what PKCS#1 v1.5 padding of an encryption contains; None where it is none (RFC 8017, section 7.2.2)."""
    padding, separator, content = block[2:].partition(b"\0")
    is_padded = block[:2] == b"\x00\x02" and bool(separator) and len(padding) >= PADDING_MIN
    return content if is_padded else None


class Cps4Pins(CardPins):
    """Changes and unblocks as a CPS4 wants it."""

    def _replace(self, old: Secret, new: Secret) -> tuple[Command, Response]:  # noqa: ARG002 - the hook's signature
        command = Command(0x00, 0x24, 0x01, self.pin.reference)
        return command, self._channel.transmit_secret(command, new)

    def _set_new(self, new: Secret) -> tuple[Command, Response]:
        unblock = Command(0x00, 0x2C, 0x03, self.pin.reference | CURRENT)
        response = self._channel.transmit(unblock)
        return self._replace(new, new) if response.ok else (unblock, response)


class Cps4Card(Cps3Card):
    """A CPS4 in its reader, used on its logical channel 1."""

    driver = "cps4"
    files_type = Cps4Files
    directories_type = Cps4Directories
    pins_type = Cps4Pins

    def __init__(self, channel: Channel, kind: CardKind, memory: CardMemory | None = None) -> None:
        inside = LogicalChannel(channel)
        inside.open()  # here, so that a refusal is not taken for a missing file
        super().__init__(inside, kind, memory)

    def _sign(self, key: KeyRef, algorithm: Algorithm, message: Message) -> bytes:
        return self._operations.run(sign_digest(key.reference, algorithm, message.digest))

    def _authentication_operation(self, key: KeyRef, algorithm: Algorithm, digest: bytes) -> Operation:
        if algorithm is Algorithm.PS256:
            return raw_rsa(key.reference, pss_block(digest, 8 * self._size_of(key)))
        return super()._authentication_operation(key, algorithm, digest)

    def authenticate_pss(self, key: KeyRef, kind: str, digest: bytes) -> bytes:
        """Sign a digest by RSA-PSS with the authentication key. Raises as ``sign`` does."""
        if not key.signs_any_hash or kind not in PSS or len(digest) != hashlib.new(kind).digest_size:
            raise AlgorithmUnsupported(algorithm=RSA)
        signature = self._operations.run(raw_rsa(key.reference, pss_block(digest, 8 * self._size_of(key), kind)))
        return self._proven(key, Algorithm.PS256, digest, signature, kind)

    def _info_operation(self, key: KeyRef, info: bytes) -> Operation:
        return authenticate(key.reference, info, self._size_of(key))

    def _decrypt(self, key: KeyRef, cryptogram: bytes) -> bytes:
        size = self._size_of(key)
        content = unpadded(self._operations.run(raw_rsa(key.reference, cryptogram)).rjust(size, b"\0"))
        if content is None:
            raise CardRefused(command="PSO DECIPHER", sw=f"{SW.BAD_DATA:04X}")
        return content

    def _size_of(self, key: KeyRef) -> int:
        bits = self._contents.bits[key.id]
        if bits not in MODULI:
            raise CardIncomplete(what="modulus")
        return bits // 8
