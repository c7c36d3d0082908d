"""Where the client connects, what a daemon must prove before it gets a secret, and problems as errors."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from gzip import compress
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from msgspec.json import encode

from cardd.api.problems import problem
from cardd.client import CarddClient, Session
from cardd.client.transport import address, error_of
from cardd.errors import (
    CardAmbiguous,
    CarddError,
    ClientUnknown,
    DaemonUnproven,
    DaemonUnreachable,
    InternalError,
    InvalidRequest,
    PinWrong,
    every_error,
)
from tests.api.workbench import Workbench

REFUSED = [
    "http://192.0.2.1:17463",
    "http://example.org:17463",
    "http://localhost.example.org:17463",
    "http://127.0.0.1.example.org:17463",
    "http://127.0.0.1:17463@example.org",
    "http://user@127.0.0.1:17463",
    "http://0.0.0.0:17463",
    "http://[::]:17463",
    "http://2130706433:17463",
    "https://127.0.0.1:17463",
    "http://127.0.0.1",
    "http://127.0.0.1:17463/elsewhere",
    "http://127.0.0.1:17463?x",
]


@pytest.mark.parametrize("url", REFUSED)
def test_an_address_that_is_not_loopback_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(InvalidRequest):
        CarddClient(url, "a secret")


@pytest.mark.parametrize(
    ("base", "shown"),
    [
        ("http://127.0.0.1:17463", "http://127.0.0.1:17463"),
        ("http://[::1]:17463/", "http://[::1]:17463"),
        ("http://localhost:17463", "http://127.0.0.1:17463"),
        ("/run/cardd/cardd.sock", "/run/cardd/cardd.sock"),
        (Path("cardd.sock"), "cardd.sock"),
    ],
)
def test_loopback_and_sockets_are_taken(base: str | Path, shown: str) -> None:
    assert str(address(base)) == shown


def sent(error: CarddError, language: str = "en") -> bytes:
    """The body that the daemon answers with."""
    return encode(problem(error, language).body)


@pytest.mark.parametrize("kind", [kind for kind in every_error() if kind is not CardAmbiguous])
def test_every_error_of_the_daemon_comes_back_as_its_own_class(kind: type[CarddError]) -> None:
    error = error_of(sent(kind.received()))
    assert type(error) is kind
    assert error.params["title"]
    assert error.params["remedy"]


def test_numbers_and_texts_come_with_the_error() -> None:
    error = error_of(sent(PinWrong(tries_left=2)))
    assert error is not None
    assert error.params["tries_left"] == 2
    assert error.params["detail"] == "The card refused the PIN. Tries left: 2."


def test_the_cards_to_choose_from_come_with_the_error() -> None:
    error = error_of(sent(CardAmbiguous(("a", "b"))))
    assert isinstance(error, CardAmbiguous)
    assert error.cards == ("a", "b")


def test_an_error_of_a_newer_daemon_keeps_its_code_and_texts() -> None:
    error = error_of(b'{"code": "card.melted", "title": "Melted", "detail": "It is liquid.", "status": 409}')
    assert type(error) is InternalError
    assert error.params == {"code": "card.melted", "title": "Melted", "detail": "It is liquid."}


@given(st.binary(max_size=200))
def test_what_is_no_problem_is_none(raw: bytes) -> None:
    assert error_of(raw) is None


@pytest.mark.parametrize("raw", [b'{"code": "pin.wrong", "more": ' + b"[" * 5000, b'{"code": "\xa6"}'])
def test_a_problem_too_deep_or_of_another_encoding_is_none(raw: bytes) -> None:
    assert error_of(raw) is None


Handler = Callable[[web.Request], Awaitable[web.Response]]


@asynccontextmanager
async def impostor(handler: Handler) -> AsyncIterator[tuple[str, list[str]]]:
    """A program that holds a port; its address, and every Authorization that it was given."""
    given: list[str] = []

    async def collect(request: web.Request) -> web.Response:
        given.extend(request.headers.getall("Authorization", []))
        return await handler(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", collect)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", given
    finally:
        await runner.cleanup()


async def test_the_daemon_proves_itself_and_is_told_the_secret(bench: Workbench) -> None:
    secret = await bench.pair()
    for via in ("v4", "v6"):
        async with CarddClient(bench.base(via), secret) as client:
            assert await client.readers()


async def test_a_program_that_took_the_port_gets_no_secret(bench: Workbench) -> None:
    async def pretend(_: web.Request) -> web.Response:
        return web.json_response({"name": "cardd", "version": "0.2.0", "state": "ready", "readers": []})

    secret = await bench.pair()
    async with impostor(pretend) as (address, given), CarddClient(address, secret) as client:
        with pytest.raises(DaemonUnproven):
            await client.readers()
    assert given == []


async def relayed(session: Session) -> None:
    async with session.relay("dmp", "GET", "/"):
        raise AssertionError("it must not get so far")


async def handed_over(session: Session) -> None:
    await session.hand_over(io.BytesIO(b"SIMULATION"))


@pytest.mark.parametrize(
    "act", [relayed, handed_over, Session.state, Session.close], ids=["relay", "hand over", "get", "end"]
)
async def test_no_way_leads_round_the_proof(bench: Workbench, act: Callable[[Session], Awaitable[object]]) -> None:
    async def pretend(_: web.Request) -> web.Response:
        return web.json_response({"name": "cardd", "version": "0.2.0", "state": "ready"})

    secret = await bench.pair()
    async with impostor(pretend) as (address, given), CarddClient(address, secret) as client:
        with pytest.raises(DaemonUnproven):
            await act(client.session("s", "token"))
    assert given == []


async def test_nothing_is_unpacked_for_a_program_that_took_the_port() -> None:
    async def packed(_: web.Request) -> web.Response:
        headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
        return web.Response(body=compress(b'{"name": "a", "version": "1", "state": "ready"}'), headers=headers)

    async with impostor(packed) as (url, _), CarddClient(url) as client:
        with pytest.raises(DaemonUnreachable):
            await client.status()


async def test_a_client_that_was_not_opened_says_how_it_is_used(bench: Workbench) -> None:
    client = CarddClient(bench.base(), await bench.pair())
    with pytest.raises(RuntimeError, match="async with"):
        await client.readers()
    with pytest.raises(RuntimeError, match="async with"):
        await relayed(client.session("s", "token"))


async def test_a_relay_to_nobody_is_unreachable(tmp_path: Path) -> None:
    async with CarddClient(tmp_path / "no.sock", "secret") as client:
        with pytest.raises(DaemonUnreachable):
            await relayed(client.session("s", "token"))


async def test_passing_the_question_on_to_the_real_daemon_does_not_help(bench: Workbench) -> None:
    async def relay(request: web.Request) -> web.Response:
        headers = {"Cardd-Challenge": request.headers["Cardd-Challenge"]}
        async with aiohttp.ClientSession() as session, session.get(bench.base() + "/v1/status", headers=headers) as got:
            proof = got.headers["Cardd-Proof"]
            return web.json_response(await got.json(), headers={"Cardd-Proof": proof})

    secret = await bench.pair()
    async with impostor(relay) as (address, given), CarddClient(address, secret) as client:
        with pytest.raises(DaemonUnproven):
            await client.login()
    assert given == []


async def test_an_unpaired_program_is_told_so_before_it_sends_anything(bench: Workbench) -> None:
    async with CarddClient(bench.base(), "0123456789abcdef.nothing") as client:
        with pytest.raises(ClientUnknown):
            await client.readers()


async def test_another_users_program_has_no_proof_made_for_it(bench: Workbench) -> None:
    secret = await bench.pair()
    bench.uid = 4242
    bench.forget_connections()
    got = await bench.call("GET", "/v1/status", headers={"Cardd-Challenge": f"{secret.partition('.')[0]} {'c' * 43}"})
    assert got.code == "client.unknown"
    assert "Cardd-Proof" not in got.headers


@pytest.mark.parametrize("challenge", ["short", "x" * 200, ""])
async def test_a_challenge_has_limits(bench: Workbench, challenge: str) -> None:
    client = (await bench.pair()).partition(".")[0]
    got = await bench.call("GET", "/v1/status", headers={"Cardd-Challenge": f"{client} {challenge}"})
    assert got.code == "request.invalid"
