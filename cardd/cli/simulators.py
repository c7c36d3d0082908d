"""The simulated cards and servers that are installed, found by their entry points as drivers are."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import cast

from cardd.errors import InvalidRequest, SimulatorsMissing
from cardd.simulator import CardSimulator, ServerSimulator

CARDS, SERVERS = "cardd.simulators", "cardd.simulated_servers"


def every() -> tuple[dict[str, CardSimulator], dict[str, ServerSimulator]]:
    """Return the simulated cards and the simulated servers, each by name. Raises SimulatorsMissing."""
    cards = cast(dict[str, CardSimulator], _loaded(CARDS))
    servers = cast(dict[str, ServerSimulator], _loaded(SERVERS))
    if not (cards or servers):
        raise SimulatorsMissing
    return cards, servers


def card_named(name: str) -> CardSimulator:
    """Return the card of this name. Raises SimulatorsMissing, and InvalidRequest with the names that there are."""
    cards, servers = every()
    if name not in cards:
        raise InvalidRequest(where=name, why=", ".join([*cards, *servers]))
    return cards[name]


def _loaded(group: str) -> dict[str, object]:
    return {entry.name: entry.load()() for entry in sorted(entry_points(group=group), key=lambda entry: entry.name)}
