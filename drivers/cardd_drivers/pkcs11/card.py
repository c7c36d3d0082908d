"""One token as a card.

What its keys are for and can do is told by their certificates and by the token's mechanisms.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import (
    Certificate,
    ExtensionNotFound,
    InvalidVersion,
    KeyUsage,
    load_der_x509_certificate,
)

from cardd.driver import Card
from cardd.errors import (
    AlgorithmUnsupported,
    CardIncomplete,
    CardRefused,
    CardRemoved,
    NewPinRefused,
    PinBlocked,
    PinCancelled,
    PinFormat,
    PinRefused,
    PinRequired,
    PinUnchangeable,
    PinWrong,
    PukBlocked,
    PukRefused,
    PukWrong,
)
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
from cardd.tlv import in_order
from cardd_drivers.pkcs11.module import ANSWER_LIMIT, KEYPAD_LIMIT, Module
from cardd_drivers.pkcs11.wire import (
    INFO,
    ChangePin,
    Describe,
    Description,
    Login,
    Logout,
    Reply,
    Requests,
    Sign,
    TokenState,
    UnblockPin,
)

RSA_PKCS, RSA_PKCS_PSS, ECDSA = 0x01, 0x0D, 0x1041  # CKM_…
# the official middleware's labels, for certificates that say nothing themselves (the card facts)
LABELS = {
    "Certificat de Signature CPS": KeyPurpose.SIGNATURE,
    "Certificat d'Authentification CPS": KeyPurpose.AUTHENTICATION,
    "Certificat Technique CPS": KeyPurpose.TECHNICAL,
}

PIN_MAX = 255  # bytes; also where a token tells no length, or one that cannot be

OK = 0x000
GONE = {0x03, 0x30, 0x31, 0x32, 0xB0, 0xB3, 0xE0, 0xE1}  # slot, device, session or token went
CANCELLED, NOT_LOGGED_IN = 0x50, 0x101
WRONG = {0xA0, 0xA1}
LENGTH, LOCKED = 0xA2, 0xA4
UNSUPPORTED = {0x54, 0x70, 0x71, 0x68, 0x60}  # function, mechanism, its parameters, key's use, no such key
UNCHANGEABLE = {0x54, 0x103, 0xE2}  # function; no such user; write-protected token
PIN_FINAL, PIN_LOCKED, KEYPAD = 0x20000, 0x40000, 0x100  # CKF_USER_…, PROTECTED_AUTHENTICATION_PATH
OFFICER_FINAL, OFFICER_LOCKED = 0x200000, 0x400000


def pin_of(token: TokenState) -> PinInfo:
    """Return what a PIN of this token looks like, as far as it tells."""
    minimum, maximum = max(1, token.pin[0]), min(token.pin[1], PIN_MAX)
    if minimum > maximum:
        minimum, maximum = 1, PIN_MAX
    return PinInfo(0, "PKCS#11", minimum, maximum, tries=0, digits=False)


def keys_of(description: Description) -> Iterator[KeyRef]:
    """Yield the usable keys, in the token's order; ``reference`` is the certificate's place in it."""
    for place, found in enumerate(description.certificates):
        try:
            certificate = load_der_x509_certificate(in_order(found.der))
            algorithms = tuple(_algorithms(certificate, description.mechanisms))
        except (ValueError, TypeError, InvalidVersion):
            continue
        purpose = LABELS.get(found.label) or _purpose(certificate)
        if purpose and algorithms:
            proves = purpose is KeyPurpose.AUTHENTICATION and Algorithm.RS256 in algorithms
            yield KeyRef(found.id.hex(), found.label, purpose, place, algorithms, pin=0, signs_any_hash=proves)


def unusable_of(description: Description) -> Iterator[str]:
    """Yield the kinds of the holder's keys with which nothing can be signed here."""
    for found in description.certificates:
        try:
            certificate = load_der_x509_certificate(in_order(found.der))
            if _purpose(certificate) and not list(_algorithms(certificate, description.mechanisms)):
                yield _kind(certificate)
        except (ValueError, TypeError, InvalidVersion, UnsupportedAlgorithm):
            continue


def _kind(certificate: Certificate) -> str:
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {key.curve.name}"
    return "RSA" if isinstance(key, rsa.RSAPublicKey) else type(key).__name__.removesuffix("PublicKey")


def _purpose(certificate: Certificate) -> KeyPurpose | None:
    """Return what a key is for; None for a certificate authority's, which a token may carry as its own chain."""
    try:
        usage = certificate.extensions.get_extension_for_class(KeyUsage).value
    except (ExtensionNotFound, ValueError):
        return None
    if usage.key_cert_sign:
        return None
    if usage.content_commitment:
        return KeyPurpose.SIGNATURE
    return KeyPurpose.AUTHENTICATION if usage.digital_signature else None


def _algorithms(certificate: Certificate, mechanisms: tuple[int, ...]) -> Iterator[Algorithm]:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        if RSA_PKCS in mechanisms:
            yield Algorithm.RS256
        if RSA_PKCS_PSS in mechanisms:
            yield Algorithm.PS256
    elif isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1) and ECDSA in mechanisms:
        yield Algorithm.ES256


class TokenCard(Card):
    """Every call goes to the module's process; what the token says of itself is asked once.

    ``login`` is the generation of the module in which the user is logged in already.
    """

    def __init__(self, module: Module, slot: int, reader: str, login: int | None = None) -> None:
        self._module = module
        self._slot = slot
        self._reader = reader
        self._description = self._describe()
        self._keys = tuple(keys_of(self._description))
        self._login = login

    @property
    def login(self) -> int | None:
        """The number of the module's process in which the user is logged in."""
        return self._login

    @property
    def has_keypad(self) -> bool:
        """Return whether the token asks for its PIN itself (protected authentication path)."""
        return bool(self._description.token.flags & KEYPAD)

    @property
    def info(self) -> CardInfo:
        """Return what the token says; its keys are those with a certificate."""
        token = self._description.token
        pin, unusable = pin_of(token), tuple(dict.fromkeys(unusable_of(self._description)))
        return CardInfo(CardKind.PKCS11, "pkcs11", token.serial, token.label, self._keys, pin, pin, unusable)

    def certificates(self) -> tuple[CardCertificate, ...]:
        """Return the certificates of the usable keys."""
        mine = {key.id for key in self._keys}
        return tuple(
            CardCertificate(one.id.hex(), one.label, one.der)
            for one in self._description.certificates
            if one.id.hex() in mine
        )

    def pin_status(self) -> PinStatus:
        """PKCS#11 tells only the last try and the blocked PIN."""
        flags = self._describe().token.flags
        return PinStatus(0 if flags & PIN_LOCKED else 1 if flags & PIN_FINAL else None)

    def puk_status(self) -> PinStatus:
        """Return the tries of the security officer's PIN, which is what unblocks."""
        flags = self._describe().token.flags
        return PinStatus(0 if flags & OFFICER_LOCKED else 1 if flags & OFFICER_FINAL else None)

    def verify(self, pin: Secret | None) -> None:
        """Log in; keys that show themselves only then are looked for."""
        if pin is not None:
            self._ensure_length(pin)
        sizes = (len(pin),) if pin is not None else ()
        limit = ANSWER_LIMIT if pin is not None else KEYPAD_LIMIT
        reply = self._module.call(
            Login(sizes, slot=self._slot, serial=self._serial), [pin] if pin is not None else (), limit=limit
        )
        if reply.code:
            self._refused_pin(reply)
        self._login = self._module.generation
        if not self._keys:
            self._description = self._describe()
            self._keys = tuple(keys_of(self._description))

    def sign(self, key: KeyRef, algorithm: Algorithm, message: Message) -> bytes:
        """Sign with a signature key."""
        return self._use(key, KeyPurpose.SIGNATURE, algorithm, message.digest)

    def authenticate(self, key: KeyRef, algorithm: Algorithm, digest: bytes) -> bytes:
        """Sign the daemon's own digest with an authentication key."""
        return self._use(key, KeyPurpose.AUTHENTICATION, algorithm, digest)

    def authenticate_info(self, key: KeyRef, info: bytes) -> bytes:
        """Sign a DigestInfo with an authentication key."""
        return self._sign_any_hash(key, INFO, info)

    def authenticate_pss(self, key: KeyRef, kind: str, digest: bytes) -> bytes:
        """Sign a digest by RSA-PSS with an authentication key."""
        if Algorithm.PS256 not in key.algorithms:
            raise AlgorithmUnsupported(algorithm=Algorithm.PS256.value)
        return self._sign_any_hash(key, Algorithm.PS256.value, digest, kind)

    def change_pin(self, old: Secret | None, new: Secret | None) -> None:
        """Replace the PIN; with None the token's keypad asks for both."""
        if (old is None or new is None) and not self.has_keypad:
            raise PinUnchangeable
        secrets = [secret for secret in (old, new) if secret is not None]
        limit = ANSWER_LIMIT if secrets else 2 * KEYPAD_LIMIT
        request = ChangePin(tuple(len(secret) for secret in secrets), slot=self._slot, serial=self._serial)
        reply = self._module.call(request, secrets, limit=limit)
        self._check_change(reply)

    def unblock_pin(self, puk: Secret, new: Secret) -> None:
        """Set a new PIN as the security officer."""
        request = UnblockPin((len(puk), len(new)), slot=self._slot, serial=self._serial)
        reply = self._module.call(request, (puk, new))
        if reply.code in UNCHANGEABLE:
            raise PinUnchangeable
        if reply.code and not reply.of_new:
            self._refused_puk(reply)
        self._check_change(reply)

    def logout(self, *, reset: bool) -> None:
        """End the login; a card is reset by the module's process unless the caller does it."""
        self._login = None
        self._ask(Logout(slot=self._slot, reset=reset))

    @property
    def _serial(self) -> str:
        return self._description.token.serial

    def _use(self, key: KeyRef, purpose: KeyPurpose, algorithm: Algorithm, digest: bytes) -> bytes:
        if key.purpose is not purpose or algorithm not in key.algorithms:
            raise AlgorithmUnsupported(algorithm=algorithm.value)
        return self._sign(key, algorithm.value, digest)

    def _sign_any_hash(self, key: KeyRef, algorithm: str, digest: bytes, kind: str = "sha256") -> bytes:
        if not key.signs_any_hash:
            raise AlgorithmUnsupported(algorithm=algorithm)
        return self._sign(key, algorithm, digest, kind)

    def _sign(self, key: KeyRef, algorithm: str, digest: bytes, kind: str = "sha256") -> bytes:
        request = Sign(slot=self._slot, key=bytes.fromhex(key.id), algorithm=algorithm, digest=digest, kind=kind)
        if self._login is None:
            raise PinRequired  # a private key shows itself after the login only
        reply = self._module.call(request, login=self._login)
        if reply.code in UNSUPPORTED:
            raise AlgorithmUnsupported(algorithm=algorithm)
        self._check(reply)
        return reply.signature

    def _describe(self) -> Description:
        description = self._ask(Describe(slot=self._slot)).description
        if description is None:
            raise CardIncomplete(what="token")
        return description

    def _ask(self, request: Requests) -> Reply:
        reply = self._module.call(request)
        self._check(reply)
        return reply

    def _check_change(self, reply: Reply) -> None:
        if reply.code in UNCHANGEABLE:
            raise PinUnchangeable
        if reply.of_new and (reply.code in WRONG or reply.code == LENGTH):
            pin = pin_of(self._description.token)
            raise NewPinRefused(minimum=pin.minimum, maximum=pin.maximum)
        if reply.code:
            self._refused_pin(reply)

    def _ensure_length(self, pin: Secret) -> None:
        known = pin_of(self._description.token)
        if not known.minimum <= len(pin) <= known.maximum:
            raise PinFormat(minimum=known.minimum, maximum=known.maximum)

    def _refused_puk(self, reply: Reply) -> NoReturn:
        if reply.code == LOCKED or reply.flags & OFFICER_LOCKED:
            raise PukBlocked
        if reply.code in WRONG or reply.code == LENGTH:
            raise PukWrong(tries_left=1) if reply.flags & OFFICER_FINAL else PukRefused
        self._check(reply)
        raise CardRefused(command="C_Login", sw=f"{reply.code:#x}")

    def _refused_pin(self, reply: Reply) -> NoReturn:
        if reply.code == LOCKED or reply.flags & PIN_LOCKED:
            raise PinBlocked
        if reply.code in WRONG:
            raise PinWrong(tries_left=1) if reply.flags & PIN_FINAL else PinRefused
        if reply.code == LENGTH:
            pin = pin_of(self._description.token)
            raise PinFormat(minimum=pin.minimum, maximum=pin.maximum)
        if reply.code == CANCELLED:
            raise PinCancelled
        self._check(reply)
        raise CardRefused(command="C_Login", sw=f"{reply.code:#x}")

    def _check(self, reply: Reply) -> None:
        if reply.code == OK:
            return
        if reply.code in GONE:
            raise CardRemoved(reader=self._reader)
        if reply.code == NOT_LOGGED_IN:
            raise PinRequired
        raise CardRefused(command=self._module.name, sw=reply.why or f"{reply.code:#x}")
