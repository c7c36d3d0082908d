"""The entry point ``insi`` of ``cardd.simulated_servers``, and what can be chosen of the simulated INSi."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cardd.errors import InvalidRequest
from cardd.simulator import ServerOptions, ServerSimulator
from cardd.values import Value
from cardd_simulators import texts

NAMES = ("authorities", "psc")
PORT, PORT_MAX = 17492, 65535
PSC = {"accepted": True, "refused": False}


class Settings(Value):
    """``port``: where it listens on loopback. ``people``: a TOML file, None for those built in.

    ``authorities``: a PEM file of those whose certificates are let in beside the simulation's own. ``takes_psc``:
    whether the unsigned assertion of a login by Pro Santé Connect is taken; which TLS it comes by no source tells.
    """

    port: int
    people: Path | None
    authorities: Path | None
    takes_psc: bool


def settings_of(options: ServerOptions) -> Settings:
    """Return the choices. Raises InvalidRequest for a name or a value that is not known."""
    told = options.settings
    port = options.port or PORT
    if not 0 < port <= PORT_MAX:
        raise InvalidRequest(where="--port", why=f"1-{PORT_MAX}")
    if unknown := told.keys() - set(NAMES):
        raise InvalidRequest(where=", ".join(sorted(unknown)), why=", ".join(NAMES))
    psc = told.get("psc", "refused")
    if psc not in PSC:
        raise InvalidRequest(where="psc", why=", ".join(PSC))
    authorities = Path(told["authorities"]) if "authorities" in told else None
    return Settings(port, options.people, authorities, PSC[psc])


class InsiSimulator(ServerSimulator):
    """INSi, played on loopback."""

    name: str = "insi"
    orders: tuple[str, ...] = ()

    def summary(self, language: str) -> str:
        """Return what is simulated, in one sentence."""
        return texts.INSI[language]["summary"]

    async def run(self, options: ServerOptions, report: Callable[[str], None]) -> None:
        """Serve until cancelled. Raises InvalidRequest for a setting or a file that will not do, AddressInUse.

        ``report`` gets what to configure, then a line for each answer and each refusal.
        """
        settings = settings_of(options)
        from cardd_simulators.insi.serving import run  # noqa: PLC0415 - for whoever runs it, not for who lists it

        await run(settings, options, report)
