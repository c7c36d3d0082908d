"""The logins that docs/examples/webps gives to ASGI and Node portals, asked over HTTP."""

from __future__ import annotations

import asyncio
import importlib
import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.api.workbench import PAGE
from tests.rig.simulator import issue
from tests.webps.portals import EXAMPLES
from tests.webps.tokens import Token, Workstation, documents, entry, forged, token_of, trust_cards

DOCTOR = ("899000000010", "SIMULATION-MEDECIN")
NODE = """
import {createServer} from "node:http";
import {cardLogin} from "./card-login.mjs";
const trust = {authorities: "authorities.pem", lists: "lists.pem"};
const login = cardLogin({origin: "%s", trust, lifetime: %d, accept11: %s, log() {}});
const server = createServer((request, response) =>
  login(request, response, () => response.end(request.card?.nationalId ?? "nobody")));
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
"""
Send = Callable[[dict[str, object]], Awaitable[None]]


@dataclass
class Visitor:
    """A browser with the portal's page open; it keeps the last cookie that it was given."""

    http: httpx.AsyncClient
    cookie: str = ""
    origin: str = PAGE

    async def ask(self, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        """One request of the page."""
        sent = {"Cookie": self.cookie, "Content-Type": "application/json", "Origin": self.origin, **headers}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        got = await self.http.request(method, path, headers=sent, content=content)
        if given := got.headers.get("Set-Cookie"):
            assert given.partition("; ")[2].startswith("Path=/; Secure; HttpOnly; SameSite=Lax")
            self.cookie = given.partition(";")[0]
        return got

    async def nonce(self) -> str:
        """A nonce of this portal."""
        return str((await self.ask("POST", "/card/challenge", {})).json()["nonce"])

    async def login(self, token: Token) -> int:
        """The answer's status."""
        return (await self.ask("POST", "/card/login", token)).status_code

    async def who(self, **headers: str) -> str:
        """Whom the portal takes this browser for."""
        return (await self.ask("GET", "/me", **headers)).text


async def application(scope: dict[str, Any], _receive: object, send: Send) -> None:
    """A portal that says whom it sees."""
    seen = scope["card"].national_id if scope["card"] else "nobody"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": seen.encode()})


@contextmanager
def node(folder: Path, lifetime: int, *, accept_1_1: bool = False) -> Iterator[httpx.AsyncClient]:
    for source in EXAMPLES.glob("*.mjs"):
        shutil.copy(source, folder)
    (folder / "portal.mjs").write_text(NODE % (PAGE, lifetime, json.dumps(accept_1_1)))
    with subprocess.Popen(["node", "portal.mjs"], cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield httpx.AsyncClient(base_url=f"http://127.0.0.1:{int(process.stdout.readline())}")
        process.kill()


def card_login(folder: Path, lifetime: int, behind: object = application, *, accept_1_1: bool = False) -> Any:
    """The ASGI portal."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        login, web_eid = importlib.import_module("card_login"), importlib.import_module("web_eid")
    trust = web_eid.Trust(folder / "authorities.pem", folder / "lists.pem")
    return login.CardLogin(behind, origin=PAGE, trust=trust, lifetime=lifetime, accept_1_1=accept_1_1)


@contextmanager
def asgi(folder: Path, lifetime: int, *, accept_1_1: bool = False) -> Iterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(card_login(folder, lifetime, accept_1_1=accept_1_1))
    yield httpx.AsyncClient(transport=transport, base_url="http://portal")


SERVERS = {"asgi": asgi, "node": node}
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=SERVERS)
async def http(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[httpx.AsyncClient]:
    folder = tmp_path_factory.mktemp(request.param)
    trust_cards(folder)
    with SERVERS[request.param](folder, 3600) as client:
        async with client:
            yield client


@pytest.fixture
def visitor(http: httpx.AsyncClient) -> Visitor:
    return Visitor(http)


async def test_a_card_logs_its_browser_in_and_out(visitor: Visitor, cardd: Workstation) -> None:
    assert await visitor.who() == "nobody"
    got = await visitor.ask("POST", "/card/login", await token_of(cardd, await visitor.nonce()))
    assert (got.status_code, tuple(got.json().values())[:2]) == (200, DOCTOR)
    assert await visitor.who() == DOCTOR[0]
    assert await Visitor(visitor.http).who() == "nobody"
    before = visitor.cookie
    assert (await visitor.ask("POST", "/card/logout", {})).status_code == 200
    assert visitor.cookie == "__Host-card="
    assert await Visitor(visitor.http, before).who() == "nobody"


async def test_a_token_serves_once_in_the_browser_that_asked_for_its_nonce(visitor: Visitor) -> None:
    token = forged(await visitor.nonce(), issue().authentication)
    other = Visitor(visitor.http)
    assert await other.login(token) == 403
    await other.nonce()
    assert await other.login(token) == 403
    asked = visitor.cookie
    answers = await asyncio.gather(*(Visitor(visitor.http, asked).login(token) for _ in range(4)))
    assert sorted(answers) == [200, 403, 403, 403]


async def test_a_cookie_that_somebody_planted_is_not_the_one_that_is_logged_in(visitor: Visitor) -> None:
    nonce = await visitor.nonce()
    planted = visitor.cookie
    assert await visitor.login(forged(nonce, issue().authentication)) == 200
    assert visitor.cookie != planted
    assert await Visitor(visitor.http, planted).who() == "nobody"
    assert await Visitor(visitor.http, f"{planted}; {visitor.cookie}").who() == "nobody"


async def test_another_sites_page_can_neither_log_in_nor_out_nor_change_anything(visitor: Visitor) -> None:
    token = forged(await visitor.nonce(), issue().authentication)
    stranger = Visitor(visitor.http, visitor.cookie, "https://ailleurs.example")
    for act in ("challenge", "login", "logout"):
        assert (await stranger.ask("POST", f"/card/{act}", token)).status_code == 403
    assert await visitor.login(token) == 200
    stranger.cookie = visitor.cookie
    assert (await stranger.ask("POST", "/me", {})).text == "nobody"
    assert (await visitor.ask("POST", "/me", {})).text == DOCTOR[0]


async def test_a_web_socket_of_another_sites_page_is_nobodys(tmp_path: Path) -> None:
    seen: list[str] = []

    async def noted(scope: dict[str, Any], _receive: object, _send: object) -> None:
        seen.append(scope["card"].national_id if scope["card"] else "nobody")

    trust_cards(tmp_path)
    app = card_login(tmp_path, 3600, noted)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://portal") as client:
        visitor = Visitor(client)
        await visitor.login(forged(await visitor.nonce(), issue().authentication))
    for origin in ("https://ailleurs.example", PAGE):
        headers = [(b"cookie", visitor.cookie.encode()), (b"origin", origin.encode())]
        await app({"type": "websocket", "path": "/", "headers": headers}, None, None)
    assert seen == ["nobody", DOCTOR[0]]


async def test_what_is_no_login_is_refused_and_costs_the_nonce_at_most(visitor: Visitor) -> None:
    await visitor.nonce()
    for body, status in ((b"[" * 20_000, 400), (b"{", 400), (b'"' + b"a" * 40_000 + b'"', 413)):
        assert (await visitor.ask("POST", "/card/login", body)).status_code == status
    assert (await visitor.ask("GET", "/card/login")).status_code == 405
    plain = {"Content-Type": "text/plain"}
    assert (await visitor.ask("POST", "/card/login", {}, **plain)).status_code == 415
    token = forged(await visitor.nonce(), issue().authentication)
    no_tokens: list[object] = [None, [], 7, {}, {**token, "signature": {}}, {**token, "format": "web-eid:1.1"}]
    for wrong in no_tokens:
        await visitor.nonce()
        got = await visitor.ask("POST", "/card/login", wrong)
        assert (got.status_code, got.json()) == (403, {"error": "refused"})
    assert await visitor.login(token) == 403
    assert await visitor.who() == "nobody"


@pytest.mark.parametrize("server", SERVERS)
async def test_a_portal_may_let_in_tokens_of_1_1(server: str, tmp_path: Path) -> None:
    trust_cards(tmp_path)
    with SERVERS[server](tmp_path, 3600, accept_1_1=True) as client:
        async with client:
            visitor = Visitor(client)
            for added, status in ((documents(), 403), (documents(entry()), 200)):
                token = forged(await visitor.nonce(), issue().authentication)
                assert await visitor.login({**token, "format": "web-eid:1.1", **added}) == status
            assert await visitor.who() == DOCTOR[0]


@pytest.mark.parametrize("server", SERVERS)
async def test_a_login_ends_after_its_time(server: str, tmp_path: Path) -> None:
    trust_cards(tmp_path)
    with SERVERS[server](tmp_path, 0) as client:
        async with client:
            visitor = Visitor(client)
            assert await visitor.login(forged(await visitor.nonce(), issue().authentication)) == 200
            assert await visitor.who() == "nobody"
