"""The contract between cardd and the drivers of cards: what a driver gives, and what it may use.

Every method here blocks. The core calls them on the reader's own worker thread, one at a time, inside a PC/SC
transaction; a driver therefore needs no lock, no thread and no asyncio. A driver package names its ``CardDriver`` in
the entry points ``cardd.drivers`` and imports nothing of cardd but this contract and the base modules.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from cardd.apdu import Command, Response
from cardd.apdu import Protocol as CardProtocol
from cardd.errors import AlgorithmUnsupported, PinUnchangeable
from cardd.model import Algorithm, CardCertificate, CardInfo, CardKind, KeyRef, Message, PinInfo, PinStatus, Situation
from cardd.secret import Secret

RSA = "RSA"


class Channel(Protocol):
    """The way to one inserted card: APDUs inside the transaction that the core has begun."""

    @property
    def atr(self) -> bytes:
        """The card's answer to reset."""
        ...

    @property
    def protocol(self) -> CardProtocol:
        """T=0 or T=1."""
        ...

    @property
    def epoch(self) -> int:
        """Changes whenever a transaction begins or the card is reset: what the card was told before is void."""
        ...

    @property
    def has_pinpad(self) -> bool:
        """Whether the reader takes the PIN on its own keypad (PC/SC part 10, FEATURE_VERIFY_PIN_DIRECT)."""
        ...

    def transmit(self, command: Command) -> Response:
        """Send one command; chaining and GET RESPONSE are the channel's business.

        Raises CardRemoved, CardReset, CardMute, CardGarbled, ReaderGone or PcscUnavailable; a status word is no error.
        """
        ...

    def transmit_secret(self, command: Command, secret: Secret) -> Response:
        """Send ``command`` with the secret's bytes as its body; no copy of them is left behind."""
        ...

    def verify_on_pinpad(self, command: Command, pin: PinInfo) -> Response:
        """Have the reader itself ask for the PIN (ASCII digits) and send ``command`` with it.

        Raises PinCancelled or PinTimeout when the holder presses cancel or does nothing.
        """
        ...


class Card(Protocol):
    """One inserted card, opened by its driver. Public data is read once and kept for the object's life."""

    @property
    def info(self) -> CardInfo:
        """Kind, serial, keys and PIN, from the card's directories."""
        ...

    def certificates(self) -> tuple[CardCertificate, ...]:
        """The certificates; read from the card at the first call."""
        ...

    def pin_status(self) -> PinStatus:
        """Ask the card for the tries left, without spending one."""
        ...

    def verify(self, pin: Secret | None) -> None:
        """Present the PIN; None has the reader's own keypad ask for it.

        Raises PinWrong, PinBlocked, PinFormat, and on a keypad PinCancelled or PinTimeout.
        """
        ...

    def change_pin(self, old: Secret | None, new: Secret | None) -> None:
        """Replace the PIN, after ``verify`` with the old one; None for codes that only a keypad knows.

        Raises PinFormat, PinUnchangeable when this card or this reader cannot (as here, for a driver that inherits
        it), CardRefused.
        """
        raise PinUnchangeable

    def puk_status(self) -> PinStatus:
        """Ask the card for the PUK's tries left, without spending one."""
        raise PinUnchangeable

    def unblock_pin(self, puk: Secret, new: Secret) -> None:
        """Set a new PIN with the PUK, and all its tries. Raises PukWrong, PukBlocked, PinFormat, PinUnchangeable."""
        raise PinUnchangeable

    def situations(self) -> tuple[Situation, ...]:
        """Return where and as what the holder practises, after ``verify``; none for a card that does not tell."""
        return ()

    def sign(self, key: KeyRef, algorithm: Algorithm, message: Message) -> bytes:
        """Sign with a signature key, after ``verify``. Raises AlgorithmUnsupported, PinRequired, CardRefused."""
        ...

    def authenticate(self, key: KeyRef, algorithm: Algorithm, digest: bytes) -> bytes:
        """Sign a digest that the daemon itself built with an authentication key, after ``verify``."""
        ...

    def authenticate_info(self, key: KeyRef, info: bytes) -> bytes:
        """Sign a DigestInfo (PKCS#1 v1.5) of any hash with an authentication key that ``signs_any_hash``.

        Raises AlgorithmUnsupported, as here, for a driver that inherits it.
        """
        raise AlgorithmUnsupported(algorithm=RSA)

    def authenticate_pss(self, key: KeyRef, kind: str, digest: bytes) -> bytes:
        """Sign a digest by RSA-PSS, ``kind`` being the hash of all its parts, with a key that ``signs_any_hash``.

        Raises AlgorithmUnsupported, as here, for a driver that inherits it.
        """
        raise AlgorithmUnsupported(algorithm=RSA)

    def decrypt(self, key: KeyRef, cryptogram: bytes) -> bytes:
        """Decrypt by PKCS#1 v1.5 with an authentication key that ``decrypts``, after ``verify``.

        Raises AlgorithmUnsupported, as here, for a driver that inherits it; CardRefused for what nobody encrypted so.
        """
        raise AlgorithmUnsupported(algorithm=RSA)


class CardMemory(Protocol):
    """What one driver keeps of the cards that were here, by their serial numbers, while the daemon runs.

    A driver keeps only what a card told that has proved with a key of its own which one it is. The PIN is never kept.
    """

    def recall(self, serial: str) -> object | None:
        """Return what was kept of the card with this number; None where nothing is. Another card may tell it too."""
        ...

    def keep(self, serial: str, known: object) -> None:
        """Keep this; what was kept longest ago makes room."""
        ...

    def forget(self, serial: str) -> None:
        """Keep nothing of this card."""
        ...


class CardDriver(Protocol):
    """How one family of cards is recognised and opened. Instances hold no state of a card."""

    name: str

    def recognise(self, atr: bytes) -> CardKind | None:
        """The kind of card with this ATR; None when it is not this driver's, or when the ATR does not tell."""
        ...

    def probe(self, channel: Channel) -> CardKind | None:
        """For an ATR that nobody recognised: ask the card for this driver's application (AID)."""
        ...

    def open(self, channel: Channel, kind: CardKind) -> Card:
        """Read the directories. Raises CardIsVitale, CardIncomplete, CardGarbled, CardRefused."""
        ...


@runtime_checkable
class RememberingDriver(Protocol):
    """A ``CardDriver`` that opens a card which was here before in fewer commands."""

    def open_known(self, channel: Channel, kind: CardKind, memory: CardMemory) -> Card:
        """Do as ``open`` does, without reading again what ``memory`` keeps of this very card. Raises as ``open``."""
        ...
