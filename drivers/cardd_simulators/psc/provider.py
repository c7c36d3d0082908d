"""The provider's endpoints, at the paths where Pro Santé Connect has them, and the tokens that it signs (RS256)."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import Awaitable, Callable
from urllib.parse import unquote_plus, urlencode

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa

from cardd_simulators.psc import pages
from cardd_simulators.psc.logins import INTERVAL, REQUEST_LIFE, Logins, Refused, Session, is_same
from cardd_simulators.psc.people import Userinfo

REQUEST_CLAIM = "urn:openid:params:jwt:claim:auth_req_id"
LEVEL = "eidas1"

REALM = "/auth/realms/esante-wallet"
PROTOCOL = f"{REALM}/protocol/openid-connect"
CLIENT, SECRET = "lps-simulation", "secret-SIMULATION"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
CIBA = "urn:openid:params:grant-type:ciba"
SCOPES = ("openid", "scope_all")
CHANNELS = ("CARD", "MOBILE")
WANTED = "client_id, response_type=code, scope=openid scope_all, code_challenge_method=S256\n"

LOOPBACK = re.compile(r"http://127\.0\.0\.1:\d{1,5}/[\w/.-]*")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class IdTokens:
    """Makes them for one issuer and one service; they are good for ``life`` seconds."""

    def __init__(self, key: rsa.RSAPrivateKey, issuer: str, audience: str, life: float) -> None:
        self._key = key
        self._issuer = issuer
        self._audience = audience
        self._life = life
        numbers = key.public_key().public_numbers()
        self._public = {"kty": "RSA", "n": _number(numbers.n), "e": _number(numbers.e)}
        canonical = '{{"e":"{e}","kty":"RSA","n":"{n}"}}'.format(**self._public)
        self._name = _text(hashlib.sha256(canonical.encode()).digest())  # RFC 7638

    def published(self) -> dict[str, object]:
        """Return the JWK set."""
        return {"keys": [{**self._public, "kid": self._name, "use": "sig", "alg": "RS256"}]}

    def make(self, session: Session, *, nonce: str | None = None, request: str | None = None) -> str:
        """Return a token for a login in the browser (``nonce``), by mobile (``request``), or renewed (neither)."""
        now = int(time.time())
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": session.person["sub"],
            "sid": session.sid,
            "iat": now,
            "exp": now + self._life,
            "acr": LEVEL,
            "nonce": nonce,
            REQUEST_CLAIM: request,
        }
        given = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(given, self._key, "RS256", headers={"kid": self._name})

    def userinfo(self, person: Userinfo) -> str:
        """Return somebody's userinfo as a signed JWT."""
        claims = {"iss": self._issuer, "aud": self._audience, **person}
        return jwt.encode(claims, self._key, "RS256", headers={"kid": self._name})

    def read(self, token: str) -> str:
        """Return the ``sid`` of one of ours, however old; empty for any other."""
        try:
            claims = jwt.decode(
                token, self._key.public_key(), ["RS256"], audience=self._audience, options={"verify_exp": False}
            )
        except jwt.InvalidTokenError:
            return ""
        return str(claims.get("sid", ""))


def _number(value: int) -> str:
    return _text(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Provider:
    """One provider at ``base`` (https, host and port); ``secret`` is the service's."""

    def __init__(self, base: str, logins: Logins, tokens: IdTokens, secret: str) -> None:
        self._base = base
        self._secret = secret
        self._logins = logins
        self._tokens = tokens

    def routes(self) -> list[web.RouteDef]:
        """Return what is served at which path."""
        places = [f"{REALM}/.well-known/{name}openid-configuration" for name in ("wallet-", "")]
        return [
            *(web.get(place, self._discovery) for place in places),
            web.get(f"{PROTOCOL}/certs", self._certs),
            web.post(f"{PROTOCOL}/ext/ciba/auth", _told(self._mobile)),
            web.post(f"{PROTOCOL}/token", _told(self._token)),
            web.get(f"{PROTOCOL}/userinfo", _told(self._userinfo)),
            web.post(f"{PROTOCOL}/userinfo", _told(self._userinfo)),
            web.get(f"{PROTOCOL}/logout", self._logout),
            web.post(f"{PROTOCOL}/logout", self._logout),
            web.get("/auth", self._choose),
            web.post("/auth", self._chosen),
        ]

    async def _discovery(self, _: web.Request) -> web.Response:
        at = f"{self._base}{PROTOCOL}"
        return web.json_response(
            {
                "issuer": self._base + REALM,
                "authorization_endpoint": f"{self._base}/auth",
                "token_endpoint": f"{at}/token",
                "userinfo_endpoint": f"{at}/userinfo",
                "end_session_endpoint": f"{at}/logout",
                "jwks_uri": f"{at}/certs",
                "backchannel_authentication_endpoint": f"{at}/ext/ciba/auth",
                "backchannel_token_delivery_modes_supported": ["poll"],
                "grant_types_supported": ["authorization_code", "refresh_token", CIBA, EXCHANGE],
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
                "code_challenge_methods_supported": ["S256"],
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "scopes_supported": SCOPES,
                "acr_values_supported": ["eidas1"],
            }
        )

    async def _certs(self, _: web.Request) -> web.Response:
        return web.json_response(self._tokens.published())

    async def _mobile(self, request: web.Request) -> web.Response:
        form = await _form_of_service(request, self._secret)
        if not _is_scope(form.get("scope", "")):
            raise Refused("invalid_scope")
        if form.get("channel", "MOBILE") not in CHANNELS:
            raise Refused("invalid_request")
        digits = form.get("binding_message", "")
        if len(digits) != 2 or not digits.isascii() or not digits.isdecimal():
            raise Refused("invalid_binding_message")
        identifier, _ = self._logins.ask(form.get("login_hint", ""), digits)
        return web.json_response({"auth_req_id": identifier, "expires_in": REQUEST_LIFE, "interval": INTERVAL})

    async def _token(self, request: web.Request) -> web.Response:
        form = await _form_of_service(request, self._secret)
        match form.get("grant_type"):
            case grant if grant == CIBA:
                identifier = form.get("auth_req_id", "")
                return self._given(self._logins.redeem_request(identifier), request=identifier)
            case "authorization_code":
                return self._redeemed(form)
            case "refresh_token":
                return self._given(self._logins.refreshed(form.get("refresh_token", "")))
            case grant if grant == EXCHANGE:
                access, _ = self._logins.tokens(self._logins.of(form.get("subject_token", "")))
                kind = "urn:ietf:params:oauth:token-type:access_token"
                return web.json_response({**self._bearer(access), "issued_token_type": kind})
            case _:
                raise Refused("unsupported_grant_type")

    def _redeemed(self, form: dict[str, str]) -> web.Response:
        code = self._logins.take_code(form.get("code", ""))
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        proof = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if not is_same(proof, code.challenge) or form.get("redirect_uri") != code.redirect:
            raise Refused("invalid_grant")
        return self._given(self._logins.open(code.person), nonce=code.nonce)

    def _given(self, session: Session, *, nonce: str | None = None, request: str | None = None) -> web.Response:
        access, refresh = self._logins.tokens(session)
        token = self._tokens.make(session, nonce=nonce, request=request)
        return web.json_response({**self._bearer(access), "refresh_token": refresh, "id_token": token})

    def _bearer(self, access: str) -> dict[str, object]:
        return {"access_token": access, "token_type": "Bearer", "expires_in": self._logins.rules.access_life}

    async def _userinfo(self, request: web.Request) -> web.Response:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise Refused("invalid_token", 401)
        session = self._logins.of(token)
        person = session.person
        if "PSISubjectNameID" in person:  # payloads of 2026 name the session too
            person = {**person, "sid": session.sid}
        if "application/jwt" in request.headers.get("Accept", ""):
            return web.Response(text=self._tokens.userinfo(person), content_type="application/jwt")
        return web.json_response(person)

    async def _logout(self, request: web.Request) -> web.Response:
        form = await request.post() if request.method == "POST" else request.query
        self._logins.log_out(self._tokens.read(str(form.get("id_token_hint", ""))))
        return web.Response(text=pages.goodbye(), content_type="text/html")

    async def _choose(self, request: web.Request) -> web.Response:
        asked = request.query
        fixed = {"client_id": CLIENT, "response_type": "code", "code_challenge_method": "S256"}
        if any(asked.get(name) != value for name, value in fixed.items()) or not _is_scope(asked.get("scope", "")):
            return web.Response(status=400, text=WANTED)
        return web.Response(text=pages.choice(self._logins.people, dict(asked)), content_type="text/html")

    async def _chosen(self, request: web.Request) -> web.Response:
        """Somebody pressed their name on the page, or the button that refuses."""
        form = {name: str(value) for name, value in (await request.post()).items()}
        redirect = form.get("redirect_uri", "")
        if not LOOPBACK.fullmatch(redirect):  # RFC 8252: back to a program of this machine
            return web.Response(status=400, text="redirect_uri\n")
        answer = {"state": form.get("state", ""), "iss": self._base + REALM}
        person = self._logins.people.get(form.get("person", ""))
        if person is None:
            answer["error"] = "access_denied"
        else:
            answer["code"] = self._logins.give_code(
                person, redirect, form.get("code_challenge", ""), form.get("nonce") or None
            )
        return web.Response(status=303, headers={"Location": f"{redirect}?{urlencode(answer)}"})


def _told(handler: Handler) -> Handler:
    """Return a handler whose refusals are told as OAuth tells them."""

    async def answered(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except Refused as refused:
            return web.json_response({"error": refused.code}, status=refused.status)

    return answered


async def _form_of_service(request: web.Request, expected: str) -> dict[str, str]:
    """Return the form of a request that proved itself to be the service's. Raises Refused."""
    form = {name: str(value) for name, value in (await request.post()).items()}
    name, secret = form.get("client_id", ""), form.get("client_secret", "")
    scheme, _, told = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            name, _, secret = base64.b64decode(told, validate=True).decode().partition(":")
        except ValueError:  # no base64, or no text in it
            raise Refused("invalid_client", 401) from None
    if not is_same(unquote_plus(name), CLIENT) or not is_same(unquote_plus(secret), expected):
        raise Refused("invalid_client", 401)
    return form


def _is_scope(asked: str) -> bool:
    """Return whether this may be asked for: ``openid`` at least, and nothing that we do not announce."""
    return {"openid"} <= set(asked.split()) <= set(SCOPES)
