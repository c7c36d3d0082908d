"""How slow a simulated card is.

One number says it all, the time of a signature; the others follow in the proportions of the real cards' figures: VERIFY
about 100 ms where a signature takes about 400 ms.
"""

from __future__ import annotations

from dataclasses import dataclass

from cardd.apdu import CHAINING, Command

SIGNATURE, PIN, HASH, OTHER = 1.0, 0.25, 0.1, 0.025

PIN_COMMANDS = frozenset((0x20, 0x24, 0x2C))
SECURITY_OPERATION, AUTHENTICATE, HASH_P1 = 0x2A, 0x88, 0x90


@dataclass(frozen=True, slots=True)
class Delays:
    """How long each kind of command takes, from ``signature_ms``; 0: no longer than this machine needs.

    ``signature_ms`` for signing, authenticating and deciphering; a quarter of it for a PIN that is presented or
    changed, a tenth for hashing on the card, a fortieth for everything else.
    """

    signature_ms: int = 0

    def of(self, command: Command) -> float:
        """Seconds that this command takes."""
        return self.signature_ms / 1000 * _share(command)


def _share(command: Command) -> float:
    if command.cla & CHAINING:
        return OTHER
    if command.ins in PIN_COMMANDS:
        return PIN if command.data else OTHER
    if command.ins == SECURITY_OPERATION:
        return HASH if command.p1 == HASH_P1 else SIGNATURE
    return SIGNATURE if command.ins == AUTHENTICATE else OTHER
