"""Rule 10 for bodies: small ones from whoever is not known, a bounded memory for all, a loop that goes on."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from cardd.api.parts import ApiLimits
from tests.api.requests import request, status_of
from tests.api.workbench import SOFTWARE, Workbench

MIB = 1024 * 1024
Start = Callable[[Workbench], Awaitable[Workbench]]


def posting(api: Workbench, path: str, size: int, *headers: str, secret: str | None = None) -> bytes:
    """The head of a request with so large a body."""
    known = (f"Authorization: Bearer {secret}",) if secret else ()
    said = (f"Host: localhost:{api.port}", "Content-Type: application/json", f"Content-Length: {size}")
    return request(path, *said, *known, *headers, method="POST")


def large(size: int) -> bytes:
    document = base64.b64encode(bytes(size * 3 // 4)).decode()
    return json.dumps({"document_name": "Lettre", "document": document}).encode()


async def see_to_the_rest(api: Workbench) -> None:
    """Let the daemon do what came before, on other connections."""
    for _ in range(5):
        assert (await api.call("GET", "/v1/status")).status == 200


async def test_an_unknown_caller_sends_small_bodies_only(api: Workbench) -> None:
    answer = await api.raw(posting(api, "/v1/clients", 64 * 1024 + 1))
    assert status_of(answer) == 413
    got = await api.call("POST", "/v1/clients", {**SOFTWARE, "vendor": "x" * 70_000})
    assert (got.status, got.code) == (413, "request.too_large")


async def test_a_request_whose_connection_made_room_before_it_was_looked_at_is_no_fault_of_ours(
    started: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    api = await started(Workbench(tmp_path, limits=ApiLimits(connections=1)))
    head = posting(api, "/v1/verifications", 100).replace(f"localhost:{api.port}".encode(), b"localhost")
    for turns in range(12):  # of the loop: in one of these moments the request has come and was not begun
        with socket.socket(socket.AF_UNIX) as first, socket.socket(socket.AF_UNIX) as second:
            first.connect(str(api.path))
            first.sendall(head + b"{")
            for _ in range(turns):
                await asyncio.sleep(0)
            second.connect(str(api.path))
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.02)
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_the_bodies_of_one_user_take_a_bounded_memory_and_leave_others_theirs(
    started: Start, tmp_path: Path
) -> None:
    api = await started(Workbench(tmp_path, limits=ApiLimits(bodies_each=20 * MIB)))
    secret = await api.pair()
    _, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(posting(api, "/v1/sessions", 15 * MIB, secret=secret) + b"{")
    await writer.drain()
    await see_to_the_rest(api)
    assert status_of(await api.raw(posting(api, "/v1/sessions", 15 * MIB, secret=secret))) == 429
    assert (await api.call("POST", "/v1/sessions", {"method": "none"}, bearer=secret)).code == "request.invalid"
    own, api.uid = api.uid, 54321
    api.forget_connections()
    others = await api.pair()
    assert (await api.call("POST", "/v1/sessions", b"x" * 15 * MIB, bearer=others)).code == "request.not_json"
    api.uid = own
    writer.close()
    await writer.wait_closed()
    api.forget_connections()
    await see_to_the_rest(api)
    assert (await api.call("POST", "/v1/sessions", b"x" * 15 * MIB, bearer=secret)).code == "request.not_json"


@pytest.mark.parametrize("body", [large(15 * MIB), b"[1" * (7 * MIB)], ids=["document", "brackets"])
async def test_the_loop_serves_others_while_a_large_body_is_decoded(api: Workbench, body: bytes) -> None:
    path, token = await api.logged_in()
    asked = asyncio.ensure_future(api.call("POST", f"{path}/signatures", body, bearer=token))
    longest = 0.0
    while not asked.done():
        begun = time.process_time()  # what we compute: others on this machine keep nobody from being served
        await asyncio.sleep(0.001)
        longest = max(longest, time.process_time() - begun)
    assert (await asked).status in (200, 400)
    assert longest < 0.5


async def test_a_caller_that_waits_to_be_asked_for_its_body_is_asked(api: Workbench) -> None:
    body = json.dumps(SOFTWARE).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(posting(api, "/v1/clients", len(body), "Expect: 100-continue"))
    async with asyncio.timeout(5):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(body)
        assert (await reader.readline()).startswith(b"HTTP/1.1 201")
    writer.close()


async def test_a_caller_that_waits_to_be_asked_is_refused_without_its_body(api: Workbench) -> None:
    answer = await api.raw(posting(api, "/v1/clients", 10 * MIB, "Expect: 100-continue"))
    assert status_of(answer) == 413


@pytest.mark.parametrize("place", ["/v1/clients", "{session}/documents"])
async def test_a_hang_up_in_a_body_is_no_fault_of_ours(
    api: Workbench, caplog: pytest.LogCaptureFixture, place: str
) -> None:
    caplog.set_level(logging.WARNING)
    path, token = await api.logged_in()
    head = posting(api, place.format(session=path), 1000, secret=token)
    if place != "/v1/clients":
        head = head.replace(b"application/json", b"application/octet-stream")
    for said in (b"{", b""):
        _, writer = await asyncio.open_connection("127.0.0.1", api.port)
        writer.write(head + said)
        await writer.drain()
        await api.call("GET", "/v1/status")
        writer.close()
        await writer.wait_closed()
    await see_to_the_rest(api)
    assert caplog.records == []


async def test_chunks_that_are_none_are_no_fault_of_ours(api: Workbench, caplog: pytest.LogCaptureFixture) -> None:
    head = (f"Host: localhost:{api.port}", "Content-Type: application/json", "Transfer-Encoding: chunked")
    answer = await api.raw(request("/v1/clients", *head, method="POST", body=b"xyz\r\n{}\r\n"))
    assert status_of(answer) in (400, 422)
    assert caplog.records == []
