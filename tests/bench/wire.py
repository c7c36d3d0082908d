"""HTTP over one kept-alive socket and nothing around it: what is measured is cardd, not a client library."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
from collections.abc import Iterator
from typing import cast

from tests.rig.lps import Json

LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
CHUNK = 65536
TIMEOUT = 60.0


def connected(address: int | str) -> socket.socket:
    """Return a connection to this port or socket."""
    if isinstance(address, str):
        local = socket.socket(socket.AF_UNIX)
        local.settimeout(TIMEOUT)
        local.connect(address)
        return local
    made = socket.create_connection(("127.0.0.1", address), timeout=TIMEOUT)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def host_of(address: int | str) -> str:
    """Return what the daemon wants as the Host there."""
    return "localhost" if isinstance(address, str) else f"127.0.0.1:{address}"


def _some(wire: socket.socket) -> bytes:
    some = wire.recv(CHUNK)
    assert some, "the daemon hung up"
    return some


def digests() -> Iterator[str]:
    """Digests that differ, in base64."""
    number = 0
    while True:
        yield base64.b64encode(hashlib.sha256(str(number).encode()).digest()).decode()
        number += 1


class Wire:
    """Posts JSON to one path with one Bearer value; ``address`` is a port of the loopback, or a socket's path."""

    def __init__(self, address: int | str, path: str, credential: str) -> None:
        self._address = address
        self._socket: socket.socket | None = None  # until the first request: a silent connection is closed soon
        self._head = (
            f"POST {path} HTTP/1.1\r\nHost: {host_of(address)}\r\nAuthorization: Bearer {credential}\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        )

    def post(self, body: Json) -> Json:
        """One request; its answer must be 200."""
        sent = json.dumps(body)
        wire = self._socket = self._socket or connected(self._address)
        wire.sendall(f"{self._head}{len(sent)}\r\n\r\n{sent}".encode())
        answer = b""
        while not (head := answer.partition(b"\r\n\r\n"))[1]:
            answer += _some(wire)
        found = LENGTH.search(head[0] + b"\r\n")
        assert found, head[0]
        content = head[2]
        while len(content) < int(found[1]):
            content += _some(wire)
        assert head[0].startswith(b"HTTP/1.1 200 "), answer
        return cast(Json, json.loads(content))
