"""Signed documents over HTTP: each format judged from outside, large ones handed over before, nothing kept."""

from __future__ import annotations

import base64
import hashlib
import resource
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate

from cardd.api.services import ApiLimits
from cardd.documents.held import LIFETIME
from cardd.documents.stamping import TimestampAuthority
from cardd.model import Choice
from cardd.system.clock import SystemClock
from cardd.system.timestamping import TimestampHttp
from tests.api.workbench import PIN, Got, Json, Workbench
from tests.rig import jose
from tests.rig.openssl import accepts_cms
from tests.rig.pdf import pdf, pdfsig, words_of
from tests.rig.pens import SmallAuthority, card_pen
from tests.rig.saml import StoppedClock
from tests.rig.tsa import OpensslTsa, TsaServer

BOMB = b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'
DOCUMENT = b"compte rendu SIMULATION"
A_SET: Json = {
    "document_name": "Lot de soumission",
    "format": "submission_set",
    "submission_set": {"unique_id": "2.25.1", "documents": [{"unique_id": "2.25.2", "document": "PGEvPg=="}]},
}
OCTETS = {"Content-Type": "application/octet-stream"}


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def xmlsec(directory: Path, content: bytes, got: Got) -> bool:
    certificate = load_der_x509_certificate(base64.b64decode(got.text("certificate")))
    (directory / "certificate.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (directory / "signed.xml").write_bytes(content)
    command = ["xmlsec1", "--verify", "--pubkey-cert-pem", "certificate.pem"]
    command += ["--id-attr:Id", "Object", "--id-attr:Id", "SignedProperties", "signed.xml"]
    return subprocess.run(command, cwd=directory, check=False, capture_output=True, timeout=30).returncode == 0


def inline(**more: object) -> Json:
    return {"document_name": "Compte rendu", "document": base64.b64encode(DOCUMENT).decode(), **more}


async def sign(api: Workbench, body: Json) -> Got:
    path, token = await api.logged_in()
    return await api.call("POST", f"{path}/signatures", body, bearer=token)


def signed(got: Got, *path: str | int) -> bytes:
    assert got.status == 200, got.raw
    return base64.b64decode(got.text(*path, "document"))


async def handed_over(api: Workbench, path: str, token: str, content: bytes = DOCUMENT) -> str:
    got = await api.call("POST", f"{path}/documents", content, bearer=token, headers=OCTETS)
    assert (got.status, got.json["size"]) == (201, len(content)), got.raw
    assert base64.b64decode(got.text("sha256")) == hashlib.sha256(content).digest()
    assert got.headers["Location"] == f"{path}/documents/{got.text('id')}"
    return got.text("id")


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


async def test_a_submission_set_whose_document_is_missing_is_refused_unasked(api: Workbench) -> None:
    path, token = await api.logged_in()
    asked = len(api.person.questions)
    wanted = {"unique_id": "1.2.250.1.999.1.1", "documents": [{"unique_id": "1.2.250.1.999.1.2"}]}
    body: Json = {"document_name": "Lot de soumission", "format": "submission_set", "submission_set": wanted}
    got = await api.call("POST", f"{path}/signatures", body, bearer=token)
    assert (got.status, got.code, len(api.person.questions)) == (422, "document.manifest_missing", asked)


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
    ("body", "code", "where"),
    [
        (inline(detached=True), "request.invalid", "$.detached"),
        (inline(format="jws", mime_type="text/plain"), "request.invalid", "$.mime_type"),
        (inline(format="cades", jws={}), "request.invalid", "$.jws"),
        (inline(document_id="1234"), "request.invalid", "$"),
        ({"document_name": "x", "format": "cades"}, "request.invalid", "$"),
        ({**inline(format="jws"), "document": None, "digest": "A" * 43 + "="}, "request.invalid", "$.digest"),
        (inline(format="cades", document=""), "document.empty", None),
        (inline(format="jws", timestamp=True), "timestamp.unconfigured", None),
        (inline(timestamp=True), "document.timestamp_form", None),
        ({**A_SET, "timestamp": True}, "document.timestamp_form", None),
        ({"document_name": "x", "format": "cades", "document_id": "1234"}, "document.unknown", None),
        (inline(format="pades"), "document.malformed", None),
        (inline(format="xades"), "document.malformed", None),
        (inline(format="xades", document=b64(BOMB)), "document.xml_doctype", None),
        ({"document_name": "x", "format": "submission_set"}, "request.invalid", "$.submission_set"),
    ],
    ids=str,
)
async def test_what_cannot_be_signed_is_told_before_anybody_is_asked(
    api: Workbench, body: Json, code: str, where: str | None
) -> None:
    path, token = await api.logged_in()
    asked, count = len(api.person.questions), api.card.count
    got = await api.call("POST", f"{path}/signatures", body, bearer=token)
    assert (got.code, got.json.get("where")) == (code, where)
    assert (len(api.person.questions), api.card.count) == (asked, count)


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
    api = Workbench(tmp_path, today=StoppedClock(datetime.now(UTC) + timedelta(days=365 * years)))
    await api.start()
    path, token = await api.logged_in()
    asked, count = len(api.person.questions), api.card.count
    for body in EVERY:
        got = await api.call("POST", f"{path}/signatures", body, bearer=token)
        assert (got.status, got.code) == (422, f"signing_certificate.{code}"), body
    assert (len(api.person.questions), api.card.count) == (asked, count)
    await api.stop()


async def test_a_list_of_several_formats_is_signed_under_one_consent(api: Workbench) -> None:
    asked = len(api.person.questions)
    got = await sign(api, {"signatures": [inline(), inline(format="jws"), inline(format="cades")]})
    assert [got.text("signatures", n, "format") for n in range(3)] == ["raw", "jws", "cades"]
    assert [question.topic for question in api.person.questions[asked:]].count("sign_batch") == 1


async def test_a_document_handed_over_comes_back_signed_and_is_gone_afterwards(api: Workbench, tmp_path: Path) -> None:
    path, token = await api.logged_in()
    given = await handed_over(api, path, token)
    body = {"document_name": "Compte rendu", "document_id": given, "format": "cades"}
    got = await api.call("POST", f"{path}/signatures", body, bearer=token)
    where = f"{path}/documents/{got.text('document_id')}"
    fetched = await api.call("GET", where, bearer=token)
    assert (fetched.status, fetched.headers["Content-Type"]) == (200, "application/pkcs7-mime")
    (tmp_path / "signed").write_bytes(fetched.raw)
    assert accepts_cms(tmp_path / "signed", card_pen().roots)
    assert (await api.call("GET", f"{path}/documents/{given}", bearer=token)).code == "document.unknown"
    assert (await api.call("DELETE", where, bearer=token)).status == 204
    assert (await api.call("GET", where, bearer=token)).code == "document.unknown"


async def test_a_refused_signature_leaves_the_document_for_another_try(api: Workbench) -> None:
    path, token = await api.logged_in()
    given = await handed_over(api, path, token)
    body = {"document_name": "Compte rendu", "document_id": given, "format": "cades"}
    api.person.choice = Choice.NO
    assert (await api.call("POST", f"{path}/signatures", body, bearer=token)).code == "consent.refused"
    api.person.choice = Choice.YES
    assert (await api.call("POST", f"{path}/signatures", body, bearer=token)).status == 200


async def test_another_session_has_no_part_in_it(api: Workbench) -> None:
    secret = await api.pair()
    path, token = await api.login(secret)
    api.person.pins.append(PIN)
    other, other_token = await api.login(secret)
    given = await handed_over(api, path, token)
    got = await api.call("GET", f"{other}/documents/{given}", bearer=other_token)
    assert (got.status, got.code) == (404, "document.unknown")


async def test_a_closed_session_holds_nothing(api: Workbench) -> None:
    path, token = await api.logged_in()
    given = await handed_over(api, path, token)
    [session] = api.sessions.of(api.uid or 0)
    content = api.held.find(session, given).content
    await api.call("DELETE", path, bearer=token)
    assert content.closed
    assert LIFETIME <= 600


async def test_a_session_holds_only_so_much(api: Workbench) -> None:
    path, token = await api.logged_in()
    api.held.count_max = 2
    given = await handed_over(api, path, token)
    await handed_over(api, path, token)
    full = await api.call("POST", f"{path}/documents", DOCUMENT, bearer=token, headers=OCTETS)
    assert (full.status, full.code) == (409, "document.too_many")
    await api.call("DELETE", f"{path}/documents/{given}", bearer=token)
    await handed_over(api, path, token)


@contextmanager
def a_disk_of(size: int) -> Iterator[None]:
    """The kernel takes no file larger than this."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_full_disk_is_told_whenever_it_is_met(api: Workbench) -> None:
    path, token = await api.logged_in()
    size = 1_000_000
    with a_disk_of(size):
        got = await api.call("POST", f"{path}/documents", bytes(size + 1), bearer=token, headers=OCTETS)
        assert (got.status, got.code, got.json["retryable"]) == (507, "document.no_space", True)
        for form, content in (("cades", bytes(size)), ("pades", pdf(ballast=size - 5000))):  # signed, they are larger
            given = await handed_over(api, path, token, content)
            body: Json = {"document_name": "Compte rendu", "document_id": given, "format": form}
            assert (await api.call("POST", f"{path}/signatures", body, bearer=token)).code == "document.no_space"


@pytest.mark.parametrize(
    ("content", "headers", "code"),
    [
        (b"", OCTETS, "document.empty"),
        (DOCUMENT, {"Content-Type": "application/json"}, "request.media_type"),
        (DOCUMENT, {**OCTETS, "Content-Encoding": "gzip"}, "request.media_type"),
        (b"x" * 2001, OCTETS, "request.too_large"),
    ],
)
async def test_what_is_no_document_is_not_taken(
    tmp_path: Path, content: bytes, headers: dict[str, str], code: str
) -> None:
    api = Workbench(tmp_path, limits=ApiLimits(document=2000))
    await api.start()
    path, token = await api.logged_in()
    got = await api.call("POST", f"{path}/documents", content, bearer=token, headers=headers)
    assert got.code == code
    await api.stop()


@asynccontextmanager
async def with_timestamps(directory: Path, tsa: OpensslTsa) -> AsyncIterator[tuple[Workbench, TsaServer]]:
    async with TsaServer(tsa) as server:
        http = TimestampHttp(server.url)
        authority = TimestampAuthority(http, tsa.directory / "authority.pem", SystemClock())
        api = Workbench(directory, stamper=authority.stamper)
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


async def test_a_document_handed_over_once_may_be_signed_twice_in_a_list(api: Workbench, tmp_path: Path) -> None:
    path, token = await api.logged_in()
    given = await handed_over(api, path, token)
    item: Json = {"document_name": "Compte rendu", "document_id": given, "format": "cades"}
    got = await api.call("POST", f"{path}/signatures", {"signatures": [item, item]}, bearer=token)
    assert got.status == 200, got.raw
    for number in range(2):
        fetched = await api.call(
            "GET", f"{path}/documents/{got.text('signatures', number, 'document_id')}", bearer=token
        )
        (tmp_path / "signed").write_bytes(fetched.raw)
        assert accepts_cms(tmp_path / "signed", card_pen().roots)
    assert (await api.call("GET", f"{path}/documents/{given}", bearer=token)).code == "document.unknown"


async def test_the_documents_of_a_signed_set_are_gone(api: Workbench) -> None:
    path, token = await api.logged_in()
    given = await handed_over(api, path, token)
    wanted = {"unique_id": "2.25.1", "documents": [{"unique_id": "2.25.2", "document_id": given}]}
    body: Json = {"document_name": "Lot de soumission", "format": "submission_set", "submission_set": wanted}
    assert signed(await api.call("POST", f"{path}/signatures", body, bearer=token))
    assert (await api.call("GET", f"{path}/documents/{given}", bearer=token)).code == "document.unknown"


async def test_a_session_that_ended_while_a_document_came_holds_it_not(api: Workbench) -> None:
    path, token = await api.logged_in()
    [session] = api.sessions.of(api.uid or 0)

    async def content() -> AsyncIterator[bytes]:
        yield DOCUMENT
        await api.call("DELETE", path, bearer=token)
        yield DOCUMENT

    headers = {**OCTETS, "Authorization": f"Bearer {token}"}
    async with api.http("v4").post(f"{api.base('v4')}{path}/documents", data=content(), headers=headers) as answer:
        assert (answer.status, (await answer.json())["code"]) == (401, "session.closed")
    api.held.count_max = 1
    api.held.check_room(session, 1)  # raises when one is held


async def test_more_documents_than_one_consent_covers_are_not_even_read(api: Workbench) -> None:
    path, token = await api.logged_in()
    body = {"signatures": [inline(format="pades", document=b64(b"no PDF"))] * 51}
    assert (await api.call("POST", f"{path}/signatures", body, bearer=token)).json["where"] == "batch"
