"""One open CPS4 card."""

from __future__ import annotations

from cardd.driver import Channel
from cardd.errors import CardIncomplete
from cardd.model import Algorithm, CardKind, KeyRef, Message
from cardd_drivers.cps3.card import Cps3Card
from cardd_drivers.cps3.commands import Operation
from cardd_drivers.cps4 import commands
from cardd_drivers.cps4.channel import LogicalChannel
from cardd_drivers.cps4.files import Cps4Directories, Cps4Files
from cardd_drivers.cps4.pins import Cps4Pins

MODULI = range(1024, 4096 + 1, 8)  # bits


class Cps4Card(Cps3Card):
    """A CPS4 in its reader, used on its logical channel 1."""

    driver = "cps4"
    files_type = Cps4Files
    directories_type = Cps4Directories
    pins_type = Cps4Pins

    def __init__(self, channel: Channel, kind: CardKind) -> None:
        inside = LogicalChannel(channel)
        inside.open()  # here, so that a refusal is not taken for a missing file
        super().__init__(inside, kind)

    def _sign(self, key: KeyRef, algorithm: Algorithm, message: Message) -> bytes:
        return self._operator.run(commands.sign_digest(key.reference, algorithm, message.digest))

    def _authentication_operation(self, key: KeyRef, digest: bytes) -> Operation:
        bits = self._contents.bits[key.id]
        if bits not in MODULI:
            raise CardIncomplete(what="modulus")
        return commands.authenticate(key.reference, digest, bits // 8)
