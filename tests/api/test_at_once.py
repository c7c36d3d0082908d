"""What waits for nothing is answered as it comes, by the same rules and with the same bytes as any other request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from cardd.api.parts import ApiLimits
from tests.api.requests import without_date
from tests.api.workbench import PAGE, Workbench

NAME = "X-Request-ID: 0123456789abcdef"
SCRIPT = ("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty")
IMAGE = ("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image")
OWN = "Host: 127.0.0.1:{port}"
ASKED = {
    "a program": (OWN, NAME),
    "a page": (OWN, NAME, f"Origin: {PAGE}", *SCRIPT),
    "a page that may ask": (OWN, NAME, "Origin: https://unknown.example", *SCRIPT),
    "a rebound name": ("Host: evil.example:{port}", NAME),
    "another port": ("Host: 127.0.0.1:1", NAME),
    "two origins": (OWN, NAME, f"Origin: {PAGE}", f"Origin: {PAGE}"),
    "an image": (OWN, NAME, *IMAGE),
    "a script without an origin": (OWN, NAME, *SCRIPT),
    "a bad challenge": (OWN, NAME, "Cardd-Challenge: somebody x", "Accept-Language: en"),
}
LIMITS = ApiLimits(head=0.3, idle=0.6)


@pytest.fixture
async def hasty(started: Callable[[Workbench], Awaitable[Workbench]], tmp_path: Path) -> Workbench:
    """A workbench that hangs up soon on who dawdles over a head, and later on who asks nothing more."""
    return await started(Workbench(tmp_path, limits=LIMITS))


def get(api: Workbench, target: str, headers: tuple[str, ...]) -> bytes:
    head = "\r\n".join((f"GET {target} HTTP/1.1", *headers)).format(port=api.port)
    return f"{head}\r\n\r\n".encode()


async def answer(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
    return without_date(head + await reader.readexactly(length))


@pytest.mark.parametrize("target", ["/v1/status", "/", "/v1/cards"])
@pytest.mark.parametrize("who", ASKED)
async def test_alone_and_behind_another_request_it_gets_the_same_answer(api: Workbench, who: str, target: str) -> None:
    asked = get(api, target, ASKED[who])
    reader, writer = await api.connect()
    writer.write(asked)
    alone = await answer(reader)
    if not alone.startswith(b"HTTP/1.1 403 "):  # now its browser is known
        writer.write(asked)
        assert await answer(reader) == alone
    writer.close()
    reader, writer = await api.connect()
    writer.write(get(api, "/v1/status", ASKED["a program"]) + asked)
    await answer(reader)
    assert await answer(reader) == alone
    writer.close()


async def test_a_connection_that_asks_on_outlives_the_time_for_a_head_and_ends_when_it_asks_no_more(
    hasty: Workbench,
) -> None:
    reader, writer = await hasty.connect()
    for _ in range(3):
        writer.write(get(hasty, "/v1/status", ASKED["a program"]))
        assert b'"ready"' in await answer(reader)
        await asyncio.sleep(0.4)
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()


async def test_half_a_head_behind_an_answer_is_waited_for_no_longer_than_any(hasty: Workbench) -> None:
    reader, writer = await hasty.connect()
    asked = get(hasty, "/v1/status", ASKED["a program"])
    writer.write(asked)
    await answer(reader)
    writer.write(asked[:20])
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()


async def test_status_is_never_an_older_one(api: Workbench) -> None:
    """Whatever changes between two requests of a connection is seen by the second."""
    reader, writer = await api.connect()

    async def state() -> bytes:
        writer.write(get(api, "/v1/status", ASKED["a program"]))
        return (await answer(reader)).rpartition(b'"state":')[2]

    assert await state() == b'"ready"}'
    api.readers.reader_removed("Lecteur A")
    api.readers.reader_removed("Lecteur B")
    assert await state() == b'"no_readers"}'
    api.readers.reader_added(api.reader, api.uid)
    assert await state() == b'"ready"}'
    api.readers.reader_removed("Lecteur A")
    api.readers.readers_available(False)
    assert await state() == b'"no_readers"}'
    writer.close()
