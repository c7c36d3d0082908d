"""What servers answer: Pro Santé Connect and an editor's server, those behind the relay, proxies, authorities."""

from __future__ import annotations

import asyncio
import contextlib
import json
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from cardd.config import Psc
from cardd.errors import PscUnavailable
from cardd.http import NO_HEADERS, Headers, HttpAnswer, HttpClient, HttpFault, Limits
from cardd.identity.ecps.proxy import ProxyProvider
from cardd.oidc.ciba import start
from cardd.oidc.client_auth import SecretPost
from cardd.oidc.discovery import ProviderSettings
from cardd.oidc.http import Form, Http
from cardd.oidc.logout import LogoutNotices
from cardd.oidc.provider import Provider, read_userinfo
from cardd.oidc.signed import Binding, verify
from cardd.oidc.tokens import JsonObject, Token, TokenSet
from cardd.outward import Proxy, ProxyFault, open_tunnel
from cardd.tls.starttls import ask_for_tls
from tests.fuzz.parser import Parser
from tests.fuzz.talking import on_loop
from tests.rig.memory import ManualClock

ISSUER, CLIENT, WHO = "https://auth.psc.example/realm", "simulation", "899700218896"
NOW = datetime(2026, 12, 1, tzinfo=UTC)
JSON = "application/json"
KEY = ec.derive_private_key(0x51, ec.SECP256R1())  # everybody's: it signs nothing but inputs
DISCOVERED = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/auth",
    "token_endpoint": f"{ISSUER}/token",
    "userinfo_endpoint": f"{ISSUER}/userinfo",
    "jwks_uri": f"{ISSUER}/keys",
    "backchannel_authentication_endpoint": f"{ISSUER}/ciba",
}
SETTINGS = ProviderSettings(ISSUER, CLIENT)
CLAIM_WORDS = tuple(
    f'"{name}": '.encode()
    for name in (
        "iss",
        "aud",
        "azp",
        "exp",
        "iat",
        "nbf",
        "auth_time",
        "nonce",
        "acr",
        "sub",
        "sid",
        "jti",
        "events",
        "typ",
        "at_hash",
        "kid",
        "alg",
        "SubjectNameID",
        "preferred_username",
        "SubjectRefPro",
        "exercices",
        "activities",
    )
)
ANSWER_WORDS = tuple(
    f'"{name}": '.encode()
    for name in (
        "access_token",
        "token_type",
        "expires_in",
        "refresh_token",
        "id_token",
        "error",
        "error_description",
        "auth_req_id",
        "interval",
        "message",
        "proxy_session_id",
        *DISCOVERED,
    )
)


def encoded(value: bytes) -> str:
    """Base64url without padding."""
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def _octets(number: int) -> bytes:
    return number.to_bytes(32, "big")


_POINT = KEY.public_key().public_numbers()
JWK: JsonObject = {
    "kty": "EC",
    "crv": "P-256",
    "use": "sig",
    "alg": "ES256",
    "kid": "1",
    "x": encoded(_octets(_POINT.x)),
    "y": encoded(_octets(_POINT.y)),
}


def signed(header: bytes, claims: bytes) -> str:
    """A token with this header and these claims, whatever they are, by the provider's key."""
    body = f"{encoded(header)}.{encoded(claims)}"
    value = b"".join(map(_octets, decode_dss_signature(KEY.sign(body.encode(), ec.ECDSA(SHA256())))))
    return f"{body}.{encoded(value)}"


class Answering(Http):
    """A provider that gives ``answer`` to every question, but to those that it answers right."""

    def __init__(self, answer: HttpAnswer, right: Mapping[str, object] | None = None) -> None:
        super().__init__()
        self._answer = answer
        self._right = right or {}

    async def send(
        self,
        method: str,
        url: str,
        form: Form | None = None,
        *,
        json: Mapping[str, str] | None = None,
        headers: Headers = NO_HEADERS,
        timeout: float | None = None,
    ) -> HttpAnswer:
        """Answer."""
        right = next((told for end, told in self._right.items() if url.endswith(end)), None)
        return self._answer if right is None else HttpAnswer(200, JSON, _json(right))


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


RIGHT = {"configuration": DISCOVERED, "keys": {"keys": [JWK]}}


def _clock() -> ManualClock:
    return ManualClock(NOW)


def _provider(answer: HttpAnswer, right: Mapping[str, object] | None = None) -> Provider:
    made = Provider(SETTINGS, SecretPost(CLIENT, Token("SIMULATION")), _clock())
    made.http = made.discovery._http = Answering(answer, right)
    return made


def _answer(data: bytes) -> HttpAnswer:
    """The first byte is the status, of a few."""
    status = (200, 400, 401, 403, 404, 304)[data[0] % 6] if data else 200
    return HttpAnswer(status, JSON, data[1:])


async def _discovery(data: bytes) -> None:
    await _provider(HttpAnswer(200, JSON, data)).discovery.metadata()


async def _tokens(data: bytes) -> None:
    await _provider(_answer(data), RIGHT).redeem({"grant_type": "authorization_code"})


async def _push(data: bytes) -> None:
    await start(_provider(_answer(data), RIGHT), WHO)


async def _keys(data: bytes) -> None:
    """The bytes as the provider's keys, and a token that is signed by the right one."""
    provider = _provider(HttpAnswer(200, JSON, data), {"configuration": DISCOVERED})
    await verify(signed(b'{"alg": "ES256", "kid": "1"}', b"{}"), provider.keys, "id_token")


async def _token(data: bytes) -> None:
    """The bytes as a token, as it comes."""
    await verify(data.decode("latin-1"), _provider(HttpAnswer(500, JSON, b""), RIGHT).keys, "id_token")


def _halves(data: bytes) -> str:
    """A header and claims, a line each, signed."""
    header, _, claims = data.partition(b"\n")
    return signed(header, claims)


async def _id_token(data: bytes) -> None:
    provider = _provider(HttpAnswer(500, JSON, b""), RIGHT)
    tokens = TokenSet(Token("SIMULATION"), NOW, 0.0, id_token=Token(_halves(data)))
    await provider.check(tokens, Binding(nonce="n"))


async def _logout(data: bytes) -> None:
    await LogoutNotices(_provider(HttpAnswer(500, JSON, b""), RIGHT)).back_channel(_halves(data))


async def _userinfo(data: bytes) -> None:
    keys = _provider(HttpAnswer(500, JSON, b""), RIGHT).keys
    await read_userinfo(HttpAnswer(200, JSON, data), None, SETTINGS, keys, NOW.timestamp())


async def _proxy(data: bytes) -> None:
    """An editor's server: its answer to a login, and, a line further, userinfo."""
    login, _, person = data.partition(b"\n")
    http = Answering(HttpAnswer(200, JSON, person))
    settings = Psc(mode="proxy", proxy="https://proxy.example", proxy_identity="userinfo", client_id=CLIENT)
    await ProxyProvider(http, settings, _clock()).login_of(_answer(login), WHO)


async def _served(data: bytes, ask: Callable[[int], Awaitable[object]]) -> None:
    """Have a server on loopback that says the data, whatever it is asked, and hangs up."""

    async def say(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            writer.write(data)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(say, "127.0.0.1", 0)
    try:
        await ask(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        await server.wait_closed()


async def _http(data: bytes) -> None:
    async def ask(port: int) -> None:
        client = HttpClient(Limits(size=4096, total=2, connect=2))
        try:
            await client.request("GET", f"http://127.0.0.1:{port}/")
        finally:
            await client.close()

    await _served(data, ask)


async def _tunnel(data: bytes) -> None:
    async def ask(port: int) -> None:
        (await open_tunnel(Proxy("127.0.0.1", port), "server.example", 443, limit=2)).close()

    await _served(data, ask)


class _Plain:
    """A connection that says the data in pieces."""

    def __init__(self, data: bytes) -> None:
        self._rest = data

    async def heard(self) -> bytes:
        """The next piece."""
        if not self._rest:
            raise PscUnavailable(host="mail", reason="cut")
        piece, self._rest = self._rest[:7], self._rest[7:]
        return piece

    def say(self, data: bytes) -> None:
        """Hear it."""


async def _starttls(data: bytes) -> None:
    """The first byte chooses the protocol."""
    if data:
        await ask_for_tls("imap" if data[0] % 2 else "smtp", _Plain(data[1:]), "mail")


_SIGNED = ("cardd.oidc.signed", "cardd.oidc.tokens")

PARSERS: dict[str, Parser] = {
    "discovery": Parser(on_loop(_discovery), ("cardd.oidc.discovery", "cardd.oidc.tokens"), words=ANSWER_WORDS),
    "tokens": Parser(on_loop(_tokens), ("cardd.oidc.tokens", "cardd.oidc.http"), words=ANSWER_WORDS),
    "push": Parser(on_loop(_push), ("cardd.oidc.ciba", "cardd.oidc.tokens"), words=ANSWER_WORDS),
    "keys": Parser(on_loop(_keys), _SIGNED, words=tuple(f'"{name}": '.encode() for name in ("keys", "n", "e", *JWK))),
    "token": Parser(on_loop(_token), _SIGNED, longest=8192),
    "id_token": Parser(on_loop(_id_token), _SIGNED, words=CLAIM_WORDS),
    "logout": Parser(on_loop(_logout), ("cardd.oidc.logout", *_SIGNED), words=CLAIM_WORDS),
    "userinfo": Parser(on_loop(_userinfo), ("cardd.oidc.provider", "cardd.oidc.tokens"), words=CLAIM_WORDS),
    "editor": Parser(
        on_loop(_proxy), ("cardd.identity.ecps.proxy", "cardd.oidc.provider"), words=(*ANSWER_WORDS, *CLAIM_WORDS)
    ),
    "http": Parser(
        on_loop(_http),
        ("cardd.http",),
        (HttpFault,),
        longest=8192,
        words=(
            b"HTTP/1.1 200 OK\r\n",
            b"Content-Length: ",
            b"Transfer-Encoding: chunked\r\n",
            b"Date: ",
            b"Retry-After: ",
            b"Set-Cookie: ",
            b"Content-Type: ",
            b"Content-Encoding: gzip\r\n",
            b"\r\n\r\n",
            b"Location: ",
        ),
    ),
    "tunnel": Parser(
        on_loop(_tunnel), ("cardd.outward",), (ProxyFault,), words=(b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.0 407 ")
    ),
    "starttls": Parser(
        on_loop(_starttls), ("cardd.tls.starttls",), words=(b"* OK\r\n", b"a OK\r\n", b"220 ", b"250-", b"250 ")
    ),
}
