"""An editor's server (proxy LPS) by ANS's contract, with the simulated mobile behind it.

The contract is ansforge/psc-edc-proxy-esante's ``openapi/API-Proxy-eSante.json``: ``POST /connect`` answers once the
person has agreed, with a session in a cookie; ``/send/`` is what the editor offers, here PSC's userinfo;
``DELETE /disconnect`` ends the session; ``GET /traces`` tells what happened.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime

from aiohttp import web

from cardd.values import Value
from cardd_simulators.psc.logins import Logins, Refused, Session, State

COOKIE = "proxy_session_id"
CHANNELS = ("CARD", "MOBILE")
FIELDS = ("nationalId", "bindingMessage", "clientId", "channel")
LOOK = 0.1  # seconds between two looks at what the mobile answered
TRACES_MAX = 1000

Body = Mapping[str, str]


class Kept(Value):
    """One session: whose it is here, and at Pro Santé Connect."""

    cookie: str
    client_id: str
    session: Session


class EditorServer:
    """``client_id`` is the software that it knows.

    With ``is_by_person`` whoever asks for a person that has a session is given it (304), and no mobile is woken; else
    only whoever shows its cookie is told 304.
    """

    def __init__(self, logins: Logins, client_id: str, *, is_by_person: bool = False) -> None:
        self._logins = logins
        self._client_id = client_id
        self._is_by_person = is_by_person
        self._kept: dict[str, Kept] = {}
        self._traces: list[dict[str, object]] = []

    def routes(self) -> list[web.RouteDef]:
        """Return what is served at which path."""
        return [
            web.post("/connect", self._connect),
            web.delete("/disconnect", self._disconnect),
            web.get("/send/userinfo", self._userinfo),
            web.route("*", "/send/{path:.*}", self._nothing_there),
            web.get("/traces", self._told),
        ]

    async def _connect(self, request: web.Request) -> web.Response:
        body = await _body(request)
        if wrong := _faults(body):
            return _fault(400, wrong, body)
        if body["clientId"] != self._client_id:
            return _fault(404, "Software Client ID not found", body)
        if kept := self._active(request, body):
            self._trace("CONNECT_REPLAY", request, body, kept)
            return _with_cookie(web.Response(status=304), kept.cookie)
        try:
            session = await self._agreed(body)
        except Refused as refused:
            self._trace("CONNECT_FAILURE", request, body)
            if refused.code == "unknown_user_id":
                return _fault(404, "User National ID not found", body)
            return _fault(401, f"400 - {refused.code} : SIMULATION", body)
        kept = Kept(secrets.token_hex(16), body["clientId"], session)
        self._kept[kept.cookie] = kept
        self._trace("CONNECT_SUCCESS", request, body, kept)
        return _with_cookie(web.json_response({COOKIE: kept.cookie, "session_state": session.sid}), kept.cookie)

    def _active(self, request: web.Request, body: Body) -> Kept | None:
        shown = self._kept.get(request.cookies.get(COOKIE, ""))
        if shown or not self._is_by_person:
            return shown
        named = body["nationalId"]
        return next((kept for kept in self._kept.values() if kept.session.person["SubjectNameID"] == named), None)

    async def _agreed(self, body: Body) -> Session:
        """Wake the mobile, and wait for its answer. Raises Refused. Whoever hangs up is not waited for."""
        identifier, asked = self._logins.ask(body["nationalId"], body["bindingMessage"])
        try:
            while True:
                if (session := self._answered(identifier)) is not None:
                    return session
                await asyncio.sleep(LOOK)
        except asyncio.CancelledError:
            asked.state = State.IGNORED
            raise

    def _answered(self, identifier: str) -> Session | None:
        try:
            return self._logins.redeem_request(identifier)
        except Refused as refused:
            if refused.code not in ("authorization_pending", "slow_down"):
                raise
            return None

    async def _disconnect(self, request: web.Request) -> web.Response:
        kept = self._kept.pop(request.cookies.get(COOKIE, ""), None)
        if kept is None:
            return _fault(401, "Session ID not found.", {})
        self._logins.log_out(kept.session.sid)
        self._trace("DISCONNECT", request, {}, kept)
        gone = web.Response()
        gone.del_cookie(COOKIE, path="/")
        return gone

    async def _userinfo(self, request: web.Request) -> web.Response:
        kept = self._kept.get(request.cookies.get(COOKIE, ""))
        if kept is None:
            return _fault(401, "Session ID not found.", {})
        self._trace("SEND", request, {}, kept)
        return web.json_response(kept.session.person)

    async def _nothing_there(self, request: web.Request) -> web.Response:
        known = request.cookies.get(COOKIE, "") in self._kept
        return _fault(404, "SIMULATION: /send/userinfo", {}) if known else _fault(401, "Session ID not found.", {})

    async def _told(self, request: web.Request) -> web.Response:
        try:
            start, end = _moment(request.query["start"]), _moment(request.query.get("end", "9999-12-31T00:00:00Z"))
        except (KeyError, ValueError):
            return _fault(400, "start, end: date-time", {})
        shown = [trace for trace in self._traces if start <= _moment(str(trace["timestamp"])) <= end]
        return web.json_response(shown)

    def _trace(self, kind: str, request: web.Request, body: Body, kept: Kept | None = None) -> None:
        person = str(kept.session.person["SubjectNameID"]) if kept else body.get("nationalId", "")
        self._traces.append(
            {
                "type": kind,
                "clientId": kept.client_id if kept else body.get("clientId", ""),
                "IdRPPS": person,
                "ipAddress": request.remote,
                "proxy_id_session": kept.cookie if kept else None,
                "session_state": kept.session.sid if kept else None,
                "timestamp": datetime.now(UTC).isoformat(),
            }
        )
        del self._traces[:-TRACES_MAX]


async def _body(request: web.Request) -> Body:
    try:
        told = json.loads(await request.text())
    except ValueError:
        return {}
    return {name: value for name, value in told.items() if isinstance(value, str)} if isinstance(told, dict) else {}


def _faults(body: Body) -> str:
    wrong = [f"{name} is missing" for name in FIELDS if name not in body]
    if body.get("channel", "MOBILE") not in CHANNELS:
        wrong.append("channel value is invalid")
    digits = body.get("bindingMessage", "00")
    if len(digits) != 2 or not (digits.isascii() and digits.isdecimal()):
        wrong.append("bindingMessage is invalid")
    return ", ".join(wrong)


def _fault(status: int, message: str, body: Body) -> web.Response:
    metadata = {name: body[name] for name in ("nationalId", "clientId") if name in body}
    return web.json_response({"code": str(status), "message": message, "metadata": metadata}, status=status)


def _with_cookie(answer: web.Response, cookie: str) -> web.Response:
    answer.set_cookie(COOKIE, cookie, path="/", secure=True, httponly=True)
    return answer


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
