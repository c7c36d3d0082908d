"""Signatures and authentication tokens over HTTP: consent, keys apart, batches, and what is recorded."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import load_der_x509_certificate

from cardd.config import Config, SessionRules
from cardd.model import Choice
from tests.api.workbench import PAGE, PIN, Got, Json, Workbench
from tests.rig.waiting import eventually

DOCUMENT = b"ordonnance SIMULATION"
NONCE = "n" * 44
PSO = 0x2A


def b64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def item(name: str = "Ordonnance", document: bytes = DOCUMENT) -> Json:
    return {"document_name": name, "digest": b64(hashlib.sha256(document).digest())}


def verify(got: Got, document: bytes = DOCUMENT, *path: str | int) -> None:
    """Raises InvalidSignature unless the answer's certificate verifies its signature."""
    certificate = load_der_x509_certificate(base64.b64decode(got.text(*path, "certificate")))
    key = certificate.public_key()
    assert isinstance(key, RSAPublicKey)
    key.verify(base64.b64decode(got.text(*path, "signature")), document, PKCS1v15(), SHA256())


async def test_a_digest_is_signed_after_the_user_saw_who_and_what(api: Workbench) -> None:
    path, token = await api.logged_in()
    got = await api.call("POST", f"{path}/signatures", {**item(), "patient": "PATIENT FICTIF"}, bearer=token)
    assert got.status == 200
    verify(got)
    question = api.person.questions[-1]
    assert question.topic == "sign"
    assert question.params["client"] == "LPS de test"
    assert question.params["document"] == "Ordonnance"
    assert question.params["patient"] == "PATIENT FICTIF"
    assert api.audit.entries[-1].digest == hashlib.sha256(DOCUMENT).hexdigest()


async def test_a_document_is_hashed_here(api: Workbench) -> None:
    path, token = await api.logged_in()
    document = DOCUMENT * 50_000
    body = {"document_name": "Compte rendu", "document": b64(document)}
    got = await api.call("POST", f"{path}/signatures", body, bearer=token)
    verify(got, document)
    assert api.audit.entries[-1].digest == hashlib.sha256(document).hexdigest()


async def test_a_list_is_signed_under_one_consent_in_its_order(api: Workbench) -> None:
    path, token = await api.logged_in()
    documents = [b"un", b"deux", b"trois"]
    body = {"signatures": [item(f"Document {n}", document) for n, document in enumerate(documents)]}
    got = await api.call("POST", f"{path}/signatures", body, bearer=token)
    for n, document in enumerate(documents):
        verify(got, document, "signatures", n)
    assert api.person.topics()[-1:] == ["sign_batch"]
    assert api.audit.acts().count("signature.raw done") == 3


async def test_a_named_batch_is_consented_once_and_ends_with_its_count(api: Workbench) -> None:
    path, token = await api.logged_in()
    body = {**item(), "batch": {"name": "Ordonnances du matin", "count": 3}}
    asked = len(api.person.questions)
    for _ in range(3):
        assert (await api.call("POST", f"{path}/signatures", body, bearer=token)).status == 200
    assert len(api.person.questions) == asked + 1
    got = await api.call("POST", f"{path}/signatures", body, bearer=token)
    assert (got.status, got.code) == (403, "consent.batch_exhausted")


async def test_a_batch_beyond_the_limit_is_refused_unasked(api: Workbench) -> None:
    path, token = await api.logged_in()
    asked = len(api.person.questions)
    for body in ({**item(), "batch": {"name": "Trop", "count": 51}}, {"signatures": [item()] * 51}):
        assert (await api.call("POST", f"{path}/signatures", body, bearer=token)).code == "request.invalid"
    assert len(api.person.questions) == asked


async def test_the_user_says_no(api: Workbench) -> None:
    path, token = await api.logged_in()
    signed = api.card.count
    api.person.choice = Choice.NO
    got = await api.call("POST", f"{path}/signatures", item(), bearer=token)
    assert (got.status, got.code) == (403, "consent.refused")
    assert api.card.count == signed
    assert api.audit.acts()[-1] == "signature.raw refused"


async def test_the_card_pulled_in_the_middle_of_a_signature(api: Workbench) -> None:
    path, token = await api.logged_in()
    api.reader.remove_during(PSO)
    got = await api.call("POST", f"{path}/signatures", item(), bearer=token)
    assert (got.status, got.code, got.json["retryable"]) == (409, "card.removed", True)
    assert api.audit.acts()[-1] == "signature.raw failed"
    await eventually(lambda: not api.readers.cards())
    after = await api.call("POST", f"{path}/signatures", item(), bearer=token)
    assert after.code == "session.closed"


async def test_a_session_that_ends_while_its_pin_is_typed_gets_no_signature(api: Workbench) -> None:
    path, token = await api.logged_in()
    api.sessions.lock_where(lambda _: True)
    api.person.pins = [PIN]
    api.person.attentive.clear()
    api.person.is_asked.clear()
    waiting = asyncio.ensure_future(api.call("POST", f"{path}/signatures", item(), bearer=token))
    await api.person.is_asked.wait()
    assert (await api.call("DELETE", path, bearer=token)).status == 204
    api.person.attentive.set()
    got = await waiting
    assert (got.status, got.code) == (401, "session.closed")
    assert "signature.raw done" not in api.audit.acts()


async def test_no_signature_leaves_that_could_not_be_recorded(api: Workbench) -> None:
    path, token = await api.logged_in()
    api.audit.is_full = True
    got = await api.call("POST", f"{path}/signatures", item(), bearer=token)
    assert (got.status, got.code) == (503, "audit.unavailable")
    assert "signature" not in got.json


async def test_in_ask_mode_the_pin_dialog_shows_the_document_and_is_the_consent(
    started: Callable[[Workbench], Awaitable[Workbench]], tmp_path: Path
) -> None:
    api = await started(Workbench(tmp_path, Config(session=SessionRules(pin="ask"))))
    path, token = await api.logged_in()
    api.person.pins = [PIN]
    got = await api.call("POST", f"{path}/signatures", item(), bearer=token)
    verify(got)
    assert api.person.pin_questions[-1].question.params["document"] == "Ordonnance"
    assert api.person.topics() == ["pair"]


@pytest.mark.parametrize("origin", [None, PAGE])
async def test_an_auth_token_is_bound_to_the_callers_own_origin(api: Workbench, origin: str | None) -> None:
    headers = {"Origin": origin} if origin else {}
    secret = None if origin else await api.pair()
    session = await api.call("POST", "/v1/sessions", {"method": "cpx"}, bearer=secret, headers=headers)
    path, token = session.headers["Location"], session.text("token")
    got = await api.call("POST", f"{path}/auth-tokens", {"nonce": NONCE}, bearer=token, headers=headers)
    assert got.status == 200
    assert (got.json["format"], got.json["algorithm"]) == ("web-eid:1.0", "RS256")
    own = origin or f"urn:cardd:client:{api.parts.clients.programs(api.uid or 0)[0].id}"
    signed = hashlib.sha256(own.encode()).digest() + hashlib.sha256(NONCE.encode()).digest()
    key = load_der_x509_certificate(base64.b64decode(got.text("unverifiedCertificate"))).public_key()
    assert isinstance(key, RSAPublicKey)
    key.verify(base64.b64decode(got.text("signature")), signed, PKCS1v15(), SHA256())


@pytest.mark.parametrize(
    "body",
    [{}, {"nonce": "n" * 43}, {"nonce": "n" * 129}, {"nonce": NONCE, "origin": PAGE}, {"digest": "A" * 44}],
)
async def test_the_authentication_key_signs_nothing_that_a_caller_chose(api: Workbench, body: Json) -> None:
    path, token = await api.logged_in()
    before = api.card.count
    got = await api.call("POST", f"{path}/auth-tokens", body, bearer=token)
    assert (got.status, got.code) == (422, "request.invalid")
    assert api.card.count == before


async def test_signatures_and_tokens_come_from_different_keys(api: Workbench) -> None:
    path, token = await api.logged_in()
    signature = await api.call("POST", f"{path}/signatures", item(), bearer=token)
    proof = await api.call("POST", f"{path}/auth-tokens", {"nonce": NONCE}, bearer=token)
    assert signature.text("certificate") != proof.text("unverifiedCertificate")
