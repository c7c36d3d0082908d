"""The sandbox while it runs: its server, and the file by which its command finds it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from cardd.errors import AddressInUse
from cardd.sandbox import SandboxOptions
from cardd_simulators.keys import Keys
from cardd_simulators.psc import control
from cardd_simulators.psc.logins import Logins, State
from cardd_simulators.psc.mobile import Mobile
from cardd_simulators.psc.people import people_of
from cardd_simulators.psc.provider import CLIENT, REALM, Provider
from cardd_simulators.psc.telling import Telling
from cardd_simulators.psc.tokens import IdTokens

PORT = 17480
HOSTS = ("127.0.0.1", "localhost")


async def serve(folder: Path, options: SandboxOptions, report: Callable[[str], None]) -> None:
    """Until cancelled. Raises AddressInUse, InvalidRequest for people that are not of the form, OSError."""
    keys = await asyncio.to_thread(Keys, folder)
    port, people = options.port or PORT, people_of(options.people)
    telling = Telling(options, report)
    logins = Logins(people, State(options.auto) if options.auto else None, telling.asked)
    mobile = Mobile(logins)
    runner = web.AppRunner(_application(logins, mobile, keys, port), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await _listen(runner, port, keys)
        control.keep(folder, control.Control(port, mobile.token))  # the port is ours from here on, and so is the file
        try:
            telling.start(people, keys, port)
            await asyncio.Event().wait()
        finally:
            control.forget(folder)
    finally:
        await runner.cleanup()


def _application(logins: Logins, mobile: Mobile, keys: Keys, port: int) -> web.Application:
    base = f"https://localhost:{port}"
    application = web.Application(middlewares=[_known_host(port)], client_max_size=64 * 1024)
    tokens = IdTokens(keys.signing(), base + REALM, CLIENT)
    application.add_routes([*Provider(base, logins, tokens).routes(), *mobile.routes()])
    return application


def _known_host(port: int) -> Middleware:
    """A page of another site may not reach it by a name of its own."""

    @web.middleware
    async def known_host(request: web.Request, handler: Handler) -> web.StreamResponse:
        if (request.host or "") not in [f"{host}:{port}" for host in HOSTS]:
            return web.Response(status=403)
        return await handler(request)

    return known_host


async def _listen(runner: web.AppRunner, port: int, keys: Keys) -> None:
    try:
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=keys.context()).start()
    except OSError as taken:
        raise AddressInUse(address=f"127.0.0.1:{port}") from taken
