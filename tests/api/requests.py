"""Requests written by hand, for what no HTTP library would send."""

from __future__ import annotations

UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
)


def request(target: str, *headers: str, method: str = "GET", body: bytes = b"") -> bytes:
    """One request that asks for the connection to be closed, unless it says otherwise itself."""
    closing = () if any(header.startswith("Connection:") for header in headers) else ("Connection: close",)
    head = "\r\n".join((f"{method} {target} HTTP/1.1", *headers, *closing))
    return head.encode() + b"\r\n\r\n" + body


def status_of(answer: bytes) -> int:
    """The status of a raw answer; 0 when there is none."""
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.") else 0


def header_of(answer: bytes, name: str) -> str | None:
    """One header of a raw answer."""
    for line in answer.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]:
        found, _, value = line.partition(": ")
        if found.lower() == name.lower():
            return value
    return None


def without_date(answer: bytes) -> bytes:
    """The answer as it would be at any other second."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.startswith(b"Date:")]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body
