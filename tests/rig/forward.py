"""Forward proxies on loopback: Debian's tinyproxy, and one that says whatever a test wants.

cardd reaches 127.0.0.1 without a proxy, always; servers behind one are at ``ELSEWHERE``.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = directory / "tinyproxy.log"
        self._settings = directory / "tinyproxy.conf"
        self._settings.write_text(
            CONFIGURATION.format(port=self.port, directory=directory, user=USER, password=PASSWORD)
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def seen(self) -> list[str]:
        """Each request, as its log has it: method and target."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        return [line.partition("): ")[2] for line in lines if "Request" in line]

    def start(self) -> None:
        """Start it; it listens when this returns."""
        self._process = subprocess.Popen(
            ["tinyproxy", "-d", "-c", self._settings], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        eventually_here(self._listens)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

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
