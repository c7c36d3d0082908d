"""The entry point ``dmp`` of ``cardd.simulators``: not a card, but the server that cards are for."""

from __future__ import annotations

from collections.abc import Callable

from cardd.errors import InvalidRequest
from cardd.ports import ReaderSource
from cardd.simulator import SimulatorOptions
from cardd_drivers.simulator.dmp.settings import settings_of
from cardd_drivers.simulator.dmp.texts import TEXTS


class DmpSimulator:
    """``cardd.simulator.Simulator``."""

    name: str = "dmp"
    profiles: tuple[str, ...] = ()

    def summary(self, language: str) -> str:
        """What it is."""
        return TEXTS[language]["summary"]

    def in_process(self, options: SimulatorOptions) -> ReaderSource:
        """Refused: it has no card."""
        del options
        raise InvalidRequest(where=self.name, why="cardctl simulate dmp")

    async def run(self, options: SimulatorOptions, report: Callable[[str], None]) -> None:
        """Serve on loopback until cancelled. Raises InvalidRequest for a setting or a file that will not do.

        ``report`` gets what to configure, then a line for each access and each refusal.
        """
        from cardd_drivers.simulator.dmp.running import run  # noqa: PLC0415 - heavy, and only for those who want it

        await run(settings_of(options.settings), options, report)
