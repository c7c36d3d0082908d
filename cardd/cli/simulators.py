"""The simulators and sandboxes that are installed, found by their entry points as drivers are."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import cast

from cardd.errors import InvalidRequest
from cardd.sandbox import Sandbox
from cardd.simulator import Simulator

SIMULATORS, SANDBOXES = "cardd.simulators", "cardd.sandboxes"


def every() -> dict[str, Simulator]:
    """All simulated cards by name."""
    return cast(dict[str, Simulator], _loaded(SIMULATORS))


def sandboxes() -> dict[str, Sandbox]:
    """All simulated servers by name."""
    return cast(dict[str, Sandbox], _loaded(SANDBOXES))


def named(name: str) -> Simulator:
    """The card of this name. Raises InvalidRequest with the names that there are."""
    known = every()
    if name not in known:
        raise InvalidRequest(where=name, why=", ".join([*known, *sandboxes()]) or "–")
    return known[name]


def _loaded(group: str) -> dict[str, object]:
    return {entry.name: entry.load()() for entry in sorted(entry_points(group=group), key=lambda entry: entry.name)}
