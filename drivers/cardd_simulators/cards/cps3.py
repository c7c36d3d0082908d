"""The entry point ``cps3`` of ``cardd.simulators``, of which those of the other CPx cards are variants."""

from __future__ import annotations

from typing import ClassVar

from cardd.errors import InvalidRequest
from cardd.simulator import SimulatorOptions
from cardd_simulators.cards.card import PIN_MINIMUM, PUK_LENGTH, SimulatedCard
from cardd_simulators.cards.delays import Delays
from cardd_simulators.cards.entry import CardSimulator
from cardd_simulators.cards.profiles import PROFILES, Profile
from cardd_simulators.cards.store import Store

PIN_MAXIMUM = 8
DELAY_MAXIMUM = 60_000


class Cps3Simulator(CardSimulator):
    """A CPS3. Another kind of card overrides the constants; ``generation`` names whose keys it has."""

    name: str = "cps3"
    generation: ClassVar[str] = "cps3"
    card_type: ClassVar[type[SimulatedCard]] = SimulatedCard
    profiles = tuple(PROFILES)

    def check(self, options: SimulatorOptions) -> None:
        """Whether there is such a profile, and whether PIN, PUK and delay can be."""
        if not (_is_digits(options.pin) and PIN_MINIMUM <= len(options.pin) <= PIN_MAXIMUM):
            raise InvalidRequest(where="pin", why=f"{PIN_MINIMUM}-{PIN_MAXIMUM}")
        if not (_is_digits(options.puk) and len(options.puk) == PUK_LENGTH):
            raise InvalidRequest(where="puk", why=f"{PUK_LENGTH}")
        if not 0 <= options.delay_ms <= DELAY_MAXIMUM:
            raise InvalidRequest(where="delay_ms", why=f"0-{DELAY_MAXIMUM}")
        _profile(options)

    def card(self, options: SimulatorOptions) -> SimulatedCard:
        """The card itself, made from the keys of the options' directory."""
        self.check(options)
        issued = Store(options.state).issue(_profile(options), len(options.pin), self.generation)
        delays = Delays(options.delay_ms)
        return self.card_type(issued, pin=options.pin.encode(), puk=options.puk.encode(), delays=delays)

    def authorities(self, options: SimulatorOptions) -> list[bytes]:
        """The fictitious ones."""
        return Store(options.state).authorities


def _profile(options: SimulatorOptions) -> Profile:
    """The profile meant. Raises InvalidRequest."""
    name = options.profile or next(iter(PROFILES))
    if name not in PROFILES:
        raise InvalidRequest(where="profile", why=", ".join(PROFILES))
    return PROFILES[name]


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()
