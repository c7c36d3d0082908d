"""Sleep, screen locks and who sits at the machine, as systemd-logind tells them on the system bus (rules 7 and 12).

A workstation may have no bus or no logind: the watch is off then, and ``state`` tells doctor. dbus-fast is loaded when
the watch starts, on a thread of its own: no answer of the daemon waits for it.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from cardd.backoff import BackOff
from cardd.values import Value, field

if TYPE_CHECKING:
    from cardd.system.logind_bus import LogindBus

FIRST_DELAY = 0.5
PAUSE = 1.0
LONGEST_DELAY = 60.0
SYSTEM_BUS = ("/run/dbus/system_bus_socket", "/var/run/dbus/system_bus_socket")  # D-Bus specification
log = logging.getLogger(__name__)


class DesktopEvent(StrEnum):
    """What happened to the desktop."""

    SUSPEND = "suspend"
    LOCK = "lock"
    UNLOCK = "unlock"


class Desktops(Value):
    """Who is at the machine: the users of active local sessions, and the graphical sessions, each with its user.

    ``shown`` are those sessions that are on a seat's screen and not locked; ``main`` is the one of each user to which
    whatever belongs to no single session counts, such as what the user's own service manager starts. ``locked`` are
    those that are locked, as far as what locks them tells logind.
    """

    seated: frozenset[int] = frozenset()
    sessions: Mapping[str, int] = field(default_factory=dict)
    shown: frozenset[str] = frozenset()
    main: Mapping[int, str] = field(default_factory=dict)
    locked: frozenset[str] = frozenset()

    @property
    def away(self) -> frozenset[int]:
        """The users whose graphical sessions are all locked."""
        opened = {uid for session, uid in self.sessions.items() if session not in self.locked}
        return frozenset(self.sessions.values()) - opened


Notify = Callable[[DesktopEvent, int | None], None]
NotifyDesktops = Callable[[Desktops | None], None]


class WatchState(StrEnum):
    """What the watch can see now."""

    OFF = "off"
    NO_BUS = "no_bus"
    NO_LOGIND = "no_logind"
    WATCHING = "watching"
    RECONNECTING = "reconnecting"


class Logind:
    """The watch on logind: calls ``notify`` on the event loop with what happened and whose desktop it was.

    The user is None where the event concerns every desktop. One lock may be told twice (as the order to lock, and by
    the locker itself): both count, none is awaited. ``desktops_changed`` is told who is at the machine, at first and
    whenever that changes; None when there is no logind to tell. While logind is away for a moment, what it told last
    holds. ``address`` is the bus, the machine's system bus when None; ``pause`` as in ``LogindBus``.
    """

    def __init__(
        self,
        notify: Notify,
        desktops_changed: NotifyDesktops = lambda _: None,
        *,
        address: str | None = None,
        pause: float = PAUSE,
    ) -> None:
        self._pause = pause
        self._notify = notify
        self._desktops_changed = desktops_changed
        self._address = address
        self._task: asyncio.Task[None] | None = None
        self._was_there = False
        self.state = WatchState.OFF

    async def start(self) -> None:
        """Begin to watch; returns at once. A bus that is not there now is not waited for."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop watching."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self.state = WatchState.OFF

    async def _run(self) -> None:
        if self._address is None and not _has_system_bus():
            self.state = WatchState.NO_BUS
            self._desktops_changed(None)
            return
        opened = await asyncio.to_thread(_load)
        found = False
        pauses = BackOff(FIRST_DELAY, LONGEST_DELAY)
        while True:
            try:
                bus = opened(
                    self._notify, self._desktops_changed, self._owner_changed, self._address, pause=self._pause
                )
                async with bus:
                    found = True
                    pauses.reset()
                    await bus.wait_closed()
            except ConnectionError as error:
                log.info("the system bus cannot be used: %s", error)
                if not found:
                    self.state = WatchState.NO_BUS
                    self._desktops_changed(None)
                    return
            self.state = WatchState.RECONNECTING
            await asyncio.sleep(pauses.pause())

    def _owner_changed(self, there: bool) -> None:
        self._was_there |= there
        if not self._was_there:
            self._desktops_changed(None)
        self.state = WatchState.WATCHING if there else WatchState.NO_LOGIND


def _has_system_bus() -> bool:
    """Return whether there is a bus, before dbus-fast is loaded: 3 MB that a machine without one need not spend."""
    return "DBUS_SYSTEM_BUS_ADDRESS" in os.environ or any(Path(place).exists() for place in SYSTEM_BUS)


def _load() -> type[LogindBus]:
    from cardd.system.logind_bus import LogindBus  # noqa: PLC0415 (dbus-fast takes 30 ms that no answer needs)

    return LogindBus
