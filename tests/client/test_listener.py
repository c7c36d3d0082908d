"""A Unix socket that a stranger could have put there is told nothing."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cardd.client import CarddClient
from cardd.errors import DaemonUnreachable, SocketExposed

NOBODY = 65534

as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root gives files to another user")


class Place:
    """A folder with a socket in it, and what was said to that."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "cardd.sock"
        self.connections = 0

    async def listen(self) -> asyncio.Server:
        async def count(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            writer.close()

        return await asyncio.start_unix_server(count, self.socket)

    async def ask(self, path: Path | None = None) -> type[BaseException]:
        """How a question there ends, with a secret, and without one."""
        ends = set()
        for secret in ("0123456789abcdef.secret", None):
            async with CarddClient(path or self.socket, secret) as cardd:
                with pytest.raises((SocketExposed, DaemonUnreachable)) as refused:
                    await cardd.readers()
            ends.add(refused.type)
        (end,) = ends
        return end


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    folder = tmp_path / "place"
    folder.mkdir(0o755)
    place = Place(folder)
    async with await place.listen():
        yield place


async def test_a_socket_in_a_folder_of_ones_own_is_asked(place: Place) -> None:
    assert issubclass(await place.ask(), DaemonUnreachable)  # it answers nothing
    assert place.connections > 0


@as_root
async def test_the_service_may_own_a_folder_that_root_gave_it(place: Place) -> None:
    os.chown(place.folder, NOBODY, NOBODY)
    os.chown(place.socket, NOBODY, NOBODY)
    assert issubclass(await place.ask(), DaemonUnreachable)
    assert place.connections > 0


async def test_a_folder_in_which_everybody_may_rename_is_refused(place: Place) -> None:
    place.folder.chmod(0o777)
    assert await place.ask() is SocketExposed
    assert place.connections == 0


@as_root
@pytest.mark.parametrize("part", ["socket", "folder"])
async def test_what_a_stranger_put_where_everybody_may_write_is_refused(place: Place, part: str) -> None:
    (place.folder if part == "socket" else place.folder.parent).chmod(0o1777)
    os.chown(place.socket if part == "socket" else place.folder, NOBODY, NOBODY)
    assert await place.ask() is SocketExposed
    link = place.folder.parent.parent / f"{part}.sock"
    link.symlink_to(place.socket)
    assert await place.ask(link) is SocketExposed
    assert place.connections == 0


async def test_where_everybody_may_write_ones_own_is_asked_and_nothing_is_waited_for(place: Place) -> None:
    place.folder.chmod(0o1777)
    assert issubclass(await place.ask(), DaemonUnreachable)
    assert place.connections > 0
    assert await place.ask(place.folder / "not-yet.sock") is DaemonUnreachable
