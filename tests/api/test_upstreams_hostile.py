"""Servers behind the relay that misbehave, and requests that would smuggle something to them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import aiohttp
import pytest
from msgspec.structs import replace

from cardd.config import Config
from tests.api.relayed import Site, Start, head, raw_head, talking, upstream
from tests.api.workbench import Workbench
from tests.rig.nginx import Nginx
from tests.rig.ports import free_port
from tests.rig.upstream import says


@pytest.mark.parametrize(
    ("said", "status", "code"),
    [
        ((), 502, "upstream.closed"),
        ((b"HTTP/1.1 200 OK\r\nContent-",), 502, "upstream.closed"),
        ((head(5), b"abc"), 502, "upstream.closed"),
        ((b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",), 502, "upstream.closed"),
        ((b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc",), 502, "upstream.closed"),
        (
            (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: SIMULATION\r\nConnection: Upgrade\r\n\r\n",),
            502,
            "upstream.garbled",
        ),
        ((b"HTTP/1.1 099 SIMULATION\r\nContent-Length: 0\r\n\r\n",), 502, "upstream.garbled"),
        ((b"SIMULATION\r\n\r\n",), 502, "upstream.garbled"),
        ((head(10**12),), 502, "upstream.too_large"),
    ],
)
async def test_each_way_to_end_too_early_has_its_code(
    site: Site, started: Start, tmp_path: Path, *, said: tuple[bytes, ...], status: int, code: str
) -> None:
    async with talking(site, started, tmp_path, says(*said)) as relayed:
        got = await relayed.call("POST", "/", b"{}")
        assert (got.status, got.code) == (status, code)
        assert "Cardd-Upstream" not in got.headers


async def test_a_long_answer_that_ends_too_early_never_looks_whole(site: Site, started: Start, tmp_path: Path) -> None:
    answers = [head(200_000), b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"]

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await says(answers.pop(0), b"x" * 100_000)(reader, writer)

    async with talking(site, started, tmp_path, talk) as relayed:
        while answers:
            with pytest.raises(aiohttp.ClientError):
                await relayed.call("GET", "/")


async def test_an_answer_without_a_length_is_passed_on_as_it_comes(site: Site, started: Start, tmp_path: Path) -> None:
    go_on = asyncio.Event()

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        await go_on.wait()
        writer.write(b"3\r\ndef\r\n0\r\n\r\n")
        await writer.drain()

    async with talking(site, started, tmp_path, talk) as relayed:
        url = f"{relayed.api.base()}{relayed.path}/upstreams/dmp/"
        async with relayed.api.http().get(url, headers={"Authorization": f"Bearer {relayed.token}"}) as answer:
            assert await answer.content.readexactly(3) == b"abc"
            go_on.set()
            assert await answer.read() == b"def"


async def test_both_ways_may_be_full_at_once(site: Site, started: Start, tmp_path: Path) -> None:
    body = bytes(range(256)) * 20_000

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head(len(body)))
        for _ in range(0, len(body), 51_200):
            writer.write(await reader.readexactly(51_200))
            await writer.drain()
        await asyncio.sleep(60)

    async with talking(site, started, tmp_path, talk) as relayed:
        assert (await relayed.call("PUT", "/", body)).raw == body


async def test_a_long_request_does_not_count_as_the_servers_silence(site: Site, started: Start, tmp_path: Path) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"0\r\n\r\n")
        writer.write(head(2) + b"ok")
        await writer.drain()

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b"x" * 1000
            await asyncio.sleep(0.05)  # longer than the server may be silent, all in all

    async with talking(site, started, tmp_path, talk, timeout=0.3) as relayed:
        url = f"{relayed.api.base()}{relayed.path}/upstreams/dmp/"
        headers = {"Authorization": f"Bearer {relayed.token}"}
        async with relayed.api.http().post(url, data=parts(), headers=headers) as answer:
            assert await answer.read() == b"ok"


async def test_a_request_that_was_cut_is_never_sent_again_without_its_beginning(
    site: Site, started: Start, tmp_path: Path
) -> None:
    """A client library may repeat a PUT on a new connection; the body's first part is gone by then."""
    heads: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(b"GET")
        writer.write(head(2) + b"ok")
        heads.append((await reader.readuntil(b"\r\n\r\n")).partition(b" ")[0])
        await reader.readexactly(100_000)

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 50_000

    async with talking(site, started, tmp_path, talk) as relayed:
        assert (await relayed.call("GET", "/")).status == 200
        url = f"{relayed.api.base()}{relayed.path}/upstreams/dmp/"
        headers = {"Authorization": f"Bearer {relayed.token}"}
        async with relayed.api.http().put(url, data=parts(), headers=headers) as answer:
            assert (answer.status, (await answer.json(content_type=None))["code"]) == (502, "upstream.closed")
    assert heads == [b"GET", b"PUT"]


@pytest.mark.parametrize("framing", ["Transfer-Encoding: chunked", "Content-Length: 1000000"])
async def test_a_body_whose_sender_hangs_up_never_looks_whole(
    site: Site, started: Start, tmp_path: Path, framing: str
) -> None:
    got: asyncio.Queue[bytes] = asyncio.Queue()

    async def talk(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        while part := await reader.read(65536):
            got.put_nowait(part)
        got.put_nowait(b"")

    async with talking(site, started, tmp_path, talk) as relayed:
        _, writer = await asyncio.open_connection("127.0.0.1", relayed.api.port)
        writer.write(raw_head(relayed, framing))
        writer.write(b"11170\r\n" + b"x" * 70_000 + b"\r\n")
        parts = [await got.get()]
        writer.close()
        while parts[-1]:
            parts.append(await got.get())
    assert len(b"".join(parts)) < 1_000_000
    assert not b"".join(parts).endswith(b"0\r\n\r\n")


@pytest.mark.parametrize(
    "framing",
    [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: +5",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding: xchunked",
        "Content_Length: 5",
    ],
)
async def test_a_body_that_two_servers_could_end_in_two_places_is_refused(
    site: Site, started: Start, tmp_path: Path, framing: str
) -> None:
    async with talking(site, started, tmp_path, says(head(2), b"ok")) as relayed:
        body = b"5\r\nhello\r\n0\r\n\r\n" if "chunked" in framing else b"hello"
        answer = await relayed.api.raw(raw_head(relayed, framing, "Connection: close") + body)
    assert answer.split(b" ")[1] in (b"400", b"422")
    assert "relay" not in relayed.api.person.topics()


async def test_trailers_and_changes_of_protocol_are_not_passed_on(site: Site, started: Start, tmp_path: Path) -> None:
    sent: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sent.append(await reader.readuntil(b"0\r\n\r\n"))
        await says(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")(reader, writer)

    lines = ("Transfer-Encoding: chunked", "Trailer: X-SSL-Client-DN", "TE: trailers", "Upgrade: h2c")
    async with talking(site, started, tmp_path, talk) as relayed:
        trailer = b"X-SSL-Client-DN: CN=AUTRE"
        answer = await relayed.api.raw(
            raw_head(relayed, *lines, "Connection: close, Upgrade") + b"5\r\nhello\r\n0\r\n" + trailer + b"\r\n\r\n"
        )
    assert answer.endswith(b"ok")
    assert sent == [b"5\r\nhello\r\n0\r\n\r\n"]


async def test_words_that_are_no_utf_8_stay_readable(site: Site, started: Start, tmp_path: Path) -> None:
    said = 'HTTP/1.1 403 Accès refusé\r\nContent-Disposition: inline; filename="été.pdf"\r\nContent-Length: 2\r\n\r\nok'
    async with talking(site, started, tmp_path, says(said.encode("iso-8859-1"))) as relayed:
        answer = await relayed.api.raw(raw_head(relayed, "Content-Length: 0", "Connection: close"))
    assert answer.startswith("HTTP/1.1 403 Accès refusé\r\n".encode())
    assert 'filename="été.pdf"'.encode() in answer


async def test_control_characters_in_the_head_of_an_answer_cost_no_answer(
    site: Site, started: Start, tmp_path: Path
) -> None:
    said = b"HTTP/1.1 201 Cr\x00\x7fe\r\nX-Simulation: a\x0b\x01b\tc\r\nCardd-Proof: 00\r\nContent-Length: 2\r\n\r\nok"
    async with talking(site, started, tmp_path, says(said)) as relayed:
        answer = await relayed.api.raw(raw_head(relayed, "Content-Length: 0", "Connection: close"))
    assert answer.startswith(b"HTTP/1.1 201 Cr  e\r\n")
    assert b"X-Simulation: a  b\tc\r\n" in answer
    assert answer.endswith(b"ok")
    assert b"Cardd-Proof" not in answer  # cardd's own words are cardd's


@pytest.mark.parametrize("line", [b"Set-Cookie : a=b", b"Set Cookie: a=b", b"Connection X-: a=b", b"X\xe9: a=b"])
async def test_what_has_no_headers_name_is_not_passed_on(
    site: Site, started: Start, tmp_path: Path, line: bytes
) -> None:
    said = b"HTTP/1.1 200 OK\r\n" + line + b"\r\nX-Simulation: ok\r\nContent-Length: 2\r\n\r\nok"
    async with talking(site, started, tmp_path, says(said)) as relayed:
        answer = await relayed.api.raw(raw_head(relayed, "Content-Length: 0", "Connection: close"))
    assert b"a=b" not in answer


async def test_a_silent_server_is_given_up(site: Site, started: Start, tmp_path: Path) -> None:
    async with talking(site, started, tmp_path, says(pause=60), timeout=0.2) as relayed:
        got = await relayed.call("POST", "/", b"{}")
        assert (got.status, got.code, got.json["retryable"]) == (504, "upstream.timeout", True)


@pytest.mark.parametrize(
    ("begun", "piece"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nX-Simulation: ", b"x"),
    ],
    ids=["100", "103", "half"],
)
async def test_a_server_that_always_has_one_more_word_before_its_answer_is_given_up(
    site: Site, started: Start, tmp_path: Path, begun: bytes, piece: bytes
) -> None:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(begun)
        while not writer.is_closing():
            writer.write(piece)
            await asyncio.sleep(0.05)

    async with talking(site, started, tmp_path, talk, timeout=0.2) as relayed:
        async with asyncio.timeout(10):
            got = await relayed.call("POST", "/", b"{}")
        assert (got.status, got.code) == (504, "upstream.timeout")


@pytest.mark.parametrize(("off", "passes"), [(-50, True), (50, True), (-70, False), (3600, False)])
async def test_a_clock_that_is_off_by_more_than_a_minute_is_told(
    site: Site, started: Start, tmp_path: Path, *, off: int, passes: bool
) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=off), usegmt=True)
    async with talking(site, started, tmp_path, says(head(2, Date=date), b"ok")) as relayed:
        got = await relayed.call("GET", "/")
        if passes:
            assert (got.status, got.raw) == (200, b"ok")
        else:
            assert (got.status, got.code) == (502, "upstream.clock")
            assert "200" in got.text("detail")


async def test_what_a_server_says_to_browsers_about_itself_is_not_said_about_us(
    site: Site, started: Start, tmp_path: Path
) -> None:
    said = head(
        2, Strict_Transport_Security="max-age=1", Access_Control_Allow_Origin="*", Clear_Site_Data='"*"',
        Set_Cookie="a=b", Connection="close, X-Hop", X_Hop="1", X_Kept="1", Content_Security_Policy="none",
    )  # fmt: skip
    async with talking(site, started, tmp_path, says(said, b"ok")) as relayed:
        got = await relayed.call("GET", "/")
        assert got.headers["X-Kept"] == "1"
        assert got.headers["Set-Cookie"] == "a=b"
        assert got.headers["Content-Security-Policy"] != "none"
        dropped = ("Strict-Transport-Security", "Access-Control-Allow-Origin", "Clear-Site-Data", "X-Hop")
        assert not any(name in got.headers for name in dropped)


async def test_a_server_that_is_down_or_not_itself_has_its_code(site: Site, started: Start, tmp_path: Path) -> None:
    nginx = Nginx(tmp_path / "nginx", site.clients, site.server)
    with nginx.running():
        api = await started(
            Workbench(
                tmp_path,
                Config(
                    upstreams={
                        "down": replace(upstream(site, free_port()), name="down"),
                        "other": replace(upstream(site, nginx.port), name="other", authorities=site.clients),
                        "new": replace(upstream(site, nginx.port), name="new", tls="1.3"),
                    }
                ),
            )
        )
        path, token = await api.logged_in()
        for name, status, code in (
            ("down", 503, "upstream.unreachable"),
            ("other", 502, "upstream.certificate"),
            ("new", 422, "signature.algorithm"),
        ):
            got = await api.call("GET", f"{path}/upstreams/{name}/who", bearer=token)
            assert (got.status, got.code) == (status, code)
    assert "tls.handshake done" not in api.audit.acts()
