"""Pro Santé Connect and the mobile, for the demo: node's oidc-provider where it is installed, else the simulator."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Protocol

from tests.rig.oidc import provider
from tests.rig.oidc.provider import PscRig
from tests.rig.psc_simulator import SECRET, PscSimulator

SETTINGS = """
[psc]
issuer = "{issuer}"
client_id = "basic"
authorities = "{authorities}"
"""


class Psc(Protocol):
    """A provider, and the mobile of the person who is asked."""

    described: str
    secret: str

    def start(self) -> None:
        """Start; the provider answers when this returns."""
        ...

    @property
    def configuration(self) -> str:
        """What it wants in cardd's."""
        ...

    def approve(self, login_hint: str) -> str:
        """The person agrees; what the provider knows of the request."""
        ...

    def stop(self) -> None:
        """End it."""
        ...


def here(directory: Path, *, node: bool) -> Psc:
    """What this machine allows; without ``node``, what any machine does."""
    return NodeProvider(directory) if node and provider.is_installed() else SimulatedPsc(directory)


class NodeProvider:
    """A certified provider that is not ours."""

    described = "node's oidc-provider"
    secret = provider.SECRET

    def __init__(self, directory: Path) -> None:
        self._rig = PscRig(interval=1)
        self._authorities = directory / "psc.pem"

    def start(self) -> None:
        """Start the provider."""
        asyncio.run(self._rig.start())
        self._authorities.write_bytes(self._rig.authority.pem)

    @property
    def configuration(self) -> str:
        """Return what the provider wants in cardd's configuration."""
        return SETTINGS.format(issuer=self._rig.issuer, authorities=self._authorities)

    def approve(self, login_hint: str) -> str:
        """Approve the login that waits."""
        [request] = asyncio.run(self._rig.requests())
        asyncio.run(self._rig.approve(login_hint))
        return f"approved for {request['login_hint']}, digits {request['binding_message']}"

    def stop(self) -> None:
        """Stop the provider."""
        asyncio.run(self._rig.stop())


class SimulatedPsc:
    """``cardctl simulate psc``."""

    described = "cardctl simulate psc"
    secret = SECRET

    def __init__(self, directory: Path) -> None:
        self._simulator = PscSimulator(directory)

    def start(self) -> None:
        """Start the provider."""
        self._simulator.start()

    @property
    def configuration(self) -> str:
        """Return what the provider wants in cardd's configuration."""
        return self._simulator.configuration

    def approve(self, login_hint: str) -> str:
        """Approve the login that waits."""
        told = self._simulator.tell("approve")
        return told.stdout.strip() or told.stderr.strip()

    def stop(self) -> None:
        """Stop the provider."""
        self._simulator.stop()
