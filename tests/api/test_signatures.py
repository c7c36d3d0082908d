"""Signatures and authentication tokens over HTTP: consent, keys apart, batches, and what is recorded."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Literal

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import load_der_x509_certificate

from cardd.agent.texts import confirm_words
from cardd.config import Audit, Config
from cardd.model import Choice
from tests.api.workbench import PAGE, Got, Json, Workbench

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


async def test_a_digest_is_signed_after_the_user_saw_the_documents_name_and_the_patients(api: Workbench) -> None:
    path, token = await api.logged_in()
    got = await api.call("POST", f"{path}/signatures", {**item(), "patient": "PATIENT FICTIF"}, bearer=token)
    assert got.status == 200
    verify(got)
    shown = api.person.questions[-1].params
    assert (shown["document"], shown["patient"]) == ("Ordonnance", "PATIENT FICTIF")


async def test_a_dialog_says_where_cardd_has_seen_a_digest_only(api: Workbench) -> None:
    path, token = await api.logged_in()
    by_digest, whole = item(), {"document_name": "x", "document": b64(DOCUMENT)}
    dialogs: list[set[str]] = []
    for body in (by_digest, whole, {"signatures": [whole, by_digest]}, {"signatures": [whole, whole]}):
        assert (await api.call("POST", f"{path}/signatures", body, bearer=token)).status == 200
        dialogs.append({"unseen", "some_unseen"} & set(api.person.questions[-1].params))
    assert dialogs == [{"unseen"}, set(), {"some_unseen"}, set()]
    words = confirm_words(api.person.questions[-4], "fr", 20)
    assert "cardd n'en a que l'empreinte" in words.description


@pytest.mark.parametrize("keep", ["name", "digest", "none"])
async def test_the_log_keeps_of_a_documents_name_what_is_configured(
    started: Callable[[Workbench], Awaitable[Workbench]], tmp_path: Path, keep: Literal["name", "digest", "none"]
) -> None:
    api = await started(Workbench(tmp_path, config=Config(audit=Audit(documents=keep))))
    path, token = await api.logged_in()
    assert (await api.call("POST", f"{path}/signatures", item("Ordonnance DUPONT"), bearer=token)).status == 200
    kept = api.audit.entries[-1].document
    assert {"name": kept == "Ordonnance DUPONT", "none": kept is None}.get(keep, "DUPONT" not in str(kept))
    assert api.person.questions[-1].params["document"] == "Ordonnance DUPONT"


async def test_a_document_is_hashed_here(api: Workbench) -> None:
    path, token = await api.logged_in()
    document = DOCUMENT * 50_000
    body = {"document_name": "Compte rendu", "document": b64(document)}
    got = await api.call("POST", f"{path}/signatures", body, bearer=token)
    verify(got, document)
    assert api.audit.entries[-1].digest == hashlib.sha256(document).hexdigest()


async def test_a_list_is_signed_in_its_order(api: Workbench) -> None:
    path, token = await api.logged_in()
    documents = [b"un", b"deux", b"trois"]
    body = {"signatures": [item(f"Document {n}", document) for n, document in enumerate(documents)]}
    got = await api.call("POST", f"{path}/signatures", body, bearer=token)
    for n, document in enumerate(documents):
        verify(got, document, "signatures", n)


async def test_a_named_batch_ends_with_its_count(api: Workbench) -> None:
    path, token = await api.logged_in()
    body = {**item(), "batch": {"name": "Ordonnances du matin", "count": 2}}
    for _ in range(2):
        assert (await api.call("POST", f"{path}/signatures", body, bearer=token)).status == 200
    got = await api.call("POST", f"{path}/signatures", body, bearer=token)
    assert (got.status, got.code) == (403, "consent.batch_exhausted")


def _the_user_says_no(api: Workbench) -> None:
    api.person.choice = Choice.NO


def _the_card_is_pulled(api: Workbench) -> None:
    api.reader.remove_during(PSO)


def _the_log_is_full(api: Workbench) -> None:
    api.audit.is_full = True


@pytest.mark.parametrize(
    ("meanwhile", "status", "code", "retryable"),
    [
        (_the_user_says_no, 403, "consent.refused", False),
        (_the_card_is_pulled, 409, "card.removed", True),
        (_the_log_is_full, 503, "audit.unavailable", True),
    ],
)
async def test_why_nothing_was_signed_is_told(
    api: Workbench, meanwhile: Callable[[Workbench], None], status: int, code: str, *, retryable: bool
) -> None:
    path, token = await api.logged_in()
    meanwhile(api)
    got = await api.call("POST", f"{path}/signatures", item(), bearer=token)
    assert (got.status, got.code, got.json["retryable"]) == (status, code, retryable)
    assert "signature" not in got.json


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
    assert api.audit.acts()[-1] == "auth_token.issue done"


@pytest.mark.parametrize(
    "body",
    [{}, {"nonce": "n" * 43}, {"nonce": "n" * 129}, {"nonce": NONCE, "origin": PAGE}, {"digest": "A" * 44}],
)
async def test_the_authentication_key_signs_nothing_that_a_caller_chose(api: Workbench, body: Json) -> None:
    path, token = await api.logged_in()
    before = api.asked_of_card()
    got = await api.call("POST", f"{path}/auth-tokens", body, bearer=token)
    assert (got.status, got.code) == (422, "request.invalid")
    assert api.asked_of_card() == before


@pytest.mark.parametrize(
    "name", ["a\u200bb.pdf", "a\u202efdp.exe", "a\u180bb.pdf", "\u3164", "   ", "\u00ab \u00bb", "a\nb.pdf"]
)
async def test_a_name_that_shows_less_than_it_is_is_refused_unasked(api: Workbench, name: str) -> None:
    path, token = await api.logged_in()
    asked = len(api.person.questions)
    for body in ({**item(), "document_name": name}, {**item(), "batch": {"name": name, "count": 1}}):
        assert (await api.call("POST", f"{path}/signatures", body, bearer=token)).code == "request.invalid"
    assert len(api.person.questions) == asked
