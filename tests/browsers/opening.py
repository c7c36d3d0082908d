"""A browser and its pages, what these find of cardd and hear, and who listens on this machine beside it."""

from __future__ import annotations

import json
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cardd.cli.policies import Policies
from cardd.system.audit_file import AuditReader
from tests.integration.workstation import Workstation
from tests.rig.browsers import Browser, Name, Portal, Tab, running

NONCE = "A" * 44
FIND = """
const {Cardd} = await import(location.origin + "/cardd.js");
const {answered, ...found} = await new Cardd({bases: JSON.parse(arguments[0]), language: "en"}).find();
return await Promise.race([answered ?? found, new Promise(done => setTimeout(done, 1500, found))]);
"""
LISTEN = """
const {Cardd} = await import(location.origin + "/cardd.js");
window.cardd = new Cardd({bases: [arguments[0]]});
window.told = [];
for (const type of ["hello", "session.opened", "session.closed", "disconnected"])
  cardd.addEventListener(type, () => told.push(type));
await cardd.enter();
"""


@contextmanager
def browsing(name: Name, public: list[int], portal: Portal, directory: Path) -> Iterator[Browser]:
    """A browser whose administrator lets policy.test through to this machine; servers at ``public`` are not of it."""
    root = directory / "root"
    root.mkdir()
    Policies(root, (name,)).apply([portal.origin("policy.test")], everywhere=True)
    with running(name, public, directory, root / "etc") as browser:
        yield browser


@contextmanager
def page(browser: Browser, portal: Portal, host: str, *, permitted: bool = True) -> Iterator[Tab]:
    """A page of this name; its person has let it reach this machine, or was not asked yet."""
    browser.permit(portal.origin(host), "granted" if permitted else "prompt")
    with browser.tab(portal.origin(host)) as tab:
        yield tab


@contextmanager
def spying() -> Iterator[tuple[str, list[bytes]]]:
    """Listen on this machine; yield the address, and what was said to it."""
    heard: list[bytes] = []

    class Spy(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            heard.append(self.request.recv(4096))

    with serving(Spy) as port:
        yield f"http://127.0.0.1:{port}/", heard


class _OverSix(socketserver.ThreadingTCPServer):
    address_family = socket.AF_INET6


@contextmanager
def serving(handler: type[socketserver.BaseRequestHandler], *, over_six: bool = False) -> Iterator[int]:
    """Serve TCP on loopback, on one family, a thread for each connection; yield the port."""
    made, address = (_OverSix, "::1") if over_six else (socketserver.ThreadingTCPServer, "127.0.0.1")
    with made((address, 0), handler) as server:
        server.daemon_threads, server.block_on_close = True, False
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.socket.getsockname()[1]
        server.shutdown()
        thread.join(10)


def is_running(program: Path) -> bool:
    """Whether a process runs this script."""
    lines = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has just ended
            lines.append(process.read_bytes())
    return any(bytes(program) in line.split(b"\0") for line in lines)


def find(tab: Tab, *bases: str) -> dict[str, str]:
    found: dict[str, str] = tab.run(FIND, json.dumps(bases))
    return found


def base(workstation: Workstation) -> str:
    return workstation.daemon.url


def rows(workstation: Workstation, site: str = "") -> list[str]:
    """What the audit log has of lately, of everybody or of a site: rows of what others did may come late."""
    return [
        f"{row.entry.action} {row.entry.code or row.entry.outcome}"
        for row in AuditReader(workstation.daemon.state / "audit").tail(50)
        if site in row.entry.caller
    ]
