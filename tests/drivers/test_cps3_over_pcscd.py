"""The driver over real pcscd: T=0, GET RESPONSE and the reset that ends a transaction are the real ones."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from cardd.core.readers import DriverRegistry
from cardd.errors import PinRequired
from cardd.model import Algorithm, KeyPurpose, Message
from cardd.pcsc.channel import PcscConnection
from cardd.pcsc.winscard import WinScard
from cardd.secret import Secret
from cardd_drivers.cps3 import Cps3Driver
from tests.drivers.conftest import DOCUMENT
from tests.drivers.small_card import SmallCard
from tests.rig.openssl import verifies
from tests.rig.pcscd import Pcscd
from tests.rig.simulator import wait_for_card
from tests.rig.vcard import ON, RESET, VirtualCard


class ResettingCard(VirtualCard):
    """A small card in a slot, told of its resets."""

    def __init__(self, port: int, card: SmallCard) -> None:
        super().__init__(port, card.process)
        self._card = card

    def _reply(self, message: bytes) -> bytes | None:
        if len(message) == 1 and message[0] in (ON, RESET):
            self._card.reset()
        return super()._reply(message)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[PcscConnection]:
    pcscd = Pcscd(tmp_path)
    card = ResettingCard(pcscd.ports[0], SmallCard())
    connection = PcscConnection(pcscd.reader_names[0], WinScard(), "fr", DriverRegistry([]).open)
    try:
        pcscd.start()
        card.insert()
        wait_for_card(pcscd)
        connection.begin()
        yield connection
    finally:
        connection.disconnect()
        card.pull()
        pcscd.stop()


def test_a_session_costs_what_it_costs_in_process(connection: PcscConnection, tmp_path: Path) -> None:
    driver = Cps3Driver()
    kind = driver.recognise(connection.atr)
    assert kind
    card = driver.open(connection, kind)
    certificates = card.certificates()
    assert connection.transmitted <= 32
    key = card.info.key(KeyPurpose.SIGNATURE)
    assert key
    message = Message(hashlib.sha256(DOCUMENT).digest())
    costs = []
    signature = b""
    for _ in range(2):
        connection.end(reset=True)
        connection.begin()
        with pytest.raises(PinRequired):
            card.sign(key, Algorithm.RS256, message)
        before = connection.transmitted
        with Secret.of(b"1234") as pin:
            card.verify(pin)
        for _ in range(3):
            signature = card.sign(key, Algorithm.RS256, message)
            costs.append(connection.transmitted - before)
            before = connection.transmitted
    assert costs == [4, 2, 2] * 2
    certificate = next(found.der for found in certificates if found.key_id == key.id)
    assert verifies(tmp_path, certificate, signature, DOCUMENT)
