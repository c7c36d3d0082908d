"""Logging in by e-CPS on a portal's server: Pro Santé Connect (PSC) wakes the person's mobile and says who agreed.

    psc = Psc(issuer=…, client_id=…, secret=…)
    application = CardLogin(application, origin=…, trust=…, ways=psc.ways())

POST /card/ecps {"national_id"} gives the digits to compare; POST /card/ecps/state {} how it stands, until it has
logged in; POST /card/ecps/cancel {}. The portal is a service that is registered at PSC, with CIBA; PSC's word comes to
this server and nobody's page. PyJWT checks the token. Nothing of PSC's is kept: the login there ends at once.
"""

import asyncio
import base64
import json
import re
import secrets
import ssl
import time
import unicodedata
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import HTTPRedirectHandler, HTTPSHandler, Request, build_opener

import jwt
from web_eid import NATIONAL_ID, Holder, Refused

CIBA = "urn:openid:params:grant-type:ciba"
REQUEST_CLAIM = "urn:openid:params:jwt:claim:auth_req_id"
LEVEL = re.compile(r"eidas[1-3]")
ANSWER_MAX = 1_000_000  # bytes
TIME_MAX = 10  # seconds
LEEWAY = 30  # seconds between PSC's clock and this one
TOLD_MAX = 3600  # seconds that PSC may give a person, or have this server wait
PUSHES, WINDOW = 3, 300  # so often is one person woken, within these seconds
PEOPLE_MAX = 10_000  # who were woken lately
PROFESSIONS = {
    "10": "Médecin",
    "21": "Pharmacien",
    "40": "Chirurgien-dentiste",
    "50": "Sage-femme",
    "60": "Infirmier",
    "70": "Masseur-kinésithérapeute",
}  # ANS's table G15 has the others


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


class Psc:
    """One registered service at one provider; ``authorities`` is a PEM file to trust instead of the system's."""

    def __init__(self, *, issuer, client_id, secret, authorities=None):
        self._issuer, self._client_id = issuer, client_id
        pair = f"{quote(client_id, safe='')}:{quote(secret, safe='')}"
        self._proof = "Basic " + base64.b64encode(pair.encode()).decode()
        context = ssl.create_default_context(cafile=authorities and str(authorities))
        self._opener = build_opener(HTTPSHandler(context=context), _NoRedirect)
        self._places = None
        self._woken = {}  # times by national id

    def ways(self):
        """Return what CardLogin serves."""
        return {"ecps": self._begin, "ecps/state": self._state, "ecps/cancel": self._cancel}

    async def _begin(self, kept, body):
        national_id = body.get("national_id") if isinstance(body, dict) else None
        if not isinstance(national_id, str) or not NATIONAL_ID.fullmatch(national_id):
            return {"state": "unknown"}, None
        if not self._may_wake(national_id):
            return {"state": "often"}, None
        digits = f"{secrets.randbelow(100):02}"
        form = {"scope": "openid scope_all", "acr_values": "eidas1", "login_hint": national_id}
        status, told = await self._asked("backchannel_authentication_endpoint", {**form, "binding_message": digits})
        if status != 200:
            return {"state": "unknown" if told.get("error") == "unknown_user_id" else "absent"}, None
        interval, left = _seconds(told.get("interval", 5)), _seconds(told.get("expires_in"))
        request = told.get("auth_req_id")
        if not isinstance(request, str):
            raise Refused("PSC's answer names no request")
        now = time.monotonic()
        kept["ecps"] = {
            "id": request,
            "who": national_id,
            "ends": now + left,
            "next": now + interval,
            "interval": interval,
        }
        return {"state": "waiting", "digits": digits, "seconds_left": left}, None

    async def _state(self, kept, _body):
        asked = kept.get("ecps")
        if asked is None:
            return {"state": "none"}, None
        now = time.monotonic()
        waiting = {"state": "waiting", "seconds_left": max(0, round(asked["ends"] - now))}, None
        if now < asked["next"]:
            return waiting
        asked["next"] = now + asked["interval"]
        status, told = await self._asked("token_endpoint", {"grant_type": CIBA, "auth_req_id": asked["id"]})
        error = str(told.get("error", "")) if status != 200 else None
        if error == "slow_down":
            asked["interval"] += 5
        if now < asked["ends"] and (status == 503 or error in ("authorization_pending", "slow_down")):
            return waiting
        asked["next"] = asked["ends"] + WINDOW  # nobody redeems it twice
        try:
            holder = await self._holder(told, asked) if error is None else None
        finally:
            is_wanted = kept.get("ecps") is asked  # neither given up nor asked anew meanwhile
            if is_wanted:
                del kept["ecps"]
        if not is_wanted:
            return {"state": "none"}, None
        if holder:
            return {"state": "in"}, holder
        ends = "expired" if now >= asked["ends"] else "absent"
        return {"state": {"access_denied": "refused", "expired_token": "expired"}.get(error, ends)}, None

    async def _cancel(self, kept, _body):
        kept.pop("ecps", None)
        return {"state": "none"}, None

    def _may_wake(self, national_id):
        """Nobody's mobile rings all day because somebody types their number; the longest ago is forgotten first."""
        now = time.monotonic()
        lately = [at for at in self._woken.pop(national_id, []) if at > now - WINDOW]
        may = len(lately) < PUSHES
        self._woken[national_id] = [*lately, now] if may else lately
        while len(self._woken) > PEOPLE_MAX:
            del self._woken[next(iter(self._woken))]
        return may

    async def _holder(self, told, asked):
        """Who agreed, by PSC's signed token and what it says of that subject. Raises Refused."""
        try:
            return await self._agreed(told, asked)
        except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError) as fault:
            raise Refused(f"PSC's answer: {fault!r}") from None

    async def _agreed(self, told, asked):
        _, keys = await self._asked("jwks_uri")
        key = jwt.PyJWKSet.from_dict(keys)[jwt.get_unverified_header(told["id_token"])["kid"]]
        needs = {"require": ["iss", "aud", "sub", "exp", "iat"]}
        named = {"algorithms": ["RS256"], "issuer": self._issuer, "audience": self._client_id, "leeway": LEEWAY}
        claims = jwt.decode(told["id_token"], key, options=needs, **named)
        if (
            claims.get(REQUEST_CLAIM, asked["id"]) != asked["id"]
            or claims.get("azp", self._client_id) != self._client_id
        ):
            raise Refused("PSC's token is for another request or service")
        if not LEVEL.fullmatch(str(claims.get("acr", "eidas1"))):  # PSC has left it out
            raise Refused("PSC's token says too low a level")
        _, person = await self._asked("userinfo_endpoint", bearer=told["access_token"])
        await self._asked("end_session_endpoint", {"id_token_hint": told["id_token"]})
        if person.get("sub") != claims["sub"] or person.get("SubjectNameID") != asked["who"]:
            raise Refused("somebody else agreed than was asked")
        return Holder(asked["who"], _name(person, "family_name"), _name(person, "given_name"), _professions(person))

    async def _asked(self, endpoint, form=None, bearer=None):
        """Return status and JSON of one of PSC's endpoints; 503 and nothing where it cannot be reached."""
        try:
            if self._places is None:
                _, places = await asyncio.to_thread(
                    self._got, f"{self._issuer}/.well-known/wallet-openid-configuration"
                )
                if places.get("issuer") != self._issuer:
                    raise Refused("PSC's discovery is another's")
                self._places = places
            return await asyncio.to_thread(self._got, self._places[endpoint], form, bearer)
        except (OSError, HTTPException, KeyError, ValueError, TypeError, AttributeError, RecursionError) as fault:
            return 503, {"error": f"unreachable: {fault}"}

    def _got(self, address, form=None, bearer=None):
        headers = {"Accept": "application/json"}
        if form is not None:
            headers["Authorization"] = self._proof
        elif bearer:
            headers["Authorization"] = f"Bearer {bearer}"
        request = Request(address, form and urlencode(form).encode(), headers)
        try:
            with self._opener.open(request, timeout=TIME_MAX) as answer:
                status, content = answer.status, answer.read(ANSWER_MAX)
        except HTTPError as refused:
            with refused:
                status, content = refused.code, refused.read(ANSWER_MAX)
        told = json.loads(content) if content[:1] == b"{" else {}
        return status, told


def _seconds(told):
    """A time that PSC tells. Raises Refused."""
    if type(told) not in (int, float) or not 0 <= told <= TOLD_MAX:
        raise Refused("PSC's answer has no time")
    return told


def _name(person, field):
    return _shown(person.get(field, ""))


def _shown(value):
    """A name for a page and a document: nothing in it that turns the text around or hides."""
    return "".join(each for each in str(value) if not unicodedata.category(each).startswith("C"))[:80]


def _professions(person):
    practices = person.get("SubjectRefPro", {}).get("exercices", [])
    codes = dict.fromkeys(_shown(practice.get("codeProfession")) for practice in practices)
    return ", ".join(PROFESSIONS.get(code, f"profession {code}") for code in codes)
