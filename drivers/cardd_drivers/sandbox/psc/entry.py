"""The entry point ``psc`` of ``cardd.sandboxes``."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from cardd.errors import AddressInUse, DaemonUnreachable, InvalidRequest
from cardd.sandbox import SandboxOptions
from cardd_drivers.sandbox.psc.texts import TEXTS

if TYPE_CHECKING:
    from aiohttp import web

    from cardd_drivers.sandbox.keys import Keys

PORT = 17480
HOSTS = ("127.0.0.1", "localhost")
AUTO = ("approve", "deny", "ignore")
CONTROL = "control.json"


class PscSandbox:
    """Pro Santé Connect, played on loopback."""

    name = "psc"
    orders: tuple[str, ...] = AUTO

    def summary(self, language: str) -> str:
        """What it is."""
        return TEXTS[language]["summary"]

    async def run(self, options: SandboxOptions, report: Callable[[str], None]) -> None:
        """Serve until cancelled."""
        from cardd_drivers.sandbox.keys import Keys  # noqa: PLC0415 - for whoever runs it, not for who lists it

        if options.auto not in (None, *AUTO):
            raise InvalidRequest(where="--auto", why="expected", expected=", ".join(AUTO))
        folder = _folder(options)
        keys = await asyncio.to_thread(Keys, folder)
        port = options.port or PORT
        runner, token = _server(options, keys, port)
        await runner.setup()
        try:
            await _listen(runner, port, keys)
            await _serve(folder, port, token, _sentences(options, keys, port), report)
        finally:
            await runner.cleanup()

    async def tell(self, options: SandboxOptions, order: str, what: str | None) -> str:
        """Play the mobile of the sandbox that runs."""
        import aiohttp  # noqa: PLC0415 - as above

        if what is not None and not what.isdecimal():
            raise InvalidRequest(where=what, why="expected", expected="1, 2, 3…")
        folder, texts = _folder(options), TEXTS[options.language]
        absent = DaemonUnreachable(**{part: texts[f"absent.{part}"] for part in ("title", "detail", "remedy")})
        try:
            control = json.loads((folder / CONTROL).read_text())
        except (OSError, ValueError) as fault:
            raise absent from fault
        tls = ssl.create_default_context(cafile=str(folder / "authority.pem"))
        query = f"?request={int(what)}" if what else ""
        url = f"https://localhost:{control['port']}/mobile/{order}{query}"
        headers = {"Authorization": f"Bearer {control['token']}"}
        try:
            async with (
                aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as http,
                http.post(url, headers=headers) as answer,
            ):
                told = await answer.json()
        except (aiohttp.ClientError, OSError) as fault:
            raise absent from fault
        if "error" in told:
            raise InvalidRequest(title=texts["nothing.title"], detail=texts["nothing.detail"])
        return texts[order].format(**told)


def _folder(options: SandboxOptions) -> Path:
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return options.state or Path(home) / "cardd" / "sandbox-psc"


def _server(options: SandboxOptions, keys: Keys, port: int) -> tuple[web.AppRunner, str]:
    from aiohttp import web  # noqa: PLC0415 - as above

    from cardd_drivers.sandbox.psc.logins import Logins, State  # noqa: PLC0415
    from cardd_drivers.sandbox.psc.mobile import Mobile  # noqa: PLC0415
    from cardd_drivers.sandbox.psc.people import people_of  # noqa: PLC0415
    from cardd_drivers.sandbox.psc.provider import CLIENT, REALM, Provider  # noqa: PLC0415
    from cardd_drivers.sandbox.psc.tokens import IdTokens  # noqa: PLC0415

    @web.middleware
    async def known_host(request: web.Request, handler: Callable[[web.Request], object]) -> web.StreamResponse:
        """A page of another site may not reach it by a name of its own."""
        if (request.host or "") not in [f"{host}:{port}" for host in HOSTS]:
            return web.Response(status=403)
        return await handler(request)  # type: ignore[misc,no-any-return]  # aiohttp's own handler

    base = f"https://localhost:{port}"
    logins = Logins(people_of(options.people), State(options.auto) if options.auto else None)
    mobile = Mobile(logins)
    application = web.Application(middlewares=[known_host], client_max_size=64 * 1024)
    tokens = IdTokens(keys.signing(), base + REALM, CLIENT)
    application.add_routes([*Provider(base, logins, tokens).routes(), *mobile.routes()])
    return web.AppRunner(application, access_log=None, shutdown_timeout=1.0), mobile.token


async def _listen(runner: web.AppRunner, port: int, keys: Keys) -> None:
    from aiohttp import web  # noqa: PLC0415 - as above

    try:
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=keys.context()).start()
    except OSError as taken:
        raise AddressInUse(address=f"127.0.0.1:{port}") from taken


async def _serve(folder: Path, port: int, token: str, sentences: list[str], report: Callable[[str], None]) -> None:
    """Until cancelled; the port is ours from here on, and so is the command's file."""
    _keep(folder, port, token)
    try:
        for sentence in sentences:
            report(sentence)
        await asyncio.Event().wait()
    finally:
        (folder / CONTROL).unlink(missing_ok=True)


def _keep(folder: Path, port: int, token: str) -> None:
    """For the command, and for nobody else."""
    with os.fdopen(os.open(folder / CONTROL, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump({"port": port, "token": token}, file)


def _sentences(options: SandboxOptions, keys: Keys, port: int) -> list[str]:
    from cardd_drivers.sandbox.psc.people import people_of  # noqa: PLC0415 - as above
    from cardd_drivers.sandbox.psc.provider import CLIENT, REALM, SECRET  # noqa: PLC0415

    texts = TEXTS[options.language]
    people = ", ".join(f"{one['given_name']} {number}" for number, one in people_of(options.people).items())
    issuer = f"https://localhost:{port}{REALM}"
    return [
        texts["ready"].format(url=f"https://localhost:{port}/mobile"),
        texts["people"].format(people=people),
        texts["configure"],
        "",
        "[psc]",
        f'issuer = "{issuer}"',
        f'client_id = "{CLIENT}"',
        f'authorities = "{keys.authorities}"',
        "",
        texts["secret"].format(secret=SECRET),
    ]
