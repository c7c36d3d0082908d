"""The files' keys as a card: locked until the password opens them, and locked again with each transaction's end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cardd.driver import Card
from cardd.errors import AlgorithmUnsupported, PinRequired
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
from cardd_drivers.pkcs12.files import Unlocked, unlock

PASSWORD = PinInfo(reference=0, label="PKCS#12", minimum=1, maximum=256, tries=0, digits=False)


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
        """The certificates; none before the first ``verify``, since the files keep them encrypted."""
        return self._certificates

    def pin_status(self) -> PinStatus:
        """A file counts no tries."""
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

    def _use(self, key: KeyRef, purpose: KeyPurpose, algorithm: Algorithm, digest: bytes) -> bytes:
        if key.purpose is not purpose or algorithm not in key.algorithms:
            raise AlgorithmUnsupported(algorithm=algorithm.value)
        unlocked = self._unlocked.get(key.id)
        if unlocked is None:
            raise PinRequired
        return unlocked.sign(algorithm, digest)
