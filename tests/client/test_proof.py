"""Over TCP the client sends its secret only to the daemon that it was paired with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from cardd.client import CarddClient
from cardd.errors import ClientUnknown, DaemonUnproven
from tests.api.workbench import Workbench

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
