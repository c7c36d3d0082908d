"""One raw connection to a configured server, as the daemon's WebSocket carries it."""

from __future__ import annotations

import aiohttp

from cardd.errors import CarddError, DaemonSilent, errors_by_code

FAILED = 4000  # the close of a tunnel that failed; its reason is the error's code


class Tunnel:
    """Bytes both ways, until either side leaves."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, where: str) -> None:
        self._socket = socket
        self._where = where

    async def read(self) -> bytes:
        """Return what the server said; b"" once it said goodbye.

        Raises why there is no tunnel, or none any more: the errors of consent, PIN, card and session, UpstreamError,
        DaemonSilent.
        """
        message = await self._socket.receive()
        if message.type is aiohttp.WSMsgType.BINARY:
            return bytes(message.data)
        if message.type is aiohttp.WSMsgType.CLOSE and message.data == aiohttp.WSCloseCode.OK:
            return b""
        raise self._error(message)

    async def write(self, data: bytes) -> None:
        """Send the data; return when there is room for more. Raises OSError once the tunnel is over."""
        await self._socket.send_bytes(data)

    def _error(self, message: aiohttp.WSMessage) -> CarddError:
        is_told = message.type is aiohttp.WSMsgType.CLOSE and message.data == FAILED
        known = errors_by_code().get(str(message.extra)) if is_told else None
        return known.received() if known else DaemonSilent(where=self._where, why="closed")
