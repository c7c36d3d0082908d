"""Outgoing HTTP: requests to servers that may be slow, hostile, or not the ones they claim to be.

An answer has limits in size and time, and is asked for uncompressed. Redirects are not followed; cookies and the netrc
file are not used, and a proxy only where the ``Outward`` says so. Whoever asks gives a ``HttpFault`` the name of its
own subject.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from types import MappingProxyType, SimpleNamespace

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from cardd.errors import UpstreamError, UpstreamRefusedUs, UpstreamUntrusted
from cardd.outward import DIRECT, Outward, Proxy, ProxyFault, is_blocked, open_tunnel
from cardd.request import Where, step
from cardd.secret import overwrite
from cardd.values import Value, field

BUFFER = 64 * 1024
SECONDS_MAX = 86400.0  # of Retry-After
HTTP_PROXY_AUTHENTICATION = 407
WANTS_US = (401, HTTP_PROXY_AUTHENTICATION)  # to a CONNECT, whose answer is the proxy's own
Server = tuple[str, int]  # host and port
Connectors = Callable[[str, int], aiohttp.BaseConnector]
Headers = Mapping[str, str]
# what is wrong with a certificate, by OpenSSL's number (x509_vfy.h)
FLAWS = {
    9: "early",
    10: "expired",
    62: "name",
    64: "name",
    18: "authority",
    19: "authority",
    20: "authority",
    21: "authority",
}
NO_HEADERS: Headers = MappingProxyType({})
OWN_HEADERS = {"Accept-Encoding": "identity", "User-Agent": "cardd"}


class Why(StrEnum):
    """What kept an answer from coming."""

    NO_NAME = "dns"  # no address is known for the name
    CLOSED = "refused"  # nothing listens there, or a firewall says no
    LATE = "timeout"
    BLOCKED = "blocked"  # this machine lets nothing out (``is_blocked``)
    PROXY = "proxy"  # the proxy does not lead on
    UNREACHABLE = "cut"  # no connection for another reason, a reset, half an answer
    UNTRUSTED = "untrusted"  # the server's certificate does not hold
    REFUSED_US = "refused_us"  # the server wants another client certificate than it was shown, or one at all
    TOO_LARGE = "too_large"
    NOT_ASKED = "not_asked"  # the address is none, or may not be asked


class HttpFault(Exception):
    """No answer came. ``why`` says what kept it from coming.

    ``about`` is one word more: what is wrong with the certificate (``expired``, ``early``, ``name``, ``authority``,
    ``other``), or with the proxy (``Trouble``).
    """

    def __init__(self, why: Why, about: str = "") -> None:
        super().__init__(f"{why.value} {about}".rstrip())
        self.why = why
        self.about = about

    @property
    def is_away(self) -> bool:
        """Whether there was no server to speak to."""
        return self.why in (Why.NO_NAME, Why.CLOSED, Why.LATE, Why.BLOCKED, Why.PROXY, Why.UNREACHABLE)


class Limits(Value):
    """Bytes of an answer, seconds for the whole exchange and for its connection, connections at a time."""

    size: int = 256 * 1024
    total: float = 15.0
    connect: float = 5.0
    connections: int = 32


class HttpAnswer(Value):
    """One answer; ``media_type`` is lower case, without parameters. The body may hold tokens: it is not shown.

    ``date`` is when the other side says that it answered; ``retry_after`` the seconds after which it wants to be asked
    again.
    """

    status: int
    media_type: str
    body: bytes
    cookies: Mapping[str, str] = field(default_factory=dict)
    date: datetime | None = None
    retry_after: float | None = None

    def __repr__(self) -> str:
        return f"<HttpAnswer {self.status} {self.media_type}>"


class HttpClient:
    """Connections to other machines. Made and closed on the event loop; the first request opens them.

    ``tls`` decides whom we trust and which client certificate is shown, the system's authorities and none by default.
    ``connectors`` replaces it where the certificate's key is no file's, and makes connections to one server each; they
    take the way out by themselves. With ``refuses_local`` neither a number nor a name leads to this machine, or where
    only its own network is; a name that a proxy resolves is the proxy's matter, but for this machine's own.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        connectors: Connectors | None = None,
        refuses_local: bool = False,
        outward: Outward = DIRECT,
    ) -> None:
        self._limits = limits or Limits()
        self._tls = tls
        self._connectors = connectors
        self._refuses_local = refuses_local
        self._outward = outward
        self._sessions: dict[Server | bool, aiohttp.ClientSession] = {}
        self._closed = False

    async def close(self) -> None:
        """Give the connections back; further requests raise HttpFault."""
        self._closed = True
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()

    async def request(
        self,
        method: str,
        address: str,
        body: bytes | bytearray | Mapping[str, str] | None = None,
        *,
        json: Mapping[str, str] | None = None,
        headers: Headers = NO_HEADERS,
        size: int | None = None,
        timeout: float | None = None,
    ) -> HttpAnswer:
        """Ask once. ``body`` is bytes or the fields of a form; ``size`` and ``timeout`` replace the limits.

        Raises HttpFault.
        """
        if self._closed:
            raise HttpFault(Why.UNREACHABLE)
        target = self._target(address)
        total = self._limits.total if timeout is None else timeout
        with step("http", Where.NETWORK, method=method, host=target.host or "", port=target.port or 0) as told:
            proxy = None
            try:
                proxy = None if self._connectors else await self._proxy_to(target)
                shown, is_plain = _shown_to(proxy), target.scheme == "http"
                async with self._session(target, is_proxied=proxy is not None).request(
                    method,
                    target,
                    data=body,
                    json=json,
                    headers={**headers, **shown} if is_plain else headers,
                    allow_redirects=False,
                    ssl=True if is_plain or self._connectors else await self._trust(),
                    timeout=aiohttp.ClientTimeout(total=total, sock_connect=self._limits.connect),
                    proxy=proxy.url if proxy else None,
                    proxy_headers=shown if shown and not is_plain else None,
                ) as response:
                    told.about["status"] = response.status
                    if proxy and response.status == HTTP_PROXY_AUTHENTICATION:
                        raise ProxyFault("credentials")  # the proxy itself, of plain http
                    content = await _read(response, self._limits.size if size is None else size)
                    cookies = {name: morsel.value for name, morsel in response.cookies.items()}
                    kind, date, after = response.content_type.lower(), _date(response, "Date"), _retry_after(response)
                    return HttpAnswer(response.status, kind, content, cookies, date, after)
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError, UpstreamError) as fault:
                why, about = _why(fault)
                if proxy and about == "credentials":
                    self._outward.refused_by(proxy)
                raise HttpFault(why, about) from fault

    async def certificate_of(self, address: str) -> bytes | None:
        """Return what a server shows, believed or not (DER), for a person to be told; None where none comes.

        Nothing is said to the server but what begins a handshake.
        """
        target = self._target(address)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(self._limits.connect):
                host, port, proxy = target.host or "", target.port or 443, await self._proxy_to(target)
                tunnel = await open_tunnel(proxy, host, port) if proxy else None
                where = {"sock": tunnel} if tunnel else {"host": host, "port": port}
                _, writer = await asyncio.open_connection(**where, ssl=context, server_hostname=host)
                try:
                    shown: bytes | None = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
                finally:
                    writer.transport.abort()
                return shown
        return None

    async def _proxy_to(self, target: URL) -> Proxy | None:
        return await self._outward.proxy_to(target.scheme, target.host or "", target.port or 0)

    def _target(self, address: str) -> URL:
        try:
            target = URL(address)
            host = target.host or ""
        except ValueError:
            raise HttpFault(Why.NOT_ASKED) from None
        if self._refuses_local and (host.lower().rstrip(".") + ".").endswith((".localhost.", "localhost.")):
            raise HttpFault(Why.NOT_ASKED)
        with contextlib.suppress(ValueError):  # a name: the resolver judges it
            if self._refuses_local and not _is_elsewhere(ipaddress.ip_address(host)):
                raise HttpFault(Why.NOT_ASKED)
        return target

    def _session(self, target: URL, *, is_proxied: bool) -> aiohttp.ClientSession:
        key = (target.host or "", target.port or 0) if self._connectors else is_proxied
        if key not in self._sessions:
            timeout = aiohttp.ClientTimeout(total=self._limits.total, sock_connect=self._limits.connect)
            self._sessions[key] = open_session(self._connector(key), timeout, headers=OWN_HEADERS)
        return self._sessions[key]

    def _connector(self, key: Server | bool) -> aiohttp.BaseConnector:
        if self._connectors and isinstance(key, tuple):
            return self._connectors(*key)
        resolver = _ElsewhereResolver() if self._refuses_local and not key else None  # a proxy may well be here
        return aiohttp.TCPConnector(limit=self._limits.connections, resolver=resolver)

    async def _trust(self) -> ssl.SSLContext:
        """Return what decides whom we trust: never aiohttp's own context, which may have been made with nobody in it.

        Raises OSError for a file of authorities that is none.
        """
        if self._tls is None:
            self._tls = await asyncio.to_thread(self._outward.trusted)  # 30 ms
        return self._tls


def open_session(
    connector: aiohttp.BaseConnector,
    timeout: aiohttp.ClientTimeout,
    *,
    headers: Headers = NO_HEADERS,
    buffer: int = BUFFER,
    left_out: Iterable[str] = (),
    on_sent: Callable[[asyncio.Timeout], None] | None = None,
) -> aiohttp.ClientSession:
    """Return a session without cookies, netrc and decompression; ``left_out`` are headers that aiohttp would add.

    ``on_sent`` is called with the context of a request (``trace_request_ctx``) each time that a part of it was sent.
    """
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=headers,
        timeout=timeout,
        auto_decompress=False,
        read_bufsize=buffer,
        skip_auto_headers=left_out,
        trust_env=False,  # it would read a netrc file too
        trace_configs=[_traced(on_sent)] if on_sent else None,
    )


def _traced(on_sent: Callable[[asyncio.Timeout], None]) -> aiohttp.TraceConfig:
    async def sent(_session: aiohttp.ClientSession, context: SimpleNamespace, _part: object) -> None:
        on_sent(context.trace_request_ctx)

    traced = aiohttp.TraceConfig()
    traced.on_request_headers_sent.append(sent)
    traced.on_request_chunk_sent.append(sent)
    return traced


def causes(fault: BaseException | None) -> Iterator[BaseException]:
    """Yield the fault and what caused it, the nearest first."""
    seen = 0
    while fault is not None and seen < 8:
        yield fault
        fault = fault.__cause__ or fault.__context__
        seen += 1


class _ElsewhereResolver(AbstractResolver):
    """Finds the addresses of a name that are not this machine's."""

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


async def _read(response: aiohttp.ClientResponse, size: int) -> bytes:
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        overwrite(chunk)  # it may hold tokens, and is nobody else's
        if len(content) > size:
            raise HttpFault(Why.TOO_LARGE)
    whole = bytes(content)
    content[:] = bytes(len(content))
    return whole


def _date(response: aiohttp.ClientResponse, name: str) -> datetime | None:
    with contextlib.suppress(ValueError, OverflowError):  # none, or no date, or one beyond all dates
        return parsedate_to_datetime(response.headers.get(name, "")).astimezone(UTC)
    return None


def _retry_after(response: aiohttp.ClientResponse) -> float | None:
    """Return Retry-After (RFC 9110, 10.2.3): seconds, or a date, which the other side's own clock is compared with."""
    told = response.headers.get("Retry-After", "")
    if told.isascii() and told.isdigit():
        return min(float(told[:9]), SECONDS_MAX)
    until, now = _date(response, "Retry-After"), _date(response, "Date") or datetime.now(UTC)
    return None if until is None else min(max(0.0, (until - now).total_seconds()), SECONDS_MAX)


def _shown_to(proxy: Proxy | None) -> Headers:
    """Return what names us to the proxy: part of the request where that is plain, and of CONNECT alone elsewhere."""
    told = proxy.authorization if proxy else None
    return {"Proxy-Authorization": told} if told else NO_HEADERS


def _why(fault: Exception) -> tuple[Why, str]:
    """Return what kept the answer from coming, and one word more."""
    behind = [*causes(fault)]
    for name in ("os_error", "certificate_error"):  # aiohttp's
        behind += [inner for one in behind if isinstance(inner := getattr(one, name, None), Exception)]
    is_of_tls = any(isinstance(one, ssl.SSLError) for one in behind)  # whose number is OpenSSL's, 1 as EPERM's
    found = [why for why in map(_of_network, behind) if why and not (is_of_tls and why is Why.BLOCKED)]
    if Why.BLOCKED in found:  # the proxy is out of reach too
        return Why.BLOCKED, ""
    for cause in behind:
        if isinstance(cause, aiohttp.ClientConnectorCertificateError):
            continue  # another one's, which is its cause
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Why.UNTRUSTED, FLAWS.get(cause.verify_code, "other")
        if isinstance(cause, UpstreamUntrusted):
            return Why.UNTRUSTED, "other"
        if isinstance(cause, UpstreamRefusedUs) or (
            isinstance(cause, ssl.SSLError) and "_ALERT_" in str(getattr(cause, "reason", ""))  # the other side's alert
        ):
            return Why.REFUSED_US, ""
        if (trouble := _of_proxy(cause)) is not None:
            return Why.PROXY, trouble
    return (found or [Why.UNREACHABLE])[0], ""


def _of_proxy(cause: BaseException) -> str | None:
    match cause:
        case ProxyFault():
            return cause.trouble
        case aiohttp.ClientProxyConnectionError():
            return "unreachable"
        case aiohttp.ClientHttpProxyError():
            return "credentials" if cause.status in WANTS_US else "refused"
    return None


def _of_network(cause: BaseException) -> Why | None:
    match cause:
        case OSError() if is_blocked(cause):
            return Why.BLOCKED
        case socket.gaierror():
            return Why.NO_NAME
        case TimeoutError():
            return Why.LATE
        case ConnectionRefusedError():
            return Why.CLOSED
    return None
