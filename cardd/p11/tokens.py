"""Slots and tokens: a slot for each reader, which keeps its number, and a token for each card and organisation's keys.

A card is read once while it stays, when a program first looks; from then on it tells what is on it without being
touched. A program that was started before a reader was plugged in never asks for the list of slots again, so that some
slots are there from the beginning.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence

from cardd.core.inserted_card import InsertedCard
from cardd.core.owners import OwnedReaders
from cardd.errors import CarddError, PcscUnavailable
from cardd.identity.holders import identity_of, organisation_of
from cardd.model import Caller, CardCertificate, CardInfo, CardKind, KeyPurpose
from cardd.p11.cryptoki import Attribute, Refused, Rv
from cardd.p11.objects import TokenObject, authorities_of, objects_of
from cardd.values import Value

SLOTS_MIN, SLOTS_MAX = 4, 64
FIRST = 1  # the number of the first slot
LOOKED_FOR = 10.0  # seconds for which a program waits until a card was read
READ_AGAIN = 10.0  # seconds for which a card that could not be read is left in peace
SERIAL_SIZE = 16


class Token(Value):
    """What a card shows; an object's handle is its place among ``objects``, counted from 1."""

    label: str
    model: str
    serial: str
    objects: tuple[TokenObject, ...]

    def object(self, handle: int) -> TokenObject | None:
        """Return the object with this handle."""
        return self.objects[handle - 1] if 0 < handle <= len(self.objects) else None


class Tokens:
    """The slots of all programs, and the tokens of the cards that are there; ``forget`` is for a card that left.

    ``above`` returns the authorities above a certificate, as far as they are known.
    """

    def __init__(self, readers: OwnedReaders, above: Callable[[bytes], Sequence[bytes]]) -> None:
        self._readers = readers
        self._above = above
        self._names: list[str] = []
        self._reading: dict[str, asyncio.Task[Token]] = {}

    def slots(self, program: Caller) -> list[int]:
        """Return the slots that this program sees: its user's, whose the readers are, or those whose card they may use.

        No number is ever given to another reader.
        """
        self._learn()
        every = range(FIRST, FIRST + max(SLOTS_MIN, len(self._names)))
        if self._readers.of(program).is_owner:
            return list(every)
        return [slot for slot in every if self.card_in(slot, program) is not None]

    def reader_of(self, slot: int) -> str:
        """Return the reader's name; empty for a slot that has none yet."""
        place = slot - FIRST
        return self._names[place] if 0 <= place < len(self._names) else ""

    def ensure_slot(self, slot: int, program: Caller) -> None:
        """Raises Refused for a slot that this program does not see."""
        if slot not in self.slots(program):
            raise Refused(Rv.SLOT_ID_INVALID)

    def card_in(self, slot: int, program: Caller) -> InsertedCard | None:
        """Return the card in this slot, if there is one with keys for this program."""
        name = self.reader_of(slot)
        cards = self._readers.of(program).visible() if name else ()
        found = next((card for card in cards if card.reader == name), None)
        is_served = found is not None and not found.is_mute and found.problem is None
        return found if is_served else None

    def ensure_visible(self, card: InsertedCard, program: Caller) -> None:
        """Raises Refused where the card is not the program's user's any more."""
        if not self._readers.owners.may_use(program.peer.uid, card):
            raise Refused(Rv.TOKEN_NOT_PRESENT)

    async def token(self, card: InsertedCard) -> Token:
        """Return what a card shows; it is read at the first call. Raises Refused."""
        reading = self._reading.get(card.id)
        if reading is None:
            reading = self._reading[card.id] = asyncio.ensure_future(self._read(card))
            reading.add_done_callback(lambda done: self._have_read(card, done))
        try:
            async with asyncio.timeout(LOOKED_FOR):
                return await asyncio.shield(reading)
        except (CarddError, TimeoutError):
            raise Refused(Rv.TOKEN_NOT_RECOGNIZED) from None

    def known(self, card: InsertedCard) -> Token | None:
        """Return what a card shows, where it has been read."""
        reading = self._reading.get(card.id)
        is_known = reading is not None and reading.done() and not reading.cancelled() and reading.exception() is None
        return reading.result() if reading and is_known else None

    def forget(self, card: InsertedCard) -> None:
        """Forget what the card showed."""
        self._reading.pop(card.id, None)

    async def _read(self, card: InsertedCard) -> Token:
        if card.kind is CardKind.PKCS12:  # which tells nothing before it was opened once, and everything afterwards
            info, certificates = await card.access.use(lambda files: (files.info, files.certificates()))
        else:
            info, certificates = await card.access.info(), await card.access.certificates()
        label, serial = _names(info, certificates)
        # the key that proves who somebody is first: many programs take the first one
        keys = sorted(info.keys, key=lambda key: key.purpose is not KeyPurpose.AUTHENTICATION)
        objects = tuple(objects_of(keys, certificates))
        known = [found.attributes[Attribute.VALUE] for found in objects if Attribute.VALUE in found.attributes]
        authorities = authorities_of(above for der in known if isinstance(der, bytes) for above in self._above(der))
        return Token(label, info.kind.value.upper(), serial[-SERIAL_SIZE:], (*objects, *authorities))

    def _have_read(self, card: InsertedCard, done: asyncio.Task[Token]) -> None:
        if done.cancelled() or done.exception() is not None or not done.result().objects:
            # the next look tries again; whoever looks all the time keeps no card busy, and key files cost nothing
            wait = 0.0 if card.kind is CardKind.PKCS12 else READ_AGAIN
            asyncio.get_running_loop().call_later(wait, self._forget_reading, card, done)

    def _forget_reading(self, card: InsertedCard, reading: asyncio.Task[Token]) -> None:
        if self._reading.get(card.id) is reading:
            self.forget(card)

    def _learn(self) -> None:
        """Give a number to each reader of this machine that is new; lent ones come and go with their sessions."""
        with contextlib.suppress(PcscUnavailable):
            for state in self._readers.every.readers(lambda state: state.user is None):
                if state.reader.name not in self._names and len(self._names) < SLOTS_MAX:
                    self._names.append(state.reader.name)


def _names(info: CardInfo, certificates: tuple[CardCertificate, ...]) -> tuple[str, str]:
    """Return the token's label and serial number: whose card it is, and its number, where a certificate tells."""
    for certificate in certificates:
        with contextlib.suppress(CarddError):
            holder = identity_of(certificate.der)
            number = (holder.card_number or "").rpartition("/")[2]
            label = f"{holder.card_type_name or 'CPx'} {holder.given_name} {holder.family_name}".strip()
            return label, number or info.serial
    for certificate in certificates:
        with contextlib.suppress(CarddError):
            return organisation_of(certificate.der).name, info.serial
    return info.label or info.kind.value, info.serial
