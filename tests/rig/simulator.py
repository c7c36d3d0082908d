"""Simulated cards for the tests: their keys kept in ``build/``, so that RSA-4096 is generated once a checkout."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TypeVar

from cardd.pcsc.winscard import EventState, WinScard
from cardd_simulators.cards.behaviour import USUAL, Behaviour
from cardd_simulators.cards.card import SimulatedCard
from cardd_simulators.cards.cps4 import SimulatedCps4
from cardd_simulators.cards.interface import Delays, PoweredCard
from cardd_simulators.cards.profiles import PROFILES
from cardd_simulators.cards.store import Issued, Store
from cardd_simulators.cards.vpcd import VpcdSlot
from tests.rig.here import use_here
from tests.rig.pcscd import Pcscd

STATE = Path(__file__).parents[2] / "build" / "simulation"
PIN, PUK = b"1234", b"12345678"
WAIT = 30.0  # seconds


def store() -> Store:
    """The tests' own PKI; its ``chain`` is for ``openssl verify -CAfile``."""
    return Store(STATE)


@cache
def issue(
    profile: str = "medecin", pin_length: int = len(PIN), generation: str = "cps3", behaviour: Behaviour = USUAL
) -> Issued:
    """The keys and certificates of one profile's card; of its own where the behaviour makes them others."""
    made_for = behaviour if behaviour.changes_certificates else USUAL
    return store().issue(PROFILES[profile], pin_length, generation, made_for)


def simulated_card(
    profile: str = "medecin", *, pin: bytes = PIN, behaviour: Behaviour = USUAL, delay_ms: int = 0
) -> SimulatedCard:
    """A fresh CPS3: all tries left, and its own counters."""
    issued = issue(profile, len(pin), "cps3", behaviour)
    return SimulatedCard(issued, pin=pin, puk=PUK, behaviour=behaviour, delays=Delays(delay_ms))


def simulated_cps4(
    profile: str = "medecin", *, kind: type[SimulatedCps4] = SimulatedCps4, behaviour: Behaviour = USUAL
) -> SimulatedCps4:
    """A fresh CPS4."""
    return kind(issue(profile, len(PIN), "cps4", behaviour), pin=PIN, puk=PUK, behaviour=behaviour)


Seated = TypeVar("Seated", bound=PoweredCard)


@contextmanager
def inserted(card: Seated, pcscd: Pcscd, slot: int = 0) -> Iterator[Seated]:
    """Put the card in a slot of this pcscd, which has seen it when the ``with`` begins; pull it out at its end."""
    with plugged(card, pcscd.ports[slot]):
        wait_for_card(pcscd, slot)
        yield card


@contextmanager
def plugged(card: PoweredCard, port: int) -> Iterator[VpcdSlot]:
    """Keep the card connected to this port, whether pcscd is there or not."""
    seat = VpcdSlot(card, ("127.0.0.1", port))
    thread = threading.Thread(target=seat.run, daemon=True)
    thread.start()
    try:
        yield seat
    finally:
        seat.stop()
        thread.join(WAIT)


def wait_for_card(pcscd: Pcscd, slot: int = 0, *, present: bool = True) -> None:
    """Return when this pcscd has seen a card come into the slot, or leave it."""
    use_here(pcscd)
    wanted = EventState.PRESENT if present else EventState.EMPTY
    winscard = WinScard()
    context = winscard.establish()
    seen = 0
    while not seen & wanted:
        states = winscard.wait(context, [(pcscd.reader_names[slot], seen)], round(WAIT * 1000))
        assert states, f"slot {slot} does not come to state {wanted:#x}"
        seen = states[0].event
    winscard.release(context)
