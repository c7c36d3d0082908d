"""Answers of Pro Santé Connect that have another form than they should: each portal refuses them, and never fails."""

from __future__ import annotations

import base64
import json
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from cardd.system import loopback_tls
from tests.webps.portals import EXAMPLES

ALICE = "899700000005"
RS256: dict[str, object] = {"alg": "RS256", "kid": "1"}
PERSON: dict[str, object] = {"sub": "s", "SubjectNameID": ALICE, "family_name": "SIMULATION", "given_name": "ALICE"}
STARTED: dict[str, object] = {"auth_req_id": "a", "expires_in": 120, "interval": 0}
PYTHON = """
import asyncio, json, sys
from psc_login import Psc
from web_eid import Refused
issuer, authorities = sys.argv[1:]
for _ in sys.stdin:
    ways, kept, told = Psc(issuer=issuer, client_id="me", secret="x", authorities=authorities).ways(), {}, []
    try:
        for name in ("ecps", "ecps/state"):
            page, holder = asyncio.run(ways[name](kept, {"national_id": "899700000005"}))
            told.append(holder.title if holder else page["state"])
    except Refused:
        told.append("refused by the portal")
    print(json.dumps(told), flush=True)
"""
NODE = """
import {readFileSync} from "node:fs";
import {createInterface} from "node:readline";
import {pscLogin} from "./psc-login.mjs";
import {Refused} from "./web-eid.mjs";
const [issuer, file] = process.argv.slice(-2);
for await (const _ of createInterface({input: process.stdin})) {
  const ways = pscLogin({issuer, clientId: "me", secret: "x", authorities: readFileSync(file)});
  const [kept, told, asked] = [{}, [], {national_id: "899700000005"}];
  try {
    for (const name of ["ecps", "ecps/state"]) {
      const found = await ways[name](kept, asked);
      told.push(found.holder ? found.holder.title : found.told.state);
    }
  } catch (why) {
    if (!(why instanceof Refused)) throw why;
    told.push("refused by the portal");
  }
  console.log(JSON.stringify(told));
}
"""
Told = tuple[object, ...]
COMMANDS = {
    "python": (sys.executable, "-c", PYTHON),
    "node": ("node", "--input-type=module", "-e", NODE, "--"),
}


@cache
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def encoded(part: object) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def jwk(**more: object) -> dict[str, object]:
    numbers = key().public_key().public_numbers()
    found = {"n": encoded(numbers.n.to_bytes(256, "big")), "e": "AQAB"}
    return {"kty": "RSA", "kid": "1", **found, **more}


@dataclass
class Lying:
    """A provider that says what a test wants; ``answers`` are status and content by the place's name."""

    port: int
    answers: dict[str, tuple[int, object]] = field(default_factory=dict)

    @property
    def issuer(self) -> str:
        return f"https://localhost:{self.port}"

    def well(self) -> Lying:
        """Say nothing that is wrong."""
        names = ("backchannel_authentication", "token", "userinfo", "end_session")
        places = {f"{name}_endpoint": f"{self.issuer}/{name}" for name in names}
        discovery = {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys", **places}
        self.answers = {
            "wallet-openid-configuration": (200, discovery),
            "keys": (200, {"keys": [jwk()]}),
            "backchannel_authentication": (200, STARTED),
            "userinfo": (200, PERSON),
            "end_session": (200, {}),
        }
        return self.agreed()

    def agreed(self, claims: object = None, head: object = RS256, **more: object) -> Lying:
        """Answer with a token that is signed."""
        now = int(time.time())
        right = {"iss": self.issuer, "aud": "me", "sub": "s", "exp": now + 60, "iat": now, "acr": "eidas1"}
        signed = f"{encoded(head)}.{encoded({**right, **more} if claims is None else claims)}"
        signature = key().sign(signed.encode(), PKCS1v15(), SHA256())
        self.answers["token"] = 200, {"id_token": f"{signed}.{encoded(signature)}", "access_token": "b"}
        return self


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lying, Path]]:
    folder, made = tmp_path_factory.mktemp("psc"), loopback_tls.make()
    (folder / "server.pem").write_bytes(made.server)
    authority = folder / "authority.pem"
    authority.write_bytes(x509.load_der_x509_certificate(made.authority).public_bytes(Encoding.PEM))

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, told = lying.answers[self.path.rpartition("/")[2]]
            content = told if isinstance(told, bytes) else json.dumps(told).encode()
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815 - the names are the library's

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    lying = Lying(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield lying, authority
    server.shutdown()
    thread.join()
    server.server_close()


class Portal:
    """A portal's server, as its program talks to the provider."""

    def __init__(self, process: subprocess.Popen[str], psc: Lying) -> None:
        self._process = process
        self.psc = psc

    def states(self) -> list[str]:
        """Have a person log in: what the page is told, one state after the other."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        told: list[str] = json.loads(self._process.stdout.readline() or '["the server failed"]')
        return told


@pytest.fixture(scope="module", params=COMMANDS)
def started(request: pytest.FixtureRequest, served: tuple[Lying, Path]) -> Iterator[Portal]:
    psc, authority = served
    command = [*COMMANDS[request.param], psc.issuer, str(authority)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=EXAMPLES, text=True, stdin=pipe, stdout=pipe) as process:
        yield Portal(process, psc)
        assert process.stdin
        process.stdin.close()


@pytest.fixture
def portal(started: Portal) -> Portal:
    started.psc.well()
    return started


def refuses(portal: Portal) -> bool:
    return portal.states() == ["waiting", "refused by the portal"]


def test_what_is_as_it_should_be_logs_in_with_professions_that_hide_nothing(portal: Portal) -> None:
    practices = [{"codeProfession": code} for code in ("10", "constructor", "\u202e99" + "9" * 200)]
    portal.psc.answers["userinfo"] = 200, {**PERSON, "SubjectRefPro": {"exercices": practices}}
    assert portal.states() == ["waiting", f"Médecin, profession constructor, profession {'9' * 80}"]


def test_a_token_whose_times_are_none_or_not_now_is_refused(portal: Portal) -> None:
    none: Told = (None, [9999999999], {}, "now", float("inf"))
    far = 99_999_999_999
    others: tuple[dict[str, object], ...] = ({"exp": 1}, {"exp": True}, {"iat": far}, {"nbf": far}, {"nbf": "later"})
    for told in others:
        portal.psc.agreed(**told)
        assert refuses(portal), told
    for name in ("exp", "iat"):
        for value in none:
            portal.psc.agreed(**{name: value})
            assert refuses(portal), (name, value)


def test_a_token_of_another_form_is_refused(portal: Portal) -> None:
    for claims in (b"null", b"7", b"[]", b"{", b"[" * 20_000):
        portal.psc.agreed(claims)
        assert refuses(portal), claims[:9]
    for head in (b"null", b"[]", {"alg": "RS256"}, {"alg": "none", "kid": "1"}, {**RS256, "crit": ["x"]}):
        portal.psc.agreed(head=head)
        assert refuses(portal), head
    more: tuple[dict[str, object], ...] = ({"sub": {}}, {"sub": 7}, {"acr": ["eidas1"]}, {"acr": None}, {"azp": ["me"]})
    for told in more:
        portal.psc.agreed(**told)
        assert refuses(portal), told
    tokens: Told = (None, 7, [], {}, "a.b.c")
    for token in tokens:
        portal.psc.answers["token"] = 200, {"id_token": token, "access_token": "b"}
        assert refuses(portal), token


def test_keys_of_another_form_verify_nothing(portal: Portal) -> None:
    wrong: Told = (None, 7, "x", {}, [None], [7], [{}], [{"kid": "1", "kty": "RSA"}], [jwk(n=7)])
    for keys in wrong:
        portal.psc.answers["keys"] = 200, {"keys": keys}
        assert refuses(portal), keys
    portal.psc.answers["keys"] = 500, b"<html>"
    assert refuses(portal)


def test_a_person_of_another_form_is_nobody(portal: Portal) -> None:
    practices: Told = (7, {"codeProfession": "10"}, [None])
    people = [{**PERSON, "SubjectRefPro": {"exercices": told}} for told in practices]
    for person in ({}, {"sub": "s"}, *people):
        portal.psc.answers["userinfo"] = 200, person
        assert refuses(portal), person


def test_a_push_without_a_name_or_a_time_is_none(portal: Portal) -> None:
    wrong: Told = ("120", "x", 1e300, -5, True, [])
    times = [{**STARTED, name: value} for name in ("expires_in", "interval") for value in wrong]
    for told in ({}, {"auth_req_id": "a"}, {**STARTED, "auth_req_id": 7}, *times):
        portal.psc.answers["backchannel_authentication"] = 200, told
        assert portal.states() == ["refused by the portal"], told


def test_an_error_that_nobody_knows_is_one(portal: Portal) -> None:
    errors: Told = (None, 7, {}, [], "toString", "__proto__", "constructor")
    for error in errors:
        portal.psc.answers["token"] = 400, {"error": error}
        assert portal.states() == ["waiting", "absent"], error
