"""What a program hears that calls cardd: a daemon's answers and events, or those of whoever has taken its port.

And what a browser and a program ask of what cardd has open besides its API: the page that Pro Santé Connect's answer
comes back to, and the servers behind the relay.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from msgspec import Struct
from multidict import CIMultiDict, CIMultiDictProxy

from cardd.client import CarddClient, answers
from cardd.client.events import parse
from cardd.client.transport import Reply, Transport, address, error_of
from cardd.config import Upstream
from cardd.core.totp import step_of
from cardd.errors import CarddError, PscTokenMalformed
from cardd.i18n import LANGUAGES, language_of, stated_language
from cardd.model import Peer
from cardd.oidc.loopback import LoopbackSite, OnLogout
from cardd.relay.upstream import target, to_caller, to_upstream
from cardd.secret import Secret
from tests.fuzz.parser import Parser
from tests.fuzz.providers import _served
from tests.fuzz.talking import ENDINGS, Failed, on_loop, said_over

KINDS: tuple[type[Struct], ...] = tuple(
    kind
    for _, kind in sorted(vars(answers).items())
    if isinstance(kind, type) and issubclass(kind, answers.Answer) and kind is not answers.Answer
)
UPSTREAM = Upstream(name="dmp", url="https://dmp.example", paths=("/lps", "/a b"), methods=("GET", "POST"))
WHERE = "http://127.0.0.1:17463"
SECRET = Secret.of(b"JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")
NOW = datetime(2026, 12, 1, tzinfo=UTC)
STATE, PAGE, PORT = "c2ltdWxhdGlvbg", "https://psc.example/", b"@PORT@"
HTTP_WORDS = (
    b"HTTP/1.1 200 OK\r\n", b"Content-Length: ", b"Transfer-Encoding: chunked\r\n", b"Content-Type: ", b"\r\n\r\n",
    b"event: ", b"data: ", b"Cardd-Proof: ", b'{"code": "',
)  # fmt: skip


# --- a daemon's answers


def _answer(data: bytes) -> None:
    """The first byte chooses what was asked; and the bytes as a problem."""
    error_of(data[1:])
    if data:
        Transport(address(WHERE), None).read(Reply(200, {}, data[1:]), KINDS[data[0] % len(KINDS)])


async def _daemon(data: bytes) -> None:
    async def ask(port: int) -> None:
        async with CarddClient(f"http://127.0.0.1:{port}", "lps.simulation", answer_limit=2) as cardd:
            for call in (cardd.status, cardd.cards):
                with suppress(CarddError):
                    await call()

    await _served(data, ask)


async def _events(data: bytes) -> None:
    async def ask(port: int) -> None:
        transport = Transport(address(f"http://127.0.0.1:{port}"), None, answer_limit=2)
        await transport.open()
        try:
            async with transport.stream("GET", "/v1/events") as lines:
                async for event in parse(lines):
                    assert event.type
        finally:
            await transport.close()

    await _served(data, ask)


# --- the site on loopback


class _Site:
    """One site for all inputs."""

    def __init__(self) -> None:
        self._made: LoopbackSite | None = None

    async def port(self) -> int:
        """Return its port; whoever comes with the state is expected."""
        if self._made is None:
            peer = Peer(os.getuid(), None)
            self._made = LoopbackSite(lambda _: peer, on_logout=OnLogout(lambda _: None, self._heed))
            await self._made.start()
            ENDINGS.append(self._end)
        self._made.expect(STATE, os.getuid(), PAGE)
        return int(self._made.uri.split(":")[2].partition("/")[0])

    def forget(self) -> None:
        """Expect nobody."""
        for one in list(self._made._expected) if self._made else ():
            self._made.forget(one)  # type: ignore[union-attr]  # there is one where somebody is expected

    async def _heed(self, raw: str) -> None:
        if not raw.startswith("e"):
            raise PscTokenMalformed(token="logout_token")

    async def _end(self) -> None:
        if self._made is not None:
            await self._made.close()
            self._made = None


async def _callback(data: bytes) -> None:
    """The bytes as a browser's requests; @PORT@ stands for the site's own."""
    port = await SITE.port()
    try:
        heard = await said_over(port, data.replace(PORT, str(port).encode()))
    finally:
        SITE.forget()
    if heard.startswith(b"HTTP/1.1 5"):
        raise Failed(heard[:200].decode(errors="replace"))


# --- the relay, languages and codes


def _relayed(data: bytes) -> None:
    """A method, a path and a query, a line each: what passes leads to an allowed path of the server."""
    method, path, query, *_ = [*data.decode("latin-1").split("\n"), "", "", ""]
    found = target(UPSTREAM, method, path, query)
    assert found.startswith(f"{UPSTREAM.url}/"), found
    assert not {"..", "."} & set(found.partition("?")[0].split("/")), found


def _headers(data: bytes) -> None:
    """Headers, a line each, on their way to the server and back."""
    pairs = [line.partition(":") for line in data.decode("utf-8", "surrogateescape").split("\n")]
    given = CIMultiDictProxy(CIMultiDict((name.strip(), value.strip()) for name, _, value in pairs if name.strip()))
    for name in to_upstream(given, ("X-More",)):
        assert "forwarded" not in name.lower(), name
    for is_page in (False, True):
        for value in to_caller(given, {"Cardd-Upstream": "dmp"}, is_page=is_page).values():
            value.encode()
            assert not set(value) & {"\r", "\n", "\0"}


def _language(data: bytes) -> None:
    wanted = data.decode("latin-1")
    assert language_of(wanted) in LANGUAGES
    assert stated_language(wanted) in (*LANGUAGES, None)


def _code(data: bytes) -> None:
    """A support's code; and, where it is long, what stands in the place of its secret."""
    step_of(SECRET, data.decode("utf-8", "replace"), NOW)
    if len(data) > 16:
        with Secret.of(data[:256]) as secret:
            step_of(secret, "123456", NOW)


SITE = _Site()
_TRANSPORT = ("cardd.client.transport",)
_READ: Callable[[bytes], object] = on_loop(_daemon)

PARSERS: dict[str, Parser] = {
    "answer": Parser(
        _answer, _TRANSPORT, words=tuple(sorted({f'"{n}": '.encode() for k in KINDS for n in k.__struct_fields__}))
    ),
    "daemon": Parser(_READ, _TRANSPORT, longest=8192, words=HTTP_WORDS),
    "events": Parser(on_loop(_events), ("cardd.client.events", *_TRANSPORT), longest=8192, words=HTTP_WORDS),
    "callback": Parser(
        on_loop(_callback),
        ("cardd.oidc.loopback",),
        longest=8192,
        words=(b"GET /callback?state=", b"POST /backchannel-logout HTTP/1.1\r\n", b"Host: 127.0.0.1:@PORT@\r\n"),
    ),
    "relayed": Parser(_relayed, ("cardd.relay.upstream",), words=(b"GET\n/lps/", b"%2f", b"%2e", b"%c0%ae", b";")),
    "headers": Parser(
        _headers, ("cardd.relay.upstream",), words=(b"Connection: ", b"Set-Cookie: ", b"X-Forwarded-For: ", b"Server: ")
    ),
    "language": Parser(_language, ("cardd.i18n",), words=(b"fr", b"en-GB", b";q=", b", ")),
    "code": Parser(_code, ("cardd.core.totp",), words=(b"123 456", b"JBSWY3DPEHPK3PXP")),
}
