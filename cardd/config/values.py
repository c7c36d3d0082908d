"""What one value of the configuration may look like: readers that turn TOML into the value cardd uses.

A reader raises ``Unfit`` with a reason (a word that ``reference`` explains in French and English) and with what would
have been right. TOML knows ``inf``, ``nan`` and booleans where numbers stand: none of them passes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

N = TypeVar("N", int, float)

UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?) ?(ms|s|min|h)")
_LOOPBACK = re.compile(r"(?:(?:127\.0\.0\.1|\[::1\]|localhost):)?(\d{1,5})")
_HOST = r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*|\[[0-9a-f:]+\]"
_ORIGIN = re.compile(rf"(https?)://({_HOST})(?::([1-9]\d{{0,4}}))?")
_HTTP = re.compile(rf"https?://(?:{_HOST})(?::[1-9]\d{{0,4}})?(?:/[\w./~%-]*)?")
_HTTPS = re.compile(rf"https://(?:{_HOST})(?::[1-9]\d{{0,4}})?(?:/[\w./~%-]*)?")
_SEGMENT = r"[\w~!$&'()*+,=:@-][\w.~!$&'()*+,=:@-]*"
_URL_PATH = re.compile(rf"/(?:{_SEGMENT}(?:/{_SEGMENT})*/?)?", re.ASCII)
_HEADER = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
# Headers by which a server behind a proxy learns who the client is, and those that belong to one connection.
FORGING = re.compile(
    r"host|connection|keep-alive|te|trailer|transfer-encoding|upgrade|expect|content-length|proxy-.*|via|forwarded|from"
    r"|x-forwarded.*|x-real-ip|true-client-ip|client-cert.*|.*ssl.*|.*client[-_].*|.*cert.*|.*remote[-_].*|.*-user.*"
    r"|cardd-.*|origin|referer|sec-.*|authorization|x-.*identity.*"
)
_DEFAULT_PORTS = {"https": 443, "http": 80}


class Unfit(ValueError):
    """A value that does not fit its key."""

    def __init__(self, reason: str, expected: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.expected = expected


@dataclass(frozen=True, slots=True)
class Kind:
    """What a key takes: how the reference writes it, and the reader that checks it."""

    name: str
    read: Callable[[object], object]


def duration(minimum: float, maximum: float) -> Kind:
    """Seconds as a number, or a string with one unit: ``"30 min"``, ``"4 h"``, ``"500 ms"``. Gives seconds."""

    def read(value: object) -> float:
        if isinstance(value, str):
            match = _DURATION.fullmatch(value)
            if match is None:
                raise Unfit("duration", '30, "30 s", "30 min", "4 h", "500 ms"')
            value = float(match[1]) * UNITS[match[2]]
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise Unfit("duration", '30, "30 s", "30 min", "4 h", "500 ms"')
        return _within(float(value), minimum, maximum, " s")

    return Kind("duration", read)


def integer(minimum: int, maximum: int) -> Kind:
    """A whole number."""

    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise Unfit("type", "integer")
        return _within(value, minimum, maximum)

    return Kind("integer", read)


def boolean() -> Kind:
    """True or false."""

    def read(value: object) -> bool:
        if not isinstance(value, bool):
            raise Unfit("type", "boolean")
        return value

    return Kind("boolean", read)


def choice(*words: str) -> Kind:
    """One of a few words."""

    def read(value: object) -> str:
        if not isinstance(value, str) or value not in words:
            raise Unfit("choice", ", ".join(f'"{word}"' for word in words))
        return value

    return Kind(" | ".join(f'"{word}"' for word in words), read)


def path() -> Kind:
    """An absolute path: a relative one would depend on where the daemon was started."""
    return Kind("path", _path)


def optional_path() -> Kind:
    """An absolute path, or the empty string for none."""
    return Kind('path | ""', lambda value: None if value == "" else _path(value))


def words() -> Kind:
    """A list of strings."""
    return Kind("list of strings", lambda value: _texts(value, '["…"]'))


def optional_word() -> Kind:
    """A string; the empty one for none."""

    def read(value: object) -> str | None:
        if not isinstance(value, str):
            raise Unfit("type", "string")
        return value or None

    return Kind("string", read)


def word() -> Kind:
    """A string that is not empty."""

    def read(value: object) -> str:
        if not isinstance(value, str) or not value:
            raise Unfit("type", "string")
        return value

    return Kind("string", read)


def web_path() -> Kind:
    """The path of an address: absolute, without query or fragment."""

    def read(value: object) -> str:
        if not isinstance(value, str) or not _URL_PATH.fullmatch(value):
            raise Unfit("path", "/…")
        return value

    return Kind("path of an address", read)


def optional_https() -> Kind:
    """An https address, without user, query or fragment; the empty string for none."""

    def read(value: object) -> str | None:
        if value == "":
            return None
        if not isinstance(value, str) or not _HTTPS.fullmatch(value):
            raise Unfit("https", "https://host[:port][/path]")
        return value

    return Kind("https address", read)


def optional_http() -> Kind:
    """An http or https address, without user, query or fragment; the empty string for none."""

    def read(value: object) -> str | None:
        if value == "":
            return None
        if not isinstance(value, str) or not _HTTP.fullmatch(value):
            raise Unfit("http", "https://host[:port][/path]")
        return value

    return Kind("http or https address", read)


def upstream_url() -> Kind:
    """An https address, without user, query or fragment."""

    def read(value: object) -> str:
        if not isinstance(value, str) or not _HTTPS.fullmatch(value):
            raise Unfit("https", "https://host[:port][/path]")
        return value.rstrip("/")

    return Kind("https address", read)


def url_paths() -> Kind:
    """A list of absolute paths of a server, as they are written in requests."""

    def read(value: object) -> tuple[str, ...]:
        found = _texts(value, '["/…"]')
        if not found or not all(_URL_PATH.fullmatch(entry) for entry in found):
            raise Unfit("path", '["/…"]')
        return found

    return Kind("list of paths", read)


def some_of(*words: str) -> Kind:
    """A list of some of these words."""

    def read(value: object) -> tuple[str, ...]:
        found = _texts(value, '["GET"]')
        if not found or not set(found) <= set(words):
            raise Unfit("choice", ", ".join(f'"{word}"' for word in words))
        return found

    return Kind("list of words", read)


def header_names() -> Kind:
    """A list of names of HTTP headers, in lower case once they are read; none by which a server knows who asks."""

    def read(value: object) -> tuple[str, ...]:
        found = tuple(entry.lower() for entry in _texts(value, '["X-…"]'))
        if not all(_HEADER.fullmatch(entry) for entry in found):
            raise Unfit("type", '["X-…"]')
        forging = [entry for entry in found if FORGING.fullmatch(entry)]
        if forging:
            raise Unfit("forging", forging[0])
        return found

    return Kind("list of headers", read)


def tables(*keys: str) -> Kind:
    """A list of tables, each with a ``name`` and any of these keys, all of them strings."""
    shape = "[{ " + ", ".join(f'{key} = "…"' for key in ("name", *keys)) + " }]"

    def read(value: object) -> tuple[Mapping[str, str], ...]:
        if not isinstance(value, list) or not all(isinstance(table, dict) and "name" in table for table in value):
            raise Unfit("type", shape)
        for key, told in [entry for table in value for entry in table.items()]:
            if key not in ("name", *keys) or not isinstance(told, str) or not told:
                raise Unfit("type", shape)
        return tuple(value)

    return Kind("list of tables", read)


def loopback_port() -> Kind:
    """A TCP port, alone or behind the name of a loopback address. Gives the port: both families listen, always.

    Port 0 takes a free one. Any address but the two of this machine is refused (rule 5).
    """

    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise Unfit("type", '"127.0.0.1:17463"')
        match = _LOOPBACK.fullmatch(str(value))
        if match is None:
            raise Unfit("loopback", '"127.0.0.1:17463", "[::1]:17463", 17463')
        return _within(int(match[1]), 0, 65535, "")

    return Kind("port", read)


def origins() -> Kind:
    """Web origins exactly as browsers send them (RFC 6454): scheme, host, and a port that is not the scheme's own.

    No pattern, no path, no capital letters, no ``null``: what is listed is compared byte for byte.
    """

    def read(value: object) -> tuple[str, ...]:
        if not isinstance(value, list):
            raise Unfit("type", '["https://…"]')
        return tuple(_origin(entry) for entry in value)

    return Kind("list of origins", read)


def _texts(value: object, example: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(entry, str) and entry for entry in value):
        raise Unfit("type", example)
    return tuple(str(entry) for entry in value)


def _path(value: object) -> Path:
    if not isinstance(value, str):
        raise Unfit("type", "string")
    if not value.startswith("/") or "\0" in value:
        raise Unfit("path", "/…")
    return Path(value)


def _origin(value: object) -> str:
    match = _ORIGIN.fullmatch(value) if isinstance(value, str) else None
    if match is None or len(match[2]) > 253:
        raise Unfit("origin", f"https://host[:port] ({str(value)[:80]!r})")
    scheme, host, port = match.groups()
    if port is not None and (int(port) > 65535 or int(port) == _DEFAULT_PORTS[scheme]):
        raise Unfit("origin", f"{scheme}://{host}" if int(port) < 65536 else "0–65535")
    return match[0]


def _within(value: N, minimum: N, maximum: N, unit: str = "") -> N:
    if not minimum <= value <= maximum:
        raise Unfit("range", f"{minimum:g}–{maximum:g}{unit}" if unit else f"{minimum}–{maximum}")
    return value
