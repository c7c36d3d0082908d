"""Rule 10, and what bad input gets: each case its own code, and nothing half done."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from cardd.api.parts import ApiLimits
from cardd.config import Config, Listen
from tests.api.requests import request, status_of
from tests.api.workbench import SOFTWARE, Json, Workbench

DIGEST = base64.b64encode(hashlib.sha256(b"ordonnance SIMULATION").digest()).decode()
ITEM = {"document_name": "Ordonnance", "digest": DIGEST}

NOT_JSON = [
    b"",
    b"{",
    b"{}}",
    b"name=LPS",
    b'{"name": "LPS",}',
    b"{'name': 'LPS'}",
    b'{"name": NaN}',
    b'{"name": "\xff"}',
    '{"name": "LPS"}'.encode("utf-16"),
    b"\x00",
]

INVALID: list[tuple[object, str]] = [
    ([], "$"),
    ("LPS", "$"),
    ({**SOFTWARE, "pin": "1234"}, "$.pin"),
    ({**SOFTWARE, "name": 1}, "$.name"),
    ({**SOFTWARE, "name": ""}, "$.name"),
    ({**SOFTWARE, "name": "x" * 121}, "$.name"),
    ({**SOFTWARE, "software_id": "a b"}, "$.software_id"),
    ({**SOFTWARE, "software_id": "ab\n"}, "$.software_id"),
    ({"name": "LPS", "vendor": "Éditeur fictif"}, "$.software_id"),
    ({}, "$.name"),
]

INVALID_SIGNATURES: list[tuple[Json, str]] = [
    ({**ITEM, "document": DIGEST}, "$"),
    ({"document_name": "Ordonnance"}, "$"),
    ({**ITEM, "digest": "AAAA"}, "$.digest"),
    ({**ITEM, "digest": base64.b64encode(bytes(33)).decode()}, "$.digest"),
    ({**ITEM, "digest": "pas du base64"}, "$.digest"),
    ({**ITEM, "algorithm": "none"}, "$.algorithm"),
    ({**ITEM, "format": "pgp"}, "$.format"),
    ({**ITEM, "origin": "https://webps.example"}, "$.origin"),
    ({**ITEM, "batch": {"name": "lot", "count": 0}}, "$.batch.count"),
    ({**ITEM, "batch": {"name": "lot", "count": 2, "pin": "1"}}, "$.batch.pin"),
    ({"signatures": []}, "$.signatures"),
    ({"signatures": [ITEM, {**ITEM, "secret": 1}]}, "$.signatures[1].secret"),
    ({"signatures": [ITEM, {**ITEM, "digest": "AAAA"}]}, "$.signatures[1].digest"),
    ({"signatures": [ITEM], "document_name": "x"}, "$.document_name"),
    ({"signatures": [ITEM] * 51}, "batch"),
    ({**ITEM, "batch": {"name": "lot", "count": 51}}, "batch"),
    ({"signatures": [ITEM] * 2, "batch": {"name": "lot", "count": 1}}, "$.batch.count"),
]


@pytest.mark.parametrize("raw", NOT_JSON)
async def test_what_is_not_json(api: Workbench, raw: bytes) -> None:
    got = await api.call("POST", "/v1/clients", raw)
    assert (got.status, got.code) == (400, "request.not_json")


@pytest.mark.parametrize(("body", "where"), INVALID)
async def test_a_field_that_is_unknown_missing_or_wrong_is_named(api: Workbench, body: object, where: str) -> None:
    got = await api.call("POST", "/v1/clients", body)
    assert (got.status, got.code) == (422, "request.invalid")
    assert got.text("where") == where
    assert api.person.questions == []


@pytest.mark.parametrize(("body", "where"), INVALID_SIGNATURES)
async def test_a_signature_asked_for_wrongly_is_refused_before_anybody_is_asked(
    api: Workbench, body: Json, where: str
) -> None:
    path, token = await api.logged_in()
    asked, recorded = len(api.person.questions), len(api.audit.entries)
    got = await api.call("POST", f"{path}/signatures", body, bearer=token)
    assert (got.status, got.code) == (422, "request.invalid")
    assert got.text("where") == where
    assert (len(api.person.questions), len(api.audit.entries)) == (asked, recorded)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"name": "a", "vendor": "b", "software_id": "c", "name": "d"}',
        b'{"name": "a", "vendor": "b", "software_id": "c", "\\u006eame": "d"}',
    ],
)
async def test_a_key_that_stands_twice_is_refused(api: Workbench, raw: bytes) -> None:
    got = await api.call("POST", "/v1/clients", raw)
    assert (got.status, got.code, got.text("where")) == (422, "request.invalid", "$.name")


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 17 + b"]" * 17,
        b'{"a":' * 17 + b"1" + b"}" * 17,
        b"[" * 60_000,
        b'{"signatures": [' + b"{}," * 5000 + b"{}]}",
    ],
)
async def test_a_body_nested_too_deep(api: Workbench, raw: bytes) -> None:
    got = await api.call("POST", "/v1/clients", raw)
    assert (got.status, got.code) == (400, "request.too_deep")


async def test_brackets_inside_a_text_do_not_count(api: Workbench) -> None:
    got = await api.call("POST", "/v1/clients", {**SOFTWARE, "vendor": "X" + '[{"\\' * 25})
    assert got.status == 201


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_a_body_of_another_type(api: Workbench, kind: str) -> None:
    got = await api.call("POST", "/v1/clients", b"{}", headers={"Content-Type": kind})
    assert (got.status, got.code) == (415, "request.media_type")


async def test_a_compressed_body_is_not_unpacked(api: Workbench) -> None:
    head = ("Content-Type: application/json", "Content-Encoding: gzip", "Content-Length: 4")
    answer = await api.raw(
        request("/v1/clients", f"Host: localhost:{api.port}", *head, method="POST", body=b"\x1f\x8b00")
    )
    assert status_of(answer) == 415


@pytest.fixture
async def small(started: Callable[[Workbench], Awaitable[Workbench]], tmp_path: Path) -> Workbench:
    limits = ApiLimits(connections=4, in_flight=2, read_timeout=0.2, idle=0.5)
    return await started(Workbench(tmp_path, Config(listen=Listen(max_body=10_000)), limits=limits))


async def test_a_body_too_large_is_refused_before_it_is_sent(small: Workbench) -> None:
    head = (f"Host: localhost:{small.port}", "Content-Type: application/json", "Content-Length: 10001")
    answer = await small.raw(request("/v1/clients", *head, method="POST"))
    assert status_of(answer) == 413
    assert b'"code":"request.too_large"' in answer


async def test_a_chunked_body_too_large_is_refused_where_it_becomes_so(small: Workbench) -> None:
    head = (f"Host: localhost:{small.port}", "Content-Type: application/json", "Transfer-Encoding: chunked")
    chunk = b"1000\r\n" + b" " * 4096 + b"\r\n"
    answer = await small.raw(request("/v1/clients", *head, method="POST", body=chunk * 3))
    assert status_of(answer) == 413


async def test_a_body_that_dawdles_is_given_up(small: Workbench) -> None:
    head = (f"Host: localhost:{small.port}", "Content-Type: application/json", "Content-Length: 100")
    answer = await small.raw(request("/v1/clients", *head, method="POST", body=b'{"na'))
    assert status_of(answer) == 408
    assert b'"code":"request.timeout"' in answer


async def test_a_head_that_dawdles_is_hung_up_on(small: Workbench) -> None:
    assert await small.raw("GET /v1/status HTTP/1.1\r\nHost: loc") == b""
    assert await small.raw("") == b""


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"GET\r\n\r\n",
        b"GET /v1/status HTTP/1.1\r\nHost localhost\r\n\r\n",
        b"GET /v1/status HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"GET /v1/status HTTP/1.1\r\nX: " + b"y" * 10_000 + b"\r\n\r\n",
        b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\n\r\n",
        b"POST /v1/clients HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /v1/clients HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
    ],
)
async def test_what_is_not_http_or_too_long_is_hung_up_on(api: Workbench, raw: bytes) -> None:
    answer = await api.raw(raw)
    assert status_of(answer) in (0, 400)
    assert b"cardd" not in answer
    assert (await api.call("GET", "/v1/status")).status == 200


@pytest.mark.parametrize("path", ["/v1/readers", "/v1/sessions/4f2c9a"])
async def test_a_credential_of_any_bytes_is_nobodys(
    api: Workbench, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    head = request(path, f"Host: localhost:{api.port}", "Authorization: Bearer TOKEN").replace(
        b"TOKEN", b"\xff\xed\xa0\x80"
    )
    assert status_of(await api.raw(head)) == 401
    assert not caplog.records


async def test_of_two_credentials_neither_counts(api: Workbench) -> None:
    secret = await api.pair()
    for given in ((secret, "another"), ("another", secret), (secret, secret)):
        several = [f"Authorization: Bearer {each}" for each in given]
        answer = await api.raw(request("/v1/readers", f"Host: localhost:{api.port}", *several))
        assert status_of(answer) == 401


async def test_one_caller_has_only_so_many_requests_under_way(small: Workbench) -> None:
    secret = await small.pair()
    small.person.attentive.clear()
    card = (await small.call("GET", "/v1/cards", bearer=secret)).text("cards", 0, "id")
    asking = [
        asyncio.ensure_future(small.call("GET", f"/v1/cards/{card}/certificates", bearer=secret)) for _ in range(2)
    ]
    async with asyncio.timeout(10):
        while (got := await small.call("GET", "/v1/cards", bearer=secret)).status == 200:
            pass  # both are not yet under way
    assert (got.status, got.code, got.headers["Retry-After"]) == (429, "request.too_many", "1")
    small.person.attentive.set()
    assert [answer.status for answer in await asyncio.gather(*asking)] == [200, 200]
    assert (await small.call("GET", "/v1/cards", bearer=secret)).status == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/index.html", 404, "request.not_found"),
        ("GET", "/v1", 404, "request.not_found"),
        ("GET", "/v1/status/", 404, "request.not_found"),
        ("GET", "//v1/status", 404, "request.not_found"),
        ("GET", "/v1/%73tatus", 404, "request.not_found"),
        ("GET", "/v1/sessions/1/signatures", 405, "request.method"),
        ("PUT", "/v1/sessions/1", 405, "request.method"),
        ("PATCH", "/v1/status", 405, "request.method"),
        ("DELETE", "/v1/clients", 405, "request.method"),
        ("GET", "/v1/status?verbose=1", 422, "request.invalid"),
    ],
)
async def test_unknown_paths_methods_and_parameters(
    api: Workbench, method: str, path: str, status: int, code: str
) -> None:
    answer = await api.raw(request(path, f"Host: localhost:{api.port}", method=method))
    assert status_of(answer) == status
    assert f'"code":"{code}"'.encode() in answer


@pytest.mark.parametrize("query", ["pin=true&pin=true", "&".join(f"pin{number}=1" for number in range(17))])
async def test_parameters_that_stand_twice_or_are_too_many_are_refused(api: Workbench, query: str) -> None:
    got = await api.call("GET", f"/v1/cards?{query}", via="unix")
    assert (got.status, got.code) == (422, "request.invalid")


async def test_a_head_request_is_no_get(api: Workbench) -> None:
    got = await api.call("HEAD", "/v1/status")
    assert (got.status, got.headers["Allow"]) == (405, "GET")


async def test_what_means_nothing_is_not_accepted(api: Workbench) -> None:
    path, token = await api.logged_in()
    for query in ("pin=", "pin=1", "pin=TRUE"):
        assert (await api.call("GET", f"/v1/cards?{query}", via="unix")).code == "request.invalid"
    for query in ("use=", "use=LPS"):
        assert (await api.call("GET", f"/v1/methods?{query}", via="unix")).code == "request.invalid"
    assert (await api.call("POST", "/v1/clients", {})).code == "request.invalid"
    for form in ("raw", "jws", "cades", "xades", "pades"):
        empty = {"document_name": "Lettre", "format": form, "document": ""}
        assert (await api.call("POST", f"{path}/signatures", empty, bearer=token)).status >= 400, form
    verified = await api.call("POST", "/v1/verifications", {"document": ""}, via="unix")
    assert verified.status >= 400


async def test_an_empty_document_is_neither_signed_nor_verified_in_any_form(api: Workbench) -> None:
    path, token = await api.logged_in()
    nothing, value = (base64.b64encode(one).decode() for one in (hashlib.sha256().digest(), b"value"))
    for form in ("raw", "cades", "xades"):
        item: Json = {"document_name": "Lettre", "format": form, "digest": nothing}
        item |= {"detached": True} if form == "cades" else {}
        item |= {"xades": {"packaging": "detached"}} if form == "xades" else {}
        got = await api.call("POST", f"{path}/signatures", item, bearer=token)
        assert (got.status, got.code) == (422, "document.empty"), form
    assert (api.person.topics(), len(api.person.pin_questions)) == (["pair"], 1)  # and the login
    for body in (
        {"document": "", "signature": value, "certificate": value},
        {"document": value, "content": ""},
        {"document": value, "documents": [{"unique_id": "2.25.1", "document": ""}]},
    ):
        got = await api.call("POST", "/v1/verifications", body, via="unix")
        assert (got.status, got.code) == (422, "document.empty"), body
