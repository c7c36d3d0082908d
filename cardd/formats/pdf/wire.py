"""What the daemon and the PDF process say to each other: frames of 4 bytes length and a msgpack value.

The document itself goes as an open file beside the request's length, and what opens it in the request. What the process
wrote to it comes back as the file's new layout.
"""

from __future__ import annotations

import socket
from datetime import datetime
from enum import StrEnum

from msgspec import Struct, msgpack

from cardd.formats.sealed import Cover, Layout
from cardd.frames import PREFIX, Broken, framed, receive, receive_rest

FRAME_MAX = 8 * 1024 * 1024

Rectangle = tuple[float, float, float, float]


class Stamp(Struct, frozen=True):
    """What a visible signature shows, and where: ``page`` from 1, or from -1 backwards; left, bottom, right, top."""

    page: int
    rectangle: Rectangle
    lines: tuple[str, ...]
    picture: bytes | None


class Place(Struct, tag=True, frozen=True):
    """Append a signature field with ``room`` bytes for its CMS message; without a ``field`` name, one is found."""

    when: datetime
    room: int
    field: str | None = None
    reason: str | None = None
    location: str | None = None
    stamp: Stamp | None = None


class List(Struct, tag=True, frozen=True):
    """Which signatures are in it."""


class Placed(Struct, tag=True, frozen=True):
    """Where the hexadecimal string lies, its angle brackets included, and the SHA-256 of all that is around it."""

    start: int
    end: int
    digest: bytes


class Later(StrEnum):
    """What a PDF's later writers changed of what a signature covers.

    NOTHING: nothing, or nothing that is seen (revocation data, archive timestamps). SIGNATURES: they signed too.
    FILLED_AS_ALLOWED and FILLED: they filled in fields, as the signature says that they may, or without a word of it.
    FORBIDDEN: anything else.
    """

    NOTHING = "nothing"
    SIGNATURES = "signatures"
    FILLED_AS_ALLOWED = "filled_as_allowed"
    FILLED = "filled"
    FORBIDDEN = "forbidden"


class Found(Struct, frozen=True):
    """One signature: its dictionary's SubFilter, ByteRange, Contents (with the padding), M; what came ``later``."""

    kind: str
    ranges: tuple[int, ...]
    contents: bytes
    when: datetime | None
    later: Later


class Listed(Struct, tag=True, frozen=True):
    """Every signature, oldest first."""

    signatures: tuple[Found, ...]


class Refused(Struct, tag=True, frozen=True):
    """The document cannot be taken: an error's code and params. ``leaving``: this process takes no other."""

    code: str
    params: dict[str, str | int]
    leaving: bool = False


Request = Place | List
Answer = Placed | Listed | Refused


class Asked(Struct, frozen=True):
    """A request, and what opens the document; None for a file that is not sealed."""

    request: Request
    cover: Cover | None


class Told(Struct, frozen=True):
    """An answer, and how the document's file looks now, where it is a sealed one."""

    answer: Answer
    layout: Layout | None


_encoder = msgpack.Encoder()
_asked: msgpack.Decoder[Asked] = msgpack.Decoder(Asked)
_told: msgpack.Decoder[Told] = msgpack.Decoder(Told)


def send_request(link: socket.socket, asked: Asked, document: int) -> None:
    """Send a request and the open file that it is about."""
    content = bytearray()
    _encoder.encode_into(asked, content)
    socket.send_fds(link, [len(content).to_bytes(PREFIX, "big")], [document])
    link.sendall(content)
    content[:] = bytes(len(content))  # the key is in it


def receive_request(link: socket.socket) -> tuple[Asked, int]:
    """Wait for the next request; whoever takes the file closes it. Raises Broken."""
    head, files, _, _ = socket.recv_fds(link, PREFIX, 1)
    if len(head) != PREFIX or len(files) != 1:
        raise Broken
    return _asked.decode(receive_rest(link, head, FRAME_MAX)), files[0]


def send_answer(link: socket.socket, told: Told) -> None:
    """Answer."""
    link.sendall(framed(_encoder.encode(told)))


def receive_answer(link: socket.socket, deadline: float) -> Told:
    """Wait for the answer until the monotonic ``deadline``. Raises Broken, OSError (TimeoutError)."""
    try:
        return _told.decode(receive(link, FRAME_MAX, deadline))
    except (ValueError, RecursionError) as fault:
        raise Broken from fault
