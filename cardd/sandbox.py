"""The contract between cardd and the servers that ``cardctl simulate`` runs in the place of ANS's and the DMP's.

A package names its ``Sandbox`` in the entry points ``cardd.sandboxes``. A sandbox serves on loopback, with fictitious
people only, and proves nothing to anybody.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """What can be chosen of a sandbox.

    ``port`` 0 takes its usual one; ``state`` is where keys and what its command needs are kept, None for the user's
    own place. ``auto`` answers every login by itself; ``people`` and ``table`` are files of the sandbox's own form.
    ``settings`` are further choices by name, which the sandbox knows or refuses. ``json``: a program reads what is
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


class Sandbox(Protocol):
    """One simulated server; ``orders`` are what its command can tell it while it runs."""

    name: str
    orders: tuple[str, ...]

    def summary(self, language: str) -> str:
        """What it is, in one sentence, in French (``fr``) or English (``en``)."""
        ...

    async def run(self, options: SandboxOptions, report: Callable[[str], None]) -> None:
        """Serve until cancelled; ``report`` is called with sentences for the user. Raises InvalidRequest, OSError."""
        ...

    async def tell(self, options: SandboxOptions, order: str, what: str | None) -> str:
        """Have the one that runs do something; gives what it answered. Raises InvalidRequest."""
        ...
