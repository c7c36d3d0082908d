"""PKCS#12 files (RFC 7292) as a card: locked until the password opens them, and again with each transaction's end."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import NoDigestInfo, Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, pkcs12

from cardd.driver import RSA, Card
from cardd.errors import (
    AlgorithmUnsupported,
    CardGarbled,
    CardIncomplete,
    CardRefused,
    PinRefused,
    PinRequired,
    StateUnavailable,
)
from cardd.files import open_file
from cardd.model import (
    Algorithm,
    CardCertificate,
    CardInfo,
    CardKind,
    KeyPurpose,
    KeyRef,
    Message,
    PinInfo,
    PinStatus,
)
from cardd.secret import Secret
from cardd.tlv import parse_one
from cardd.values import Value

SIZE_MAX = 1024 * 1024
SEQUENCE = 0x30
RSA_MIN = 2048
HALF = 32  # bytes of each number of a P-256 signature

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

PASSWORD = PinInfo(reference=0, label="PKCS#12", minimum=1, maximum=256, tries=0, digits=False)
PSS: Mapping[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}


class Unlocked(Value):
    """One file's key, which signs, and its certificate."""

    key: KeyRef
    certificate: CardCertificate
    private: PrivateKey

    def sign(self, algorithm: Algorithm, digest: bytes) -> bytes:
        """Return a signature over a SHA-256 digest as RFC 7518 writes it (ES256: two numbers of 32 bytes)."""
        prehashed = Prehashed(hashes.SHA256())
        if isinstance(self.private, ec.EllipticCurvePrivateKey):
            numbers = decode_dss_signature(self.private.sign(digest, ec.ECDSA(prehashed)))
            return b"".join(number.to_bytes(HALF, "big") for number in numbers)
        if algorithm is Algorithm.PS256:
            pss = padding.PSS(padding.MGF1(hashes.SHA256()), hashes.SHA256.digest_size)
            return self.private.sign(digest, pss, prehashed)
        return self.private.sign(digest, padding.PKCS1v15(), prehashed)


def unlock(files: Mapping[KeyPurpose, Path], password: Secret) -> Iterator[Unlocked]:
    """Open every file with the one password.

    Raises StateUnavailable for a file that cannot be read, CardGarbled for one that is no PKCS#12, PinRefused for the
    wrong password, CardIncomplete without key or certificate, AlgorithmUnsupported for a key of another type.
    """
    for reference, (purpose, path) in enumerate(files.items()):
        content = _content(path)
        private, certificate = _opened(content, password)
        identifier = hashlib.sha256(certificate).hexdigest()[:32]
        proves = purpose is KeyPurpose.AUTHENTICATION and isinstance(private, rsa.RSAPrivateKey)
        algorithms = _algorithms(private)
        key = KeyRef(
            identifier, path.name, purpose, reference, algorithms, pin=0, signs_any_hash=proves, decrypts=proves
        )
        yield Unlocked(key, CardCertificate(identifier, path.name, certificate), private)


def _content(path: Path) -> bytes:
    try:
        with open_file(path) as file:
            content = file.read(SIZE_MAX + 1)
    except OSError as error:
        raise StateUnavailable(file=str(path), why=error.strerror or "?") from error
    if len(content) > SIZE_MAX or parse_one(content[:SIZE_MAX]).tag != SEQUENCE:
        raise CardGarbled(what="PKCS#12")
    return content


def _opened(content: bytes, password: Secret) -> tuple[PrivateKey, bytes]:
    try:
        with password.lent() as value:
            if 0 in value:
                raise PinRefused  # the library panics
            private, certificate, _ = pkcs12.load_key_and_certificates(content, value)
    except (TypeError, ValueError):  # TypeError: a password that is no UTF-8
        raise PinRefused from None  # the library tells a wrong password from a broken file no better than this
    except UnsupportedAlgorithm as error:
        raise CardGarbled(what="PKCS#12") from error
    if private is None or certificate is None:
        raise CardIncomplete(what="certificate")
    if not isinstance(private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise AlgorithmUnsupported(algorithm=type(private).__name__)
    return private, certificate.public_bytes(Encoding.DER)


def _algorithms(private: PrivateKey) -> tuple[Algorithm, ...]:
    if isinstance(private, rsa.RSAPrivateKey) and private.key_size >= RSA_MIN:
        return (Algorithm.RS256, Algorithm.PS256)
    if isinstance(private, ec.EllipticCurvePrivateKey) and isinstance(private.curve, ec.SECP256R1):
        return (Algorithm.ES256,)
    raise AlgorithmUnsupported(algorithm=f"{private.key_size} bit")


class KeyFiles(Card):
    """The organisation's files. What they say of themselves is known once they were opened."""

    def __init__(self, files: Mapping[KeyPurpose, Path]) -> None:
        self._files = files
        self._keys = tuple(
            KeyRef("", path.name, purpose, place, (), pin=0) for place, (purpose, path) in enumerate(files.items())
        )
        self._certificates: tuple[CardCertificate, ...] = ()
        self._unlocked: dict[str, Unlocked] = {}

    @property
    def info(self) -> CardInfo:
        """Kind and password, and what keys there are for; what they can do, after the first ``verify``."""
        label = ", ".join(path.name for path in self._files.values())
        return CardInfo(CardKind.PKCS12, "pkcs12", "", label, self._keys, PASSWORD)

    def certificates(self) -> tuple[CardCertificate, ...]:
        """Return the certificates; none before the first ``verify``, since the files keep them encrypted."""
        return self._certificates

    def pin_status(self) -> PinStatus:
        """Return that nothing is known: a file counts no tries."""
        return PinStatus(None)

    def verify(self, pin: Secret | None) -> None:
        """Open the files. Raises as ``unlock`` does."""
        if pin is None:
            raise PinRequired
        opened = tuple(unlock(self._files, pin))
        self._unlocked = {entry.key.id: entry for entry in opened}
        self._keys = tuple(entry.key for entry in opened)
        self._certificates = tuple(entry.certificate for entry in opened)

    def lock(self) -> None:
        """Forget the private keys."""
        self._unlocked = {}

    def sign(self, key: KeyRef, algorithm: Algorithm, message: Message) -> bytes:
        """Sign with the signature key. Raises AlgorithmUnsupported, PinRequired."""
        return self._use(key, KeyPurpose.SIGNATURE, algorithm, message.digest)

    def authenticate(self, key: KeyRef, algorithm: Algorithm, digest: bytes) -> bytes:
        """Sign the daemon's own digest with the authentication key. Raises AlgorithmUnsupported, PinRequired."""
        return self._use(key, KeyPurpose.AUTHENTICATION, algorithm, digest)

    def authenticate_info(self, key: KeyRef, info: bytes) -> bytes:
        """Sign a DigestInfo with the authentication key. Raises AlgorithmUnsupported, PinRequired."""
        private = self._opened(key).private
        if not key.signs_any_hash or not isinstance(private, rsa.RSAPrivateKey):
            raise AlgorithmUnsupported(algorithm=RSA)
        return private.sign(info, padding.PKCS1v15(), NoDigestInfo())

    def authenticate_pss(self, key: KeyRef, kind: str, digest: bytes) -> bytes:
        """Sign a digest by RSA-PSS with the authentication key. Raises AlgorithmUnsupported, PinRequired."""
        private, used = self._opened(key).private, PSS.get(kind)
        if not key.signs_any_hash or not isinstance(private, rsa.RSAPrivateKey) or used is None:
            raise AlgorithmUnsupported(algorithm=RSA)
        return private.sign(digest, padding.PSS(padding.MGF1(used), used.digest_size), Prehashed(used))

    def decrypt(self, key: KeyRef, cryptogram: bytes) -> bytes:
        """Decrypt with the authentication key. Raises AlgorithmUnsupported, PinRequired, CardRefused."""
        private = self._opened(key).private
        if not key.decrypts or not isinstance(private, rsa.RSAPrivateKey):
            raise AlgorithmUnsupported(algorithm=RSA)
        try:
            return private.decrypt(cryptogram, padding.PKCS1v15())
        except ValueError:
            raise CardRefused(command="decrypt", sw="PKCS#1") from None

    def _use(self, key: KeyRef, purpose: KeyPurpose, algorithm: Algorithm, digest: bytes) -> bytes:
        if key.purpose is not purpose or algorithm not in key.algorithms:
            raise AlgorithmUnsupported(algorithm=algorithm.value)
        return self._opened(key).sign(algorithm, digest)

    def _opened(self, key: KeyRef) -> Unlocked:
        unlocked = self._unlocked.get(key.id)
        if unlocked is None:
            raise PinRequired
        return unlocked
