"""Where the daemon is: a Unix socket's path, or a loopback address. Nothing else is ever talked to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from cardd.errors import InvalidRequest

SOCKET = Path("/run/cardd/cardd.sock")
LOOPBACK = {"localhost": "127.0.0.1"}  # not asked of a resolver

_URL = re.compile(r"http://(127\.0\.0\.1|\[::1\]|localhost):(\d{1,5})/?")


@dataclass(frozen=True, slots=True)
class Address:
    """``socket`` is None over TCP; ``url`` is the API's root as HTTP names it."""

    url: str
    socket: Path | None = None

    def __str__(self) -> str:
        return str(self.socket or self.url)


def address(base: Path | str) -> Address:
    """A socket's path, or ``http://127.0.0.1:PORT``, ``[::1]`` or ``localhost``.

    Raises InvalidRequest for any other address, before a connection is made: a client's secret must not leave this
    machine, and a name that the network resolves could lead anywhere.
    """
    if isinstance(base, Path) or "://" not in base:
        return Address("http://localhost", Path(base))
    match = _URL.fullmatch(base)
    if match is None:
        raise InvalidRequest(where="url", why="http://127.0.0.1:PORT")
    return Address(f"http://{LOOPBACK.get(match[1], match[1])}:{match[2]}")
