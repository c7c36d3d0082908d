"""The CPS4 driver over real pcscd: T=1, chaining, and the reset that ends a transaction are the real ones."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cardd.apdu import Protocol
from cardd.core.readers import DriverRegistry
from cardd.driver import Card
from cardd.errors import PinRequired
from cardd.model import Algorithm, KeyPurpose, KeyRef, Message
from cardd.pcsc.channel import PcscConnection
from cardd.pcsc.winscard import WinScard
from cardd.secret import Secret
from cardd_drivers.cps3 import Cps3Driver
from cardd_drivers.cps4 import Cps4Driver
from cardd_simulators.cards.card import SimulatedContactless
from cardd_simulators.cards.cps4 import SimulatedCps4
from cardd_simulators.cards.interface import PoweredCard
from tests.drivers.test_cps4 import OnlyT0
from tests.rig.openssl import verifies
from tests.rig.pcscd import Pcscd
from tests.rig.simulator import inserted, issue, simulated_cps4, wait_for_card

DOCUMENT = b"ordonnance SIMULATION"
MESSAGE = Message(hashlib.sha256(DOCUMENT).digest())


@pytest.fixture(scope="module")
def pcscd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pcscd]:
    pcscd = Pcscd(tmp_path_factory.mktemp("pcscd"))
    try:
        pcscd.start()
        yield pcscd
    finally:
        pcscd.stop()


@contextmanager
def connected(card: PoweredCard, pcscd: Pcscd) -> Iterator[PcscConnection]:
    """The card in the first slot, in a transaction."""
    drivers = DriverRegistry([Cps3Driver(), Cps4Driver()])
    with inserted(card, pcscd):
        connection = PcscConnection(pcscd.reader_names[0], WinScard(), "fr", drivers.open)
        try:
            connection.begin()
            yield connection
        finally:
            connection.disconnect()
    wait_for_card(pcscd, present=False)


def _key(card: Card, purpose: KeyPurpose) -> KeyRef:
    key = card.info.key(purpose)
    assert key
    return key


def _certificate(card: Card, key: KeyRef) -> bytes:
    return next(found.der for found in card.certificates() if found.key_id == key.id)


def _login(card: Card) -> None:
    with Secret.of(b"1234") as pin:
        card.verify(pin)


@pytest.mark.parametrize(
    ("kind", "protocol", "expected"),
    [(SimulatedCps4, Protocol.T1, [4, 1, 1]), (OnlyT0, Protocol.T0, [5, 2, 2])],
    ids=["T=1", "T=0"],
)
def test_a_session_costs_what_it_costs_in_process(
    kind: type[SimulatedCps4], protocol: Protocol, expected: list[int], pcscd: Pcscd, tmp_path: Path
) -> None:
    with connected(simulated_cps4(kind=kind), pcscd) as connection:
        assert connection.protocol is protocol
        card = DriverRegistry([Cps4Driver()]).open(connection)
        key = _key(card, KeyPurpose.SIGNATURE)
        certificate = _certificate(card, key)
        costs = []
        for _ in range(2):
            connection.end(reset=True)
            connection.begin()
            with pytest.raises(PinRequired):
                card.sign(key, Algorithm.PS256, MESSAGE)
            connection.end(reset=True)
            connection.begin()
            before = connection.transmitted
            _login(card)
            for _ in range(3):
                signature = card.sign(key, Algorithm.PS256, MESSAGE)
                costs.append(connection.transmitted - before)
                before = connection.transmitted
                assert verifies(tmp_path, certificate, signature, DOCUMENT, pss=True)
        assert costs == expected * 2


def test_an_authentication_goes_out_chained(pcscd: Pcscd, tmp_path: Path) -> None:
    with connected(simulated_cps4(), pcscd) as connection:
        card = DriverRegistry([Cps4Driver()]).open(connection)
        key = _key(card, KeyPurpose.AUTHENTICATION)
        certificate = _certificate(card, key)
        _login(card)
        before = connection.transmitted
        signature = card.authenticate(key, Algorithm.RS256, MESSAGE.digest)
        assert connection.transmitted - before == 3  # MSE, and the block in two parts
        assert verifies(tmp_path, certificate, signature, DOCUMENT)


def test_a_card_without_contact_identifies_itself(pcscd: Pcscd, tmp_path: Path) -> None:
    with connected(SimulatedContactless(issue()), pcscd) as connection:
        card = DriverRegistry([Cps3Driver()]).open(connection)
        key = _key(card, KeyPurpose.TECHNICAL)
        assert card.info.serial == issue().serial
        proof = card.authenticate(key, Algorithm.RS256, MESSAGE.digest)
        assert verifies(tmp_path, _certificate(card, key), proof, DOCUMENT)
