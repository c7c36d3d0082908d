"""The portals of docs/examples/webps, asked over https: what each server takes, and what it refuses."""

from __future__ import annotations

import base64
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from asn1crypto import cms, core
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cardd_simulators.cards.store import Credential
from tests.rig import nginx
from tests.rig.psc_simulator import PscSimulator
from tests.rig.simulator import issue
from tests.rig.waiting import eventually_here
from tests.rig.webps import SERVERS, WebPs
from tests.webps.tokens import Token, forged, list_of, trust_cards

CARDD = "http://127.0.0.1:17463"
DOCTOR, OTHER = "899000000010", "pharmacien"
ALICE = "899700000005"


@pytest.fixture(scope="module")
def psc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PscSimulator]:
    """Pro Santé Connect and the mobiles of its people."""
    simulator = PscSimulator(tmp_path_factory.mktemp("psc"))
    simulator.start()
    yield simulator
    simulator.stop()


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, nginx.Pair]:
    """A folder with an authority for servers, and a server's certificate by it."""
    folder = tmp_path_factory.mktemp("portals")
    pair = nginx.issued(folder, nginx.authority(folder), "portail", names="DNS:localhost")
    return folder, pair


@pytest.fixture(scope="module", params=SERVERS)
def portal(request: pytest.FixtureRequest, trust: tuple[Path, nginx.Pair], psc: PscSimulator) -> Iterator[WebPs]:
    folder, pair = trust
    trust_cards(folder)
    portal = WebPs(request.param, folder, pair, "localhost")
    portal.set_up([CARDD], psc)
    with portal.running():
        yield portal


@dataclass
class Visitor:
    """A browser with the portal's page open."""

    http: httpx.Client
    portal: WebPs

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        """One request of the page."""
        return self.http.request(method, path, json=body, headers={"Origin": self.portal.origin, **headers})

    def token(self, by: Credential) -> Token:
        """What a card gives this page for a nonce of its server."""
        nonce = str(self.ask("POST", "/card/challenge", {}).json()["nonce"])
        return forged(nonce, by, self.portal.origin)

    def log_in(self, profile: str = "medecin") -> None:
        """Log in by the card of this person."""
        got = self.ask("POST", "/card/login", self.token(issue(profile).authentication))
        assert got.status_code == 200, got.text

    def document(self) -> tuple[str, bytes]:
        """The document that waits for this person, and its bytes."""
        name = str(self.ask("POST", "/documents", {}).json()["id"])
        return name, self.ask("GET", f"/documents/{name}").content

    def send(self, name: str, signature: bytes) -> object:
        """What the server says of this signature: an error's code, or who signed."""
        body = {"id": name, "signature": base64.b64encode(signature).decode()}
        told = self.ask("POST", "/signatures", body).json()
        return told.get("error") or told["signed"]["by"]["nationalId"]


@pytest.fixture
def visitor(portal: WebPs, trust: tuple[Path, nginx.Pair]) -> Iterator[Visitor]:
    context = ssl.create_default_context(cafile=trust[0] / "AUTORITE-SIMULATION.pem")
    with httpx.Client(base_url=portal.origin, verify=context) as http:
        yield Visitor(http, portal)


def cades(
    folder: Path,
    document: bytes,
    *signers: Credential,
    attached: bool = False,
    plain: bool = False,
    digest: str = "sha256",
) -> bytes:
    """A signature by openssl, in the form of CAdES or without its attributes."""
    (folder / "content").write_bytes(document)
    by: list[str] = []
    for number, each in enumerate(signers):
        key = each.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / f"{number}").write_bytes(key + each.certificate.public_bytes(Encoding.PEM))
        by += ["-signer", f"{number}"]
    form = ["-md", digest, *(["-nodetach"] if attached else []), *(["-noattr"] if plain else ["-cades"])]
    command = ["openssl", "cms", "-sign", "-binary", "-in", "content", "-outform", "DER", *by, *form]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True).stdout


def with_inside(signature: bytes, document: bytes) -> bytes:
    """A signature that has another document inside than the one that it is of."""
    found = cms.ContentInfo.load(signature)
    found["content"]["encap_content_info"]["content"] = core.OctetString(document)
    return bytes(found.dump(force=True))


def test_a_document_is_signed_once_by_the_person_who_is_logged_in(visitor: Visitor, tmp_path: Path) -> None:
    visitor.log_in()
    name, content = visitor.document()
    assert DOCTOR.encode() in content
    signature = cades(tmp_path, content, issue().signature)
    assert visitor.send(name, signature) == DOCTOR
    assert visitor.send(name, signature) == "signed"
    assert visitor.ask("GET", f"/documents/{name}.p7s").content == signature
    told = visitor.ask("GET", "/me").json()
    assert [each["id"] for each in told["documents"] if each["signed"]] == [name]
    assert visitor.document()[0] != name


def test_a_token_serves_once_and_for_this_portal_alone(visitor: Visitor) -> None:
    card = issue().authentication
    token = visitor.token(card)
    assert visitor.ask("POST", "/card/login", token).status_code == 200
    assert visitor.ask("POST", "/card/login", token).status_code == 403
    visitor.ask("POST", "/card/logout", {})
    nonce = str(visitor.ask("POST", "/card/challenge", {}).json()["nonce"])
    elsewhere = forged(nonce, card, "https://ailleurs.example")
    for refused in (elsewhere, token, visitor.token(issue().signature)):
        assert visitor.ask("POST", "/card/login", refused).status_code == 403
    assert visitor.ask("GET", "/me").json()["holder"] is None


def test_a_nonce_is_worth_nothing_after_five_minutes(visitor: Visitor, portal: WebPs) -> None:
    card = issue().authentication
    token = visitor.token(card)
    with portal.later(299):
        assert visitor.ask("POST", "/card/login", token).status_code == 200
    token = visitor.token(card)  # somebody who is logged in asks for it, and keeps their cookie
    with portal.later(301):
        assert visitor.ask("POST", "/card/login", token).status_code == 403
    assert visitor.ask("POST", "/card/login", token).status_code == 403  # the refusal has spent it
    visitor.ask("POST", "/card/logout", {})
    token = visitor.token(card)
    with portal.later(301):
        assert visitor.ask("POST", "/card/login", token).status_code == 403
        assert visitor.ask("POST", "/card/login", visitor.token(card)).status_code == 200


def test_who_comes_back_after_more_than_five_minutes_is_told_what_to_do(visitor: Visitor, portal: WebPs) -> None:
    visitor.ask("POST", "/card/challenge", {})
    with portal.later(301):
        for path, body, told in (
            ("/card/ecps", {"national_id": "8"}, "unknown"),
            ("/card/ecps/state", {}, "none"),
            ("/card/ecps/cancel", {}, "none"),
        ):
            got = visitor.ask("POST", path, body)
            assert (got.status_code, got.json()) == (200, {"state": told})


def test_what_is_no_signature_of_this_person_over_this_document_is_refused(visitor: Visitor, tmp_path: Path) -> None:
    visitor.log_in()
    name, content = visitor.document()
    doctor, other = issue(), issue(OTHER)
    changed = content.replace(b"stable", b"haute")
    refused = {
        "signature": [
            cades(tmp_path, changed, doctor.signature),
            cades(tmp_path, changed, doctor.signature, attached=True),
            cades(tmp_path, content, doctor.signature, plain=True),
            cades(tmp_path, content, doctor.signature, other.signature),
            cades(tmp_path, content, doctor.signature) + b"more",
            with_inside(cades(tmp_path, content, doctor.signature), changed),
            cades(tmp_path, content, doctor.signature, digest="sha1"),
            cades(tmp_path, content, doctor.signature, digest="md5"),
            b"no signature",
            b"",
            b"\0" * 24_000,
        ],
        "signer": [cades(tmp_path, content, other.signature)],
        "signer_refused": [cades(tmp_path, content, doctor.authentication)],
    }
    for code, signatures in refused.items():
        assert [visitor.send(name, each) for each in signatures] == [code] * len(signatures)
    assert visitor.send("another", cades(tmp_path, content, doctor.signature)) == "document"
    no_requests: list[object] = [[], {"id": [], "signature": ""}, {"id": name}, {"id": name, "signature": 7}]
    for body in (*no_requests, {"id": name, "signature": "!"}):
        assert "error" in visitor.ask("POST", "/signatures", body).json()
    assert visitor.ask("GET", f"/documents/{name}.p7s").status_code == 404
    assert visitor.send(name, cades(tmp_path, content, doctor.signature)) == DOCTOR


def test_a_revoked_certificate_or_a_list_that_is_gone_signs_nothing(visitor: Visitor, tmp_path: Path) -> None:
    visitor.log_in()
    name, content = visitor.document()
    signature = cades(tmp_path, content, issue().signature)
    lists = visitor.portal.folder / "lists.pem"
    kept = lists.read_bytes()
    try:
        lists.write_bytes(list_of((issue().signature.certificate,), timedelta(hours=1)))
        assert visitor.send(name, signature) == "signer_refused"
        lists.write_bytes(list_of((), timedelta(hours=1), is_delta=True))
        assert visitor.send(name, signature) == "signer_refused"
        lists.unlink()
        assert visitor.send(name, signature) == "signer_refused"
    finally:
        lists.write_bytes(kept)
    assert visitor.send(name, signature) == DOCTOR


def test_nobody_reads_or_signs_what_is_anothers(visitor: Visitor, portal: WebPs, tmp_path: Path) -> None:
    visitor.log_in()
    name, content = visitor.document()
    for cookies in ({}, dict(visitor.http.cookies)):
        http = httpx.Client(base_url=portal.origin, verify=False, cookies=cookies)
        stranger = Visitor(http, portal)
        if cookies:  # the page of another site, in the doctor's own browser
            assert stranger.ask("POST", "/documents", {}, Origin="https://ailleurs.example").status_code == 401
        else:
            for path in (f"/documents/{name}", f"/documents/{name}.p7s"):
                assert stranger.ask("GET", path).status_code == 401
            stranger.log_in(OTHER)
            assert stranger.ask("GET", f"/documents/{name}").status_code == 404
            assert stranger.send(name, cades(tmp_path, content, issue().signature)) == "document"
        http.close()
    visitor.ask("POST", "/card/logout", {})
    assert visitor.ask("GET", "/me").json()["holder"] is None
    assert visitor.ask("GET", f"/documents/{name}").status_code == 401


def test_every_answer_has_the_strict_policy_and_stays_nowhere(visitor: Visitor) -> None:
    for path in ("/", "/portal.js", "/texts.js", "/portal.css", "/cardd.js", "/me", "/nowhere", "/card/challenge"):
        headers = visitor.ask("GET", path).headers
        rules = headers["Content-Security-Policy"]
        assert "default-src 'none'" in rules
        assert f"connect-src 'self' {CARDD} {CARDD.replace('http', 'ws')};" in rules
        assert "unsafe" not in rules
        assert (headers["X-Content-Type-Options"], headers["Cache-Control"]) == ("nosniff", "no-store")


def state(visitor: Visitor) -> str:
    return str(visitor.ask("POST", "/card/ecps/state", {}).json()["state"])


def until(visitor: Visitor, wanted: str) -> None:
    eventually_here(lambda: state(visitor) == wanted)


def test_the_server_logs_in_whom_pro_sante_connect_names_and_nobody_else(
    visitor: Visitor, portal: WebPs, psc: PscSimulator
) -> None:
    assert state(visitor) == "none"
    asked = visitor.ask("POST", "/card/ecps", {"national_id": ALICE}).json()
    assert (asked["state"], len(asked["digits"]), asked["seconds_left"]) == ("waiting", 2, 120)
    assert state(visitor) == "waiting"
    with httpx.Client(base_url=portal.origin, verify=False) as http:
        assert state(Visitor(http, portal)) == "none"
    assert asked["digits"] in psc.tell("approve").stdout
    before = visitor.http.cookies["__Host-card"]
    until(visitor, "in")
    late = httpx.post(
        f"{portal.origin}/card/ecps/state",
        json={},
        headers={"Origin": portal.origin, "Cookie": f"__Host-card={before}"},
        verify=False,
    )
    assert (late.json()["state"], "Set-Cookie" in late.headers) == ("none", False)
    holder = visitor.ask("GET", "/me").json()
    assert (holder["holder"]["nationalId"], holder["holder"]["title"], holder["way"]) == (ALICE, "Médecin", "ecps")
    assert state(visitor) == "none"


def test_a_refusal_on_the_mobile_logs_nobody_in_and_nobody_is_woken_all_day(
    visitor: Visitor, psc: PscSimulator
) -> None:
    denis = "899700000021"
    for answer, told in (("deny", "refused"), ("", "none")):
        assert visitor.ask("POST", "/card/ecps", {"national_id": denis}).json()["state"] == "waiting"
        if answer:
            psc.tell(answer)
        else:
            visitor.ask("POST", "/card/ecps/cancel", {})
        until(visitor, told)
    psc.tell("approve")  # of what was given up
    visitor.ask("POST", "/card/ecps", {"national_id": denis})
    assert visitor.ask("POST", "/card/ecps", {"national_id": denis}).json()["state"] == "often"
    for unknown in ("899700000099", "8", "", "../..", 7, None):
        assert visitor.ask("POST", "/card/ecps", {"national_id": unknown}).json()["state"] == "unknown"
    assert visitor.ask("POST", "/card/ecps", []).json()["state"] == "unknown"
    assert visitor.ask("GET", "/me").json()["holder"] is None
