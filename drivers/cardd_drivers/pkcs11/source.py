"""The tokens of the configured modules, as readers with a token in each."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from cardd.ports import ReaderListener, SourceSettings
from cardd_drivers.pkcs11.registered import resolve
from cardd_drivers.pkcs11.watch import ModuleTokens

log = logging.getLogger(__name__)


class Pkcs11Source:
    """``cardd.ports.ReaderSource`` over PKCS#11 modules."""

    def __init__(self, modules: Sequence[str]) -> None:
        self._modules = modules
        self._tokens: list[ModuleTokens] = []

    async def start(self, listener: ReaderListener) -> None:
        """Start every module; one that fails is told in the journal and does not keep the others back."""
        paths = {name: resolve(name) for name in self._modules}
        for name in [name for name, path in paths.items() if path is None]:
            log.warning("no PKCS#11 module %s is there", name)
        for path in dict.fromkeys(path for path in paths.values() if path):
            tokens = ModuleTokens(path, listener)
            self._tokens.append(tokens)
            tokens.start()

    async def refresh(self) -> None:
        """Read every module's list of tokens again."""
        await asyncio.gather(*(tokens.refresh() for tokens in self._tokens))

    async def stop(self) -> None:
        """End the modules' processes."""
        await asyncio.gather(*(tokens.stop() for tokens in self._tokens))


def pkcs11_source(settings: SourceSettings) -> Pkcs11Source | None:
    """The entry point: None where no module is configured."""
    return Pkcs11Source(settings.modules) if settings.modules else None
