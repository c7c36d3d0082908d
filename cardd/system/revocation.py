"""HTTP to the authorities that know what was revoked: one small question, one answer of limited size, no redirects.

Addresses come from certificates. They are not followed to this machine, nor to where only this machine's own network
is: neither by number nor by a name that leads there.
"""

from __future__ import annotations

import ipaddress
import socket
import time

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

CONNECT_LIMIT = 3.0  # seconds
LIMIT = 10.0
CONNECTIONS = 8
PAUSE = 30.0  # seconds for which a host that did not answer is not asked again
PAUSED_MAX = 256
REQUEST, RESPONSE = "application/ocsp-request", "application/ocsp-response"
HEADERS = {"Accept-Encoding": "identity", "User-Agent": "cardd"}


class RevocationHttp:
    """Connections to authorities. Made and closed on the event loop; ``is_local``: they may be on this machine."""

    def __init__(self, *, timeout: float = LIMIT, is_local: bool = False) -> None:
        self._timeout = aiohttp.ClientTimeout(total=timeout, sock_connect=CONNECT_LIMIT)
        self._is_local = is_local
        self._session: aiohttp.ClientSession | None = None
        self._silent: dict[str, float] = {}

    async def close(self) -> None:
        """Give the connections back."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def fetch(self, url: str, body: bytes | None, limit: int) -> bytes | None:
        """The answer to a GET, or to a POST of an OCSP request; None when none comes, or one larger than that."""
        try:
            address = URL(url)
        except ValueError:
            return None
        place = f"{address.host}:{address.port}"
        if address.scheme != "http" or not self._may_ask(address) or self._silent.get(place, 0.0) > time.monotonic():
            return None
        try:
            return await self._asked(address, body, limit)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            self._pause(place)
            return None

    async def _asked(self, address: URL, body: bytes | None, limit: int) -> bytes | None:
        method, headers = ("GET", {}) if body is None else ("POST", {"Content-Type": REQUEST, "Accept": RESPONSE})
        asked = self._opened().request(method, address, data=body, headers=headers, allow_redirects=False)
        async with asked as response:
            is_ours = body is None or response.content_type.lower() == RESPONSE
            return await _read(response, limit) if response.status == 200 and is_ours else None

    def _may_ask(self, address: URL) -> bool:
        """A host by number is never looked up: its number is judged here."""
        try:
            number = ipaddress.ip_address(address.host or "")
        except ValueError:
            return True
        return self._is_local or _is_elsewhere(number)

    def _pause(self, place: str) -> None:
        if len(self._silent) >= PAUSED_MAX:
            self._silent.clear()
        self._silent[place] = time.monotonic() + PAUSE

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            resolver = None if self._is_local else _Elsewhere()
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONNECTIONS, resolver=resolver),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=HEADERS,
                timeout=self._timeout,
                auto_decompress=False,
                trust_env=False,  # it would read a netrc file too
            )
        return self._session


class _Elsewhere(AbstractResolver):
    """The addresses of a name that are not this machine's."""

    def __init__(self) -> None:
        self._system = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._system.resolve(host, port, family)
        usable = [one for one in found if _is_elsewhere(ipaddress.ip_address(one["host"].partition("%")[0]))]
        if not usable:
            raise OSError(f"{host}: no address that may be asked")
        return usable

    async def close(self) -> None:
        await self._system.close()


def _is_elsewhere(number: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    mapped = number.ipv4_mapped if isinstance(number, ipaddress.IPv6Address) else None
    real = mapped or number
    return not (real.is_loopback or real.is_link_local or real.is_unspecified or real.is_multicast or real.is_reserved)


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes | None:
    answer = bytearray()
    async for chunk in response.content.iter_any():
        answer += chunk
        if len(answer) > limit:
            return None
    return bytes(answer)
