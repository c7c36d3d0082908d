"""A provider that lies: plain http on loopback, with whatever answers a test wants.

Only for what the real one (``provider.py``) never does: wrong tokens, ``slow_down``, discovery that names other hosts.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
import warnings
from collections import deque
from types import TracebackType
from typing import Any, Self

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa

from cardd.model import JsonValue
from tests.rig.oidc.people import ALICE, person
from tests.rig.oidc.pki import Authority, Issued
from tests.rig.oidc.provider import jwk, signing_keys

Json = dict[str, Any]
CLIENT = "fake-client"


class FakeProvider:
    """Plain http, or https with a certificate of ``authority``.

    Approves every login at once unless ``answers`` has other answers to the token endpoint, as (status, body).

    ``claims``, ``header`` and ``userinfo`` are what it says; change them before the login. ``polls`` and ``fetches``
    are the times of requests to the token endpoint and for the keys, ``forms`` and ``shown`` what was posted and its
    Authorization header, ``logouts`` how many sessions were ended. ``foreign`` is what stands among the keys that is
    not its own; ``is_without_keys`` lets nobody have the keys; ``date`` is when it says that it gave them.
    ``issued`` is the certificate that it shows in place of its usual one. ``is_away`` has it answer everything with
    503 (``away_status``), after ``away_after`` seconds, and ``asked`` counts what came;
    ``retry_after`` is what it says with a 429 or 503. A push is answered once ``may_start`` is set.
    """

    def __init__(self, authority: Authority | None = None, host: str = "127.0.0.1") -> None:
        self.authority = authority
        self.host = host
        self.keys = signing_keys("fake")
        self.published = self.keys
        self.foreign: list[JsonValue] = []
        self.person: Json = dict(person(ALICE, "ALICE"))
        self.discovery: Json = {}
        self.no_wallet_place = False
        self.is_silent = False
        self.issued: Issued | None = None
        self.is_away = False
        self.away_status = 503
        self.away_after = 0.0
        self.retry_after: str | None = None
        self.asked = 0
        self.claims: Json = {}
        self.header: Json = {}
        self.algorithm = "RS256"
        self.key: Any = None
        self.raw_id_token: str | None = None
        self.start: Json = {"auth_req_id": "fake-request", "expires_in": 20, "interval": 1}
        self.start_refusal: tuple[int, Json] | None = None
        self.may_start = asyncio.Event()
        self.may_start.set()
        self.tokens: Json = {"access_token": "fake-access", "token_type": "Bearer", "expires_in": 120}
        self.answers: deque[tuple[int, JsonValue]] = deque()
        self.userinfo_asked = 0
        self.userinfo_type = "application/json"
        self.person_as_sent: str | None = None  # the bytes of userinfo, instead of ``person``
        self.polls: list[float] = []
        self.fetches: list[float] = []
        self.forms: list[dict[str, str]] = []
        self.shown: list[str] = []
        self.logouts = 0
        self.is_without_keys = False
        self.statuses: dict[str, int] = {}  # by the name of what is asked for
        self.date: str | None = None
        self.issuer = ""
        self._port = 0

    async def __aenter__(self) -> Self:
        await self.listen()
        scheme = "https" if self.authority else "http"
        self.issuer = f"{scheme}://{self.host}:{self._port}/realm"
        return self

    async def listen(self) -> None:
        """Answer, at the same place whenever it is called."""
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, self.host, self._port, ssl_context=self._tls(), reuse_address=True).start()
        self._port = self._runner.addresses[0][1]

    async def leave(self) -> None:
        """Answer no more: connections end, and none can be made."""
        await self._runner.cleanup()

    def _tls(self) -> ssl.SSLContext | None:
        if self.authority is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        (self.issued or self.authority.issue("localhost")).load_into(context)
        return context

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.leave()

    def id_token(self) -> str:
        """One that is right, but for ``claims``, ``header``, ``algorithm`` and ``key``; None takes a claim away."""
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT, "sub": self.person["sub"], "iat": now, "exp": now + 120}
        return self.sign({**claims, "acr": "eidas1", **self.claims})

    def sign(self, claims: Json) -> str:
        """A token of these claims; None takes a claim away."""
        own = self.keys[1 if self.algorithm.startswith("ES") else 0]
        kept = {name: value for name, value in claims.items() if value is not None}
        key = self.key if self.key is not None else jwt.PyJWK({**own, "alg": self.algorithm}).key
        header = {name: value for name, value in {"kid": own["kid"], **self.header}.items() if value is not None}
        payload = json.dumps(kept).encode()
        with warnings.catch_warnings(action="ignore", category=jwt.InsecureKeyLengthWarning):
            return jwt.api_jws.PyJWS().encode(payload, key, self.algorithm, headers=header)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        name = request.path.rpartition("/")[2]
        self.asked += 1
        if self.is_away:
            await asyncio.sleep(self.away_after)
            return web.Response(status=self.away_status, headers=self._wait())
        form = {key: str(value) for key, value in (await request.post()).items()} if request.method == "POST" else {}
        if form:
            self.forms.append(form)
            self.shown.append(request.headers.get("Authorization", ""))
        if self.is_silent:
            return web.Response(status=404)
        if name in self.statuses:
            return web.Response(status=self.statuses[name], text="SIMULATION")
        if name.endswith("openid-configuration") and not (self.no_wallet_place and name.startswith("wallet")):
            return web.json_response({**self._document(), **self.discovery})
        if name == "ciba":
            await self.may_start.wait()
        answers = {
            "certs": self._certs,
            "ciba": self._ciba,
            "token": self._token,
            "userinfo": self._userinfo,
            "end_session": self._end_session,
        }
        return answers[name]() if name in answers else web.Response(status=404)

    def _certs(self) -> web.Response:
        self.fetches.append(asyncio.get_running_loop().time())
        if self.is_without_keys:
            return web.Response(status=503)
        dated = {"Date": self.date} if self.date is not None else {}
        return web.json_response({"keys": [*map(_public, self.published), *self.foreign]}, headers=dated)

    def _end_session(self) -> web.Response:
        self.logouts += 1
        return web.Response()

    def _ciba(self) -> web.Response:
        status, body = self.start_refusal or (200, self.start)
        return web.json_response(body, status=status)

    def _document(self) -> Json:
        names = ("authorization", "token", "userinfo", "end_session")
        document = {f"{name}_endpoint": f"{self.issuer}/{name}" for name in names}
        document["backchannel_authentication_endpoint"] = f"{self.issuer}/ciba"
        return {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/certs", **document}

    def _token(self) -> web.Response:
        self.polls.append(asyncio.get_running_loop().time())
        if self.answers:
            status, body = self.answers.popleft()
            return web.json_response(body, status=status, headers=self._wait() if status >= 429 else None)
        if self._is_probe():
            return web.json_response({"error": "invalid_grant"}, status=400)
        return web.json_response({"id_token": self.raw_id_token or self.id_token(), **self.tokens})

    def _is_probe(self) -> bool:
        """Whether it redeems a login that it never began."""
        return self.forms[-1].get("auth_req_id", self.start.get("auth_req_id")) != self.start.get("auth_req_id")

    def _wait(self) -> dict[str, str]:
        return {} if self.retry_after is None else {"Retry-After": self.retry_after}

    def use_short_key(self) -> None:
        """Sign with, and publish, an RSA key of 1024 bits."""
        short = jwk(rsa.generate_private_key(65537, 1024), "short")
        self.keys = self.published = [short]
        self.key = jwt.algorithms.RSAAlgorithm.from_jwk(json.dumps(short))

    def _userinfo(self) -> web.Response:
        self.userinfo_asked += 1
        if self.userinfo_type == "application/json":
            return web.json_response(text=self.person_as_sent or json.dumps(self.person))
        told = {"iss": self.issuer, "aud": CLIENT, **self.person}
        return web.Response(body=self.sign(told).encode(), content_type=self.userinfo_type)


def _public(key: Json) -> Json:
    return {name: value for name, value in key.items() if name not in ("d", "p", "q", "dp", "dq", "qi")}
