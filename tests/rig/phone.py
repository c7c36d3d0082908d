"""The phone of support: codes by RFC 4226 and RFC 6238, written from those, without the library that cardd uses."""

from __future__ import annotations

import base64
import hmac
import struct
from datetime import datetime
from urllib.parse import parse_qs, unquote, urlsplit

STEP = 30


class Phone:
    """An authenticator app with one entry, from an ``otpauth://`` address."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        asked = parse_qs(parts.query)
        assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
        assert not asked.keys() - {"secret", "issuer"}  # SHA-1, six digits, 30 s: what every app does
        self.label = unquote(parts.path.removeprefix("/"))
        self.secret = asked["secret"][0]

    def code(self, when: datetime | float, steps: int = 0) -> str:
        """The six digits at this time, or so many steps later."""
        seconds = when.timestamp() if isinstance(when, datetime) else when
        return one_time_code(base64.b32decode(self.secret), int(seconds) // STEP + steps)

    def other_code(self, when: datetime) -> str:
        """Six digits that are none of this time."""
        near = {self.code(when, steps) for steps in range(-3, 4)}
        return next(code for code in map("{:06d}".format, range(8)) if code not in near)


def one_time_code(key: bytes, counter: int, digits: int = 6) -> str:
    """RFC 4226, section 5.3."""
    mac = hmac.new(key, struct.pack(">Q", counter), "sha1").digest()
    offset = mac[-1] & 0x0F
    number = struct.unpack(">I", mac[offset : offset + 4])[0] & 0x7FFFFFFF
    return str(number % 10**digits).zfill(digits)
