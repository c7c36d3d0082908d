"""The connection to Pro Santé Connect: the configured provider, made when the first person wants it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from cardd.config import Psc
from cardd.errors import CarddError, MethodUnavailable, PscDirectNotAgreed, PscIncomplete, SecretStoreUnavailable
from cardd.identity.csa import CsaLogin
from cardd.identity.ecps.provider import METHOD, Heard, PscProvider
from cardd.ports import Clock, SecretStore

if TYPE_CHECKING:
    from cardd.oidc.loopback import PeerOf


class ProviderConnection:
    """The configured provider, made when it is first wanted. ``heard`` is given what it says of logouts.

    ``peer_of`` tells whose browser comes back from its page.
    """

    def __init__(
        self,
        settings: Psc,
        secrets: SecretStore,
        clock: Clock,
        organisation: CsaLogin | None,
        heard: Heard,
        *,
        peer_of: PeerOf,
    ) -> None:
        self.settings = settings
        self._secrets = secrets
        self._clock = clock
        self._organisation = organisation
        self._heard = heard
        self._peer_of = peer_of
        self._provider: PscProvider | None = None
        self._is_lacking = False
        self._making = asyncio.Lock()

    def check(self) -> Psc:
        """Return what is configured. Raises MethodUnavailable where nothing is, PscDirectNotAgreed."""
        if not self.settings.is_configured:
            raise MethodUnavailable(method=METHOD, why="no_psc")
        if not self.settings.is_agreed:
            raise PscDirectNotAgreed(host=self.settings.host)
        return self.settings

    async def provider(self) -> PscProvider:
        """Return the provider, made once, with this service's credentials. Raises as ``check``, PscIncomplete."""
        from cardd.identity.ecps.credentials import provider_of  # noqa: PLC0415 - 300 ms, when the first person wants it

        async with self._making:
            if self._provider is None:
                settings = self.check()
                try:
                    self._provider = await provider_of(
                        settings, self._secrets, self._clock, self._organisation, self._heard, peer_of=self._peer_of
                    )
                except PscIncomplete as error:  # looked for again, but where that would ask the user for a keyring
                    self._is_lacking = not isinstance(error.__cause__, SecretStoreUnavailable)
                    raise
            return self._provider

    async def problem(self) -> CarddError | None:
        """Return what keeps it from serving, as far as is known without asking the user to open a keyring.

        What was missed once is looked for again each time, until it is there.
        """
        try:
            self.check()
            if self._is_lacking and self._provider is None:
                await self.provider()
        except CarddError as error:
            return error
        return None

    async def close(self) -> None:
        """Give the connections back."""
        if self._provider is not None:
            await self._provider.close()
