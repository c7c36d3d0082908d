"""APDUs, GET RESPONSE included, as the card counts them: on a real reader each takes about 100 ms."""

from __future__ import annotations

from pathlib import Path

from cardd.core.card_access import CardAccess
from cardd.core.card_transaction import HolderVerification
from cardd.core.pin_guard import PinGuard
from cardd.core.readers import DriverRegistry
from cardd.driver import Card
from cardd.model import Algorithm, KeyPurpose, Message
from cardd.pcsc.channel import PcscConnection
from cardd.pcsc.winscard import WinScard
from cardd.secret import Secret
from cardd.values import replace
from cardd_simulators.cards.card import SimulatedCard
from cardd_simulators.cards.inprocess import READER, InProcessReader
from tests.bench.measure import Measure
from tests.rig.memory import ManualClock
from tests.rig.pcscd import Pcscd
from tests.rig.simulator import PIN, inserted, simulated_card, simulated_cps4, wait_for_card


async def counts() -> list[Measure]:
    """Opening cold with certificates; the first signature with a held PIN; each further one of a batch."""
    opening, first, further = await _count(simulated_card())
    _, cps4, _ = await _count(simulated_cps4())
    dialog, login = await _login(simulated_card())
    dialog4, login4 = await _login(simulated_cps4())
    return [
        Measure("APDUs to open a card cold, certificates read", opening, "APDUs", 25),
        Measure("  of which before the PIN dialog, its tries included", dialog, "APDUs", 20),
        Measure("  the same of a CPS4", dialog4, "APDUs", 20),
        Measure("APDUs of a login to a card that is open, VERIFY included", login, "APDUs", 3),
        Measure("  the same of a CPS4, its channel opened in both transactions", login4, "APDUs", 5),
        Measure("APDUs of a signature with a held PIN", first, "APDUs", 4),
        Measure("APDUs of each further signature of a batch", further, "APDUs", 2),
        Measure("APDUs of a CPS4's signature, PIN included", cps4, "APDUs", 4),
        Measure("  OpenSC 0.23, to open (from its own traces)", 42, "APDUs"),
        Measure("  official middleware 5.2.2, to open (from its own traces)", 51, "APDUs"),
    ]


def over_pcscd(directory: Path) -> list[Measure]:
    """Opening cold, and again after the card signed and was put in anew."""
    directory.mkdir()
    pcscd = Pcscd(directory)
    pcscd.start()
    try:
        measures = []
        for name, card, target in (("CPS3", simulated_card(), 25), ("CPS4", simulated_cps4(), 28)):
            cold, again = _reinserted(pcscd, card)
            measures += [
                Measure(f"APDUs to open a {name} cold, over pcscd", cold, "APDUs", target),
                Measure(f"APDUs to open a {name} that is known, over pcscd", again, "APDUs", 6),
            ]
        return measures
    finally:
        pcscd.stop()


def _reinserted(pcscd: Pcscd, card: SimulatedCard) -> tuple[int, int]:
    """Return how many APDUs each of two insertions takes until the certificates are known."""
    registry = DriverRegistry()
    counts = []
    for _ in range(2):
        with inserted(card, pcscd):
            connection = PcscConnection(pcscd.reader_names[0], WinScard(), "fr", registry.open)
            connection.begin()
            opened = connection.open()
            opened.certificates()
            counts.append(connection.transmitted)
            with Secret.of(PIN) as pin:
                opened.verify(pin)
            _sign(opened, 1)
            connection.end(reset=True)
            connection.disconnect()
        wait_for_card(pcscd, present=False)
    cold, again = counts
    return cold, again


async def _login(card: SimulatedCard) -> tuple[float, float]:
    """Until the dialog of a card that was just put in; then a login, as the PIN is asked for and taken."""
    access = CardAccess(
        InProcessReader(READER, card, DriverRegistry().open), PinGuard(ManualClock()), hold=0, timeout=10
    )
    before = card.count
    await access.info()
    await access.pin_state()
    dialog = card.count - before
    await access.certificates()
    before = card.count
    await access.pin_state()
    await access.use(lambda opened: opened.info, HolderVerification("bench", Secret.of(PIN)))
    login = card.count - before
    await access.close()
    return dialog, login


async def _count(card: SimulatedCard) -> tuple[float, float, float]:
    """Opening, first signature, each further one."""
    reader = InProcessReader(READER, card, DriverRegistry().open)
    access = CardAccess(reader, PinGuard(ManualClock()), hold=0.5, timeout=10)
    login = HolderVerification("bench", Secret.of(PIN), accepted=True)
    before = card.count
    await access.certificates()
    opening = card.count - before
    await access.use(lambda _: None, replace(login, accepted=False))
    await access.logout("bench")
    before = card.count
    await access.use(lambda opened: _sign(opened, 1), login)
    first, before = card.count - before, card.count
    await access.use(lambda opened: _sign(opened, 10), login)
    further = (card.count - before) / 10
    await access.close()
    return opening, first, further


def _sign(card: Card, count: int) -> None:
    key = card.info.key(KeyPurpose.SIGNATURE)
    assert key
    for number in range(count):
        card.sign(key, Algorithm.RS256, Message(bytes([number]) * 32))
