"""What a simulated card is told to do with which key (MSE), and the doing: sign, authenticate, decipher, hash.

Source: ISO/IEC 7816-8; the emulation facts, section 3, for the templates, the references and the data.
"""

from __future__ import annotations

from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import NoDigestInfo

from cardd.apdu import SW
from cardd.errors import CardGarbled
from cardd.tlv import Tlv, parse
from cardd.values import Value
from cardd_simulators.cards import hashing
from cardd_simulators.cards.interface import Refused

SIGNATURE, AUTHENTICATION, CONFIDENTIALITY, HASH = 0xB6, 0xA4, 0xB8, 0xAA
ALGORITHM_REFERENCE, KEY_REFERENCE = 0x80, 0x84
INTERMEDIATE, LAST_BLOCK = 0x90, 0x80
CRYPTOGRAM = 0x81  # padding indicator of PSO DECIPHER
INPUT_PART = 0.4  # INTERNAL AUTHENTICATE takes at most 40 % of the modulus

RAW, DECIPHER = 0x02, 0x1A


class Digest(Value):
    """A hash algorithm of the card; ``prefix`` is the DigestInfo before the digest (RFC 8017, 9.2, note 1)."""

    size: int
    start: hashing.State
    compress: hashing.Compress
    prefix: bytes


SHA1 = Digest(20, hashing.SHA1_START, hashing.compress_sha1, bytes.fromhex("3021300906052B0E03021A05000414"))
SHA256 = Digest(
    32, hashing.SHA256_START, hashing.compress_sha256, bytes.fromhex("3031300D060960864801650304020105000420")
)
HASHES = {0x10: SHA1, 0x40: SHA256}
SIGNATURES = {0x12: SHA1, 0x42: SHA256}

ALLOWED = {
    SIGNATURE: frozenset(SIGNATURES),
    AUTHENTICATION: frozenset((RAW,)),
    CONFIDENTIALITY: frozenset((DECIPHER,)),
    HASH: frozenset(HASHES),
}


class Key(Value):
    """A private key of the card, and the templates in which it may be named."""

    private: RSAPrivateKey
    templates: frozenset[int]

    def pad_and_sign(self, content: bytes) -> bytes:
        """Return the RSA signature of PKCS#1 v1.5 padding around these bytes, whatever they are."""
        return self.private.sign(content, PKCS1v15(), NoDigestInfo())

    def decipher(self, cryptogram: bytes) -> bytes:
        """Return what PKCS#1 v1.5 padding contains. Raises Refused (6A80)."""
        try:
            return self.private.decrypt(cryptogram, PKCS1v15())
        except ValueError:
            raise Refused(SW.BAD_DATA) from None


class _Setting(Value):
    algorithm: int
    key: int | None


class Environment:
    """The security environment. ``reachable`` tells whether key references resolve from where the card stands."""

    def __init__(self, keys: dict[int, Key], reachable: Callable[[], bool]) -> None:
        self._keys = keys
        self._reachable = reachable
        self._settings: dict[int, _Setting] = {}
        self._digest: tuple[Digest, bytes] | None = None

    def clear(self) -> None:
        """Forget algorithms, keys and the hash, as at power-on."""
        self._settings.clear()
        self._digest = None

    def set(self, template: int, content: bytes) -> None:
        """MANAGE SECURITY ENVIRONMENT, SET. Raises Refused: 6A80 for an algorithm, 6A88 for a key."""
        fields = {field.tag: field.value for field in fields_in(content)}
        algorithm = _byte(fields.get(ALGORITHM_REFERENCE))
        if template not in ALLOWED or algorithm not in ALLOWED[template]:
            raise Refused(SW.BAD_DATA)
        self._choose(template, algorithm, None if template == HASH else _byte(fields.get(KEY_REFERENCE)))

    def _choose(self, template: int, algorithm: int, key: int | None) -> None:
        if key is not None:
            self._key(template, key)
        self._settings[template] = _Setting(algorithm, key)

    def hash(self, content: bytes) -> None:
        """PSO HASH: finish a hash that was begun off the card; the digest waits for the signature."""
        digest = HASHES[self._setting(HASH).algorithm]
        fields = fields_in(content)
        if [field.tag for field in fields] != [INTERMEDIATE, LAST_BLOCK]:
            raise Refused(SW.BAD_DATA)
        before, last = (field.value for field in fields)
        if not 1 <= len(last) <= hashing.BLOCK:
            raise Refused(SW.BAD_DATA)
        state, bits = _inner_state(digest, before)
        self._digest = digest, hashing.finish(digest.compress, state, bits, last)

    def sign(self, digest: bytes) -> bytes:
        """PSO COMPUTE DIGITAL SIGNATURE over this digest, or over the one computed on the card when it is empty."""
        setting = self._setting(SIGNATURE)
        wanted = SIGNATURES[setting.algorithm]
        if digest:
            value = digest
        else:
            if self._digest is None or self._digest[0] is not wanted:
                raise Refused(SW.CONDITIONS)
            value, self._digest = self._digest[1], None
        if len(value) != wanted.size:
            raise Refused(SW.BAD_DATA)
        return self._key(SIGNATURE, setting.key).pad_and_sign(wanted.prefix + value)

    def authenticate(self, content: bytes) -> bytes:
        """INTERNAL AUTHENTICATE: sign what is given, a DigestInfo or not."""
        key = self._key(AUTHENTICATION, self._setting(AUTHENTICATION).key)
        if not 0 < len(content) <= key.private.key_size / 8 * INPUT_PART:
            raise Refused(SW.BAD_DATA)
        return key.pad_and_sign(content)

    def decipher(self, content: bytes) -> bytes:
        """PSO DECIPHER of 81 and the cryptogram."""
        key = self._key(CONFIDENTIALITY, self._setting(CONFIDENTIALITY).key)
        if content[:1] != bytes((CRYPTOGRAM,)) or len(content) - 1 != key.private.key_size // 8:
            raise Refused(SW.BAD_DATA)
        return key.decipher(content[1:])

    def _setting(self, template: int) -> _Setting:
        if template not in self._settings:
            raise Refused(SW.CONDITIONS)
        return self._settings[template]

    def _key(self, template: int, reference: int | None) -> Key:
        key = self._keys.get(reference) if reference is not None and self._reachable() else None
        if key is None or template not in key.templates:
            raise Refused(SW.REFERENCE_NOT_FOUND)
        return key


def fields_in(content: bytes) -> list[Tlv]:
    """Return the data objects of a command's body. Raises Refused (6A80)."""
    try:
        return list(parse(content))
    except CardGarbled:
        raise Refused(SW.BAD_DATA) from None


def _byte(value: bytes | None) -> int:
    if value is None or len(value) != 1:
        raise Refused(SW.BAD_DATA)
    return value[0]


def _inner_state(digest: Digest, before: bytes) -> tuple[hashing.State, int]:
    """State and count of bits hashed so far; empty when nothing was. Whole blocks only."""
    if not before:
        return digest.start, 0
    size = 4 * len(digest.start)
    if len(before) != size + 8:
        raise Refused(SW.BAD_DATA)
    bits = int.from_bytes(before[size:], "big")
    if not bits or bits % (8 * hashing.BLOCK):
        raise Refused(SW.BAD_DATA)
    return tuple(int.from_bytes(before[place : place + 4], "big") for place in range(0, size, 4)), bits
