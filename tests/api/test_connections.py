"""Rule 10 for connections: those that ask nothing keep nobody out, and a page's keep no program out.

Those of TCP hold over plain TCP and over TLS.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing, suppress
from pathlib import Path
from time import process_time
from typing import cast

import pytest

from cardd.api.parts import ApiLimits
from tests.api.requests import UPGRADE, request, status_of
from tests.api.workbench import PAGE, SOFTWARE, Via, Workbench

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def over_tls(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
async def small(started: Callable[[Workbench], Awaitable[Workbench]], tmp_path: Path, *, over_tls: bool) -> Workbench:
    """A workbench with room for four connections of one user, each way; heads and bodies may take as they like."""
    limits = ApiLimits(connections=4, in_flight=2, head=60, read_timeout=60)
    return await started(Workbench(tmp_path, limits=limits, over_tls=over_tls))


@asynccontextmanager
async def silent(api: Workbench, number: int, said: bytes = b"") -> AsyncIterator[list[Ends]]:
    """Connections over TCP over which no request is whole."""
    made = [await api.connect() for _ in range(number)]
    for _, writer in made:
        writer.write(said)
    yield made
    for _, writer in made:
        hang_up(writer)


def descriptors() -> int:
    """How many files this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def hang_up(writer: asyncio.StreamWriter) -> None:
    """Without a goodbye, which would be waited for over TLS."""
    writer.transport.abort()
    writer.close()


async def is_hung_up_on(reader: asyncio.StreamReader) -> bool:
    try:
        async with asyncio.timeout(5):
            return await reader.read(1) == b""
    except ConnectionError:
        return True


async def test_connections_that_never_ask_make_room_for_one_that_does(small: Workbench) -> None:
    async with silent(small, 40) as held:
        for via in ("v4", "unix"):
            assert (await small.call("GET", "/v1/status", via=via)).status == 200
        assert all([await is_hung_up_on(reader) for reader, _ in held[:36]])


async def test_a_connection_that_made_room_holds_no_descriptor_while_its_other_end_says_no_goodbye(
    small: Workbench,
) -> None:
    async with silent(small, 1) as [(_, first)]:
        cast(asyncio.Transport, first.transport).pause_reading()
        before = descriptors()
        async with silent(small, 40) as held:
            for _, writer in held:
                cast(asyncio.Transport, writer.transport).pause_reading()
            await asyncio.sleep(0.05)
            assert descriptors() - before < 40 + 8  # theirs, and four of ours


async def test_who_comes_as_many_users_leaves_half_of_the_descriptors_to_those_who_are_known(
    started: Callable[[Workbench], Awaitable[Workbench]], tmp_path: Path
) -> None:
    with socket.socket() as probe:
        next_one = probe.fileno()
    api = await started(Workbench(tmp_path, limits=ApiLimits(descriptors=2 * (next_one + 40))))
    own, stream = api.uid, request("/v1/events", "Host: localhost", "Connection: keep-alive")
    assert own is not None
    api.seat(own)
    secret = await api.pair()
    async with AsyncExitStack() as held:
        answered = []
        for uid in range(100_000, 100_040):
            api.turn_to(uid)
            reader, writer = await asyncio.open_unix_connection(api.path)
            held.callback(writer.close)
            writer.write(stream)
            answered.append(not await is_hung_up_on(reader))
        assert answered.count(True) < 30
        assert not any(answered[-5:])
        api.turn_to(own)
        assert (await api.call("GET", "/v1/methods", via="unix")).status == 200
        assert (await api.call("GET", "/v1/readers", bearer=secret)).status == 200


@pytest.mark.parametrize("said", [b"", b"GET /v1/status HTTP/1.1\r\nHost: loc"])
async def test_a_connection_without_a_whole_head_is_given_up_soon(
    started: Callable[[Workbench], Awaitable[Workbench]], tmp_path: Path, said: bytes, *, over_tls: bool
) -> None:
    api = await started(Workbench(tmp_path, limits=ApiLimits(head=0.2), over_tls=over_tls))
    async with silent(api, 3, said) as held:
        assert all([await is_hung_up_on(reader) for reader, _ in held])


async def test_a_second_head_that_dawdles_is_given_up_as_soon_as_the_first(
    started: Callable[[Workbench], Awaitable[Workbench]], tmp_path: Path, *, over_tls: bool
) -> None:
    api = await started(Workbench(tmp_path, limits=ApiLimits(head=0.2), over_tls=over_tls))
    status = f"GET /v1/status HTTP/1.1\r\nHost: localhost:{api.port}\r\n\r\n".encode()
    async with silent(api, 1, status) as [(reader, writer)]:
        assert b"200" in await reader.readline()
        writer.write(b"GET /v1")
        async with asyncio.timeout(5):
            await reader.read()


@pytest.mark.parametrize("via", ["v4", "unix"])
async def test_a_head_that_grows_and_grows_is_hung_up_on_before_it_takes_memory(
    started: Callable[[Workbench], Awaitable[Workbench]], tmp_path: Path, via: Via, *, over_tls: bool
) -> None:
    api = await started(Workbench(tmp_path, limits=ApiLimits(head=60), over_tls=over_tls))
    reader, writer = await (asyncio.open_unix_connection(api.path) if via == "unix" else api.connect())
    writer.write(b"GET /v1/status HTTP/1.1\r\n")
    with suppress(ConnectionError):
        for number in range(100):
            writer.write(b"X-%d: %s\r\n" % (number, b"a" * 4000))
            await writer.drain()
    assert await is_hung_up_on(reader)
    writer.close()


async def test_a_head_of_many_fields_is_heard(api: Workbench) -> None:
    many = [f"X-{number}: {'a' * 2000}" for number in range(12)]
    assert status_of(await api.raw(request("/v1/status", f"Host: localhost:{api.port}", *many))) == 200


async def test_a_burst_of_silent_connections_cuts_off_nobody_who_has_asked(
    started: Callable[[Workbench], Awaitable[Workbench]], tmp_path: Path
) -> None:
    api = await started(Workbench(tmp_path, limits=ApiLimits(connections=64, head=60)))
    with ExitStack() as burst:  # all of it waits to be accepted before the daemon looks
        asking = socket.create_connection(("127.0.0.1", api.port))
        asking.sendall(request("/v1/status", f"Host: localhost:{api.port}"))
        for _ in range(100):
            burst.enter_context(socket.create_connection(("127.0.0.1", api.port)))
        reader, writer = await asyncio.open_connection(sock=asking)
        assert status_of(await reader.read()) == 200
        writer.close()


async def test_an_idle_connection_of_a_client_outlives_those_that_asked_nothing(small: Workbench) -> None:
    page = "".join(f"{name}: {value}\r\n" for name, value in (await small.page(PAGE)).items())
    small.forget_connections()
    status = f"GET /v1/readers HTTP/1.1\r\nHost: localhost:{small.port}\r\n{page}\r\n".encode()
    async with silent(small, 1, status) as [(reader, writer)]:
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        async with silent(small, 40):
            assert (await small.call("GET", "/v1/status")).status == 200
            writer.write(status)
            assert b"HTTP/1.1 200" in await reader.readuntil(b"\r\n\r\n")


async def test_a_program_without_pairing_that_holds_all_it_may_leaves_room_for_a_paired_one(small: Workbench) -> None:
    secret = await small.pair()
    slow = request(
        "/v1/clients",
        f"Host: localhost:{small.port}",
        "Content-Type: application/json",
        "Content-Length: 100",
        method="POST",
        body=b"{",
    )
    async with silent(small, 20, slow):
        await asyncio.sleep(0)
        assert (await small.call("GET", "/v1/readers", bearer=secret)).status == 200


async def test_connections_of_one_way_take_no_room_of_the_other(small: Workbench) -> None:
    pages = [await small.page(origin, "v6") for origin in (PAGE, "http://localhost:5173")]
    small.forget_connections()
    async with AsyncExitStack() as streams:
        for _ in range(2):
            for _way in range(2):
                headers = pages[_way]
                opened = small.http().get(small.base() + "/v1/events", headers=headers)
                assert (await streams.enter_async_context(opened)).status == 200
        assert status_of(await small.raw(request("/v1/status", f"Host: localhost:{small.port}"))) == 0
        assert (await small.call("GET", "/v1/status", via="unix")).status == 200


async def test_answers_that_nobody_takes_keep_nobody_out(
    started: Callable[[Workbench], Awaitable[Workbench]], tmp_path: Path, *, over_tls: bool
) -> None:
    api = await started(Workbench(tmp_path, limits=ApiLimits(connections=4, write_timeout=0.2), over_tls=over_tls))
    secret = await api.pair()
    description = request("/openapi.json", f"Host: localhost:{api.port}", "Connection: keep-alive")
    with ExitStack() as held:
        for _ in range(8):
            mute = socket.socket()
            mute.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            mute.connect(("127.0.0.1", api.port))
            _, writer = await api.connect(mute)
            held.callback(hang_up, writer)
            cast(asyncio.Transport, writer.transport).pause_reading()
            writer.write(description * 400)  # more than the system's buffers take
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.5)
        api.forget_connections()
        assert (await api.call("GET", "/v1/readers", bearer=secret)).status == 200


async def test_a_program_without_pairing_that_asks_in_one_breath_leaves_room_for_a_paired_one(
    started: Callable[[Workbench], Awaitable[Workbench]], tmp_path: Path
) -> None:
    api = await started(Workbench(tmp_path, limits=ApiLimits(connections=64)))
    secret = await api.pair()
    status = request("/v1/status", f"Host: localhost:{api.port}", "Connection: keep-alive")

    async def ask_for_ever() -> None:
        while True:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
                with closing(writer):
                    while True:
                        writer.write(status * 100)
                        await reader.readexactly(10_000)

    programs = [asyncio.ensure_future(ask_for_ever()) for _ in range(66)]
    try:
        for _ in range(5):
            await asyncio.sleep(0.2)
            api.forget_connections()
            assert (await api.call("GET", "/v1/readers", bearer=secret)).status == 200
    finally:
        for each in programs:
            each.cancel()
        await asyncio.gather(*programs, return_exceptions=True)


async def test_the_description_is_made_once_however_often_it_is_asked_for(api: Workbench) -> None:
    async def cost(times: int) -> float:
        began = process_time()
        for _ in range(times):
            assert (await api.call("GET", "/openapi.json")).status == 200
        return process_time() - began

    await cost(1)
    assert await cost(50) < 0.5  # of 9 ms each, or far more, before


async def test_what_comes_behind_an_upgrade_that_is_none_is_read_as_it_came(api: Workbench) -> None:
    """The bytes with its credential are not overwritten before."""
    content = json.dumps(SOFTWARE).encode()
    host = f"Host: localhost:{api.port}"
    told = (host, "Content-Type: application/json", f"Content-Length: {len(content)}")
    api.person.attentive.clear()
    reader, writer = await api.connect()
    writer.write(request("/v1/clients", *told, *UPGRADE, method="POST", body=content))
    async with asyncio.timeout(5):
        await api.person.is_asked.wait()
    writer.write(request("/v1/status", host, "Authorization: Bearer SIMULATION"))
    await api.raw(request("/v1/status", host))  # once this one is answered, that one has come
    api.person.attentive.set()
    async with asyncio.timeout(5):
        answers = await reader.read()
    assert answers.count(b"HTTP/1.1 201 ") == answers.count(b'"ready"') == 1
    writer.close()
