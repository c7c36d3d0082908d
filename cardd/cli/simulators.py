"""The simulators that are installed, found by their entry points as drivers are."""

from __future__ import annotations

from importlib.metadata import entry_points

from cardd.errors import InvalidRequest
from cardd.simulator import Simulator

GROUP = "cardd.simulators"


def every() -> dict[str, Simulator]:
    """All of them by name."""
    return {entry.name: entry.load()() for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name)}


def named(name: str) -> Simulator:
    """The one of this name. Raises InvalidRequest with the names that there are."""
    known = every()
    if name not in known:
        raise InvalidRequest(where=name, why=", ".join(known) or "–")
    return known[name]
