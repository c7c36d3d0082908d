"""What a portal's server is told, in the Python that docs/examples/webps gives it: by pages, persons, and PSC."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Self

from asn1crypto import cms
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from tests.fuzz.documents import MATERIAL
from tests.fuzz.parser import EXAMPLES, Parser
from tests.fuzz.providers import encoded
from tests.fuzz.talking import on_loop

sys.path.insert(0, str(EXAMPLES))
web_eid, signed, psc_login, card_login = map(import_module, ("web_eid", "signed", "psc_login", "card_login"))
Refused: type[Exception] = web_eid.Refused

ORIGIN, NONCE = "https://webps.example", "SIMULATION" * 5
ISSUER, CLIENT, WHO = "https://psc.example", "simulation", "899700218896"
LOGIN, DOCUMENTS, TOKEN, KEY = "@LOGIN", "@DOCUMENTS", "@TOKEN", "@KEY"
NAMES = ("national_id", "family_name", "given_name", "title")
STATUSES = {200, 400, 403, 405, 413, 415}
TRUST = web_eid.Trust(Path("/nowhere"), Path("/nowhere"))
TOKEN_WORDS = tuple(
    f'"{name}": '.encode()
    for name in (*web_eid.FIELDS, *web_eid.FIELDS_OF_1_1, *web_eid.ALGORITHMS, "supportedSignatureAlgorithms")
)
PSC_WORDS = tuple(
    f'"{name}": '.encode()
    for name in (
        "auth_req_id", "expires_in", "interval", "error", "access_token", "id_token", "keys", "kid", "alg", "acr",
        "azp", "sub", "SubjectNameID", "SubjectRefPro", "exercices", "codeProfession", "family_name", "given_name",
        "issuer", "userinfo_endpoint", "end_session_endpoint", psc_login.REQUEST_CLAIM,
    )
)  # fmt: skip


class _Vouching(ModuleType):
    """The openssl command, which vouches for every certificate."""

    @staticmethod
    def run(*_: object, **__: object) -> _Vouching:
        """Say yes."""
        return OPENSSL


OPENSSL = _Vouching("openssl")
OPENSSL.returncode = 0  # type: ignore[attr-defined]
web_eid.subprocess = OPENSSL  # type: ignore[attr-defined]


def _checked(holder: object) -> None:
    """A holder is somebody, by texts alone, that a page can be told."""
    values = [getattr(holder, name) for name in NAMES]
    assert all(isinstance(value, str) for value in values), values
    assert web_eid.NATIONAL_ID.fullmatch(values[0])
    "".join(values).encode()


def _pieces(data: bytes) -> tuple[bytes, bytes, bytes]:
    """Two pieces, each behind two bytes with its length, and the rest."""
    first, data = _piece(data)
    second, data = _piece(data)
    return first, second, data


def _piece(data: bytes) -> tuple[bytes, bytes]:
    size = int.from_bytes(data[:2])
    return data[2 : 2 + size], data[2 + size :]


def _token(data: bytes) -> None:
    """A card's certificate for login, its one for documents, and a token that names them in JSON."""
    login, documents, told = _pieces(data)
    text = told.decode("utf-8", "replace")
    for name, der in ((LOGIN, login), (DOCUMENTS, documents)):
        text = text.replace(name, b64encode(der).decode())
    try:
        token = json.loads(text)
    except (ValueError, RecursionError):
        return
    for accepts in (False, True):
        named = {"trust": TRUST, "accept_1_1": accepts}
        try:
            holder = web_eid.verify(token, origin=ORIGIN, nonce=NONCE, **named)
        except Refused:
            continue
        _checked(holder)
        assert token["format"] == "web-eid:1.0" or accepts
        for origin, nonce in (("https://other.example", NONCE), (ORIGIN, NONCE[1:]), (ORIGIN + NONCE, "")):
            assert _is_refused(token, origin, nonce, named)


def _is_refused(token: object, origin: str, nonce: str, named: Mapping[str, object]) -> bool:
    try:
        web_eid.verify(token, origin=origin, nonce=nonce, **named)
    except Refused:
        return True
    return False


def _signature(data: bytes) -> None:
    """A signature of a document, that openssl has nothing against: it stands alone, and by one person."""
    signed._check_form(data)
    found = cms.ContentInfo.load(data, strict=True)["content"]
    assert len(found["signer_infos"]) == 1
    assert found["encap_content_info"]["content"].native is None


# --- Pro Santé Connect


@cache
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def _jwk() -> str:
    numbers = _key().public_key().public_numbers()
    n, e = (encoded(value.to_bytes(-(-value.bit_length() // 8))) for value in (numbers.n, numbers.e))
    return json.dumps({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "1", "n": n, "e": e})


def _id_token(header: bytes, claims: bytes) -> str:
    body = f"{encoded(header)}.{encoded(claims)}"
    return f"{body}.{encoded(_key().sign(body.encode(), PKCS1v15(), SHA256()))}"


class _Answer:
    """What one of PSC's endpoints answers; the first letter may be its status: a refusal's."""

    def __init__(self, told: bytes) -> None:
        self.status = 400 if told[:1] == b"!" else 200
        self._content = told.removeprefix(b"!")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def read(self, most: int) -> bytes:
        """The answer's body."""
        return self._content[:most]


class _Opener:
    def __init__(self, told: list[bytes]) -> None:
        self._told = told

    def open(self, request: object, **_: object) -> _Answer:
        """Answer as the input says."""
        return _Answer(self._told.pop(0) if self._told else b"")


def _provider(told: list[bytes]) -> Any:
    psc = psc_login.Psc(issuer=ISSUER, client_id=CLIENT, secret="SIMULATION", authorities=MATERIAL)
    psc._opener = _Opener(told)
    return psc


async def _psc(data: bytes) -> None:
    """A token's header, its claims, and PSC's answers in the order of the questions, a line each."""
    header, claims, *answers = [*data.split(b"\n"), b""]
    token = _id_token(header, claims).encode()
    told = [answer.replace(KEY.encode(), _jwk().encode()).replace(TOKEN.encode(), token) for answer in answers]
    psc = _provider(told)
    kept: dict[str, Any] = {}
    begin, state = (psc.ways()[name] for name in ("ecps", "ecps/state"))
    told_page, _ = await begin(kept, {"national_id": WHO})
    _passable(told_page)
    for _ in range(2):
        if "ecps" in kept:
            kept["ecps"]["next"] = 0.0
        told_page, holder = await state(kept, {})
        _passable(told_page)
        if holder is not None:
            assert (holder.national_id, told_page) == (WHO, {"state": "in"})
            _checked(holder)


def _passable(told: object) -> None:
    """What a page is told is JSON as browsers read it."""
    json.dumps(told, allow_nan=False)


# --- the login's routes


async def _page(data: bytes) -> None:
    """A method, a path, headers, a line each; an empty line; the body."""
    head, _, body = data.partition(b"\n\n")
    method, path, *lines = [*head.decode("latin-1").split("\n"), ""]
    pairs = [line.partition(":") for line in lines]
    headers = [(name.lower().encode("latin-1"), value.strip().encode("latin-1")) for name, _, value in pairs]
    login = card_login.CardLogin(_application, origin=ORIGIN, trust=TRUST, ways=_provider([]).ways())
    cookie = ""
    for _ in range(2):
        sent: list[dict[str, Any]] = []
        given = [(b"origin", ORIGIN.encode()), (b"content-type", b"application/json"), (b"cookie", cookie.encode())]
        own = {name for name, _ in headers}
        every = headers + [pair for pair in given if pair[0] not in own]
        scope = {"type": "http", "method": method, "path": path, "headers": every}
        await login(scope, _receiving(body), _sending(sent))
        begun, answered = sent
        assert begun["status"] in STATUSES, begun
        assert isinstance(json.loads(answered["body"]), dict)
        set_cookie = dict(begun["headers"]).get(b"set-cookie", b"").decode()
        assert re.fullmatch(
            r"(?:__Host-card=[\w-]*; Path=/; Secure; HttpOnly; SameSite=Lax(?:; Max-Age=0)?)?", set_cookie
        )
        cookie = set_cookie.partition(";")[0] or cookie


async def _application(scope: Mapping[str, Any], _: object, send: Any) -> None:
    assert scope["card"] is None  # nobody has logged in
    await send({"status": 200, "headers": []})
    await send({"body": b"{}"})


def _receiving(body: bytes) -> Any:
    async def receive() -> dict[str, object]:
        await asyncio.sleep(0)
        return {"type": "http.request", "body": body}

    return receive


def _sending(sent: list[dict[str, Any]]) -> Any:
    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    return send


PARSERS: dict[str, Parser] = {
    "token": Parser(_token, ("web_eid",), (Refused,), longest=16_384, words=TOKEN_WORDS),
    "signature": Parser(_signature, ("signed",), (Refused,), longest=8192),
    "psc": Parser(on_loop(_psc), ("psc_login",), (Refused,), longest=8192, words=PSC_WORDS),
    "page": Parser(
        on_loop(_page),
        ("card_login",),
        words=(
            b"POST\n/card/login\n",
            b"/card/challenge\n",
            b"/card/ecps\n",
            b"/card/logout\n",
            b"cookie: __Host-card=",
        ),
    ),
}
