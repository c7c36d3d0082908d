"""The entry point ``cps3`` of ``cardd.simulators``: a simulated CPS3, in a virtual reader or in this process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from cardd.errors import InvalidRequest
from cardd.ports import ReaderSource
from cardd.simulator import SimulatorOptions
from cardd_drivers.simulator.card import PIN_MINIMUM, PUK_LENGTH, SimulatedCard
from cardd_drivers.simulator.delays import Delays
from cardd_drivers.simulator.inprocess import READER, InProcessReader, InProcessReaders
from cardd_drivers.simulator.profiles import PROFILES, Profile
from cardd_drivers.simulator.store import Store
from cardd_drivers.simulator.texts import TEXTS
from cardd_drivers.simulator.vpcd import ReaderState, VpcdSlot

PIN_MAXIMUM = 8
DELAY_MAXIMUM = 60_000


class Cps3Simulator:
    """``cardd.simulator.Simulator``."""

    name = "cps3"
    profiles = tuple(PROFILES)

    def summary(self, language: str) -> str:
        """What it is."""
        return TEXTS[language]["summary"]

    async def run(self, options: SimulatorOptions, report: Callable[[str], None]) -> None:
        """Keep the card in the virtual reader until cancelled."""
        texts = TEXTS[options.language]
        check(options)
        report(texts["warning"])
        card = await asyncio.to_thread(self.card, options)
        host, port = options.reader
        named = {"card": card.issued.card_number, "profile": card.issued.profile.name, "reader": f"{host}:{port}"}
        loop = asyncio.get_running_loop()

        def tell(state: ReaderState) -> None:
            loop.call_soon_threadsafe(report, texts[state.value].format(**named))

        await _serve(VpcdSlot(card, options.reader, tell))

    def in_process(self, options: SimulatorOptions) -> ReaderSource:
        """One reader that holds the card."""
        return InProcessReaders([InProcessReader(READER, self.card(options))])

    def card(self, options: SimulatorOptions) -> SimulatedCard:
        """The card itself, made from the keys of the options' directory."""
        profile = check(options)
        issued = Store(options.state).issue(profile, len(options.pin))
        delays = Delays(options.delay_ms)
        return SimulatedCard(issued, pin=options.pin.encode(), puk=options.puk.encode(), delays=delays)


def check(options: SimulatorOptions) -> Profile:
    """The profile meant. Raises InvalidRequest with the option that cannot be."""
    if not (_is_digits(options.pin) and PIN_MINIMUM <= len(options.pin) <= PIN_MAXIMUM):
        raise InvalidRequest(where="pin", why=f"{PIN_MINIMUM}-{PIN_MAXIMUM}")
    if not (_is_digits(options.puk) and len(options.puk) == PUK_LENGTH):
        raise InvalidRequest(where="puk", why=f"{PUK_LENGTH}")
    if not 0 <= options.delay_ms <= DELAY_MAXIMUM:
        raise InvalidRequest(where="delay_ms", why=f"0-{DELAY_MAXIMUM}")
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
