"""The thread that sleeps in SCardGetStatusChange.

Nothing is polled: while nothing happens nothing runs (pcsc-lite itself looks once a minute whether pcscd is still
there). An absent pcscd is looked for with growing pauses, for want of an event that would tell of its return.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from cardd.errors import CarddError, ReaderGone
from cardd.pcsc.changes import Change, Slots
from cardd.pcsc.winscard import FOREVER, WinScard

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 30.0  # seconds between two looks for an absent pcscd
SETTLING = 1000  # milliseconds after which a changed list of readers is read once more
CANCEL_AGAIN = 0.01  # seconds; SCardCancel has no effect on a wait that is only about to begin

Report = Callable[[bool, Sequence[Change]], None]

_log = logging.getLogger(__name__)


class Watch:
    """Calls ``report(available, changes)`` on its own thread until it is stopped, then ``ended`` once.

    ``last_change`` is when SCardGetStatusChange last returned with news (``time.monotonic``).
    """

    def __init__(self, winscard: WinScard, report: Report, ended: Callable[[], None]) -> None:
        self.last_change = 0.0
        self._winscard = winscard
        self._report = report
        self._tell_ended = ended
        self._slots = Slots()
        self._pause = FIRST_PAUSE
        self._is_missed = False
        self._context: int | None = None
        self._context_lock = threading.Lock()
        self._stopping = threading.Event()
        self._ended = threading.Event()

    def start(self) -> None:
        """Start the thread; it never keeps the interpreter from exiting."""
        threading.Thread(target=self._run, name="pcsc watch", daemon=True).start()

    def stop(self) -> None:
        """Have the thread end. Does not wait: SCardCancel is a call to pcscd, which may hang."""
        self._stopping.set()
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
            self._stopping.wait(self._pause)
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
        self._ended.set()
        self._tell_ended()

    def _miss(self, error: CarddError) -> None:
        """Once for each absence: a workstation without cards may never have a pcscd."""
        if not self._is_missed:
            _log.info("PC/SC is not available: %s", error)
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
                continue
            self.last_change = time.monotonic()
            self._pause = FIRST_PAUSE
            changes, stale = self._slots.seen(states)
            self._report(True, changes)
            if stale:
                timeout = self._list(context, SETTLING)

    def _list(self, context: int, unchanged: int) -> int:
        """Read the list of readers; the time for the next wait, which is ``unchanged`` when the list is."""
        changes = self._slots.listed(self._winscard.readers(context))
        if changes:
            self._report(True, changes)
            return SETTLING
        return unchanged
