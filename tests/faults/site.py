"""A workstation at work: pcscd, daemon, card and servers; systemd, which starts the daemon again; what goes away."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

from cardd.system.audit_file import AuditReader
from cardd_simulators.cards.vpcd import VpcdSlot
from tests.faults.around import Around
from tests.faults.watched import WatchedCard
from tests.integration.workstation import Workstation, wait_until
from tests.rig.agent import children
from tests.rig.lps import Json, UnixConnection
from tests.rig.simulator import plugged, wait_for_card
from tests.rig.softhsm import PIN

if TYPE_CHECKING:
    from tests.faults.work import Work

NOTICED = 1.0  # seconds after PC/SC told, for a machine that is busy
ASKED = 5.0  # seconds within which clients at work have a card asked for something
RESTART = 0.5  # seconds after which a daemon that ended is started again; systemd takes two
SETTINGS = """
[card]
timeout = 5
[consent]
batch_max = 10000
[access]
owners = ["nobody"]
"""


class Site:
    """``card`` is in the first reader; ``left`` is when the daemon knew that a card had left it, each time."""

    def __init__(self, directory: Path) -> None:
        self.around = Around(directory)
        self.station = Workstation(
            directory, pin=PIN, extra=SETTINGS + self.around.settings, environment=self.around.environment
        )
        configuration = self.station.daemon.configuration
        settings = configuration.read_text().replace("timeout = 20", 'timeout = 5\nagents = "any"')
        configuration.write_text(settings)
        self.cards = {name: WatchedCard(name) for name in ("medecin", "pharmacien")}
        self.card = self.cards["medecin"]
        self.left: list[float] = []
        self.starts = 0
        self.work: Work | None = None
        self._seat: ExitStack | None = None
        self._slot: VpcdSlot | None = None
        self._is_ending = False

    @contextmanager
    def running(self) -> Iterator[Site]:
        """Start everything; end it with the ``with``."""
        with self.around.running(), self.station.running():
            manager = threading.Thread(target=self._manage)
            manager.start()
            try:
                self.insert()
                yield self
                self.pull()
            finally:
                self._is_ending = True
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.pid, signal.SIGKILL)
                manager.join()

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """Have the clients wait inside, each with its piece of work done."""
        assert self.work
        assert not self.work.rest()
        yield
        self.work.gate.set()

    # --- the daemon

    @property
    def pid(self) -> int:
        """Return the daemon's process."""
        return self.station.daemon.pid

    @property
    def audit(self) -> AuditReader:
        """Return its log."""
        state = self.station.daemon.state
        return AuditReader(state / "audit", state / "audit-head")

    def _manage(self) -> None:
        """Start the daemon again whenever it has ended, as systemd does."""
        daemon = self.station.daemon
        while not self._is_ending:
            process = os.pidfd_open(daemon.pid)
            select.select([process], [], [])
            os.close(process)
            daemon.kill()
            if self._is_ending:
                return
            time.sleep(RESTART)
            daemon.start()
            self.starts += 1

    @contextmanager
    def restarts(self) -> Iterator[None]:
        """Return from the ``with`` once the daemon has been started again in it."""
        before = self.starts
        yield
        wait_until(lambda: self.starts > before)

    def child(self, module: str) -> int | None:
        """Return the daemon's process that runs this module."""
        for pid in children(self.pid):
            with contextlib.suppress(OSError):
                if module in Path(f"/proc/{pid}/cmdline").read_text():
                    return pid
        return None

    def knows_cards(self) -> list[Json]:
        """Return what the daemon knows to be in the readers, tokens left out."""
        try:
            return [card for card in self.station.cards() if card["kind"] == "cps3"]
        except OSError:
            return []

    # --- the card

    def insert(self, profile: str = "medecin") -> None:
        """Put a card in; return once the daemon has seen it."""
        self.insert_at_once(profile)
        wait_until(lambda: bool(self.knows_cards()))

    def insert_at_once(self, profile: str = "medecin") -> None:
        """Put a card in."""
        self.card = self.cards[profile]
        self._seat = ExitStack()
        self._slot = self._seat.enter_context(plugged(self.card, self.station.pcscd.ports[0]))

    def insert_unseen(self) -> None:
        """Put a card in before PC/SC looks; once more where the virtual reader leaves the new one at its door."""
        self.insert_at_once()
        if not self.card.meet(lambda _: True, lambda go: go()).was.wait(ASKED):
            self.pull()
            self.insert()

    def pull(self) -> None:
        """Take the card out; return once PC/SC and the daemon have seen it."""
        self.pull_at_once()
        wait_for_card(self.station.pcscd, present=False)
        told = time.monotonic()
        wait_until(lambda: not self.knows_cards())
        self.left.append(time.monotonic())
        assert self.left[-1] - told < NOTICED, "the daemon learned late that the card had left"

    def pull_at_once(self) -> None:
        """Take the card out."""
        self.yank()
        assert self._seat
        self._seat.close()
        self._seat = None

    def yank(self) -> None:
        """Take the card out in the middle of a command, on the card's own thread; ``pull`` follows."""
        assert self._slot
        self._slot.stop()

    def pins_asked(self) -> int:
        """Return how many dialogs for a PIN there were."""
        return sum(shown.kind == "pin" for shown in self.station.pinentry.shown())

    def meets(self, at: Callable[[bytes], bool], happens: Callable[[Callable[[], bytes]], bytes]) -> None:
        """Return once this has happened at such a command."""
        met = self.card.meet(at, happens)
        assert met.was.wait(20), "the card was never asked so"

    def log_out(self) -> None:
        """End every session, so that dialogs come again."""
        for session in cast(list[Json], self.station.local("/v1/sessions").get("sessions", [])):
            with closing(UnixConnection(self.station.daemon.socket)) as connection:
                connection.request("DELETE", f"/v1/sessions/{session['id']}")
                connection.getresponse().read()
