"""The file system of a simulated card, and SELECT, READ BINARY and UPDATE BINARY.

Source: ISO/IEC 7816-4 sections 5.3, 11.2 and 11.3; the emulation facts, section 2, for the file control parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cardd.apdu import LE_MAX, SW, Command
from cardd.tlv import encode
from cardd.values import Record, field
from cardd_simulators.cards.interface import NO_CURRENT_FILE, NO_ROOM, Refused

ALWAYS, NEVER, PIN = 0x00, 0xFF, 0x11
ADMINISTRATION = 0x45  # what real EF.DIR and EF.ATR want for a change: no one here can
MASTER_FILE = 0x3F00

FCP, FILE_SIZE, DESCRIPTOR, IDENTIFIER, NAME, SHORT_IDENTIFIER, LIFE_CYCLE = 0x62, 0x80, 0x82, 0x83, 0x84, 0x88, 0x8A
RULES, CONTACT_RULE, CONTACTLESS_RULE = 0xA1, 0x8C, 0x9C
SIX_RULES = 0x7B  # delete, terminate, activate, deactivate, update, read
EF, DF, ACTIVATED = 0x01, 0x38, 0x05

RETURN_FCI, RETURN_FCP, RETURN_NOTHING = 0x00, 0x04, 0x0C
BY_NAME, BY_SHORT_IDENTIFIER = 0x04, 0x80
FCI = 0x6F


class File(Record):
    """An elementary file. ``read``, ``update`` and ``delete`` are access bytes."""

    identifier: int
    data: bytearray
    short_identifier: int | None = None
    read: int = ALWAYS
    update: int = NEVER
    delete: int = NEVER

    @property
    def fcp(self) -> bytes:
        """Return the file control parameters."""
        short = b"" if self.short_identifier is None else bytes((self.short_identifier << 3,))
        rules = bytes((SIX_RULES, self.delete, NEVER, NEVER, NEVER, self.update, self.read))
        return encode(
            FCP,
            encode(FILE_SIZE, len(self.data).to_bytes(2, "big"))
            + encode(DESCRIPTOR, bytes((EF,)))
            + encode(IDENTIFIER, self.identifier.to_bytes(2, "big"))
            + encode(SHORT_IDENTIFIER, short)
            + _rules(rules)
            + encode(LIFE_CYCLE, bytes((ACTIVATED,))),
        )


class Folder(Record):
    """A dedicated file: the master file or an application, with its name (AID)."""

    identifier: int
    name: bytes
    children: list[File | Folder] = field(default_factory=list)

    @property
    def fcp(self) -> bytes:
        """Return the file control parameters; nothing in a folder can be changed."""
        return encode(
            FCP,
            encode(DESCRIPTOR, bytes((DF,)))
            + encode(IDENTIFIER, self.identifier.to_bytes(2, "big"))
            + encode(NAME, self.name)
            + _rules(bytes((SIX_RULES,)) + bytes((NEVER,)) * 6)
            + encode(LIFE_CYCLE, bytes((ACTIVATED,))),
        )

    def child(self, identifier: int) -> File | Folder:
        """Return the file of this identifier in this folder. Raises Refused (6A82)."""
        found = next((child for child in self.children if child.identifier == identifier), None)
        if found is None:
            raise Refused(SW.FILE_NOT_FOUND)
        return found


def _rules(rules: bytes) -> bytes:
    return encode(RULES, encode(CONTACT_RULE, rules) + encode(CONTACTLESS_RULE, rules))


class Selection:
    """The place where the card stands: the current folder, and the current elementary file in it if any."""

    def __init__(self, master: Folder) -> None:
        self._master = master
        self.reset()

    def reset(self) -> None:
        """Back to the master file, as after power-on."""
        self.folder = self._master
        self.file: File | None = None

    def select(self, how: int, data: bytes) -> File | Folder:
        """Go where SELECT's P1 and body say. Raises Refused, and stands where it stood then."""
        folder, target = self._resolve(how, data)
        self.folder, self.file = (target, None) if isinstance(target, Folder) else (folder, target)
        return target

    def select_short(self, short_identifier: int) -> File:
        """Make the file of this short identifier in the current folder the current one. Raises Refused."""
        for child in self.folder.children:
            if isinstance(child, File) and child.short_identifier == short_identifier:
                self.file = child
                return child
        raise Refused(SW.FILE_NOT_FOUND)

    def _resolve(self, how: int, data: bytes) -> tuple[Folder, File | Folder]:
        match how:
            case 0x04:
                folder = self._named(data)
                return folder, folder
            case 0x00 | 0x01 | 0x02 if len(data) == 2:
                return self._walk(self.folder, data)
            case 0x08 if data:
                return self._walk(self._master, data)
            case 0x09 if data:
                return self._walk(self.folder, data)
        raise Refused(SW.BAD_P1P2)

    def _walk(self, folder: Folder, path: bytes) -> tuple[Folder, File | Folder]:
        """Follow identifiers of two bytes; one that names the master file leads there from anywhere."""
        if len(path) % 2:
            raise Refused(SW.BAD_DATA)
        target: File | Folder = folder
        for place in range(0, len(path), 2):
            if isinstance(target, File):
                raise Refused(SW.FILE_NOT_FOUND)
            folder, identifier = target, int.from_bytes(path[place : place + 2], "big")
            target = self._master if identifier == MASTER_FILE else folder.child(identifier)
        return folder, target

    def _named(self, name: bytes) -> Folder:
        for folder in _folders(self._master):
            if folder.name == name:
                return folder
        raise Refused(SW.FILE_NOT_FOUND)


def _folders(folder: Folder) -> Iterator[Folder]:
    yield folder
    for child in folder.children:
        if isinstance(child, Folder):
            yield from _folders(child)


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
        """Return the file that is meant, and the offset in it; a short identifier makes its file the current one."""
        if command.p1 & BY_SHORT_IDENTIFIER:
            return self._selection.select_short(command.p1 & 0x1F), command.p2
        if self._selection.file is None:
            raise Refused(NO_CURRENT_FILE)
        return self._selection.file, command.p1 << 8 | command.p2

    def _allow(self, access: int) -> None:
        if access != ALWAYS and not (access == PIN and self._is_verified()):
            raise Refused(SW.SECURITY_STATUS)
