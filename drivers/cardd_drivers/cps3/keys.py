"""A card's keys: the commands that use them, as few of them as the card allows, and the proof of what comes back.

What the card was told is remembered as long as it holds: until the card is reset, another program had it, or a file
was selected. After a reset the card stands in its master file, and key references are expected to resolve from there,
which saves a SELECT; a card that refuses this is asked once more inside its application, and so at once from then on.

Source of the commands (IAS-ECC): the card facts.
"""

from __future__ import annotations

from cardd.apdu import LE_MAX, SW, Command, Response
from cardd.driver import Channel
from cardd.errors import CardGarbled, CardRefused, PinRequired
from cardd.libcrypto import Certificate
from cardd.model import Algorithm
from cardd.values import Value
from cardd_drivers.pkcs15.files import Files, refused

RSA_PKCS1_SHA256 = 0x42
RSA_PKCS1_AUTHENTICATION = 0x02
RSA_PKCS1_DECIPHER = 0x1A
CRYPTOGRAM = b"\x81"
SHA256 = 0x40

# DER DigestInfo of a SHA-256 digest, all but the digest (RFC 8017, section 9.2, note 1)
DIGEST_INFO_SHA256 = bytes.fromhex("3031300D060960864801650304020105000420")

# What a card may say of a key that it does not find from where it stands, or of an environment that it lost.
ELSEWHERE = frozenset(
    (
        SW.CONDITIONS,
        SW.BAD_DATA,
        SW.NOT_SUPPORTED,
        SW.FILE_NOT_FOUND,
        SW.RECORD_NOT_FOUND,
        SW.BAD_P1P2,
        SW.REFERENCE_NOT_FOUND,
    )
)


class Operation(Value):
    """One use of a key: the commands that prepare the card for it, and the one that does it.

    ``lasting`` tells that the same preparation serves further operations with this key.
    """

    preparation: tuple[Command, ...]
    command: Command
    lasting: bool


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


def authenticate(key: int, info: bytes) -> Operation:
    """INTERNAL AUTHENTICATE over a DigestInfo."""
    command = Command(0x00, 0x88, 0x00, 0x00, info, le=LE_MAX)
    return Operation((_key_environment(0xA4, RSA_PKCS1_AUTHENTICATION, key),), command, lasting=True)


def decipher(key: int, cryptogram: bytes) -> Operation:
    """PSO DECIPHER of what was padded by PKCS#1 v1.5, which the card takes off; longer than one short APDU, chained."""
    command = Command(0x00, 0x2A, 0x80, 0x86, CRYPTOGRAM + cryptogram, le=LE_MAX)
    return Operation((_key_environment(0xB8, RSA_PKCS1_DECIPHER, key),), command, lasting=True)


class NotOffered(CardRefused):
    """The card refuses the operation as such, wherever it stands: another way to the same end may do."""


class _Prepared(Value):
    place: tuple[int, int]
    preparation: tuple[Command, ...]


class KeyOperations:
    """Runs key operations on one card."""

    def __init__(self, channel: Channel, files: Files, aid: bytes) -> None:
        self._channel = channel
        self._files = files
        self._aid = aid
        self._selects_first = False
        self._prepared: _Prepared | None = None

    def before_login(self) -> None:
        """Go where the coming operation needs the card to be, so that no SELECT comes between login and operation."""
        self._prepared = None
        if self._selects_first and not self._files.is_inside(self._aid):
            self._files.select_application(self._aid)

    def distrust_references(self) -> None:
        """The card used another key than the one meant: from now on, select the application first."""
        self._prepared = None
        self._selects_first = True

    def run(self, operation: Operation) -> bytes:
        """Prepare the card where needed and run the operation.

        Raises PinRequired when the card has no login, NotOffered or CardRefused.
        """
        if self._selects_first and not self._files.is_inside(self._aid):
            self._files.select_application(self._aid)
        reused = self._prepared == self._wanted(operation)
        command, response = self._attempt(operation)
        if response.sw in ELSEWHERE and reused:
            command, response = self._attempt(operation)  # the card did not keep its preparation
        if response.sw in ELSEWHERE and not self._files.is_inside(self._aid):
            self._files.select_application(self._aid)
            command, response = self._attempt(operation)
            self._selects_first = response.ok or response.sw == SW.SECURITY_STATUS
        return self._result(command, response)

    def _attempt(self, operation: Operation) -> tuple[Command, Response]:
        """Return the last command sent, and its answer."""
        wanted = self._wanted(operation)
        preparation = () if self._prepared == wanted else operation.preparation
        self._prepared = None
        for command in preparation:
            response = self._channel.transmit(command)
            if not response.ok:
                return command, response
        response = self._channel.transmit(operation.command)
        if response.ok and operation.lasting:
            self._prepared = wanted
        return operation.command, response

    def _wanted(self, operation: Operation) -> _Prepared:
        return _Prepared(self._files.place, operation.preparation)

    @staticmethod
    def _result(command: Command, response: Response) -> bytes:
        if response.ok:
            return response.data
        if response.sw == SW.SECURITY_STATUS:
            raise PinRequired
        refusal = refused(command, response)
        if response.sw in ELSEWHERE or response.sw in (SW.WRONG_LENGTH, SW.INS_UNKNOWN):
            raise NotOffered.received(**refusal.params)
        raise refusal


class Verifier:
    """The public key of one certificate, which tells a card's signature from what is none.

    Raises CardGarbled for a certificate without an RSA key.
    """

    def __init__(self, certificate: bytes) -> None:
        try:
            self._certificate = Certificate(certificate)
        except ValueError as fault:
            raise CardGarbled(what="a certificate that is none") from fault
        if not self._certificate.has_rsa_key:
            raise CardGarbled(what="a certificate without an RSA key")

    def accepts_info(self, signature: bytes, info: bytes) -> bool:
        """Return whether this is a signature of the DigestInfo."""
        return self._certificate.accepts_info(signature, info)

    def accepts(self, signature: bytes, digest: bytes, algorithm: Algorithm, kind: str = "sha256") -> bool:
        """Return whether this is a signature of the digest by this algorithm, with this hash."""
        return self._certificate.accepts(signature, digest, algorithm, kind)
