"""Selecting and reading the transparent files of a card, in as few APDUs as their content allows.

Each APDU costs a holder about 100 ms on a real reader. So nothing is selected for its FCI (P2=0C: no GET RESPONSE),
files that have a short identifier are read without SELECT, and how much to read is told by the DER lengths in the file.
What is known to be longer than a short APDU's answer is asked for whole: the channel asks for less where the card has
not said that it gives more.

Source: ISO/IEC 7816-4 sections 11.2 (SELECT) and 11.3 (READ BINARY).
"""

from __future__ import annotations

from cardd.apdu import LE_MAX, SW, Command, Response
from cardd.driver import Channel
from cardd.errors import CardGarbled, CardRefused
from cardd.tlv import announced_size
from cardd.values import Value
from cardd_drivers.pkcs15.objects import Application

FILE_MAX = 16 * 1024
READS_MAX = 512  # in one transaction; the whole of a CPx takes 25, or 290 when it gives 17 bytes at a time
PADDING = (0x00, 0xFF)
HEADER_MAX = 8  # no tag and length that cardd.tlv accepts are longer

COMMAND_NAMES = {
    0x20: "VERIFY",
    0x22: "MANAGE SECURITY ENVIRONMENT",
    0x2A: "PERFORM SECURITY OPERATION",
    0x88: "INTERNAL AUTHENTICATE",
    0xA4: "SELECT",
    0xB0: "READ BINARY",
    0xCB: "GET DATA",
}


def refused(command: Command, response: Response) -> CardRefused:
    """Return the error for a status word that means nothing more precise."""
    name = COMMAND_NAMES.get(command.ins, f"{command.ins:02X}")
    return CardRefused(command=name, sw=f"{response.sw:04X}")


class Files:
    """The file system of one card, and where in it the card now is.

    A variant whose SELECT differs overrides ``cla`` or the ``…_command`` methods.
    """

    cla = 0x00

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._moves = 0
        self._inside: tuple[int, bytes] | None = None
        self._epoch, self._reads = channel.epoch, 0
        self._longest = FILE_MAX  # that is asked for at once

    @property
    def place(self) -> tuple[int, int]:
        """Equal to an earlier value as long as the card was neither reset nor sent to another file since."""
        return self._channel.epoch, self._moves

    def is_inside(self, aid: bytes) -> bool:
        """Return whether this application is known to be the selected one."""
        return self._inside == (self._channel.epoch, aid)

    def select_master(self) -> None:
        """Go to the master file. Raises CardRefused."""
        self._select(self.master_command())

    def select_application(self, aid: bytes) -> None:
        """Go to an application's DF. Raises CardRefused."""
        self._select(self.application_command(aid))
        self._inside = self._channel.epoch, aid

    def select_file(self, path: bytes) -> None:
        """Go to a file, by its path from the master file (3F00 included). Raises CardRefused."""
        self._select(self.path_command(path))

    def select_listed(self, application: Application, path: bytes) -> None:
        """Go to a file that the application's directories name, whichever way its path is known. Raises CardRefused."""
        whole = application.resolve(path)
        if whole is not None:
            self.select_file(whole)
        else:
            self.select_application(application.aid)
            self._select(self.relative_command(path))

    def master_command(self) -> Command:
        """SELECT the master file, no answer wanted."""
        return Command(self.cla, 0xA4, 0x02, 0x0C, bytes.fromhex("3F00"))

    def application_command(self, aid: bytes) -> Command:
        """SELECT by DF name, no answer wanted."""
        return Command(self.cla, 0xA4, 0x04, 0x0C, aid)

    def path_command(self, path: bytes) -> Command:
        """SELECT by path, no answer wanted."""
        return Command(self.cla, 0xA4, 0x09, 0x0C, path)

    def relative_command(self, path: bytes) -> Command:
        """SELECT by path from the current DF, no answer wanted."""
        return Command(self.cla, 0xA4, 0x09, 0x0C, path)

    def read_start(self, sfi: int, size: int) -> Response:
        """Return the card's answer to reading the first ``size`` bytes of the file with this short identifier."""
        return self._channel.transmit(self._read_command(0, size, sfi))

    def read_directory(self, sfi: int | None = None) -> bytes:
        """Return the data objects of the selected file, or of the one with this short identifier, without padding.

        Raises CardRefused, and CardGarbled when the file ends within an object or is longer than any CPx's.
        """
        data, ended, extent = b"", False, _Extent(0, 0, complete=False)
        while not extent.complete and not (ended and extent.size == len(data)):
            part, ended = self._read_part(len(data), LE_MAX, None if data else sfi)
            if not part and extent.size > len(data):
                raise CardGarbled(what="a directory cut short")
            data += part
            extent = _extent(data, extent.last)
        return data[: extent.size]

    def read_object(self) -> bytes:
        """Return the one data object of the selected file: a certificate. Raises CardRefused, CardGarbled."""
        data, _ = self._read_part(0, LE_MAX)
        size = announced_size(data)
        while len(data) < size <= FILE_MAX:
            part, _ = self._read_part(len(data), size - len(data))
            if not part:
                raise CardGarbled(what="a file cut short")
            data += part
        if size > FILE_MAX:
            raise CardGarbled(what="a file longer than any card's")
        return data[:size]

    def read_range(self, offset: int, size: int) -> bytes:
        """Return these bytes of the selected file, fewer where it ends before. Raises CardRefused."""
        data = b""
        while len(data) < size:
            part, _ = self._read_part(offset + len(data), size - len(data))
            if not part:
                break
            data += part
        return data

    def _select(self, command: Command) -> None:
        self._moves += 1
        self._inside = None
        response = self._channel.transmit(command)
        if not response.ok:
            raise refused(command, response)

    def _read_part(self, offset: int, size: int, sfi: int | None = None) -> tuple[bytes, bool]:
        """Return the bytes at ``offset``, and whether the card gave fewer than asked."""
        self._count_read()
        size = min(size, self._longest)
        command = self._read_command(offset, size, sfi)
        response = self._channel.transmit(command)
        if response.sw == SW.WRONG_LENGTH and size > LE_MAX:  # the card takes less than it says
            self._longest = LE_MAX
            return self._read_part(offset, LE_MAX, sfi)
        if response.sw == SW.WRONG_OFFSET and offset:
            return b"", True
        if response.sw not in (SW.OK, SW.END_OF_FILE):
            raise refused(command, response)
        return response.data, len(response.data) < size

    def _count_read(self) -> None:
        """Refuse a card that would keep its reader for hours, byte by byte or file after file. Raises CardGarbled."""
        if self._epoch != self._channel.epoch:
            self._epoch, self._reads = self._channel.epoch, 0
        self._reads += 1
        if self._reads > READS_MAX:
            raise CardGarbled(what="files without an end")

    def _read_command(self, offset: int, size: int, sfi: int | None) -> Command:
        first = offset >> 8 if sfi is None else 0x80 | sfi
        return Command(self.cla, 0xB0, first, offset & 0xFF, le=size)


class _Extent(Value):
    """How many bytes of a directory its objects need so far, and whether padding shows that no more follow.

    ``last`` is where its last object begins: those before it need not be looked at again.
    """

    last: int
    size: int
    complete: bool


def _extent(data: bytes, last: int) -> _Extent:
    offset = last
    while offset < len(data):
        if data[offset] in PADDING:
            return _Extent(last, offset, complete=True)
        last, offset = offset, offset + _object_size(data[offset : offset + HEADER_MAX])
    if offset > FILE_MAX:
        raise CardGarbled(what="a file longer than any card's")
    return _Extent(last, offset, complete=False)


def _object_size(head: bytes) -> int:
    try:
        return announced_size(head)
    except CardGarbled:
        if len(head) == HEADER_MAX:
            raise
        return len(head) + 1  # the header itself is cut: one more byte at least is needed
