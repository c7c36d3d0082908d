"""A simulated CPS3 read without contact.

Source: the emulation facts, section 5. The folder, the files below it and the key's reference were chosen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from cardd.apdu import Command, Protocol
from cardd_simulators.cards import environment, objects
from cardd_simulators.cards.card import SimulatedCard
from cardd_simulators.cards.contents import CONTACTLESS_AID, CONTACTLESS_FOLDER, CardContents, der
from cardd_simulators.cards.delays import PIN_COMMANDS
from cardd_simulators.cards.environment import Key
from cardd_simulators.cards.files import File
from cardd_simulators.cards.objects import DataEntry, KeyEntry
from cardd_simulators.cards.security_objects import security_object

TECHNICAL_KEY = 0x83


class ContactlessContents(CardContents):
    """No passwords, no data, and the technical key alone."""

    aid = CONTACTLESS_AID
    folder = CONTACTLESS_FOLDER
    info_flags = objects.READ_ONLY

    def _directories(self) -> list[File]:
        return [file for file in super()._directories() if file.identifier not in (0x7001, 0x7006)]

    def _object_directory(self) -> bytes:
        return objects.object_directory(
            {objects.PRIVATE_KEYS: self._path(0x7002), objects.CERTIFICATES: self._path(0x7005)}
        )

    def _keys(self) -> list[KeyEntry]:
        return [KeyEntry("CPS_PRIV_TECH_AUT", self.aid + b"\x03", TECHNICAL_KEY, objects.SIGN)]

    def _certificate_directory(self) -> bytes:
        return objects.certificate_entry("Certificat Technique CPS", self.aid + b"\x03", self._path(0xB003))

    def _certificates(self) -> list[File]:
        return [File(0xB003, der(self._card.technical))]

    def _data_entries(self) -> list[DataEntry]:
        return []

    def _data(self) -> list[File]:
        return []


class SimulatedContactless(SimulatedCard):
    """The card near a contactless reader: it has no PIN, and signs without one."""

    atr: ClassVar[bytes] = bytes.fromhex("3B8F80010031B86404B0ECC1739401808290000E")
    protocol: ClassVar[Protocol] = Protocol.T1
    contents: ClassVar[type[CardContents]] = ContactlessContents

    def _get_data(self, command: Command) -> bytes:
        return security_object(command.data, {})

    def _keys(self) -> dict[int, Key]:
        return {TECHNICAL_KEY: Key(self.issued.technical.key, frozenset((environment.AUTHENTICATION,)))}

    def _need_pin(self) -> None:
        """Nothing here is behind one."""

    def _known_commands(self) -> dict[int, Callable[[Command], bytes]]:
        return {ins: run for ins, run in super()._known_commands().items() if ins not in PIN_COMMANDS}
