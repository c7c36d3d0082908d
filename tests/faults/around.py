"""What stands around a workstation: a server behind a proxy, a provider, a token, buses, a clock that can be set."""

from __future__ import annotations

import asyncio
import http.server
import json
import mmap
import os
import struct
import subprocess
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from tests.rig import organisation
from tests.rig.forward import ELSEWHERE, PASSWORD, USER, Tinyproxy
from tests.rig.keyring import Keyring
from tests.rig.logind import Bus, SimulatedLogind
from tests.rig.nginx import Nginx, Pair, authority, issued
from tests.rig.oidc.fake import CLIENT, FakeProvider
from tests.rig.oidc.pki import Authority
from tests.rig.simulator import store
from tests.rig.softhsm import SoftHsm

T = TypeVar("T")
SETTINGS = """
[network]
proxy = "{proxy}"
proxy_user = "{user}"
[upstreams.dmp]
url = "https://{host}:{port}"
authorities = "{authorities}"
consent = "login"
timeout = 4
sandbox = true
[psc]
mode = "direct"
direct_agreed = true
issuer = "{issuer}"
client_id = "{client}"
authorities = "{provider}"
[drivers.pkcs11]
modules = ["{module}"]
files = ["{tokens}"]
"""
LARGE = 8 * 1024 * 1024  # bytes, more than anybody on the way keeps
# a few requests on each connection, so that the card's key logs in again and again
LOCATIONS = "listen {host}:{port} ssl; ssl_session_tickets off; keepalive_requests 5; proxy_read_timeout 60;"
CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static long none, *ahead = &none;  /* seconds, in a file that the tests write to */

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("CLOCK_OF_TESTS");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *mapped = file < 0 ? MAP_FAILED : mmap(0, sizeof none, PROT_READ, MAP_SHARED, file, 0);
    if (mapped != MAP_FAILED) ahead = mapped;
}
int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = ((int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime"))(clock, now);
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) now->tv_sec += *ahead;
    return failed;
}
int gettimeofday(struct timeval *now, void *zone) {
    int failed = ((int (*)(struct timeval *, void *))dlsym(RTLD_NEXT, "gettimeofday"))(now, zone);
    now->tv_sec += *ahead;
    return failed;
}
time_t time(time_t *now) {
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    if (now) *now = at.tv_sec;
    return at.tv_sec;
}
"""


class Clock:
    """The wall clock of a program that is started with ``environment``."""

    def __init__(self, directory: Path) -> None:
        source, self._library, self._file = (directory / name for name in ("clock.c", "clock.so", "clock"))
        source.write_text(CLOCK)
        command = ["gcc", "-shared", "-fPIC", "-w", "-o"]
        subprocess.run([*command, self._library, source], check=True, timeout=60)
        self._file.write_bytes(bytes(8))
        with self._file.open("r+b") as file:
            self._ahead = mmap.mmap(file.fileno(), 8)

    @property
    def environment(self) -> dict[str, str]:
        """Return what has a program look at this clock."""
        return {"LD_PRELOAD": str(self._library), "CLOCK_OF_TESTS": str(self._file)}

    def set(self, ahead: int) -> None:
        """Have it go so many seconds ahead of the machine's."""
        self._ahead[:] = struct.pack("=q", ahead)


class Backend:
    """What stands behind the server that wants a card. ``does`` is what becomes of a request."""

    def __init__(self) -> None:
        self.does = "answer"
        self.asked = 0
        backend = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                backend.asked += 1
                body = json.dumps({"echo": self.path.rpartition("/")[2]}).encode()
                if backend.does == "cut late":
                    body = body.ljust(LARGE)
                while backend.does == "hang":
                    time.sleep(0.05)
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                is_cut = backend.does.startswith("cut")
                with suppress(OSError):  # who asked has left
                    self.wfile.write(body[: len(body) // 2] if is_cut else body)
                self.close_connection = is_cut

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]

    @contextmanager
    def running(self) -> Iterator[None]:
        """Answer inside the ``with``."""
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield
        finally:
            self.does = "answer"
            self._server.shutdown()
            self._server.server_close()
            thread.join()


class Loop:
    """An event loop on a thread, for what the rig has as coroutines."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[object, object, T]) -> T:
        """Return what it returns."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    def close(self) -> None:
        """End it."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Around:
    """``settings`` and ``environment`` are what the daemon needs to know of it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = Clock(directory)
        self.proxy = Tinyproxy(directory)
        self.backend = Backend()
        self.loop = Loop()
        self.system_bus = Bus(subdirectory(directory, "system-bus"))
        self.logind = SimulatedLogind(self.system_bus.address, {"1": os.geteuid()})
        self.logind.active = "1"
        self.keyring = Keyring(subdirectory(directory, "session-bus"))
        self.provider = self.loop.run(listening_provider())
        (directory / "provider.pem").write_bytes(authority_of(self.provider).pem)
        self.credentials = subdirectory(directory, "credentials")
        (self.credentials / "cardd.network-proxy-password").write_text(PASSWORD)
        (self.credentials / "cardd.psc-client-secret").write_text("SIMULATION")
        self.hsm = SoftHsm(directory)
        self.hsm.token("SIMULATION", ec=True, subject=organisation.PERSON)
        self._root = authority(directory)

    @cached_property
    def server(self) -> Nginx:
        """Return the server, which only the proxy reaches."""
        pair: Pair = issued(self.directory, self._root, "serveur", names=f"IP:{ELSEWHERE}")
        nginx = Nginx(self.directory / "nginx", store().chain, pair, "TLSv1.2", self.backend.port)
        nginx.locations = LOCATIONS.format(host=ELSEWHERE, port=nginx.port)
        return nginx

    @property
    def settings(self) -> str:
        """Return sections of the configuration."""
        return SETTINGS.format(
            proxy=self.proxy.url,
            user=USER,
            host=ELSEWHERE,
            port=self.server.port,
            authorities=self._root.certificate,
            issuer=self.provider.issuer,
            client=CLIENT,
            provider=self.directory / "provider.pem",
            module=self.hsm.module,
            tokens=self.hsm.directory,
        )

    @property
    def environment(self) -> dict[str, str]:
        """Return variables."""
        buses = {"DBUS_SYSTEM_BUS_ADDRESS": self.system_bus.address, **self.keyring.environment}
        passed = {"CREDENTIALS_DIRECTORY": str(self.credentials)}
        return {**self.clock.environment, **self.hsm.environment, **buses, **passed}

    @contextmanager
    def running(self) -> Iterator[None]:
        """Have it there inside the ``with``."""
        with ExitStack() as there:
            there.enter_context(self.backend.running())
            there.enter_context(self.server.running())
            self.proxy.start()
            there.callback(self.proxy.stop)
            there.callback(self.loop.close)
            there.callback(lambda: self.loop.run(self.provider.__aexit__(None, None, None)))
            self.keyring.start()
            there.callback(self.keyring.stop)
            self.start_system()
            there.callback(self.stop_system)
            yield

    def start_system(self) -> None:
        """Have the system's bus, and logind on it."""
        self.system_bus.start()
        self.loop.run(self.logind.__aenter__())

    def stop_system(self) -> None:
        """Have neither."""
        self.loop.run(self.logind.__aexit__())
        self.system_bus.stop()


async def listening_provider() -> FakeProvider:
    """Return a provider that answers."""
    provider = FakeProvider(Authority())
    provider.tokens["refresh_token"] = "fake-refresh"  # which the keyring keeps
    return await provider.__aenter__()


def subdirectory(directory: Path, name: str) -> Path:
    """Return a new one."""
    (directory / name).mkdir()
    return directory / name


def authority_of(provider: FakeProvider) -> Authority:
    """Return who vouches for it."""
    assert provider.authority
    return provider.authority
