"""TLS handshakes in what a program has signed: known by their structure, with the server's name where they tell it.

A program can make such bytes itself. They serve to log in by TLS and to nothing else, which is all that is concluded.

Sources: RFC 8446, section 4.4.3; RFC 5246, sections 7.4 and 7.4.8; RFC 6066, section 3.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

TLS_1_3 = b" " * 64 + b"TLS 1.3, client CertificateVerify\0"
TRANSCRIPT_HASHES = (32, 48)
CLIENT_HELLO, SERVER_HELLO, CLIENT_KEY_EXCHANGE = 1, 2, 16
TYPES = frozenset((1, 2, 4, 11, 12, 13, 14, 16, 22))
SERVER_NAME, HOST_NAME = 0, 0
NAME = re.compile(r"[A-Za-z0-9._-]{1,253}")  # what a dialog shows in quotes says nothing else


def handshake_in(data: bytes) -> str | None:
    """Return the server's name that a client's handshake tells, empty where it tells none; None for other data."""
    if data.startswith(TLS_1_3) and len(data) - len(TLS_1_3) in TRANSCRIPT_HASHES:
        return ""
    try:
        messages = list(_messages(data))
        kinds = [kind for kind, _ in messages]
        if kinds[:2] != [CLIENT_HELLO, SERVER_HELLO] or kinds[-1] != CLIENT_KEY_EXCHANGE:
            return None
        return _server_name(messages[0][1]) or ""
    except (IndexError, ValueError):
        return None


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the types and bodies of handshake messages that fill the data. Raises ValueError, IndexError."""
    place = 0
    while place < len(data):
        kind, size = data[place], int.from_bytes(data[place + 1 : place + 4], "big")
        end = place + 4 + size
        if kind not in TYPES or end > len(data):
            raise ValueError("handshake")
        yield kind, data[place + 4 : end]
        place = end


def _server_name(hello: bytes) -> str | None:
    """Return the first host name of a ClientHello. Raises IndexError, ValueError."""
    place = 2 + 32
    place += 1 + hello[place]  # the session's identifier
    place += 2 + int.from_bytes(hello[place : place + 2], "big")  # cipher suites
    place += 1 + hello[place] + 2  # compression methods, and the size of the extensions
    while place + 4 <= len(hello):
        kind, size = (int.from_bytes(hello[at : at + 2], "big") for at in (place, place + 2))
        body = hello[place + 4 : place + 4 + size]
        if kind == SERVER_NAME and len(body) > 5 and body[2] == HOST_NAME:
            name = body[5 : 5 + int.from_bytes(body[3:5], "big")].decode("ascii")
            return name if NAME.fullmatch(name) else None
        place += 4 + size
    return None
