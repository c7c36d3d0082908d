"""Signed documents over HTTP: each format judged from outside, or refused before anybody is asked."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate

from cardd.config import Config, SessionRules, Timestamp
from cardd.model import KeyPurpose
from cardd.system.outgoing import TimestampHttp
from cardd.values import replace
from tests.api.documents import DOCUMENT, b64, inline, sign, signed
from tests.api.workbench import Got, Json, Workbench
from tests.rig import jose
from tests.rig.memory import ManualClock, RunningClock
from tests.rig.openssl import accepts_cms
from tests.rig.pdf import pdf, pdfsig, words_of
from tests.rig.pens import SmallAuthority, card_pen
from tests.rig.simulator import store
from tests.rig.tsa import OpensslTsa, TsaServer

PSO = 0x2A
BOMB = b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'
A_SET: Json = {
    "document_name": "Lot de soumission",
    "format": "submission_set",
    "submission_set": {"unique_id": "2.25.1", "documents": [{"unique_id": "2.25.2", "document": "PGEvPg=="}]},
}

WITHOUT_DOCUMENT: Json = {
    **A_SET,
    "submission_set": {"unique_id": "2.25.1", "documents": [{"unique_id": "2.25.2"}]},
}


def xmlsec(directory: Path, content: bytes, got: Got) -> bool:
    certificate = load_der_x509_certificate(base64.b64decode(got.text("certificate")))
    (directory / "certificate.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (directory / "signed.xml").write_bytes(content)
    command = ["xmlsec1", "--verify", "--pubkey-cert-pem", "certificate.pem"]
    command += ["--id-attr:Id", "Object", "--id-attr:Id", "SignedProperties", "signed.xml"]
    return subprocess.run(command, cwd=directory, check=False, capture_output=True, timeout=30).returncode == 0


@pytest.mark.skipif(not jose.is_installed(), reason="npm's jose is not installed")
@pytest.mark.parametrize("told", [{}, {"jws": {"serialization": "json", "typ": "JOSE+JSON"}}])
async def test_a_jws_is_accepted_by_jose_and_not_when_tampered_with(api: Workbench, told: Json) -> None:
    got = await sign(api, inline(format="jws", **told))
    jws = signed(got)
    assert got.text("media_type") == ("application/jose+json" if told else "application/jose")
    assert jose.judge(jws, "RS256")["payload"] == DOCUMENT
    tampered = jws.replace(base64.b64encode(DOCUMENT)[:8], base64.b64encode(b"Compte")[:8])
    assert tampered != jws
    assert "refused" in jose.judge(tampered, "RS256")


async def test_a_cades_is_accepted_by_openssl(api: Workbench, tmp_path: Path) -> None:
    (tmp_path / "signed").write_bytes(signed(await sign(api, inline(format="cades"))))
    assert accepts_cms(tmp_path / "signed", card_pen().roots)
    assert (tmp_path / "signed.content").read_bytes() == DOCUMENT


async def test_a_pades_is_accepted_by_poppler_and_shows_who_signed(api: Workbench, tmp_path: Path) -> None:
    told: Json = {"visible": {"rectangle": [40, 40, 260, 120]}, "reason": "Compte rendu"}
    got = await sign(api, inline(format="pades", document=b64(pdf()), pades=told))
    (tmp_path / "signed.pdf").write_bytes(signed(got))
    assert [judged.is_valid for judged in pdfsig(tmp_path / "signed.pdf")] == [True]
    words = words_of(tmp_path / "signed.pdf")
    assert "CAMILLE SIMULATION-MEDECIN" in words
    assert "899000000010" in words


@pytest.mark.parametrize("packaging", ["enveloped", "enveloping"])
async def test_a_xades_is_accepted_by_xmlsec(api: Workbench, tmp_path: Path, packaging: str) -> None:
    document = b"<compteRendu>SIMULATION</compteRendu>"
    got = await sign(api, inline(format="xades", document=b64(document), xades={"packaging": packaging}))
    assert xmlsec(tmp_path, signed(got), got)
    assert not xmlsec(tmp_path, signed(got).replace(b"SigningTime>2", b"SigningTime>3"), got)


async def test_a_submission_set_is_signed_by_its_manifest(api: Workbench) -> None:
    listed: list[object] = [
        {"unique_id": "1.2.250.1.999.1.2", "document": b64(b"<cda/>"), "is_xml": True},
        {"unique_id": "1.2.250.1.999.1.3", "document": b64(DOCUMENT)},
    ]
    wanted: Json = {"unique_id": "1.2.250.1.999.1.1", "documents": [*listed]}
    body: Json = {"document_name": "Lot de soumission", "format": "submission_set", "submission_set": wanted}
    content = signed(await sign(api, body))
    assert content.count(b"urn:oid:1.2.250.1.999.1.") == 3
    assert api.audit.entries[-1].action == "signature.submission_set"


@pytest.mark.parametrize(("certificates", "named"), [("chain", 3), ("signer", 1)])
async def test_the_authorities_that_are_configured_accompany_what_is_signed(
    tmp_path: Path, certificates: str, named: int
) -> None:
    api = Workbench(tmp_path, authorities=store().authorities)
    await api.start()
    of_set = cast(Json, A_SET["submission_set"]) | {"certificates": certificates}
    got = await sign(api, A_SET | {"submission_set": of_set})
    assert got.json["chain"] == [b64(one) for one in card_pen().signer.chain]
    document = signed(got)
    assert (document.count(b"<X509Certificate>"), document.count(b"<Cert>")) == (1, named)
    await api.stop()


async def test_a_digest_is_enough_for_what_stands_beside_its_document(api: Workbench, tmp_path: Path) -> None:
    digest = base64.b64encode(hashlib.sha256(DOCUMENT).digest()).decode()
    got = await sign(api, {"document_name": "x", "digest": digest, "format": "cades", "detached": True})
    (tmp_path / "signed").write_bytes(signed(got))
    (tmp_path / "document").write_bytes(DOCUMENT)
    assert accepts_cms(tmp_path / "signed", card_pen().roots, tmp_path / "document")


async def test_the_user_and_the_log_are_told_of_the_document_and_not_of_what_stands_for_it(api: Workbench) -> None:
    await sign(api, inline(format="cades", patient="PATIENT FICTIF"))
    digest = hashlib.sha256(DOCUMENT).hexdigest()
    assert digest.startswith(str(api.person.questions[-1].params["digest"]))
    row = api.audit.entries[-1]
    assert (row.action, row.document, row.digest) == ("signature.cades", "Compte rendu", digest)


@pytest.mark.parametrize(
    ("body", "status", "code", "where"),
    [
        (inline(detached=True), 422, "request.invalid", "$.detached"),
        (inline(format="jws", mime_type="text/plain"), 422, "request.invalid", "$.mime_type"),
        (inline(format="cades", jws={}), 422, "request.invalid", "$.jws"),
        (inline(document_id="1234"), 422, "request.invalid", "$"),
        ({"document_name": "x", "format": "cades"}, 422, "request.invalid", "$"),
        ({**inline(format="jws"), "document": None, "digest": "A" * 43 + "="}, 422, "request.invalid", "$.digest"),
        (inline(format="cades", document=""), 422, "document.empty", None),
        (inline(format="jws", timestamp=True), 422, "timestamp.unconfigured", None),
        (inline(timestamp=True), 422, "document.timestamp_form", None),
        ({**A_SET, "timestamp": True}, 422, "document.timestamp_form", None),
        ({"document_name": "x", "format": "cades", "document_id": "1234"}, 404, "document.unknown", None),
        (inline(format="pades"), 422, "document.malformed", None),
        (inline(format="xades"), 422, "document.malformed", None),
        (inline(format="xades", document=b64(BOMB)), 422, "document.xml_doctype", None),
        ({"document_name": "x", "format": "submission_set"}, 422, "request.invalid", "$.submission_set"),
        (WITHOUT_DOCUMENT, 422, "document.manifest_missing", None),
    ],
    ids=str,
)
async def test_what_cannot_be_signed_is_told_before_anybody_is_asked(
    api: Workbench, body: Json, status: int, code: str, where: str | None
) -> None:
    path, token = await api.logged_in()
    asked = len(api.person.questions)
    got = await api.call("POST", f"{path}/signatures", body, bearer=token)
    assert (got.status, got.code, got.json.get("where")) == (status, code, where)
    assert len(api.person.questions) == asked
    assert PSO not in [apdu[1] for apdu in api.card.log]  # nothing was signed; the card may be given up meanwhile


EVERY: list[Json] = [
    inline(),
    inline(format="jws"),
    inline(format="cades"),
    inline(format="xades", document=b64(b"<cr/>")),
    inline(format="pades", document=b64(pdf())),
    A_SET,
]


@pytest.mark.parametrize(("years", "code"), [(-4, "not_yet_valid"), (4, "expired")])
async def test_a_card_out_of_its_time_signs_in_no_format(tmp_path: Path, years: int, code: str) -> None:
    config = Config(session=SessionRules(invalid_certificate="warn"))
    api = Workbench(tmp_path, config, clock=ManualClock(datetime.now(UTC) + timedelta(days=365 * years)))
    await api.start()
    path, token = await api.logged_in()
    asked, count = len(api.person.questions), api.asked_of_card()
    for body in EVERY:
        got = await api.call("POST", f"{path}/signatures", body, bearer=token)
        assert (got.status, got.code) == (422, f"signing_certificate.{code}"), body
    assert (len(api.person.questions), api.asked_of_card()) == (asked, count)
    await api.stop()


async def test_a_certificate_that_is_not_for_documents_signs_in_no_format(api: Workbench) -> None:
    path, token = await api.logged_in()
    credentials = api.sessions.of(os.getuid())[0].credentials
    wrong = credentials[KeyPurpose.AUTHENTICATION].certificate  # as if the card had the two in each other's place
    credentials[KeyPurpose.SIGNATURE] = replace(credentials[KeyPurpose.SIGNATURE], certificate=wrong)
    asked, count = len(api.person.questions), api.asked_of_card()
    for body in EVERY:
        got = await api.call("POST", f"{path}/signatures", body, bearer=token)
        assert (got.status, got.code) == (422, "signing_certificate.usage"), body
    assert (len(api.person.questions), api.asked_of_card()) == (asked, count)


async def test_a_list_of_several_formats_is_signed_under_one_consent(api: Workbench) -> None:
    asked = len(api.person.questions)
    got = await sign(api, {"signatures": [inline(), inline(format="jws"), inline(format="cades")]})
    assert [got.text("signatures", n, "format") for n in range(3)] == ["raw", "jws", "cades"]
    assert [question.topic for question in api.person.questions[asked:]].count("sign_batch") == 1


@asynccontextmanager
async def with_timestamps(directory: Path, tsa: OpensslTsa) -> AsyncIterator[tuple[Workbench, TsaServer]]:
    async with TsaServer(tsa) as server:
        http = TimestampHttp(server.url)
        config = Config(timestamp=Timestamp(authorities=tsa.directory / "authority.pem"))
        api = Workbench(directory, config, timestamps=http, clock=RunningClock())
        await api.start()
        yield api, server
        await api.stop()
        await http.close()


@pytest.fixture
def tsa(tmp_path: Path) -> OpensslTsa:
    (tmp_path / "tsa").mkdir()
    return OpensslTsa(tmp_path / "tsa", SmallAuthority("AC HORODATAGE SIMULATION"))


async def test_a_timestamp_comes_with_each_that_wants_one(tmp_path: Path, tsa: OpensslTsa) -> None:
    async with with_timestamps(tmp_path, tsa) as (api, server):
        got = await sign(api, {"signatures": [inline(format="cades", timestamp=True), inline(format="cades")]})
        assert server.requests == 1
        lengths = [len(signed(got, "signatures", n)) for n in range(2)]
        assert lengths[0] > lengths[1] + 1000


@pytest.mark.parametrize(
    ("form", "document"),
    [
        ({"format": "cades"}, DOCUMENT),
        ({"format": "jws", "jws": {"serialization": "json"}}, DOCUMENT),
        ({"format": "xades"}, b"<cr>SIMULATION</cr>"),
        ({"format": "pades"}, pdf()),
    ],
    ids=lambda value: value["format"] if isinstance(value, dict) else "",
)
async def test_a_verification_finds_the_timestamp_of_each_format(
    tmp_path: Path, tsa: OpensslTsa, form: Json, document: bytes
) -> None:
    async with with_timestamps(tmp_path, tsa) as (api, _):
        got = await sign(api, inline(**form) | {"document": b64(document), "timestamp": True})
        found = await api.call("POST", "/v1/verifications", {"document": b64(signed(got))}, via="unix")
        (one,) = cast(list[Json], found.json["signatures"])
        assert cast(Json, one["timestamp"])["intact"] is True
        assert found.text("signatures", 0, "timestamp", "authority") == "HORODATAGE SIMULATION"


async def test_without_its_timestamp_no_signature_leaves(tmp_path: Path, tsa: OpensslTsa) -> None:
    async with with_timestamps(tmp_path, tsa) as (api, server):
        path, token = await api.logged_in()
        await server.__aexit__(None, None, None)
        got = await api.call("POST", f"{path}/signatures", inline(format="cades", timestamp=True), bearer=token)
        assert (got.status, got.code, got.json["retryable"]) == (503, "timestamp.unavailable", True)
        assert "document" not in got.json


async def test_more_documents_than_one_consent_covers_are_not_even_read(api: Workbench) -> None:
    path, token = await api.logged_in()
    body = {"signatures": [inline(format="pades", document=b64(b"no PDF"))] * 51}
    assert (await api.call("POST", f"{path}/signatures", body, bearer=token)).json["where"] == "batch"
