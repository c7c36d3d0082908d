"""The way out of this machine: directly or through a forward proxy, and whom to trust besides the system's authorities.

Everything that cardd sends to other machines takes one ``Outward``: ``HttpClient``, and TLS whose key is on a card. The
proxy speaks HTTP (RFC 9110, 9.3.6); what is encrypted goes through it by CONNECT and stays closed to it. This machine
itself is never reached through a proxy.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import errno
import ipaddress
import math
import os
import re
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import SplitResult, unquote, urlsplit

from cardd.errors import SecretStoreUnavailable
from cardd.files import ensure_regular
from cardd.secret import Secret, overwrite
from cardd.values import Value, replace

HERE = ("localhost", "127.0.0.1", "::1")
ANSWER_MAX = 16 * 1024  # bytes of the head of a proxy's answer
TUNNEL_LIMIT = 10.0  # seconds
ENVIRONMENT = "environment"
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})(?: |\r\n)")

Trouble = Literal["unreachable", "credentials", "refused", "unusable"]
Password = Callable[[], Awaitable[Secret | None]]


class ProxyFault(OSError):
    """The proxy does not lead on; ``trouble`` says why."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble)
        self.trouble: Trouble = trouble


def is_blocked(fault: BaseException | None) -> bool:
    """Return whether this machine lets nothing out: systemd's IPAddressDeny, or RestrictAddressFamilies."""
    if not isinstance(fault, OSError):
        return False
    if isinstance(fault, socket.gaierror) or fault.errno == errno.EAFNOSUPPORT:  # or the name, or IPv6, is missing
        return not _has_internet()
    return fault.errno in (errno.EPERM, errno.EACCES)


def _has_internet() -> bool:
    """Return whether this process may make a socket for it."""
    try:
        socket.socket(socket.AF_INET).close()
    except OSError as fault:
        return fault.errno != errno.EAFNOSUPPORT
    return True


class Proxy(Value):
    """A forward proxy, and who we are for it; never shown."""

    HIDDEN = frozenset({"password"})

    host: str
    port: int
    user: str | None = None
    password: str | None = None

    @property
    def url(self) -> str:
        """Return the proxy's address, without user and password."""
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"

    @property
    def authorization(self) -> str | None:
        """The header that names us (RFC 7617)."""
        if self.user is None:
            return None
        pair = f"{self.user}:{self.password or ''}".encode()
        told = base64.b64encode(pair).decode()
        overwrite(pair)
        return f"Basic {told}"


class Outward:
    """The way out, as the configuration has it: a proxy's address, ``"environment"``, or None for none.

    ``password`` gives the secret of ``user``, and is asked when a proxy is first needed. ``no_proxy`` are hosts,
    domains (``.example``), numbers and networks that are reached directly; ``*`` is all of them. ``authorities`` is a
    PEM file of those to trust besides the system's, for whoever has none of their own.
    """

    def __init__(
        self,
        proxy: str | None = None,
        *,
        user: str | None = None,
        password: Password | None = None,
        no_proxy: Iterable[str] = (),
        authorities: Path | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self.authorities = authorities
        self._proxy = proxy
        self._user = user
        self._ask = password
        self._password: Secret | None = None
        self.password_pause = 60.0  # seconds that a password which is not there is not asked for again
        self._asked_at = -math.inf
        self.refused_pause = 300.0  # seconds that credentials which a proxy refused are not shown to it again
        self._refused: Proxy | None = None
        self._refused_at = -math.inf
        self._asking = asyncio.Lock()
        self._no_proxy = tuple(no_proxy)
        self._environment = environment

    def trusted(self) -> ssl.SSLContext:
        """Return a context that trusts the system's authorities and these. Raises OSError for a file that is none."""
        context = ssl.create_default_context()
        if self.authorities is not None:
            ensure_regular(self.authorities)
            context.load_verify_locations(self.authorities)
        return context

    async def proxy_to(self, scheme: str, host: str, port: int) -> Proxy | None:
        """Return the proxy that leads to a server; None for the direct way.

        Raises OSError, and ProxyFault, also for one that refused these credentials lately: each try counts to those
        after which a directory locks the account.
        """
        found = await self._found(scheme, host, port)
        if found and self._refused_lately(found):
            self._password = None  # the secret may be another one by now
            raise ProxyFault("credentials")
        return found

    def refused_by(self, proxy: Proxy) -> None:
        """Take note that a proxy refused the credentials that it was shown."""
        if proxy.user is not None:
            self._refused, self._refused_at = proxy, time.monotonic()

    def _refused_lately(self, proxy: Proxy) -> bool:
        is_late = time.monotonic() >= self._refused_at + self.refused_pause
        return (
            not is_late
            and self._refused is not None
            and proxy in (self._refused, replace(self._refused, password=None))
        )

    async def _found(self, scheme: str, host: str, port: int) -> Proxy | None:
        if self._proxy is None or host.lower() in HERE:
            return None
        if self._proxy == ENVIRONMENT:
            return await self._of_environment(scheme, host, port)
        if _is_listed(host, port, self._no_proxy):
            return None
        found = urlsplit(self._proxy)
        return Proxy(found.hostname or "", found.port or 80, self._user, await self._secret())

    async def _of_environment(self, scheme: str, host: str, port: int) -> Proxy | None:
        told = self._told(f"{scheme}_proxy") or self._told("all_proxy")
        excepted = [one for one in re.split(r"[,\s]+", self._told("no_proxy")) if one]
        if not told or _is_listed(host, port, [*self._no_proxy, *excepted]):
            return None
        found = _address(told)
        host_and_port = found.hostname or "", found.port or 80
        if not found.username:
            return Proxy(*host_and_port, self._user, await self._secret())
        return Proxy(*host_and_port, unquote(found.username), unquote(found.password or ""))

    def _told(self, name: str) -> str:
        """Return what the environment says; as every program does, in small letters first."""
        return self._environment.get(name, "") or self._environment.get(name.upper(), "")

    async def _secret(self) -> str | None:
        """Return the password; one that is not there, or cannot be had, is asked for again after a while."""
        if self._user is None or self._ask is None:
            return None
        async with self._asking:
            now = asyncio.get_running_loop().time()
            if self._password is None and now >= self._asked_at + self.password_pause:
                with contextlib.suppress(SecretStoreUnavailable):
                    self._password = await self._ask()
                self._asked_at = now
        if self._password is None:
            return None
        with self._password.view() as view:
            return str(view, "utf-8")


DIRECT = Outward()


async def open_tunnel(proxy: Proxy, host: str, port: int, *, limit: float = TUNNEL_LIMIT) -> socket.socket:
    """Return a connection to the server through the proxy (CONNECT), before its first byte. Raises ProxyFault."""
    try:
        async with asyncio.timeout(limit):
            connected = await _connected(proxy)
            try:
                await _ask_for(connected, proxy, host, port)
            except BaseException:
                connected.close()
                raise
            return connected
    except ProxyFault:
        raise
    except (OSError, TimeoutError) as fault:
        raise ProxyFault("unreachable") from fault


async def _connected(proxy: Proxy) -> socket.socket:
    loop = asyncio.get_running_loop()
    last: OSError = ProxyFault("unreachable")
    for family, kind, protocol, _, address in await loop.getaddrinfo(proxy.host, proxy.port, type=socket.SOCK_STREAM):
        found = socket.socket(family, kind, protocol)
        found.setblocking(False)
        try:
            await loop.sock_connect(found, address)
        except OSError as fault:
            found.close()
            last = fault
        except BaseException:
            found.close()
            raise
        else:
            return found
    raise last


async def _ask_for(connected: socket.socket, proxy: Proxy, host: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    told = proxy.authorization
    proof = f"Proxy-Authorization: {told}\r\n" if told else ""
    await loop.sock_sendall(connected, f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{proof}\r\n".encode())
    head = bytearray()
    while b"\r\n\r\n" not in head:
        part = await loop.sock_recv(connected, 1024)
        head += part
        if not part or len(head) > ANSWER_MAX:
            raise ProxyFault("refused")
    status = _STATUS.match(head)
    if status is not None and status[1] in (b"401", b"407"):
        raise ProxyFault("credentials")
    # nobody may speak before our own first word
    if status is None or not status[1].startswith(b"2") or not head.endswith(b"\r\n\r\n"):
        raise ProxyFault("refused")


def _address(told: str) -> SplitResult:
    """Return a proxy's address as environments have it, with or without its scheme. Raises ProxyFault."""
    try:
        found = urlsplit(told if "://" in told else f"http://{told}")
        if found.scheme == "http" and found.hostname and found.port != 0:
            return found
    except ValueError:
        raise ProxyFault("unusable") from None
    raise ProxyFault("unusable")


def _is_listed(host: str, port: int, listed: Iterable[str]) -> bool:
    """Return whether a server is among hosts, domains, numbers and networks, each with a port or without."""
    name = host.lower().rstrip(".")
    number = None
    with contextlib.suppress(ValueError):
        number = ipaddress.ip_address(name)
    return any(one == "*" or _covers(one, name, number) for one in _for_port(listed, port))


def _for_port(listed: Iterable[str], port: int) -> Iterator[str]:
    """Yield the entries that speak of every port, or of this one."""
    for one in listed:
        bare, colon, tail = one.lower().rpartition(":")
        if not (colon and tail.isdigit()) or (":" in bare and not bare.endswith("]")):
            yield one.lower()
        elif tail == str(port):
            yield bare


def _covers(one: str, name: str, number: ipaddress.IPv4Address | ipaddress.IPv6Address | None) -> bool:
    if number is not None:
        with contextlib.suppress(ValueError):
            return number in ipaddress.ip_network(one.strip("[]"), strict=False)
        return False
    domain = one.lstrip("*").lstrip(".")
    return bool(domain) and (name == domain or name.endswith(f".{domain}"))
