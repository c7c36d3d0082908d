"""One raw connection to a configured server, as the daemon's WebSocket carries it."""

from __future__ import annotations

from collections.abc import Callable

import aiohttp

from cardd.errors import CarddError, DaemonSilent


class Tunnel:
    """Bytes both ways, until either side leaves; ``problem_of`` reads why there is no tunnel any more."""

    def __init__(
        self, socket: aiohttp.ClientWebSocketResponse, where: str, problem_of: Callable[[bytes], CarddError | None]
    ) -> None:
        self._socket = socket
        self._where = where
        self._problem_of = problem_of

    async def read(self) -> bytes:
        """Return what the server said; b"" once it said goodbye.

        Raises why there is no tunnel, or none any more: the errors of consent, PIN, card and session, UpstreamError,
        DaemonSilent.
        """
        message = await self._socket.receive()
        if message.type is aiohttp.WSMsgType.TEXT:
            raise self._problem_of(message.data.encode()) or self._silent()
        if message.type is aiohttp.WSMsgType.BINARY:
            return bytes(message.data)
        if message.type is aiohttp.WSMsgType.CLOSE and message.data == aiohttp.WSCloseCode.OK:
            return b""
        raise self._silent()

    async def write(self, data: bytes) -> None:
        """Send the data; return when there is room for more. Raises OSError once the tunnel is over."""
        await self._socket.send_bytes(data)

    async def end(self) -> None:
        """Tell the server that all was said; ``read`` goes on. Raises OSError once the tunnel is over."""
        await self._socket.send_bytes(b"")

    def _silent(self) -> CarddError:
        return DaemonSilent(where=self._where, why="closed")
