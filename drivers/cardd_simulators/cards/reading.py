"""SELECT, READ BINARY and UPDATE BINARY of a simulated card. Source: ISO/IEC 7816-4, sections 11.2 and 11.3."""

from __future__ import annotations

from collections.abc import Callable

from cardd.apdu import LE_MAX, SW, Command
from cardd_simulators.cards.answers import NO_CURRENT_FILE, NO_ROOM, Refused
from cardd_simulators.cards.files import ALWAYS, PIN, File, Selection

RETURN_FCI, RETURN_FCP, RETURN_NOTHING = 0x00, 0x04, 0x0C
BY_NAME = 0x04
FCI = 0x6F
SHORT_IDENTIFIER = 0x80


class FileCommands:
    """The commands on files; ``is_verified`` tells whether the holder's PIN was given."""

    def __init__(self, selection: Selection, is_verified: Callable[[], bool]) -> None:
        self._selection = selection
        self._is_verified = is_verified

    def select(self, command: Command) -> bytes:
        """SELECT, answered with FCP, the same as FCI, or nothing. By name, a real card refuses FCI with 6A86."""
        wanted = (RETURN_FCP, RETURN_NOTHING) if command.p1 == BY_NAME else (RETURN_FCI, RETURN_FCP, RETURN_NOTHING)
        if command.p2 not in wanted:
            raise Refused(SW.BAD_P1P2)
        target = self._selection.select(command.p1, command.data)
        if command.p2 == RETURN_FCI:
            return bytes((FCI,)) + target.fcp[1:]
        return target.fcp if command.p2 == RETURN_FCP else b""

    def read(self, command: Command) -> bytes:
        """READ BINARY: from the offset on, as much as is asked for and there."""
        file, offset = self._file(command)
        self._allow(file.read)
        if offset >= len(file.data):
            raise Refused(SW.WRONG_OFFSET)
        return bytes(file.data[offset : offset + (command.le or LE_MAX)])

    def update(self, command: Command) -> bytes:
        """UPDATE BINARY, within the file's size."""
        file, offset = self._file(command)
        self._allow(file.update)
        end = offset + len(command.data)
        if end > len(file.data):
            raise Refused(NO_ROOM)
        file.data[offset:end] = command.data
        return b""

    def _file(self, command: Command) -> tuple[File, int]:
        """The file that is meant, and the offset in it; a short identifier makes its file the current one."""
        if command.p1 & SHORT_IDENTIFIER:
            return self._selection.select_short(command.p1 & 0x1F), command.p2
        if self._selection.file is None:
            raise Refused(NO_CURRENT_FILE)
        return self._selection.file, command.p1 << 8 | command.p2

    def _allow(self, access: int) -> None:
        if access != ALWAYS and not (access == PIN and self._is_verified()):
            raise Refused(SW.SECURITY_STATUS)
