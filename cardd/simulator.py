"""The contract between cardd and the simulators that ``cardctl simulate`` and ``cardd run --simulate`` start.

A simulator plays a card, or a server: ANS's Pro Santé Connect, the DMP. Simulated servers listen on loopback. Everybody
in a simulation is fictitious, and nothing that a simulator accepts proves conformity. A package names its simulators in
the entry points ``cardd.simulators`` (``CardSimulator``) and ``cardd.simulated_servers`` (``ServerSimulator``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from cardd.errors import InvalidRequest
from cardd.ports import ReaderSource
from cardd.values import Value, field

VPCD_ADDRESS = ("127.0.0.1", 35963)  # the first slot of vsmartcard-vpcd as Debian configures it


class CardOptions(Value):
    """What can be chosen of a simulated card.

    ``profile`` is one of the simulator's, None for its first; ``variants`` are those of the simulator's that are
    wanted. ``pin`` and ``puk`` are digits; they protect nothing, so they are no secrets, but they stay out of reprs.
    ``delay_ms`` is how long a signature takes. ``reader`` is the host and port of a virtual reader. ``state`` is where
    keys are kept between runs, None for the simulator's own cache.
    """

    HIDDEN = frozenset({"pin", "puk"})

    profile: str | None = None
    variants: tuple[str, ...] = ()
    pin: str = "1234"
    puk: str = "12345678"
    delay_ms: int = 0
    reader: tuple[str, int] = VPCD_ADDRESS
    state: Path | None = None
    language: str = "fr"


class CardSimulator(Protocol):
    """One kind of simulated card."""

    name: str
    profiles: tuple[str, ...]
    variants: tuple[str, ...]

    def summary(self, language: str) -> str:
        """Return what is simulated, in one sentence, in French (``fr``) or English (``en``)."""
        ...

    def describe(self, variant: str, language: str) -> str:
        """Return in what a card of one of ``variants`` differs from the usual one, in one sentence."""
        ...

    async def run(self, options: CardOptions, report: Callable[[str], None]) -> None:
        """Keep a card in the virtual reader until cancelled; then the card leaves the reader.

        ``report`` is called on the event loop with sentences for the user, in the options' language: the warning that
        a production workstation must not carry vpcd, the card inserted, the reader lost and found again. Raises
        InvalidRequest for an unknown profile or variant, or a bad PIN, PUK or delay.
        """
        ...

    def in_process(self, options: CardOptions) -> ReaderSource:
        """Return a source with one reader that already holds the card, without PC/SC.

        Blocks while keys are made: seconds at the first time. Raises InvalidRequest as ``run`` does.
        """
        ...

    def authorities(self, options: CardOptions) -> list[bytes]:
        """Return the authorities (DER) of the cards, possibly none; a daemon trusts them that runs the card in process.

        Called after ``in_process``; blocks and raises InvalidRequest as that does.
        """
        ...


class ServerOptions(Value):
    """What can be chosen of a simulated server.

    ``port`` 0 takes its usual one; ``state`` is where keys and what its command needs are kept, None for the user's
    own place. ``auto`` answers every login by itself; ``people`` and ``table`` are files of the simulator's own form.
    ``settings`` are further choices by name, which the simulator knows or refuses. ``json``: a program reads what is
    reported, a line of JSON each.
    """

    port: int = 0
    state: Path | None = None
    auto: str | None = None
    people: Path | None = None
    table: Path | None = None
    language: str = "fr"
    settings: Mapping[str, str] = field(default_factory=dict)
    json: bool = False


class ServerSimulator(Protocol):
    """One simulated server; ``orders`` are what its command can tell it while it runs."""

    name: str
    orders: tuple[str, ...]

    def summary(self, language: str) -> str:
        """Return what is simulated, in one sentence, in French (``fr``) or English (``en``)."""
        ...

    async def run(self, options: ServerOptions, report: Callable[[str], None]) -> None:
        """Serve until cancelled; ``report`` is called with sentences for the user. Raises InvalidRequest, OSError."""
        ...

    async def tell(self, options: ServerOptions, order: str, what: str | None) -> str:
        """Give an order to the server that runs, and return its answer as a sentence.

        Raises InvalidRequest; so does, for every order, a simulator that inherits this and takes none.
        """
        del options, what
        raise InvalidRequest(where=order, why="unknown")
