"""The workstation that the demo plays on: real PC/SC where it is installed, else the card in the daemon's process."""

from __future__ import annotations

import asyncio
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

from cardd.config.loading import load
from cardd.daemon import Daemon
from cardd_simulators.cards.card import SimulatedCard
from cardd_simulators.cards.inprocess import READER, InProcessReader, InProcessReaders
from tests.rig import pcscd
from tests.rig.daemon import DaemonProcess
from tests.rig.simulator import plugged

LIMIT = 20.0


class Workstation(Protocol):
    """A daemon, and a reader whose card can be moved."""

    daemon: DaemonProcess
    described: str

    def start(self) -> None:
        """Start the reader service and the daemon; the reader is empty."""
        ...

    def insert(self, card: SimulatedCard) -> None:
        """Put the card in."""
        ...

    def remove(self) -> None:
        """Pull it out."""
        ...

    def stop(self) -> None:
        """Stop everything that was started."""
        ...


def here(directory: Path, pinentry: Path, extra: str, *, pcsc: bool) -> Workstation:
    """What this machine allows; without ``pcsc``, what any machine does. ``extra`` is added to the configuration."""
    if pcsc and has_pcsc():
        return PcscWorkstation(directory, pinentry, extra)
    return InProcessWorkstation(directory, pinentry, extra)


def has_pcsc() -> bool:
    """Whether pcscd and its virtual readers are installed."""
    return Path(pcscd.PROGRAM).exists() and pcscd.VPCD.exists()


class PcscWorkstation:
    """A real pcscd with virtual readers, and the daemon as a process of its own."""

    described = "real pcscd, virtual reader, daemon in a process of its own"

    def __init__(self, directory: Path, pinentry: Path, extra: str) -> None:
        self._pcscd = pcscd.Pcscd(directory)
        self.daemon = DaemonProcess(directory, pinentry=pinentry, environment=self._pcscd.environment, extra=extra)
        self._card = ExitStack()

    def start(self) -> None:
        """Start pcscd and the daemon."""
        self._pcscd.start()
        self.daemon.start()

    def insert(self, card: SimulatedCard) -> None:
        """Connect the card to the virtual reader."""
        self._card.enter_context(plugged(card, self._pcscd.ports[0]))

    def remove(self) -> None:
        """Disconnect it."""
        self._card.close()

    def stop(self) -> None:
        """Stop the daemon, then pcscd."""
        self.remove()
        self.daemon.stop()
        self._pcscd.stop()


class InProcessWorkstation:
    """Without PC/SC: the same daemon and the same card, in this process."""

    described = "NO PC/SC here: the card is simulated inside the daemon's process"

    def __init__(self, directory: Path, pinentry: Path, extra: str) -> None:
        self.daemon = DaemonProcess(directory, pinentry=pinentry, extra=extra)
        self._reader = InProcessReader(READER)
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._run()))

    def start(self) -> None:
        """Start the daemon on a thread with a loop of its own."""
        self._thread.start()
        if not self._ready.wait(LIMIT):
            raise TimeoutError("the daemon is not ready")

    def insert(self, card: SimulatedCard) -> None:
        """Put the card into the simulated reader."""
        self._reader.insert(card)

    def remove(self) -> None:
        """Take it out."""
        self._reader.remove()

    def stop(self) -> None:
        """Stop the daemon and its loop."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(LIMIT)
        self._loop.close()

    async def _run(self) -> None:
        daemon = Daemon(load(self.daemon.configuration), [InProcessReaders([self._reader])])
        await daemon.start()
        await daemon.watch()
        self._ready.set()
        await self._stop.wait()
        await daemon.stop()
