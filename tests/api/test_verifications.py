"""POST /v1/verifications: verdicts over HTTP, for documents that are in the request."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Literal, cast

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from cardd.config import Config, Listen, Trust
from cardd.formats.cades import prepare_cades
from cardd.formats.options import SetDocument, SubmissionSetOptions
from cardd.formats.raw import prepare_raw
from cardd.formats.submission_set import prepare_submission_set
from cardd.model import Algorithm
from tests.api.workbench import PAGE, Got, Json, Workbench
from tests.rig.no_thread import no_thread
from tests.rig.pens import Pen, SmallAuthority
from tests.rig.revoking import Served, revocation_list
from tests.rig.simulator import store

DOCUMENT = b"compte rendu SIMULATION\n"
PATH = "/v1/verifications"


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def signed(pen: Pen, *, detached: bool = False) -> bytes:
    return pen.write(prepare_cades(BytesIO(DOCUMENT), pen.signer, datetime.now(UTC), detached=detached))


@asynccontextmanager
async def bench(
    directory: Path, root: SmallAuthority, *, asked: Literal["online", "offline"] = "online"
) -> AsyncIterator[tuple[Workbench, Served]]:
    """A daemon that trusts this root, whose list is served."""
    (directory / "roots.pem").write_bytes(root.pem)
    async with Served() as served:
        root.lists = [served.url("list")]
        served.answers["list"] = revocation_list(root)
        api = Workbench(directory, Config(trust=Trust(authorities=directory / "roots.pem", revocation=asked)))
        await api.start()
        try:
            yield api, served
        finally:
            await api.stop()


@pytest.fixture
def root() -> SmallAuthority:
    return SmallAuthority("AC RACINE SIMULATION")


def pen_of(root: SmallAuthority) -> Pen:
    return root.pen(ec.generate_private_key(ec.SECP256R1()), Algorithm.ES256)


async def verify(api: Workbench, body: Json, **headers: str) -> Got:
    return await api.call("POST", PATH, body, via="unix", headers=headers)


def codes(got: Got) -> list[object]:
    (one,) = cast(list[dict[str, list[Json]]], got.json["signatures"])
    return [reason["code"] for reason in one["reasons"]]


async def test_a_good_signature_is_valid_and_tells_who_and_why(tmp_path: Path, root: SmallAuthority) -> None:
    async with bench(tmp_path, root) as (api, _):
        got = await verify(api, {"document": b64(signed(pen_of(root)))}, **{"Accept-Language": "en"})
        assert (got.status, got.json["verdict"], got.json["reasons"]) == (200, "valid", []), got.raw
        assert got.headers["Content-Language"] == "en"
        assert got.text("sentence") == "The signature is VALID."
        told = [got.text("signatures", 0, *path) for path in (
            ("format",), ("scope",), ("signer", "subject"), ("chain", "authority"), ("revocation", "status"),
            ("revocation", "source"), ("judged_by",), ("algorithm",),
        )]  # fmt: skip
        assert told == [
            "cades", "whole", "CN=PERSONNE SIMULATION", "AC RACINE SIMULATION", "good", "crl", "clock", "ES256",
        ]  # fmt: skip


async def test_a_request_for_which_the_computer_gives_no_thread_may_be_made_again(
    tmp_path: Path, root: SmallAuthority
) -> None:
    async with bench(tmp_path, root) as (api, _):
        body: Json = {"document": b64(signed(pen_of(root)))}
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())  # which has none yet
        with no_thread():
            got = await verify(api, body)
        assert (got.status, got.code, got.json["retryable"]) == (503, "daemon.exhausted", True)
        assert (await verify(api, body)).json["verdict"] == "valid"


async def test_a_detached_and_a_raw_signature_come_with_their_document(tmp_path: Path, root: SmallAuthority) -> None:
    async with bench(tmp_path, root) as (api, _):
        pen = pen_of(root)
        detached: Json = {"document": b64(signed(pen, detached=True)), "content": b64(DOCUMENT)}
        assert (await verify(api, detached)).json["verdict"] == "valid"
        assert (await verify(api, {"document": detached["document"]})).code == "document.content_missing"
        value = pen.write(prepare_raw(BytesIO(DOCUMENT), None))
        raw: Json = {"document": b64(DOCUMENT), "signature": b64(value), "certificate": b64(pen.signer.certificate)}
        assert (await verify(api, raw)).json["verdict"] == "valid"
        assert (await verify(api, {**raw, "document": b64(b"another")})).json["verdict"] == "invalid"
        assert (await verify(api, {**raw, "certificate": b64(b"none")})).code == "document.malformed"
        del raw["certificate"]
        assert (await verify(api, raw)).code == "request.invalid"


def signed_set(pen: Pen, documents: dict[str, bytes]) -> bytes:
    listed = tuple(SetDocument(name, BytesIO(content)) for name, content in documents.items())
    return pen.write(prepare_submission_set(SubmissionSetOptions("2.25.1", listed), pen.signer, datetime.now(UTC)))


def of_set(signature: bytes, documents: dict[str, bytes]) -> Json:
    listed = [{"unique_id": name, "document": b64(content)} for name, content in documents.items()]
    return {"document": b64(signature), "documents": cast(list[object], listed)}


async def test_a_submission_set_is_judged_with_its_documents(tmp_path: Path, root: SmallAuthority) -> None:
    async with bench(tmp_path, root) as (api, _):
        documents = {"2.25.2": DOCUMENT, "2.25.3": b"%PDF-1.7 SIMULATION"}
        signature = signed_set(pen_of(root), documents)
        for given, verdict, why, changed in (
            (documents, "valid", [], []),
            (documents | {"2.25.3": b"another"}, "invalid", ["flaw_content"], ["2.25.3"]),
        ):
            got = await verify(api, of_set(signature, given))
            assert (got.json["verdict"], codes(got), got.text("signatures", 0, "scope")) == (verdict, why, "detached")
            (one,) = cast(list[Json], got.json["signatures"])
            assert one["submission_set"] == {"unique_id": "2.25.1", "documents": [*documents], "changed": changed}


async def test_a_submission_set_wants_its_documents_all_and_no_others(tmp_path: Path, root: SmallAuthority) -> None:
    async with bench(tmp_path, root) as (api, _):
        documents = {"2.25.2": DOCUMENT, "2.25.3": b"%PDF-1.7 SIMULATION"}
        signature = signed_set(pen_of(root), documents)
        twice = of_set(signature, documents)
        twice["documents"] = cast(list[object], twice["documents"]) * 2
        refused: dict[str, Json] = {
            "document.content_missing": {"document": b64(signature)},
            "document.manifest_missing": of_set(signature, {"2.25.2": DOCUMENT}),
            "document.manifest_unnamed": of_set(signature, documents | {"2.25.4": DOCUMENT}),
            "document.content_twice": {**of_set(signature, documents), "content": b64(DOCUMENT)},
            "request.invalid": twice,
        }
        assert {code: (await verify(api, body)).code for code, body in refused.items()} == {
            code: code for code in refused
        }


async def test_the_reasons_are_told_in_the_caller_s_language(tmp_path: Path, root: SmallAuthority) -> None:
    async with bench(tmp_path, root) as (api, served):
        pen = pen_of(root)
        served.answers["list"] = revocation_list(root, {pen.signer.certificate: datetime.now(UTC) - timedelta(days=1)})
        for language, word in (("fr", "révoqué"), ("en", "revoked")):
            got = await verify(api, {"document": b64(signed(pen))}, **{"Accept-Language": language})
            assert (got.json["verdict"], codes(got)) == ("invalid", ["revoked"])
            assert word in got.text("signatures", 0, "reasons", 0, "text")
            assert got.text("signatures", 0, "revocation", "reason") == "key_compromise"


async def test_offline_the_answer_says_so(tmp_path: Path, root: SmallAuthority) -> None:
    async with bench(tmp_path, root, asked="offline") as (api, served):
        got = await verify(api, {"document": b64(signed(pen_of(root)))})
        assert (got.status, got.json["verdict"], codes(got)) == (200, "undetermined", ["revocation_offline"])
        assert got.text("signatures", 0, "revocation", "why") == "offline"
        assert served.asked == {}


@pytest.mark.parametrize("is_simulation", [True, False])
async def test_a_card_s_signature_is_told_to_be_a_test_one(tmp_path: Path, is_simulation: bool) -> None:
    authorities = store().authorities if is_simulation else ()
    api = Workbench(tmp_path, Config(trust=Trust(revocation="offline")), authorities=authorities)
    await api.start()
    try:
        path, token = await api.logged_in()
        body = {"document_name": "Compte rendu", "document": b64(DOCUMENT), "format": "cades"}
        made = await api.call("POST", f"{path}/signatures", body, bearer=token)
        got = await verify(api, {"document": made.text("document")})
        assert got.json["verdict"] == ("valid" if is_simulation else "undetermined")
        assert codes(got) == ["test", *([] if is_simulation else ["untrusted"])]
        assert got.text("signatures", 0, "signer", "holder", "national_id") == "899000000010"
    finally:
        await api.stop()


async def test_a_document_that_cannot_be_read_is_refused(tmp_path: Path, root: SmallAuthority) -> None:
    async with bench(tmp_path, root) as (api, _):
        refused = {b"": "document.empty", b"bonjour": "document.unrecognised", b"0\x80": "document.malformed",
                   b"<!DOCTYPE a><a/>": "document.xml_doctype", b"%PDF-1.7\n": "pdf.damaged"}  # fmt: skip
        found = {document: (await verify(api, {"document": b64(document)})).code for document in refused}
        assert found == refused


async def test_only_clients_and_local_programs_may_ask(tmp_path: Path, root: SmallAuthority) -> None:
    async with bench(tmp_path, root) as (api, _):
        body: Json = {"document": b64(signed(pen_of(root)))}
        assert (await api.call("POST", PATH, body)).code == "client.unknown"
        assert (await api.call("POST", PATH, body, bearer=await api.pair())).status == 200
        assert (await api.call("POST", PATH, body, headers={"Origin": PAGE})).status == 200


async def test_a_document_larger_than_a_request_is_refused(tmp_path: Path) -> None:
    api = Workbench(tmp_path, Config(listen=Listen(max_body=64 * 1024)))
    await api.start()
    try:
        got = await verify(api, {"document": b64(bytes(64 * 1024))})
        assert got.code == "request.too_large"
    finally:
        await api.stop()
