"""https on loopback: a real browser takes it once our authority is in its store, and no more when it is out again."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.rig.browsers import FIREFOX_PROFILE, NAMES, Name, Portal, needs, running
from tests.rig.daemon import DaemonProcess
from tests.rig.ports import free_port

ASK = "return await fetch(arguments[0]).then(got => got.json(), refused => null).then(told => told && told.name)"


def cardctl(home: Path, daemon: DaemonProcess, action: str, *more: str) -> str:
    command = [sys.executable, "-m", "cardd.cli.cardctl", "--json", "https", action, *more]
    around = {**os.environ, "SUDO_USER": "", "HOME": str(home), "LANG": "C.UTF-8"}
    ran = subprocess.run(
        [*command, "--config", str(daemon.configuration)], env=around, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def asked(name: Name, portal: Portal, page: str, directory: Path, port: int) -> list[str]:
    """Return what a page gets from each of our names, in a browser that is started for it."""
    with running(name, [portal.port], directory, trusts_all=False) as browser, browser.tab(page) as tab:
        return [tab.run(ASK, f"https://{host}:{port}/v1/status") for host in ("127.0.0.1", "localhost", "[::1]")]


@pytest.fixture
def page() -> Iterator[str]:
    """A page that any browser trusts: over plain http, on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>SIMULATION</title>")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize("name", NAMES)
def test_a_browser_takes_https_while_it_is_installed(name: Name, portal: Portal, page: str, tmp_path: Path) -> None:
    needs(name)
    home = tmp_path / name
    (home / ".config").mkdir(parents=True)
    if name == "firefox":
        profile = home / FIREFOX_PROFILE
        profile.mkdir(parents=True)
        subprocess.run(["certutil", "-N", "--empty-password", "-d", f"sql:{profile}"], check=True)
    web = f'\n[web]\nallow_insecure_origins = true\nallowed_origins = ["{page}"]\n'
    daemon = DaemonProcess(tmp_path, extra=web)
    port = free_port()
    text = daemon.configuration.read_text()
    daemon.configuration.write_text(text.replace("[listen]", f"[listen]\nhttps = {port}"))
    daemon.state.mkdir(mode=0o700)
    cardctl(home, daemon, "install", "--no-system")
    daemon.start()
    try:
        assert asked(name, portal, page, tmp_path, port) == ["cardd"] * 3
        assert not (daemon.state / "https.pem").stat().st_mode & 0o077
        cardctl(home, daemon, "remove", "--no-system")
        assert asked(name, portal, page, tmp_path, port) == [None] * 3
        assert not (home / ".pki").exists()
        assert not (daemon.state / "https.pem").exists()
    finally:
        daemon.stop()
