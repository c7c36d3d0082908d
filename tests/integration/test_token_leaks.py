"""What is left of an e-CPS login in the daemon's memory once its session has ended: tokens and secrets."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from cardd.client import CarddClient
from cardd.simulator import ServerOptions
from cardd_simulators.psc.logins import TokenRules
from cardd_simulators.psc.provider import CLIENT
from cardd_simulators.psc.serving import PlayedProvider, serve
from tests.integration.test_pin_leaks import found_in_memory, halted, memory
from tests.rig.daemon import DaemonProcess
from tests.rig.lps import UnixConnection
from tests.rig.pinentry import ScriptedPinentry
from tests.rig.ports import free_port
from tests.rig.waiting import eventually_here

ALICE = "899700000005"
SECRET = secrets.token_urlsafe(32)
SIZES = {"access": 932, "refresh": 632}  # bytes
RENEWALS = 2
LAST = 1

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the daemon shows its memory to nobody but root")


@dataclass
class Psc:
    """Pro Santé Connect in this process, so that the test knows what it gave."""

    port: int
    folder: Path
    given: dict[str, list[str]] = field(default_factory=lambda: {"access": [], "refresh": []})


@pytest.fixture
def psc(tmp_path: Path) -> Iterator[Psc]:
    """A provider with tokens as long as Keycloak's, which end soon."""
    running = Psc(free_port(), tmp_path / "psc")
    running.folder.mkdir()

    def long(kind: Literal["access", "refresh"]) -> str:
        running.given[kind].append(secrets.token_urlsafe(SIZES[kind]))
        return running.given[kind][-1]

    played = PlayedProvider(secret=SECRET, rules=TokenRules(access_life=21.5, make=long))  # renewed 20 s before its end
    loop, started = asyncio.new_event_loop(), threading.Event()
    options = ServerOptions(port=running.port, state=running.folder, auto="approve")
    task = loop.create_task(serve(running.folder, "psc", played, options, lambda _: started.set()))
    thread = threading.Thread(target=_run, args=(loop, task))
    thread.start()
    assert started.wait(20)
    yield running
    loop.call_soon_threadsafe(task.cancel)
    thread.join(20)
    loop.close()


def _run(loop: asyncio.AbstractEventLoop, task: asyncio.Task[None]) -> None:
    loop.run_until_complete(asyncio.gather(task, return_exceptions=True))


@pytest.fixture
def daemon(psc: Psc, tmp_path: Path) -> Iterator[DaemonProcess]:
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "cardd.psc-client-secret").write_text(SECRET)
    extra = f"""
[psc]
issuer = "https://localhost:{psc.port}/auth/realms/esante-wallet"
client_id = "{CLIENT}"
authorities = "{psc.folder / "authority.pem"}"
"""
    # coverage would keep what it counts beside the tokens
    environment = {"CREDENTIALS_DIRECTORY": str(tmp_path / "credentials"), "COVERAGE_PROCESS_CONFIG": ""}
    pinentry = ScriptedPinentry(tmp_path)
    running = DaemonProcess(tmp_path, pinentry=pinentry.path, environment=environment, extra=extra, is_read=True)
    yield running.start()
    running.stop()


def ask(daemon: DaemonProcess, method: str, path: str, bearer: str, body: object = None) -> dict[str, object]:
    with closing(UnixConnection(daemon.socket)) as connection:
        headers = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"}
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        found: dict[str, object] = json.loads(connection.getresponse().read() or b"{}")
        return found


async def paired(daemon: DaemonProcess) -> str:
    async with CarddClient(daemon.socket) as cardd:
        return (await cardd.pair("Mon LPS", "Editeur SIMULATION", "mon-lps")).client_secret


def left(daemon: DaemonProcess, kinds: dict[str, list[str]]) -> Counter[str]:
    """How many values of each kind are somewhere in the daemon's memory."""
    found: Counter[str] = Counter()
    with halted(daemon.pid):
        whole = [content for _, content in memory(daemon.pid)]
    for kind, values in kinds.items():
        found[kind] = sum(any(value.encode() in content for content in whole) for value in values)
    return found


def test_little_of_the_tokens_is_left_in_memory_after_the_logout(psc: Psc, daemon: DaemonProcess) -> None:
    secret = asyncio.run(paired(daemon))
    session = ask(daemon, "POST", "/v1/sessions", secret, {"method": "ecps", "login_hint": ALICE})
    assert "token" in session, session
    token, path = str(session["token"]), f"/v1/sessions/{session['id']}"
    eventually_here(lambda: ask(daemon, "GET", path, token)["state"] == "active", limit=30)
    eventually_here(lambda: len(psc.given["refresh"]) > RENEWALS, limit=30)
    kinds = {**psc.given, "session": [token], "client secret of PSC": [SECRET], "program": [secret]}
    while_open = left(daemon, kinds)
    ask(daemon, "DELETE", path, token)
    eventually_here(lambda: left(daemon, kinds)["refresh"] <= LAST)  # once PSC was told
    after = left(daemon, kinds)
    told = f"open: {dict(while_open)}, after the logout: {dict(after)}"
    assert max(after["access"], after["refresh"]) <= LAST, told  # what a library read of the last answer
    assert (after["session"], after["client secret of PSC"]) <= (1, 1), told
    places = found_in_memory(daemon.pid, token)
    assert not any("Bearer" in place for place in places), places  # no request's head
    assert len(found_in_memory(daemon.pid, SECRET)) == 1, told  # the page that the next login needs


@pytest.mark.parametrize("path", ["/v1/status", "/v1/cards"])
def test_a_secret_that_comes_in_another_piece_of_a_head_than_its_request_is_overwritten(
    daemon: DaemonProcess, path: str
) -> None:
    secret = secrets.token_urlsafe(32)
    with closing(socket.create_connection(("127.0.0.1", daemon.port))) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{daemon.port}\r\n".encode())
        asyncio.run(paired(daemon))  # meanwhile that piece was read
        connection.sendall(f"Authorization: Bearer {secret}\r\n\r\n".encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 ")
        eventually_here(lambda: not found_in_memory(daemon.pid, secret))  # it is, once the answer is on its way


def test_secrets_behind_long_heads_are_overwritten(daemon: DaemonProcess) -> None:
    several = [secrets.token_urlsafe(32) for _ in range(8)]
    for secret in several:
        lines = [f"Host: 127.0.0.1:{daemon.port}", *(f"X-{number}: {'x' * 4000}" for number in range(5))]
        head = "\r\n".join(("GET /v1/cards HTTP/1.1", *lines, f"Authorization: Bearer {secret}", "", ""))
        with closing(socket.create_connection(("127.0.0.1", daemon.port))) as connection:
            connection.sendall(head.encode())
            assert connection.recv(4096).startswith(b"HTTP/1.1 401 ")
    eventually_here(lambda: not any(found_in_memory(daemon.pid, secret) for secret in several))
