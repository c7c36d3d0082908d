"""The simulated cards and servers that are installed, found by their entry points as drivers are."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from importlib.metadata import entry_points
from typing import Any, cast

from cardd.errors import InvalidRequest, SimulatorsMissing
from cardd.simulator import CardOptions, CardSimulator, ServerSimulator

CARDS, SERVERS = "cardd.simulators", "cardd.simulated_servers"


def every() -> tuple[dict[str, CardSimulator], dict[str, ServerSimulator]]:
    """Return the simulated cards and the simulated servers, each by name. Raises SimulatorsMissing."""
    cards = cast(dict[str, CardSimulator], _loaded(CARDS))
    servers = cast(dict[str, ServerSimulator], _loaded(SERVERS))
    if not (cards or servers):
        raise SimulatorsMissing
    return cards, servers


def authorities() -> list[bytes]:
    """Return the fictitious authorities (DER) of all simulated cards. Raises SimulatorsMissing."""
    cards, _ = every()
    return list(dict.fromkeys(der for card in cards.values() for der in card.authorities(CardOptions())))


def card_named(name: str) -> CardSimulator:
    """Return the card of this name. Raises SimulatorsMissing, and InvalidRequest with the names that there are."""
    cards, servers = every()
    if name not in cards:
        raise InvalidRequest(where=name, why=", ".join([*cards, *servers]))
    return cards[name]


class Variants(argparse.Action):
    """``--variant``: gathers what is given, and has the help list every variant of every card.

    Only a help that is asked for loads the simulators.
    """

    def __init__(self, option_strings: Sequence[str], dest: str, *, language: str, **settings: Any) -> None:
        super().__init__(option_strings, dest, default=(), **settings)
        self._language = language

    def __call__(self, _parser: object, namespace: argparse.Namespace, values: object, _option: object = None) -> None:
        """Take one more."""
        setattr(namespace, self.dest, (*getattr(namespace, self.dest), values))

    def _get_subactions(self) -> Iterator[argparse.Action]:
        try:
            cards, _ = every()
        except SimulatorsMissing:
            return
        for variant in dict.fromkeys(variant for card in cards.values() for variant in card.variants):
            having = {name: card for name, card in cards.items() if variant in card.variants}
            meaning = next(iter(having.values())).describe(variant, self._language)
            yield argparse.Action([], variant, metavar=variant, help=f"{meaning} ({', '.join(having)})")


def _loaded(group: str) -> dict[str, object]:
    return {entry.name: entry.load()() for entry in sorted(entry_points(group=group), key=lambda entry: entry.name)}
