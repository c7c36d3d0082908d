"""The entry points ``cardd.simulators``: each puts a card into a virtual reader, or into one of this process."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from cardd.errors import InvalidRequest
from cardd.ports import ReaderSource
from cardd.simulator import CardOptions
from cardd_simulators import texts
from cardd_simulators.cards.behaviour import VARIANTS, behaving
from cardd_simulators.cards.card import PIN_MINIMUM, PUK_LENGTH, SimulatedCard, SimulatedContactless
from cardd_simulators.cards.cps4 import SimulatedCps4
from cardd_simulators.cards.inprocess import READER, InProcessReader, InProcessReaders
from cardd_simulators.cards.interface import Delays, PoweredCard
from cardd_simulators.cards.profiles import PROFILES, Profile
from cardd_simulators.cards.replay import ReplayedCard, load
from cardd_simulators.cards.store import Store
from cardd_simulators.cards.vitale import SimulatedVitale
from cardd_simulators.cards.vpcd import ReaderState, VpcdSlot

CPS3_ONLY, CPS4_ONLY = {"no-short-ids", "hashes-itself"}, {"detour"}
WITHOUT_PIN = {"no-ef-sn", "no-ef-dir", "ef-dir-without-paths", "relative-paths", "no-short-ids", "strict-references"}
PIN_MAXIMUM = 8
DELAY_MAXIMUM = 60_000


class BaseSimulator(ABC):
    """``cardd.simulator.CardSimulator``, but for which card it is."""

    name: str
    profiles: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()

    @abstractmethod
    def check(self, options: CardOptions) -> None:
        """Raise InvalidRequest with the option that cannot be; takes no time."""

    @abstractmethod
    def card(self, options: CardOptions) -> PoweredCard:
        """Return the card itself. Raises as ``check``."""

    def summary(self, language: str) -> str:
        """Return what is simulated, in one sentence."""
        return texts.CARDS[language][f"{self.name}.summary"]

    def describe(self, variant: str, language: str) -> str:
        """Return what is otherwise with a card of this variant, in one sentence."""
        return texts.VARIANTS[language][variant]

    async def run(self, options: CardOptions, report: Callable[[str], None]) -> None:
        """Keep the card in the virtual reader until cancelled."""
        words = texts.CARDS[options.language]
        self.check(options)
        report(words["warning"])
        card = await asyncio.to_thread(self.card, options)
        host, port = options.reader
        loop = asyncio.get_running_loop()

        def tell(state: ReaderState) -> None:
            sentence = words[state.value].format(card=card.title, reader=f"{host}:{port}")
            loop.call_soon_threadsafe(report, sentence)

        self.hear(card, lambda sentence: loop.call_soon_threadsafe(report, sentence), options.language)
        await _serve(VpcdSlot(card, options.reader, tell))

    def hear(self, card: PoweredCard, tell: Callable[[str], object], language: str) -> None:
        """Have the card tell what its user should know; most cards tell nothing."""
        del card, tell, language

    def in_process(self, options: CardOptions) -> ReaderSource:
        """Return one reader that holds the card."""
        return InProcessReaders([InProcessReader(READER, self.card(options))])

    def authorities(self, options: CardOptions) -> list[bytes]:  # noqa: ARG002 - a patient's card has none
        """Return none: only cards with keys have authorities."""
        return []


class Cps3Simulator(BaseSimulator):
    """A CPS3. Another kind of card overrides the constants; ``generation`` names the kind whose keys are used."""

    name: str = "cps3"
    generation: ClassVar[str] = "cps3"
    card_type: ClassVar[type[SimulatedCard]] = SimulatedCard
    profiles = tuple(PROFILES)
    variants = tuple(variant for variant in VARIANTS if variant not in CPS4_ONLY)

    def check(self, options: CardOptions) -> None:
        """Refuse a profile or variant that there is not, and a PIN, PUK or delay that cannot be."""
        if not (_is_digits(options.pin) and PIN_MINIMUM <= len(options.pin) <= PIN_MAXIMUM):
            raise InvalidRequest(where="pin", why=f"{PIN_MINIMUM}-{PIN_MAXIMUM}")
        if not (_is_digits(options.puk) and len(options.puk) == PUK_LENGTH):
            raise InvalidRequest(where="puk", why=f"{PUK_LENGTH}")
        if not 0 <= options.delay_ms <= DELAY_MAXIMUM:
            raise InvalidRequest(where="delay_ms", why=f"0-{DELAY_MAXIMUM}")
        _profile(options)
        for variant in options.variants:
            if variant not in self.variants:
                raise InvalidRequest(where="variant", why="expected", expected=", ".join(self.variants))

    def card(self, options: CardOptions) -> SimulatedCard:
        """Return the card itself, made from the keys of the options' directory."""
        self.check(options)
        behaviour = behaving(options.variants)
        issued = Store(options.state).issue(_profile(options), len(options.pin), self.generation, behaviour)
        pin, puk = options.pin.encode(), options.puk.encode()
        return self.card_type(issued, pin=pin, puk=puk, behaviour=behaviour, delays=Delays(options.delay_ms))

    def authorities(self, options: CardOptions) -> list[bytes]:
        """Return the fictitious authorities (DER)."""
        return Store(options.state).authorities


class Cps4Simulator(Cps3Simulator):
    """A CPS4."""

    name: str = "cps4"
    generation: ClassVar[str] = "cps4"
    card_type: ClassVar[type[SimulatedCard]] = SimulatedCps4
    variants = tuple(variant for variant in VARIANTS if variant not in CPS3_ONLY)


class ContactlessSimulator(Cps3Simulator):
    """The simulated CPS3 of the same options, read without contact."""

    name: str = "cps3-contactless"
    card_type: ClassVar[type[SimulatedCard]] = SimulatedContactless
    variants = tuple(variant for variant in VARIANTS if variant in WITHOUT_PIN)


class VitaleSimulator(BaseSimulator):
    """A patient's card, without profiles: nothing of it names a holder."""

    name: str = "vitale-atr"

    def check(self, options: CardOptions) -> None:
        """Refuse a profile and variants: nothing but the reader can be chosen."""
        for where, given in (("profile", options.profile), ("variant", options.variants)):
            if given:
                raise InvalidRequest(where=where, why="–")

    def card(self, options: CardOptions) -> SimulatedVitale:
        """Return the card itself."""
        self.check(options)
        return SimulatedVitale()


class ReplaySimulator(BaseSimulator):
    """A card whose trace was recorded; ``profile`` is the file, and ``FILE#2`` its second card."""

    name: str = "replay"

    def check(self, options: CardOptions) -> None:
        """Refuse variants, and a file that is no recording."""
        if options.variants:
            raise InvalidRequest(where="variant", why="–")
        self.card(options)

    def card(self, options: CardOptions) -> ReplayedCard:
        """Return the card itself. Raises InvalidRequest."""
        if options.profile is None:
            raise InvalidRequest(where="--replay", why="missing")
        return ReplayedCard(load(options.profile), Path(options.profile).name)

    def hear(self, card: PoweredCard, tell: Callable[[str], object], language: str) -> None:
        """Tell which card is played where there are several, and which commands have no answer in the recording."""
        if isinstance(card, ReplayedCard):
            number, count = card.place
            if count > 1:
                tell(texts.CARDS[language]["several"].format(number=number, count=count, atr=card.atr.hex().upper()))
            card.tell = lambda header: tell(texts.CARDS[language]["unrecorded"].format(header=header))


def _profile(options: CardOptions) -> Profile:
    """Return the profile meant. Raises InvalidRequest."""
    name = options.profile or next(iter(PROFILES))
    if name not in PROFILES:
        raise InvalidRequest(where="profile", why=", ".join(PROFILES))
    return PROFILES[name]


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


async def _serve(slot: VpcdSlot) -> None:
    """Run the slot on a thread of its own; when cancelled, take the card out before leaving."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def work() -> None:
        slot.run()
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=work, name="vpcd", daemon=True).start()
    try:
        await ended.wait()
    finally:
        slot.stop()
        await ended.wait()
