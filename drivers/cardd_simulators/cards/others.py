"""The entry points ``cps4``, ``cps3-contactless`` and ``vitale-atr`` of ``cardd.simulators``."""

from __future__ import annotations

from typing import ClassVar

from cardd.errors import InvalidRequest
from cardd.simulator import SimulatorOptions
from cardd_simulators.cards.card import SimulatedCard
from cardd_simulators.cards.contactless import SimulatedContactless
from cardd_simulators.cards.cps3 import Cps3Simulator
from cardd_simulators.cards.cps4 import SimulatedCps4
from cardd_simulators.cards.entry import CardSimulator
from cardd_simulators.cards.vitale import SimulatedVitale


class Cps4Simulator(Cps3Simulator):
    """A CPS4."""

    name: str = "cps4"
    generation: ClassVar[str] = "cps4"
    card_type: ClassVar[type[SimulatedCard]] = SimulatedCps4


class ContactlessSimulator(Cps3Simulator):
    """The simulated CPS3 of the same options, read without contact."""

    name: str = "cps3-contactless"
    card_type: ClassVar[type[SimulatedCard]] = SimulatedContactless


class VitaleSimulator(CardSimulator):
    """A patient's card: nobody's, so that it has no profile."""

    name: str = "vitale-atr"

    def check(self, options: SimulatorOptions) -> None:
        """Nothing but the reader can be chosen."""
        if options.profile:
            raise InvalidRequest(where="profile", why="–")

    def card(self, options: SimulatorOptions) -> SimulatedVitale:
        """The card itself."""
        self.check(options)
        return SimulatedVitale()
