"""The drivers that are installed, and which of them a card belongs to: by its ATR first, then by its applications."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from cardd.driver import Card, CardDriver, Channel
from cardd.errors import CardUnrecognised
from cardd.model import CardKind
from cardd.ports import ReaderSource, SourceSettings

GROUP = "cardd.drivers"
SOURCES = "cardd.sources"


def token_sources(settings: SourceSettings) -> tuple[ReaderSource, ...]:
    """What the entry points ``cardd.sources`` make of these settings; nothing is loaded where there are none."""
    if not settings.modules and not settings.organisation:
        return ()
    from importlib.metadata import entry_points  # noqa: PLC0415 - slow, and needed only where tokens are configured

    found = sorted(entry_points(group=SOURCES), key=lambda entry: entry.name)
    return tuple(source for entry in found if (source := entry.load()(settings)) is not None)


class DriverRegistry:
    """Every driver of the entry points ``cardd.drivers``, loaded when the first card needs one, or the given ones."""

    def __init__(self, drivers: Sequence[CardDriver] | None = None) -> None:
        self._given = drivers

    @cached_property
    def drivers(self) -> tuple[CardDriver, ...]:
        """The drivers, in the order of their entry points' names."""
        if self._given is not None:
            return tuple(self._given)
        from importlib.metadata import entry_points  # noqa: PLC0415 - slow, and not needed before the first card

        found = sorted(entry_points(group=GROUP), key=lambda entry: entry.name)
        return tuple(entry.load()() for entry in found)

    def recognise(self, atr: bytes) -> CardKind:
        """The kind that some driver sees in the ATR; UNKNOWN when none does."""
        return self._by_atr(atr)[1]

    def open(self, channel: Channel) -> Card:
        """Open the card with its driver. Raises CardUnrecognised, or what the driver raises."""
        driver, kind = self._by_atr(channel.atr)
        if driver is None:
            driver, kind = self._by_application(channel)
        return driver.open(channel, kind)

    def _by_atr(self, atr: bytes) -> tuple[CardDriver | None, CardKind]:
        for driver in self.drivers:
            kind = driver.recognise(atr)
            if kind is not None:
                return driver, kind
        return None, CardKind.UNKNOWN

    def _by_application(self, channel: Channel) -> tuple[CardDriver, CardKind]:
        for driver in self.drivers:
            kind = driver.probe(channel)
            if kind is not None:
                return driver, kind
        raise CardUnrecognised(atr=channel.atr.hex(" ").upper())
