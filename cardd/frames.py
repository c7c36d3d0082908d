"""What the daemon gives to the processes that it starts: an environment, and frames, each with 4 bytes of length.

Whoever is on the other side may be broken or hostile: a frame has a greatest size, a wait may have an end, and what is
none of its business is left out.
"""

from __future__ import annotations

import os
import socket
import time

PREFIX = 4


class Broken(Exception):
    """The other side left, or does not speak as agreed."""


def environment_for(*, confined: bool) -> dict[str, str]:
    """Return the environment for a process: ours, without the network's proxies for one that will confine itself.

    A confined process reaches no network, and a proxy's address may have a password in it.
    """
    return {name: told for name, told in os.environ.items() if not (confined and name.lower().endswith("_proxy"))}


def framed(content: bytes) -> bytes:
    """Return the content behind its length."""
    return len(content).to_bytes(PREFIX, "big") + content


def receive(link: socket.socket, most: int, deadline: float | None = None) -> bytes:
    """Wait for a frame of at most so many bytes, until the monotonic ``deadline``. Raises Broken, TimeoutError."""
    return receive_rest(link, receive_exactly(link, PREFIX, deadline), most, deadline)


def receive_rest(link: socket.socket, prefix: bytes, most: int, deadline: float | None = None) -> bytes:
    """Wait for the content of a frame whose length has come. Raises as ``receive``."""
    size = int.from_bytes(prefix, "big")
    if size > most:
        raise Broken
    return receive_exactly(link, size, deadline)


def receive_exactly(link: socket.socket, size: int, deadline: float | None = None) -> bytes:
    """Wait for so many bytes. Raises as ``receive``."""
    received = bytearray(size)
    receive_into(link, memoryview(received), deadline)
    return bytes(received)


def receive_into(link: socket.socket, room: memoryview, deadline: float | None = None) -> None:
    """Wait until the room is full. Raises as ``receive``."""
    while room:
        if deadline is not None:
            left = deadline - time.monotonic()
            if left <= 0:  # looked at here too: whoever always has one more byte lets no wait end
                raise TimeoutError
            link.settimeout(left)
        received = link.recv_into(room)
        if not received:
            raise Broken
        room = room[received:]
