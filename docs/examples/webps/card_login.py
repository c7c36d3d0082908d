"""Logging in by card for an ASGI portal: three routes for the page, and ``scope["card"]`` for the application.

    application = CardLogin(application, origin="https://webps.example", trust=Trust(authorities, lists))

POST /card/challenge {} gives {"nonce"}; POST /card/login TOKEN gives the holder; POST /card/logout {}.
``scope["card"]`` is a Holder, or None; ``scope["card_kept"]`` is a dict for what the application keeps of this login,
with its ``way``. Sessions are in the memory of one process. Nothing but web_eid.py is needed; ``ways`` are other logins
beside the card's.
"""

import asyncio
import dataclasses
import json
import logging
import secrets
import time

from web_eid import NONCE_LIFETIME, Refused, new_nonce, spent_nonce, verify

COOKIE = "__Host-card"  # browsers take it from https alone, for this host alone
ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite=Lax"
BODY_MAX = 32_768  # bytes
VISITORS_MAX = 10_000  # who asked for a nonce and have not logged in
READING = ("GET", "HEAD", "OPTIONS")

log = logging.getLogger("card_login")


class Answered(Exception):
    """The request ends here, with this status."""


@dataclasses.dataclass
class Session:
    """One browser; ``kept`` has its nonce, ``ends`` is in the seconds of time.monotonic."""

    ends: float
    holder: object = None
    kept: dict = dataclasses.field(default_factory=dict)


class CardLogin:
    """The application behind a login by card; a login lasts ``lifetime`` seconds, whatever happens meanwhile.

    ``ways`` has coroutine functions by the name of their route. Each is given what this browser's session keeps on the
    server and the page's JSON, and returns what the page is told, and the Holder once somebody has logged in, or None.
    """

    def __init__(self, app, *, origin, trust, lifetime=3600, prefix="/card", ways=None, accept_1_1=False):
        self._app, self._origin, self._trust, self._lifetime = app, origin, trust, lifetime
        self._accept_1_1 = accept_1_1
        self._visitors, self._members = {}, {}  # by the cookie's value
        acts = {"challenge": self._challenge, "login": self._login, "logout": None, **(ways or {})}
        self._routes = {f"{prefix}/{name}": (name.partition("/")[0], act) for name, act in acts.items()}

    async def __call__(self, scope, receive, send):
        """Answer the page's three routes, and tell the application of every other request whose card it is."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
        elif scope["type"] == "http" and scope["path"] in self._routes:
            await self._answer(*self._routes[scope["path"]], scope, receive, send)
        else:
            member = self._member(scope)
            told = {"card": member.holder, "card_kept": member.kept} if member else {"card": None, "card_kept": None}
            await self._app({**scope, **told}, receive, send)

    def _member(self, scope):
        """Nobody for a request of another site's page that could change something, nor for its WebSocket."""
        is_reading = scope["type"] == "http" and scope["method"] in READING
        if not is_reading and _header(scope, b"origin") != self._origin:
            return None
        return self._living(self._members, _cookie(scope))

    async def _answer(self, way, act, scope, receive, send):
        status, told, cookie = 200, {"error": "refused"}, None
        try:
            told, cookie = await self._done(way, act, scope, receive)
        except Answered as ended:
            (status,) = ended.args
        except Refused as reason:
            status = 403
            log.warning("refused: %r", str(reason))
        headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
        if cookie is not None:
            end = "" if cookie else "; Max-Age=0"
            headers.append((b"set-cookie", f"{COOKIE}={cookie}; {ATTRIBUTES}{end}".encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(told).encode()})

    async def _done(self, way, act, scope, receive):
        if scope["method"] != "POST":
            raise Answered(405)
        if _header(scope, b"origin") != self._origin:
            raise Answered(403)
        if _header(scope, b"content-type").partition(";")[0].strip().lower() != "application/json":
            raise Answered(415)
        cookie, body = _cookie(scope), await json_of(receive)
        if act is None:
            self._forget(cookie)
            return {}, ""
        return await self._acted(way, act, cookie, body)

    async def _acted(self, way, act, cookie, body):
        before = self._known(cookie)
        session = before or Session(0)
        told, holder = await act(session.kept, body)
        if self._known(cookie) is not before:
            raise Answered(403)  # the browser logged in or out meanwhile
        if holder:
            self._forget(cookie)
            given, opened = self._opened(self._members, self._lifetime)
            opened.holder, opened.kept = holder, {"way": "card" if way == "login" else way}
            return told, given
        if before is None and session.kept:  # what keeps nothing takes no other tab's cookie away
            given, opened = self._opened(self._visitors, NONCE_LIFETIME)
            opened.kept = session.kept
            return told, given
        if before and cookie in self._visitors:
            before.ends = time.monotonic() + NONCE_LIFETIME
        return told, None

    async def _challenge(self, kept, _body):
        return {"nonce": new_nonce(kept)}, None

    async def _login(self, kept, token):
        named = {"origin": self._origin, "nonce": spent_nonce(kept), "trust": self._trust}
        named["accept_1_1"] = self._accept_1_1
        holder = await asyncio.to_thread(verify, token, **named)
        return dataclasses.asdict(holder), holder

    def _forget(self, cookie):
        self._visitors.pop(cookie, None)
        self._members.pop(cookie, None)

    def _opened(self, sessions, seconds):
        """A session under a new name, which nobody can have planted; the oldest end first."""
        now = time.monotonic()
        while sessions:
            old = next(iter(sessions))
            is_full = sessions is self._visitors and len(sessions) >= VISITORS_MAX
            if sessions[old].ends > now and not is_full:
                break
            del sessions[old]
        cookie = secrets.token_urlsafe(32)
        sessions[cookie] = Session(now + seconds)
        return cookie, sessions[cookie]

    def _known(self, cookie):
        return self._living(self._members, cookie) or self._living(self._visitors, cookie)

    @staticmethod
    def _living(sessions, cookie):
        session = sessions.get(cookie)
        return session if session and session.ends > time.monotonic() else None


def _header(scope, name):
    """The header's value; nothing where it stands there twice."""
    found = [value for key, value in scope["headers"] if key.lower() == name]
    return found[0].decode("latin-1") if len(found) == 1 else ""


def _cookie(scope):
    lines = b"; ".join(value for key, value in scope["headers"] if key.lower() == b"cookie").decode("latin-1")
    pairs = [line.strip().partition("=") for line in lines.split(";")]
    found = [value for name, _, value in pairs if name == COOKIE]
    return found[0] if len(found) == 1 else ""


async def json_of(receive):
    """Return the JSON that the page sent. Raises Answered."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Answered(400)
        body, more = body + message.get("body", b""), message.get("more_body", False)
        if len(body) > BODY_MAX:
            raise Answered(413)
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise Answered(400) from None
