"""The way to Pro Santé Connect, made when it is first wanted, and what keeps it from being made."""

from __future__ import annotations

import asyncio

from cardd.config import Psc
from cardd.errors import CarddError, MethodUnavailable, PscIncomplete, SecretStoreUnavailable
from cardd.identity.csa import CsaLogin
from cardd.identity.ecps.way import METHOD, Way
from cardd.ports import Clock, SecretStore


class Approach:
    """Has the ``Way`` of a configuration, which may have none."""

    def __init__(self, settings: Psc, secrets: SecretStore, clock: Clock, organisation: CsaLogin | None) -> None:
        self.settings = settings
        self._secrets = secrets
        self._clock = clock
        self._organisation = organisation
        self._way: Way | None = None
        self._is_lacking = False
        self._making = asyncio.Lock()

    def check(self) -> Psc:
        """What is configured. Raises MethodUnavailable where nothing is."""
        if not self.settings.is_configured:
            raise MethodUnavailable(method=METHOD, why="no_psc")
        return self.settings

    async def way(self) -> Way:
        """Made once, with this service's credentials. Raises MethodUnavailable, PscIncomplete."""
        from cardd.identity.ecps.credentials import way_of  # noqa: PLC0415 - 300 ms, when the first person wants it

        async with self._making:
            if self._way is None:
                settings = self.check()
                try:
                    self._way = await way_of(settings, self._secrets, self._clock, self._organisation)
                except PscIncomplete as error:  # looked for again, but where that would ask the user for a keyring
                    self._is_lacking = not isinstance(error.__cause__, SecretStoreUnavailable)
                    raise
            return self._way

    async def problem(self) -> CarddError | None:
        """What keeps it from serving here, as far as is known without asking the user to open a keyring.

        What was missed once is looked for again each time, until it is there.
        """
        try:
            self.check()
            if self._is_lacking and self._way is None:
                await self.way()
        except CarddError as error:
            return error
        return None

    async def close(self) -> None:
        """Give the connections back."""
        if self._way is not None:
            await self._way.close()
