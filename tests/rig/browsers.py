"""Debian's Chromium and Firefox, headless, driven by WebDriver BiDi: the same protocol for both.

Firefox speaks it by itself, Chromium through Debian's chromedriver. The conversation is on a thread of its own, so that
tests without an event loop use it. Pages are a ``Portal``'s: https, under the names of ``HOSTS``, and **public** for
the browser as a real portal is: a page from loopback would be let through to loopback without a question.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import ssl
import subprocess
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, Literal
from urllib.parse import quote, unquote

import aiohttp
import pytest

from cardd.web import web_file
from tests.rig import nginx
from tests.rig.ports import free_port

Name = Literal["chromium", "firefox"]
Permission = Literal["granted", "denied", "prompt"]

NAMES: tuple[Name, ...] = ("chromium", "firefox")
PROGRAMS: dict[Name, tuple[str, ...]] = {"chromium": ("chromium", "chromedriver"), "firefox": ("firefox-esr",)}
LOOPBACK = "loopback-network"  # the permission to reach this machine, by its name in both browsers
FIREFOX_PROFILE = ".mozilla/firefox/test.default"
LIMIT = 30.0  # seconds, for a browser to start or to do one thing
HOSTS = ("portal.test", "evil.test", "rebind.test", "policy.test", "python.test", "node.test")

PREFERENCES: dict[str, str | int | bool] = {
    "network.dns.localDomains": ",".join(HOSTS),
    "network.http.speculative-parallel-limit": 200,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.page": 0,
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.enabled": False,
}


def needs(name: Name) -> None:
    """Skip the test where this browser is not installed."""
    missing = [program for program in PROGRAMS[name] if shutil.which(program) is None]
    if missing:
        pytest.skip(f"no {' and no '.join(missing)} here: `make setup` installs it on Debian")


class Portal:
    """A web server over TLS for pages of any name, which have nothing on them but what a test puts there."""

    def __init__(self, directory: Path) -> None:
        pair = nginx.issued(directory, nginx.authority(directory), "portail", names=f"DNS:{',DNS:'.join(HOSTS)}")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.certificate, pair.key)
        self._server = ThreadingHTTPServer(("127.0.0.1", free_port()), _Page)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.port: int = self._server.server_port

    def origin(self, host: str = "portal.test") -> str:
        """Return the origin of its pages under this name."""
        return f"https://{host}:{self.port}"

    def with_csp(self, policy: str, host: str = "portal.test") -> str:
        """Return the address of a page that has this Content-Security-Policy."""
        return f"{self.origin(host)}/?{quote(policy)}"

    @contextmanager
    def running(self) -> Iterator[Portal]:
        """Serve inside the ``with``."""
        self._thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join(LIMIT)


class _Page(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    content: ClassVar[bytes] = b"<!doctype html><meta charset=utf-8><title>SIMULATION</title><body>"

    def do_GET(self) -> None:
        """Answer with the module for pages by its name, else with an empty page that has the CSP of the query."""
        path, _, query = self.path.partition("?")
        is_module = path == "/cardd.js"
        content = web_file("cardd.js").content if is_module else self.content
        self.send_response(200)
        self.send_header("Content-Type", "text/javascript" if is_module else "text/html")
        self.send_header("Content-Length", str(len(content)))
        if query:
            self.send_header("Content-Security-Policy", unquote(query))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class ScriptFailed(Exception):
    """A page's script threw: its words."""


@dataclass
class Tab:
    """One page, as its person and its scripts have it."""

    browser: Browser
    context: str

    def open(self, address: str) -> None:
        """Go there."""
        self.browser.command("browsingContext.navigate", context=self.context, url=address, wait="complete")

    @property
    def address(self) -> str:
        """Return where it is now."""
        address: str = self.browser.command("browsingContext.getTree", root=self.context)["contexts"][0]["url"]
        return address

    def run(self, script: str, *arguments: str | int, clicked: bool = True) -> Any:
        """Run the body of an async function, ``arguments`` being its ``arguments``; return what it returns, as JSON.

        The browser takes it for what the person's click began, unless ``clicked`` says otherwise.
        """
        answer = self.browser.command(
            "script.callFunction",
            functionDeclaration=f"async function () {{ return JSON.stringify(await (async function () {{ {script} "
            "}).apply(null, arguments)) ?? 'null' }",
            arguments=[{"type": "number" if isinstance(each, int) else "string", "value": each} for each in arguments],
            target={"context": self.context},
            awaitPromise=True,
            userActivation=clicked,
        )
        if answer["type"] != "success":
            raise ScriptFailed(answer["exceptionDetails"]["text"])
        return json.loads(answer["result"]["value"])

    def frame(self) -> Tab:
        """Return the first frame of the page."""
        [tree] = self.browser.command("browsingContext.getTree", root=self.context)["contexts"]
        return Tab(self.browser, tree["children"][0]["context"])

    def close(self) -> None:
        """Close it."""
        self.browser.command("browsingContext.close", context=self.context)


class Browser:
    """One running browser with a profile of its own."""

    def __init__(
        self, name: Name, send: Callable[[str, dict[str, object]], Any], *, has_settings: bool = False
    ) -> None:
        self.name = name
        self.has_settings = has_settings
        self._send = send

    def command(self, method: str, **parameters: object) -> Any:
        """Have it do one thing of WebDriver BiDi; return the result."""
        return self._send(method, parameters)

    def permit(self, origin: str, state: Permission = "granted") -> None:
        """Answer, as its person, whether pages of this origin may reach this machine."""
        self.command("permissions.setPermission", descriptor={"name": LOOPBACK}, state=state, origin=origin)

    @contextmanager
    def tab(self, address: str) -> Iterator[Tab]:
        """Open a page in a tab inside the ``with``."""
        tab = Tab(self, self.command("browsingContext.create", type="tab")["context"])
        try:
            tab.open(address)
            yield tab
        finally:
            tab.close()


@contextmanager
def running(
    name: Name,
    public: Sequence[int],
    directory: Path,
    settings: Path | None = None,
    *,
    trusts_all: bool = True,
    user: int | None = None,
) -> Iterator[Browser]:
    """Run a browser inside the ``with``; portals on these ports are public for it, all of ``HOSTS`` are this machine.

    ``settings`` is laid over /etc for it, where that may be (``Browser.has_settings``). Where it does not
    ``trusts_all`` certificates it trusts those that ``directory/NAME``, its home, has an authority for. As root it may
    be another ``user``'s.
    """
    needs(name)
    before = _over_etc(settings) if settings else []
    home = directory / name
    home.mkdir(exist_ok=True)
    with contextlib.ExitStack() as ends:
        wait_for = ends.enter_context(_own_loop())
        if name == "chromium":
            command, pattern = [*before, "chromedriver", "--port=0"], r"started successfully on port (\d+)"
        else:
            command, pattern = [*before, *_firefox(home, public)], r"WebDriver BiDi listening on (ws://\S+)"
        if user is not None:
            command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *command]
            for place in (home, *home.rglob("*")):
                os.chown(place, user, user)
        found = ends.enter_context(_started(command, home, pattern))
        talk = _Talk(trusts_all)
        ends.callback(lambda: wait_for(talk.close()))
        if name == "chromium":
            wait_for(talk.drive(f"http://127.0.0.1:{found}", _chromium(home, public)))
        else:
            wait_for(talk.connect(f"{found}/session"))
        yield Browser(
            name, lambda method, parameters: wait_for(talk.command(method, parameters)), has_settings=bool(before)
        )


def _over_etc(settings: Path) -> list[str]:
    """Return what starts a program that sees this folder's files in /etc; nothing where only root could."""
    script = f'mount -t overlay overlay -o "lowerdir={settings}:/etc" /etc && exec "$@"'
    before = ["unshare", "--mount", "sh", "-c", script, "sh"]
    can_be = subprocess.run([*before, "true"], capture_output=True, check=False).returncode == 0
    return before if can_be else []


@contextmanager
def _own_loop() -> Iterator[Callable[[Coroutine[None, None, Any]], Any]]:
    """Run an event loop on a thread inside the ``with``; yield what does a piece of work there and waits for it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield lambda work: asyncio.run_coroutine_threadsafe(work, loop).result(LIMIT + 5)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(LIMIT)
        loop.close()


class _Talk:
    """The conversation with one browser over a WebSocket."""

    def __init__(self, trusts_all: bool) -> None:
        self._trusts_all = trusts_all
        self._number = 0
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._driven = ""  # the session's address at chromedriver
        self._http: aiohttp.ClientSession | None = None
        self._listening: asyncio.Future[None] | None = None

    async def drive(self, driver: str, chromium: dict[str, object]) -> None:
        """Have chromedriver, at this address, start Chromium with these capabilities."""
        body = {
            "capabilities": {"alwaysMatch": {"webSocketUrl": True, "acceptInsecureCerts": self._trusts_all, **chromium}}
        }
        async with (
            asyncio.timeout(LIMIT),
            aiohttp.ClientSession() as http,
            http.post(f"{driver}/session", json=body) as answer,
        ):
            made = (await answer.json())["value"]
        assert "capabilities" in made, made
        self._driven = f"{driver}/session/{made['sessionId']}"
        await self._listen_to(made["capabilities"]["webSocketUrl"])

    async def connect(self, address: str) -> None:
        """Begin a session with a browser that speaks BiDi itself."""
        await self._listen_to(address)
        await self.command("session.new", {"capabilities": {"alwaysMatch": {"acceptInsecureCerts": self._trusts_all}}})

    async def _listen_to(self, address: str) -> None:
        self._http = aiohttp.ClientSession()
        async with asyncio.timeout(LIMIT):
            self._socket = await self._http.ws_connect(address, max_msg_size=0)
        self._listening = asyncio.ensure_future(self._listen())

    async def command(self, method: str, parameters: dict[str, object]) -> Any:
        """Send one command and wait for its result. Raises AssertionError with the browser's words."""
        self._number += 1
        number, answer = self._number, asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        async with asyncio.timeout(LIMIT):
            await self._socket.send_json({"id": number, "method": method, "params": parameters})
            told = await answer
        assert told["type"] == "success", f"{method}: {told.get('error')}: {told.get('message')}"
        return told["result"]

    async def close(self) -> None:
        """End the session, and with it Chromium."""
        if self._driven:
            async with aiohttp.ClientSession() as http, http.delete(self._driven):
                pass
        if self._http is not None:
            if self._listening is not None:
                self._listening.cancel()
                await self._socket.close()
            await self._http.close()

    async def _listen(self) -> None:
        async for message in self._socket:
            told = message.json()
            if told.get("id") in self._answers:
                self._answers.pop(told["id"]).set_result(told)


def _firefox(home: Path, public: Sequence[int]) -> list[str]:
    addresses = ",".join(f"127.0.0.1:{port}" for port in public)
    preferences = {**PREFERENCES, "network.lna.address_space.public.override": addresses}
    profile = home / FIREFOX_PROFILE
    profile.mkdir(parents=True, exist_ok=True)
    (profile / "user.js").write_text(
        "".join(f"user_pref({json.dumps(n)}, {json.dumps(v)});\n" for n, v in preferences.items())
    )
    return ["firefox-esr", "--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port", "0"]


def _chromium(home: Path, public: Sequence[int]) -> dict[str, object]:
    arguments = [
        "--headless",
        f"--user-data-dir={home}/profile",
        f"--host-resolver-rules={','.join(f'MAP {host} 127.0.0.1' for host in HOSTS)}",
        f"--ip-address-space-overrides={','.join(f'127.0.0.1:{port}=public' for port in public)}",
        "--disable-background-networking",
        *(["--no-sandbox"] if os.geteuid() == 0 else []),
    ]
    return {"goog:chromeOptions": {"binary": shutil.which("chromium"), "args": arguments}}


@contextmanager
def _started(command: list[str], home: Path, pattern: str) -> Iterator[str]:
    """Run a program inside the ``with``; yield what it says of where it listens. What it says later is dropped."""
    around = {**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home), "XDG_CACHE_HOME": str(home)}
    process = subprocess.Popen(
        command, env=around, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    drain = threading.Thread(target=process.stdout.read, daemon=True)
    try:
        found = next((match[1] for line in process.stdout if (match := re.search(pattern, line))), None)
        assert found, f"{command[0]} ended before it listened"
        drain.start()
        yield found
    finally:
        process.terminate()
        process.wait(LIMIT)
        if drain.ident is not None:
            drain.join(LIMIT)
        process.stdout.close()
