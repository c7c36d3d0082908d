"""One configured server: where it is, and what may be asked of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from cardd.errors import MethodNotAllowed, UpstreamPathRefused, UpstreamUnknown

PATH_MAX = 8192
# what a server may take for another path than we do: encoded slashes, dots and NULs, backslashes, empty segments
_AMBIGUOUS = re.compile(r"%(?:2f|5c|2e|00|25)|\\|//|;", re.IGNORECASE)
_PLAIN = re.compile(r"/(?:[\w.~!$&'()*+,=:@/-]|%[0-9A-Fa-f]{2})*", re.ASCII)
_QUERY = re.compile(r"(?:[\w.~!$&'()*+,;=:@/?\[\]|{}^`-]|%[0-9A-Fa-f]{2})*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Upstream:
    """``url`` is an https address without a slash at its end; ``paths`` are below it, each with all below it.

    ``headers`` are passed on beside the usual ones; ``asks`` says whether the user is asked, once a session.
    ``timeout`` is for the server's silence, ``clock`` how far its clock may be from ours, both in seconds.
    """

    name: str
    url: str
    paths: tuple[str, ...] = ("/",)
    methods: tuple[str, ...] = ("GET", "HEAD", "POST", "PUT", "DELETE")
    headers: tuple[str, ...] = ()
    authorities: Path | None = None
    minimum: Literal["1.2", "1.3"] = "1.2"
    asks: bool = True
    timeout: float = 60.0
    max_body: int = 256 * 1024 * 1024
    clock: float = 60.0

    @property
    def host(self) -> str:
        """The server's name or address."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """Its port."""
        return urlsplit(self.url).port or 443

    def target(self, method: str, path: str, query: str) -> str:
        """The address of a request; ``path`` (from its slash on) and ``query`` are as they were sent, still encoded.

        Raises MethodNotAllowed, UpstreamPathRefused.
        """
        if method not in self.methods:
            raise MethodNotAllowed(allowed=", ".join(self.methods))
        if len(path) + len(query) > PATH_MAX or not _PLAIN.fullmatch(path) or not _QUERY.fullmatch(query):
            raise UpstreamPathRefused(name=self.name)
        if _AMBIGUOUS.search(path) or {".", ".."} & set(path.split("/")) or not self._allows(path):
            raise UpstreamPathRefused(name=self.name)
        return self.url + path + (f"?{query}" if query else "")

    def _allows(self, encoded: str) -> bool:
        try:
            path = unquote(encoded, errors="strict")
        except UnicodeDecodeError:  # overlong UTF-8, which some servers read as dots and slashes
            return False
        return any(path == allowed or path.startswith(allowed.rstrip("/") + "/") for allowed in self.paths)


class Upstreams:
    """All of the configuration."""

    def __init__(self, known: Mapping[str, Upstream]) -> None:
        self._known = known

    def named(self, name: str) -> Upstream:
        """One of them. Raises UpstreamUnknown."""
        found = self._known.get(name)
        if found is None:
            raise UpstreamUnknown(name=name[:64])
        return found
