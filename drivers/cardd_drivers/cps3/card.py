"""One open CPS3 card: what it tells of itself, its PIN and its keys.

Read without contact, a CPS3 has no PIN, and one technical key that works without any. The card tells which one it is
and proves that it is genuine; it never speaks for its holder. Source: the emulation facts, section 5.
"""

from __future__ import annotations

from cardd.driver import RSA, CardMemory, Channel
from cardd.errors import (
    AlgorithmUnsupported,
    CardIncomplete,
    CardRefused,
    PinBlocked,
    PinWrong,
    SignatureInvalid,
)
from cardd.model import (
    Algorithm,
    CardCertificate,
    CardInfo,
    CardKind,
    KeyPurpose,
    KeyRef,
    Message,
    PinStatus,
    Situation,
)
from cardd.secret import Secret
from cardd_drivers.cps3 import keys
from cardd_drivers.cps3.contents import CONTACTLESS_AID, Directories, number_of, situation
from cardd_drivers.cps3.keys import DIGEST_INFO_SHA256, KeyOperations, NotOffered, Operation, Verifier
from cardd_drivers.cps3.known import KnownCard, proven
from cardd_drivers.cps3.midstate import split
from cardd_drivers.cps3.pins import CardPins
from cardd_drivers.pkcs15.files import Files
from cardd_drivers.pkcs15.objects import Application, Password

DIGEST_SIZE = 32
INFO_MAX = 83  # of SHA-512, and below 40 % of an RSA-2048 modulus, which is what the card takes


class Cps3Card:
    """A CPS3 in its reader. A variant overrides the types, ``_sign`` and the ``_…_operation`` methods.

    What ``memory`` keeps of the card is not read again.
    """

    driver = "cps3"
    files_type: type[Files] = Files
    directories_type: type[Directories] = Directories
    pins_type: type[CardPins] = CardPins

    def __init__(self, channel: Channel, kind: CardKind, memory: CardMemory | None = None) -> None:
        self._channel = channel
        self._files = self.files_type(channel)
        self._directories = self.directories_type(self._files)
        serial = self._directories.serial()
        self._memory = memory if serial else None
        known = self._recalled(serial)
        self._contents = known.contents if known else self._directories.read(serial)
        self._operations = KeyOperations(channel, self._files, self._contents.application.aid)
        self._certificates = known.certificates if known else None
        self._is_kept = known is not None
        self._situations: tuple[Situation, ...] | None = None
        self._verifiers: dict[str, Verifier] = {}
        self._hashes_on_card = False
        self.info = CardInfo(
            kind=kind,
            driver=self.driver,
            serial=self._contents.serial,
            label=self._contents.application.label,
            keys=self._contents.keys,
            pin=self._contents.pin,
            puk=self._contents.puk,
        )
        self._pins = self.pins_type(channel, self._files, self.info.pin, self.info.puk)

    def _recalled(self, serial: str) -> KnownCard | None:
        """Return what is kept of the card, if this is the one."""
        known = self._memory.recall(serial) if self._memory else None
        if self._memory is None or not isinstance(known, KnownCard):
            return None
        if known.is_in(self._files):
            return known
        self._memory.forget(serial)
        if self._directories.has_short_ids:
            self._files.select_master()
        return None

    def _keep(self, key: KeyRef) -> None:
        """Have the card known again: it has signed with this key."""
        if self._memory and not self._is_kept:
            self._is_kept = True
            if known := proven(self._contents, self.certificates(), key.id):
                self._memory.keep(self.info.serial, known)

    def _forget(self) -> None:
        """Have the card read anew when it is opened next."""
        self._is_kept = False
        if self._memory:
            self._memory.forget(self.info.serial)

    def certificates(self) -> tuple[CardCertificate, ...]:
        """Return the certificates of the card's keys; read at the first call. Raises CardRefused, CardGarbled."""
        if self._certificates is None:
            self._certificates = tuple(self._read_certificates())
        return self._certificates

    def _read_certificates(self) -> list[CardCertificate]:
        found = []
        for file in self._contents.files:
            self._files.select_listed(self._contents.application, file.path)
            found.append(CardCertificate(file.id.hex(), file.label, self._files.read_object()))
        return found

    def situations(self) -> tuple[Situation, ...]:
        """Return the situations of the card's CPS_ACTIVITY objects; read at the first call, after the PIN."""
        if self._situations is None:
            self._situations = tuple(self._read_situations())
        return self._situations

    def _read_situations(self) -> list[Situation]:
        found = []
        for file in self._directories.data(self._contents):
            if number := number_of(file.label):
                self._files.select_listed(self._contents.application, file.path)
                found.append(situation(number, self._files.read_object()))
        return found

    # --- the PIN

    def pin_status(self) -> PinStatus:
        """Return the tries left."""
        return self._pins.status(self._pins.pin)

    def verify(self, pin: Secret | None) -> None:
        """Present the PIN where the coming operation needs the card to be."""
        self._operations.before_login()
        try:
            self._pins.verify(pin)
        except (PinWrong, PinBlocked, CardRefused):
            self._forget()
            raise

    def change_pin(self, old: Secret | None, new: Secret | None) -> None:
        """Replace the PIN."""
        self._pins.change(old, new)

    def puk_status(self) -> PinStatus:
        """Return the PUK's tries left."""
        return self._pins.status(self._pins.puk)

    def unblock_pin(self, puk: Secret, new: Secret) -> None:
        """Set a new PIN with the PUK."""
        self._pins.unblock(puk, new)

    # --- the keys

    def sign(self, key: KeyRef, algorithm: Algorithm, message: Message) -> bytes:
        """Sign with the signature key: the digest as it is, or the document's last block when the card wants that.

        Raises AlgorithmUnsupported, PinRequired, SignatureInvalid, CardRefused.
        """
        _check_use(key, (KeyPurpose.SIGNATURE,), algorithm, message.digest)
        return self._proven(key, algorithm, message.digest, self._sign(key, algorithm, message))

    def _sign(self, key: KeyRef, algorithm: Algorithm, message: Message) -> bytes:
        if not self._hashes_on_card:
            try:
                return self._operations.run(self._digest_operation(key, message.digest))
            except NotOffered as refusal:
                if message.content is None:
                    raise AlgorithmUnsupported(algorithm=algorithm) from refusal
        if message.content is None:
            raise AlgorithmUnsupported(algorithm=algorithm)
        signature = self._operations.run(self._content_operation(key, message.content))
        self._hashes_on_card = True
        return signature

    def authenticate(self, key: KeyRef, algorithm: Algorithm, digest: bytes) -> bytes:
        """Sign a digest that the daemon built with the authentication key, or a technical one.

        Raises as ``sign`` does.
        """
        _check_use(key, (KeyPurpose.AUTHENTICATION, KeyPurpose.TECHNICAL), algorithm, digest)
        operation = self._authentication_operation(key, algorithm, digest)
        return self._proven(key, algorithm, digest, self._operations.run(operation))

    def authenticate_info(self, key: KeyRef, info: bytes) -> bytes:
        """Sign a DigestInfo of any hash with the authentication key. Raises as ``sign`` does."""
        if not key.signs_any_hash or not 0 < len(info) <= INFO_MAX:
            raise AlgorithmUnsupported(algorithm=RSA)
        signature = self._operations.run(self._info_operation(key, info))
        if not self._verifier(key).accepts_info(signature, info):
            self._distrust()
            raise SignatureInvalid
        self._keep(key)
        return signature

    def authenticate_pss(self, key: KeyRef, kind: str, digest: bytes) -> bytes:  # noqa: ARG002 - the driver's interface
        """Raise AlgorithmUnsupported: a CPS3 has no RSA-PSS."""
        raise AlgorithmUnsupported(algorithm=RSA)

    def decrypt(self, key: KeyRef, cryptogram: bytes) -> bytes:
        """Decrypt with the authentication key. Raises AlgorithmUnsupported, PinRequired, CardRefused."""
        if not key.decrypts:
            raise AlgorithmUnsupported(algorithm=RSA)
        return self._decrypt(key, cryptogram)

    def _decrypt(self, key: KeyRef, cryptogram: bytes) -> bytes:
        return self._operations.run(keys.decipher(key.reference, cryptogram))

    def _digest_operation(self, key: KeyRef, digest: bytes) -> Operation:
        return keys.sign_digest(key.reference, digest)

    def _content_operation(self, key: KeyRef, content: bytes) -> Operation:
        parts = split(content)
        return keys.sign_last_block(key.reference, parts.intermediate, parts.last_block)

    def _authentication_operation(self, key: KeyRef, algorithm: Algorithm, digest: bytes) -> Operation:  # noqa: ARG002 - the hook's signature
        return self._info_operation(key, DIGEST_INFO_SHA256 + digest)

    def _info_operation(self, key: KeyRef, info: bytes) -> Operation:
        return keys.authenticate(key.reference, info)

    def _proven(
        self, key: KeyRef, algorithm: Algorithm, digest: bytes, signature: bytes, kind: str = "sha256"
    ) -> bytes:
        """Return the signature, once it has verified: a card that took another key, or garbled bytes, end here."""
        if not self._verifier(key).accepts(signature, digest, algorithm, kind):
            self._distrust()
            raise SignatureInvalid
        self._keep(key)
        return signature

    def _distrust(self) -> None:
        """The card used another key than the one meant, or is another card."""
        self._operations.distrust_references()
        self._forget()

    def _verifier(self, key: KeyRef) -> Verifier:
        if key.id not in self._verifiers:
            found = next((certificate for certificate in self.certificates() if certificate.key_id == key.id), None)
            if found is None:
                raise CardIncomplete(what=f"certificate.{key.purpose}")
            self._verifiers[key.id] = Verifier(found.der)
        return self._verifiers[key.id]


def _check_use(key: KeyRef, purposes: tuple[KeyPurpose, ...], algorithm: Algorithm, digest: bytes) -> None:
    """No key does another's work, and nothing but a SHA-256 digest is signed."""
    if key.purpose not in purposes or algorithm not in key.algorithms or len(digest) != DIGEST_SIZE:
        raise AlgorithmUnsupported(algorithm=algorithm)


class ContactlessDirectories(Directories):
    """The contactless application's, which lists no passwords."""

    aid = CONTACTLESS_AID

    def _passwords(self, application: Application, odf: bytes) -> list[Password]:  # noqa: ARG002 - the hook's signature
        return []


class Cps3ContactlessCard(Cps3Card):
    """A CPS3 near a contactless reader."""

    directories_type = ContactlessDirectories
