"""Forward proxies on loopback: Debian's tinyproxy, and one that says whatever a test wants.

cardd reaches 127.0.0.1 without a proxy, always; servers behind one are at ``ELSEWHERE``.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.rig.ports import free_port
from tests.rig.waiting import eventually_here

ELSEWHERE = "127.0.0.2"
USER, PASSWORD = "cabinet", "secret-du-PROXY"
CONFIGURATION = """
Port {port}
Listen 127.0.0.1
Timeout 30
MaxClients 50
LogLevel Info
LogFile "{directory}/tinyproxy.log"
DisableViaHeader Yes
BasicAuth {user} {password}
"""


def is_installed() -> bool:
    """Whether tinyproxy is here."""
    return shutil.which("tinyproxy") is not None


class Tinyproxy:
    """tinyproxy, which wants USER and PASSWORD; ``seen`` is what it was asked for."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._log = directory / "tinyproxy.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._choose()

    def _choose(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        told = {"port": self.port, "directory": self._directory, "user": USER, "password": PASSWORD}
        (self._directory / "tinyproxy.conf").write_text(CONFIGURATION.format(**told))

    @property
    def pid(self) -> int:
        """Return its process."""
        assert self._process is not None
        return self._process.pid

    @property
    def seen(self) -> list[str]:
        """Each request, as its log has it: method and target."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        return [line.partition("): ")[2] for line in lines if "Request" in line]

    def start(self) -> None:
        """Start it; it answers when this returns. Another port is taken where somebody came before it."""
        while True:
            self._process = process = subprocess.Popen(
                ["tinyproxy", "-d", "-c", self._directory / "tinyproxy.conf"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            eventually_here(lambda: self._answers() or process.poll() is not None)  # noqa: B023 - waited for here
            if process.poll() is None:
                return
            self._choose()

    def _answers(self) -> bool:
        """Whether a proxy that wants a password is there: a port may be another program's."""
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5) as probe:
            probe.sendall(b"GET http://127.0.0.1/ HTTP/1.0\r\n\r\n")
            return b" 407 " in probe.recv(64)
        return False

    def stop(self) -> None:
        """End it."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(10)


@asynccontextmanager
async def saying(answer: bytes, *, ends: bool = True) -> AsyncIterator[str]:
    """A proxy's address that answers every request so; without ``ends`` it keeps the connection."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
            if not ends:
                await reader.read()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
