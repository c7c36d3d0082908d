"""What the entry points ``cardd.simulators`` have in common: a card in a virtual reader, or in one of this process."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable

from cardd.ports import ReaderSource
from cardd.simulator import SimulatorOptions
from cardd_simulators.cards.inprocess import READER, InProcessReader, InProcessReaders
from cardd_simulators.cards.powered import PoweredCard
from cardd_simulators.cards.texts import TEXTS
from cardd_simulators.cards.vpcd import ReaderState, VpcdSlot


class CardSimulator(ABC):
    """``cardd.simulator.Simulator``, but for which card it is."""

    name: str
    profiles: tuple[str, ...] = ()

    @abstractmethod
    def check(self, options: SimulatorOptions) -> None:
        """Raise InvalidRequest with the option that cannot be; takes no time."""

    @abstractmethod
    def card(self, options: SimulatorOptions) -> PoweredCard:
        """The card itself. Raises as ``check``."""

    def summary(self, language: str) -> str:
        """What it is."""
        return TEXTS[language][f"{self.name}.summary"]

    async def run(self, options: SimulatorOptions, report: Callable[[str], None]) -> None:
        """Keep the card in the virtual reader until cancelled."""
        texts = TEXTS[options.language]
        self.check(options)
        report(texts["warning"])
        card = await asyncio.to_thread(self.card, options)
        host, port = options.reader
        loop = asyncio.get_running_loop()

        def tell(state: ReaderState) -> None:
            sentence = texts[state.value].format(card=card.title, reader=f"{host}:{port}")
            loop.call_soon_threadsafe(report, sentence)

        await _serve(VpcdSlot(card, options.reader, tell))

    def in_process(self, options: SimulatorOptions) -> ReaderSource:
        """One reader that holds the card."""
        return InProcessReaders([InProcessReader(READER, self.card(options))])

    def authorities(self, options: SimulatorOptions) -> list[bytes]:  # noqa: ARG002 - a patient's card has none
        """None, but where cards have keys."""
        return []


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
