"""What a TLS client has signed, as OpenSSL gives it to a mechanism that hashes."""

from __future__ import annotations

TLS_1_3 = b" " * 64 + b"TLS 1.3, client CertificateVerify\0" + bytes(32)


def _message(kind: int, body: bytes) -> bytes:
    return bytes((kind,)) + len(body).to_bytes(3, "big") + body


def _hello(server: str) -> bytes:
    name = server.encode()
    entry = b"\0" + len(name).to_bytes(2, "big") + name
    extension = (len(entry) + 2).to_bytes(2, "big") + len(entry).to_bytes(2, "big") + entry
    extensions = b"\0\x17\0\0" + b"\0\0" + extension if server else b""
    body = b"\x03\x03" + bytes(32) + b"\0" + b"\0\x02\xc0\x2f" + b"\x01\0"
    return body + len(extensions).to_bytes(2, "big") + extensions


def transcript(server: str = "") -> bytes:
    """Return the messages of a TLS 1.2 handshake up to the client's CertificateVerify."""
    return b"".join(
        (
            _message(1, _hello(server)),
            _message(2, bytes(40)),
            _message(11, bytes(300)),
            _message(12, bytes(100)),
            _message(13, bytes(20)),
            _message(14, b""),
            _message(11, bytes(300)),
            _message(16, bytes(66)),
        )
    )
