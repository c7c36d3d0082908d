"""The contract between cardd and the simulators that ``cardctl simulate`` and ``cardd run --simulate`` start.

A package names its ``Simulator`` in the entry points ``cardd.simulators``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from cardd.ports import ReaderSource

VPCD_ADDRESS = ("127.0.0.1", 35963)  # the first slot of vsmartcard-vpcd as Debian configures it


@dataclass(frozen=True, slots=True)
class SimulatorOptions:
    """What can be chosen of a simulated card.

    ``profile`` is one of the simulator's, None for its first. ``pin`` and ``puk`` are digits; they protect nothing, so
    they are no secrets, but they stay out of reprs. ``delay_ms`` is how long a signature takes. ``reader`` is the host
    and port of a virtual reader. ``state`` is where keys are kept between runs, None for the simulator's own cache.
    """

    profile: str | None = None
    pin: str = field(default="1234", repr=False)
    puk: str = field(default="12345678", repr=False)
    delay_ms: int = 0
    reader: tuple[str, int] = VPCD_ADDRESS
    state: Path | None = None
    language: str = "fr"


class Simulator(Protocol):
    """One kind of simulated card."""

    name: str
    profiles: tuple[str, ...]

    def summary(self, language: str) -> str:
        """What it is, in one sentence, in French (``fr``) or English (``en``)."""
        ...

    async def run(self, options: SimulatorOptions, report: Callable[[str], None]) -> None:
        """Keep a card in the virtual reader until cancelled; it leaves the reader then.

        ``report`` is called on the event loop with sentences for the user, in the options' language: the warning that
        a production workstation must not carry vpcd, the card inserted, the reader lost and found again. Raises
        InvalidRequest for an unknown profile or a bad PIN, PUK or delay.
        """
        ...

    def in_process(self, options: SimulatorOptions) -> ReaderSource:
        """A source with one reader that already holds the card, without PC/SC.

        Blocks while it makes keys, seconds at the first time. Raises as ``run``.
        """
        ...

    def authorities(self, options: SimulatorOptions) -> list[bytes]:
        """The authorities (DER) of its cards, trusted by a daemon that runs it in process; there may be none.

        Blocks and raises as ``in_process``, after which it is called.
        """
        ...
