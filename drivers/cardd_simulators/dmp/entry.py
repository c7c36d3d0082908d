"""The entry point ``dmp`` of ``cardd.sandboxes``."""

from __future__ import annotations

from collections.abc import Callable

from cardd.errors import InvalidRequest
from cardd.sandbox import SandboxOptions
from cardd_simulators.dmp.settings import settings_of
from cardd_simulators.dmp.texts import TEXTS


class DmpSandbox:
    """The DMP, played on loopback."""

    name: str = "dmp"
    orders: tuple[str, ...] = ()

    def summary(self, language: str) -> str:
        """What it is."""
        return TEXTS[language]["summary"]

    async def run(self, options: SandboxOptions, report: Callable[[str], None]) -> None:
        """Serve until cancelled. Raises InvalidRequest for a setting or a file that will not do, AddressInUse.

        ``report`` gets what to configure, then a line for each access and each refusal.
        """
        settings = settings_of(options)
        from cardd_simulators.dmp.running import run  # noqa: PLC0415 - for whoever runs it, not for who lists it

        await run(settings, options, report)

    async def tell(self, options: SandboxOptions, order: str, what: str | None) -> str:
        """Refused: it takes no orders."""
        del options, what
        raise InvalidRequest(where=order, why="unknown")
