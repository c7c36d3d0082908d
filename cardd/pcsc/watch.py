"""The thread that sleeps in SCardGetStatusChange, and what it remembers of the readers between two looks.

Nothing is polled: while nothing happens, no code runs (pcsc-lite itself looks once a minute whether pcscd is there).
An absent pcscd sends no event when it returns: the thread looks for it, with pauses that grow.

Source: PC/SC part 5, and pcsc-lite's event states, whose high word counts insertions and removals.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from enum import Enum, auto

from cardd.backoff import BackOff
from cardd.errors import CarddError, ReaderGone
from cardd.pcsc.winscard import FOREVER, PNP_READER, EventState, ReaderState, WinScard
from cardd.values import Value

# pcsc-lite 1.9 refuses to watch more names at once, the list's own included; it has no more reader slots either
WATCHED_MAX = 16

_COMPARED = (
    0xFFFF0000 | EventState.UNKNOWN | EventState.UNAVAILABLE | EventState.EMPTY | EventState.PRESENT | EventState.MUTE
)
_COUNTER = 0xFFFF0000

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 30.0  # seconds between two looks for an absent pcscd
SETTLING = 1000  # milliseconds after which a changed list of readers is read once more
CANCEL_AGAIN = 0.01  # seconds; SCardCancel has no effect on a wait that is only about to begin
_log = logging.getLogger(__name__)


class ChangeKind(Enum):
    """What can happen to a reader."""

    ADDED = auto()
    REMOVED = auto()
    CARD_IN = auto()
    CARD_OUT = auto()


class Change(Value):
    """One thing that happened to one reader; ``atr`` is empty for a mute card."""

    kind: ChangeKind
    reader: str
    atr: bytes = b""


class Slots:
    """The readers and cards as they were last seen."""

    def __init__(self) -> None:
        self._states: dict[str, int] = {}
        self._list_state = 0

    def listed(self, names: Sequence[str]) -> list[Change]:
        """Take a new list of readers; new readers are still without a card."""
        changes = []
        for gone in [name for name in self._states if name not in names]:
            changes += self._remove(gone)
        for name in names:
            if name not in self._states:
                self._states[name] = 0
                changes.append(Change(ChangeKind.ADDED, name))
        return changes

    @property
    def are_known(self) -> bool:
        """Return whether there are readers, and whether it was seen what is in each."""
        return bool(self._states) and all(self._states.values())

    def query(self) -> list[tuple[str, int]]:
        """Return names and states to wait on: the wait returns when one of them is different."""
        watched = list(self._states.items())
        return watched if len(watched) == WATCHED_MAX else [*watched, (PNP_READER, self._list_state)]

    def seen(self, states: Sequence[ReaderState]) -> tuple[list[Change], bool]:
        """Take what a wait returned; return the cards' changes, and whether the list of readers must be read again."""
        changes: list[Change] = []
        stale = False
        for state in states:
            if state.name == PNP_READER:
                stale |= state.event & ~_COUNTER != 0
                self._list_state = state.event & _COUNTER
            elif state.name in self._states:
                stale |= state.event & EventState.UNKNOWN != 0
                changes += self._look(state)
        return changes, stale

    def clear(self) -> list[Change]:
        """Take everything away: PC/SC is gone."""
        changes = [change for name in list(self._states) for change in self._remove(name)]
        self._list_state = 0
        return changes

    def _look(self, state: ReaderState) -> list[Change]:
        # a state of 0 would mean "tell at once" and make the wait spin while pcscd is still starting the reader
        before, now = self._states[state.name], (state.event & _COMPARED) or EventState.EMPTY
        self._states[state.name] = now
        was_in, is_in = before & EventState.PRESENT, now & EventState.PRESENT
        if was_in and is_in and before == now:
            return []
        changes = [Change(ChangeKind.CARD_OUT, state.name)] if was_in else []
        if is_in:
            changes.append(Change(ChangeKind.CARD_IN, state.name, b"" if now & EventState.MUTE else state.atr))
        return changes

    def _remove(self, name: str) -> list[Change]:
        card = self._states.pop(name) & EventState.PRESENT
        return [Change(ChangeKind.CARD_OUT, name)] * bool(card) + [Change(ChangeKind.REMOVED, name)]


Report = Callable[[bool, Sequence[Change]], None]
Missed = Callable[[CarddError], None]


def log_absence(error: CarddError) -> None:
    """Log that PC/SC is not there."""
    _log.info("PC/SC is not available: %s", error)


class Watch:
    """A thread that calls ``report(available, changes)`` until it is stopped, then ``ended`` once.

    ``looked`` is called when all that is there was told, and when nothing was there. ``last_change`` is when
    SCardGetStatusChange last returned with news (``time.monotonic``). ``missed`` is called by this thread when PC/SC is
    not there any more.
    """

    def __init__(
        self,
        winscard: WinScard,
        report: Report,
        ended: Callable[[], None],
        looked: Callable[[], None],
        missed: Missed = log_absence,
    ) -> None:
        self.last_change = 0.0
        self._winscard = winscard
        self._report = report
        self._tell_ended = ended
        self._tell_looked = looked
        self._tell_missed = missed
        self._slots = Slots()
        self._back_off = BackOff(FIRST_PAUSE, LONGEST_PAUSE)
        self._is_missed = False
        self._context: int | None = None
        self._context_lock = threading.Lock()
        self._stopping = threading.Event()
        self._wanted = threading.Event()
        self._ended = threading.Event()

    def start(self) -> None:
        """Start the thread; it never keeps the interpreter from exiting."""
        threading.Thread(target=self._run, name="pcsc watch", daemon=True).start()

    def look(self) -> None:
        """Look for an absent pcscd now, and not when the pause is over."""
        self._wanted.set()

    def stop(self) -> None:
        """Have the thread end, without waiting: SCardCancel is a call to pcscd, which may hang."""
        self._stopping.set()
        self._wanted.set()
        threading.Thread(target=self._cancel, name="pcsc cancel", daemon=True).start()

    def _cancel(self) -> None:
        while not self._ended.is_set():
            with self._context_lock:
                if self._context is not None:
                    self._winscard.cancel(self._context)
            self._ended.wait(CANCEL_AGAIN)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._follow(self._open())
            except CarddError as error:
                self._miss(error)
            finally:
                self._close()
            self._report(False, self._slots.clear())
            self._tell_looked()
            self._wanted.wait(self._back_off.pause())
            self._wanted.clear()
        self._ended.set()
        self._tell_ended()

    def _miss(self, error: CarddError) -> None:
        """Tell of an absence, once: a workstation without cards may never have a pcscd."""
        if not self._is_missed:
            self._tell_missed(error)
        self._is_missed = True

    def _open(self) -> int:
        context = self._winscard.establish()
        self._is_missed = False
        with self._context_lock:
            self._context = context
        self._report(True, ())
        return context

    def _close(self) -> None:
        with self._context_lock:
            context, self._context = self._context, None
        if context is not None:
            self._winscard.release(context)

    def _follow(self, context: int) -> None:
        """Report changes until stopped. Raises PcscUnavailable when pcscd goes.

        pcsc-lite before 2.3 does not tell of a reader that appears between two waits: after each change of the list
        one wait is limited, and the list read again.
        """
        timeout = self._list(context, SETTLING)
        while not self._stopping.is_set():
            try:
                states = self._winscard.wait(context, self._slots.query(), timeout)
            except ReaderGone:
                timeout = self._list(context, SETTLING)
                continue
            if states is None:
                timeout = self._list(context, FOREVER)
                self._tell_looked()
                continue
            self.last_change = time.monotonic()
            self._back_off.reset()
            changes, stale = self._slots.seen(states)
            self._report(True, changes)
            if self._slots.are_known:
                self._tell_looked()
            if stale:
                timeout = self._list(context, SETTLING)

    def _list(self, context: int, unchanged: int) -> int:
        """Read the list of readers; return the time for the next wait: ``unchanged`` when the list is as it was."""
        changes = self._slots.listed(self._winscard.readers(context))
        if changes:
            self._report(True, changes)
            return SETTLING
        return unchanged
