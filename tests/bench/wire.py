"""HTTP over one kept-alive socket and nothing around it: what is measured is cardd, not a client library."""

from __future__ import annotations

import json
import re
import socket
from typing import cast

from tests.rig.lps import Json

LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
CHUNK = 65536


class Wire:
    """Posts JSON to one path with one Bearer value."""

    def __init__(self, port: int, path: str, credential: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {credential}\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        )

    def post(self, body: Json) -> Json:
        """One request; its answer must be 200."""
        sent = json.dumps(body)
        self._socket.sendall(f"{self._head}{len(sent)}\r\n\r\n{sent}".encode())
        answer = b""
        while not (head := answer.partition(b"\r\n\r\n"))[1]:
            answer += self._socket.recv(CHUNK)
        found = LENGTH.search(head[0] + b"\r\n")
        assert found, head[0]
        content = head[2]
        while len(content) < int(found[1]):
            content += self._socket.recv(CHUNK)
        assert head[0].startswith(b"HTTP/1.1 200 "), answer
        return cast(Json, json.loads(content))
