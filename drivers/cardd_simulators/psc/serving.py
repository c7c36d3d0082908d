"""The simulated Pro Santé Connect while it runs: its server, and what it reports."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from cardd.errors import AddressInUse
from cardd.simulator import ServerOptions
from cardd_simulators import texts
from cardd_simulators.psc.keys import Keys
from cardd_simulators.psc.logins import Logins, Request, State
from cardd_simulators.psc.mobile import Mobile
from cardd_simulators.psc.people import Userinfo, people_of
from cardd_simulators.psc.provider import CLIENT, REALM, SECRET, IdTokens, Provider
from cardd_simulators.psc.simulator import Control, remove_control, write_control

PORT = 17480
HOSTS = ("127.0.0.1", "localhost")


class Reporter:
    """Tells it to ``report``, as the options want it."""

    def __init__(self, options: ServerOptions, report: Callable[[str], None]) -> None:
        self._texts = texts.PSC[options.language]
        self._json = options.json
        self._report = report

    def start(self, people: Mapping[str, Userinfo], keys: Keys, port: int) -> None:
        """Report where the simulator listens, and what to tell cardd."""
        url, names = f"https://localhost:{port}", {number: str(one["given_name"]) for number, one in people.items()}
        section = {"issuer": url + REALM, "client_id": CLIENT, "authorities": str(keys.authorities)}
        mobile = f"{url}/mobile"
        if self._json:
            self._line("listening", {**section, "secret": SECRET, "mobile": mobile, "people": names})
            return
        self._report(self._texts["ready"].format(url=mobile))
        self._report(self._texts["people"].format(people=", ".join(f"{name} {one}" for one, name in names.items())))
        for line in (self._texts["configure"], "", "[psc]", *(f'{key} = "{value}"' for key, value in section.items())):
            self._report(line)
        self._report("")
        self._report(self._texts["secret"].format(secret=SECRET))

    def asked(self, request: Request) -> None:
        """Report that the mobile rings."""
        told = {"request": request.number, "person": request.person["SubjectNameID"], "digits": request.digits}
        if self._json:
            self._line("request", told)
        else:
            self._report(self._texts["asked"].format(**told))

    def _line(self, event: str, values: object) -> None:
        self._report(json.dumps({"event": event, "values": values}, ensure_ascii=False))


async def serve(folder: Path, options: ServerOptions, report: Callable[[str], None]) -> None:
    """Until cancelled. Raises AddressInUse, InvalidRequest for people that are not of the form, OSError."""
    keys = await asyncio.to_thread(Keys, folder)
    port, people = options.port or PORT, people_of(options.people)
    reporter = Reporter(options, report)
    logins = Logins(people, State(options.auto) if options.auto else None, reporter.asked)
    mobile = Mobile(logins)
    runner = web.AppRunner(_application(logins, mobile, keys, port), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await _listen(runner, port, keys)
        write_control(folder, Control(port, mobile.token))  # the port is ours from here on, and so is the file
        try:
            reporter.start(people, keys, port)
            await asyncio.Event().wait()
        finally:
            remove_control(folder)
    finally:
        await runner.cleanup()


def _application(logins: Logins, mobile: Mobile, keys: Keys, port: int) -> web.Application:
    base = f"https://localhost:{port}"
    application = web.Application(middlewares=[_known_host(port)], client_max_size=64 * 1024)
    tokens = IdTokens(keys.signing(), base + REALM, CLIENT)
    application.add_routes([*Provider(base, logins, tokens).routes(), *mobile.routes()])
    return application


def _known_host(port: int) -> Middleware:
    """Return what refuses other names: a page of another site may not reach the server by a name of its own."""

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
