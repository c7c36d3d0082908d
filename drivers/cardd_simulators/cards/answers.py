"""How the parts of a simulated card refuse a command."""

from __future__ import annotations


class Refused(Exception):
    """The command ends with this status word; it never leaves the card, which answers it."""

    def __init__(self, sw: int) -> None:
        super().__init__(f"{sw:04X}")
        self.sw = sw


NO_CURRENT_FILE = 0x6986
NO_ROOM = 0x6A84
