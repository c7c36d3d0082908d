"""The simulated Pro Santé Connect, or an editor's server, while it runs: its server, and what it reports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from cardd.errors import AddressInUse
from cardd.simulator import ServerOptions
from cardd.values import Value, field
from cardd_simulators import texts
from cardd_simulators.psc.editor import EditorServer
from cardd_simulators.psc.keys import Keys
from cardd_simulators.psc.logins import Logins, Request, State, TokenRules
from cardd_simulators.psc.mobile import Mobile
from cardd_simulators.psc.people import PAYLOADS, Userinfo, people_of
from cardd_simulators.psc.provider import CLIENT, REALM, SECRET, IdTokens, Provider
from cardd_simulators.psc.simulator import Control, remove_control, write_control

PORT, EDITOR_PORT = 17480, 17481
HOSTS = ("127.0.0.1", "localhost")


class Played(Protocol):
    """What is played: at which port, with which routes beside the mobile's, and what cardd is to be told of it."""

    @property
    def port(self) -> int:
        """Return the usual port."""
        ...

    @property
    def secret(self) -> str | None:
        """Return the service's secret that cardd needs."""
        ...

    @property
    def rules(self) -> TokenRules:
        """Return for how long tokens are good."""
        ...

    def section(self, base: str) -> dict[str, str]:
        """Return cardd's section ``[psc]``, but for the authorities."""
        ...

    def routes(self, base: str, logins: Logins, keys: Keys) -> list[web.RouteDef]:
        """Return what is served at which path."""
        ...


class PlayedProvider(Value):
    """Pro Santé Connect itself."""

    port: int = PORT
    secret: str = SECRET
    rules: TokenRules = field(default_factory=TokenRules)

    def section(self, base: str) -> dict[str, str]:
        """Return the issuer and the service."""
        return {"issuer": base + REALM, "client_id": CLIENT}

    def routes(self, base: str, logins: Logins, keys: Keys) -> list[web.RouteDef]:
        """Return the provider's."""
        tokens = IdTokens(keys.signing(), base + REALM, CLIENT, self.rules.access_life)
        return Provider(base, logins, tokens, self.secret).routes()


class PlayedEditor(Value):
    """The editor's server, which has the credentials; ``is_by_person`` as in ``EditorServer``."""

    is_by_person: bool = False
    port: int = EDITOR_PORT
    secret: str | None = None
    rules: TokenRules = field(default_factory=TokenRules)

    def section(self, base: str) -> dict[str, str]:
        """Return its address, the software, and where it tells who somebody is."""
        return {"proxy": base, "client_id": CLIENT, "proxy_identity": "userinfo"}

    def routes(self, base: str, logins: Logins, keys: Keys) -> list[web.RouteDef]:  # noqa: ARG002 - the protocol's
        """Return the contract's."""
        return EditorServer(logins, CLIENT, is_by_person=self.is_by_person).routes()


class Reporter:
    """Tells it to ``report``, as the options want it."""

    def __init__(self, name: str, played: Played, options: ServerOptions, report: Callable[[str], None]) -> None:
        self._name = name
        self._played = played
        self._texts = texts.PSC[options.language]
        self._json = options.json
        self._report = report

    def start(self, people: Mapping[str, Userinfo], keys: Keys, port: int) -> None:
        """Report where the simulator listens, and what to tell cardd."""
        url, names = f"https://localhost:{port}", {number: str(one["given_name"]) for number, one in people.items()}
        section = {**self._played.section(url), "authorities": str(keys.authorities)}
        mobile, secret = f"{url}/mobile", self._played.secret
        if self._json:
            shown = {"secret": secret} if secret else {}
            self._report(texts.json_line("listening", {**section, **shown, "mobile": mobile, "people": names}))
            return
        self._report(self._texts[f"{self._name}.ready"].format(url=mobile))
        self._report(self._texts["people"].format(people=", ".join(f"{name} {one}" for one, name in names.items())))
        for line in (self._texts["configure"], "", "[psc]", *(f'{key} = "{value}"' for key, value in section.items())):
            self._report(line)
        self._report("")
        self._report(self._texts[f"{self._name}.secret"].format(secret=secret))

    def asked(self, request: Request) -> None:
        """Report that the mobile rings."""
        told = {"request": request.number, "person": request.person["SubjectNameID"], "digits": request.digits}
        if self._json:
            self._report(texts.json_line("request", told))
        else:
            self._report(self._texts["asked"].format(**told))


async def serve(folder: Path, name: str, played: Played, options: ServerOptions, report: Callable[[str], None]) -> None:
    """Serve until cancelled. Raises AddressInUse, InvalidRequest for people that are not of the form, OSError."""
    keys = await asyncio.to_thread(Keys, folder)
    port, people = options.port or played.port, people_of(options.people, options.settings.get("payload", PAYLOADS[0]))
    reporter = Reporter(name, played, options, report)
    logins = Logins(people, State(options.auto) if options.auto else None, reporter.asked, played.rules)
    mobile = Mobile(logins)
    routes = [*played.routes(f"https://localhost:{port}", logins, keys), *mobile.routes()]
    runner = web.AppRunner(_application(routes, port), access_log=None, shutdown_timeout=1.0, handler_cancellation=True)
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


def _application(routes: list[web.RouteDef], port: int) -> web.Application:
    application = web.Application(middlewares=[_known_host(port)], client_max_size=64 * 1024)
    application.add_routes(routes)
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
