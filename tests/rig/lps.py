"""A practice software as small as it can be: standard library only, so that it proves the API and nothing of ours."""

from __future__ import annotations

import http.client
import json
import queue
import select
import socket
import threading
from pathlib import Path
from time import monotonic
from typing import cast

Json = dict[str, object]
TIMEOUT = 60.0


class Lps:
    """Speaks to cardd over TCP with one kept-alive connection. ``credential`` is the Bearer value to send, if any."""

    def __init__(self, port: int, credential: str | None = None, timeout: float = TIMEOUT) -> None:
        self.port = port
        self.credential = credential
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)

    def call(self, method: str, path: str, body: Json | None = None, **headers: str) -> tuple[int, Json]:
        """One request; gives the status and the JSON answer. ``headers`` take ``_`` for ``-``."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.credential:
            sent.setdefault("Authorization", f"Bearer {self.credential}")
        if body is not None:
            sent["Content-Type"] = "application/json"
        self._connection.request(method, path, json.dumps(body) if body is not None else None, sent)
        response = self._connection.getresponse()
        raw = response.read()
        return response.status, cast(Json, json.loads(raw)) if raw else {}

    @property
    def has_ended(self) -> bool:
        """Whether the other end has closed the connection that is kept."""
        return self._connection.sock is not None and bool(select.select([self._connection.sock], [], [], 0)[0])

    def with_credential(self, credential: str) -> Lps:
        """Return this program with another Bearer value, on a connection of its own."""
        return Lps(self.port, credential)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class UnixConnection(http.client.HTTPConnection):
    """HTTP over the daemon's Unix socket, where cardd sees which user and which process calls."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket's path."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class EventStream:
    """Reads ``/v1/events`` (server-sent events) on a thread; each event comes with the time it was read."""

    def __init__(self, connection: http.client.HTTPConnection, credential: str | None = None) -> None:
        headers = {"Authorization": f"Bearer {credential}"} if credential else {}
        connection.request("GET", "/v1/events", headers=headers)
        self._connection = connection
        self._response = connection.getresponse()
        assert self._response.status == 200, self._response.read()
        self._events: queue.SimpleQueue[tuple[float, str, Json]] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait(self, kind: str, timeout: float = TIMEOUT) -> tuple[float, Json]:
        """The next event of this type: when it was read (``time.monotonic``), and its data."""
        while True:
            at, seen, data = self._events.get(timeout=timeout)
            if seen == kind:
                return at, data

    def close(self) -> None:
        """Hang up; the thread that reads ends first, as it holds the response."""
        self._connection.sock.shutdown(socket.SHUT_RDWR)
        self._reader.join(TIMEOUT)
        self._connection.close()

    def _read(self) -> None:
        kind = ""
        try:
            for line in self._response:
                field, _, value = line.decode().rstrip("\n").partition(": ")
                if field == "event":
                    kind = value
                elif field == "data":
                    self._events.put((monotonic(), kind, cast(Json, json.loads(value))))
        except (OSError, ValueError, http.client.HTTPException):
            return
