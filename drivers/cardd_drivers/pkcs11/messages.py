"""What libpcsclite and pcscd say to each other: the messages, their sizes and the codes in them.

Source: pcsc-lite's winscard_msg.h, winscard_svc.c and readers.h, protocols 4:4 (1.9) to 4:6 (2.4).
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass

PROTOCOL, MINOR_FIRST, MINOR_LAST = 4, 4, 6
STATES_WITH_WAIT = 5  # the last minor version whose answer to a wait begins with the readers' states
BODY_MAX = 4096
DATA_MAX = 65548  # MAX_BUFFER_SIZE_EXTENDED
READERS, READERS_MAX = 16, 1024

OK, TIMEOUT, SHARING_VIOLATION, NO_CARD = 0, 0x8010000A, 0x8010000B, 0x8010000C
EXCLUSIVE, DIRECT = 1, 3  # share modes
LEAVE, RESET = 0, 1  # dispositions
FEATURES = 0x42000000 + 3400  # CM_IOCTL_GET_FEATURE_REQUEST (PC/SC part 10): what the reader can do
ABSENT, PRESENT = 0x02, 0x04

HEADER = struct.Struct("=II")
VERSION = struct.Struct("=iiI")
CONNECT = struct.Struct("=I128sIIiII")
RECONNECT = struct.Struct("=iIIIII")
TRANSACTION_END = struct.Struct("=iII")
TRANSACTION_BEGIN = struct.Struct("=iI")
TRANSMIT = struct.Struct("=iIIIIIII")
CONTROL = struct.Struct("=iIIIII")
EVENT = struct.Struct("=II")
STATE = struct.Struct("=128sIIi33s3xII")


class Command(IntEnum):
    """The messages that the gate treats apart; the answer to each other one is as long as the question."""

    ESTABLISH_CONTEXT = 0x01
    RELEASE_CONTEXT = 0x02
    CONNECT = 0x04
    RECONNECT = 0x05
    DISCONNECT = 0x06
    BEGIN = 0x07
    END = 0x08
    TRANSMIT = 0x09
    CONTROL = 0x0A
    STATUS = 0x0B
    CANCEL = 0x0D
    GET_ATTRIB = 0x0F
    VERSION = 0x11
    STATES = 0x12
    WAIT = 0x13
    STOP_WAITING = 0x14
    EVENTS = 0x15
    STATES_SIZE = 0x16
    STATES_ARRAY = 0x17


# what may be asked of a reader that is not left to the module: nothing that the card or another program notices
HARMLESS = (Command.STATUS, Command.GET_ATTRIB, Command.CANCEL, Command.ESTABLISH_CONTEXT)


class Ended(Exception):
    """One of the two has left, or says what cannot be."""


def text(name: bytes) -> str:
    """Return a name, which zeros fill up."""
    return name.partition(b"\0")[0].decode(errors="replace")


def states_in(states: bytes) -> Iterator[bytes]:
    """Return the states of the readers, one after the other."""
    return (states[place : place + STATE.size] for place in range(0, len(states), STATE.size))


def exactly(side: socket.socket, size: int) -> bytes:
    """Return so many bytes; all of them within the side's time limit, where it has one. Raises Ended."""
    limit = side.gettimeout()
    deadline = time.monotonic() + (limit or 0)
    received = bytearray()
    while len(received) < size:
        part = side.recv(size - len(received))
        if not part or (limit is not None and time.monotonic() > deadline):
            raise Ended
        received += part
    return bytes(received)
