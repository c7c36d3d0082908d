"""What the daemon itself asks of other machines, by HTTP: whether certificates were revoked, and for timestamps.

A question is small, an answer has a limited size.

The addresses of authorities that know what was revoked come from certificates: an address of this machine, or of a
network that only this machine sees, is not followed, whether it is a number or a name. An answer is signed, and is
judged anew at each use: the cache's directory needs no protection of its own. A directory that cannot be used costs
questions, and is no error. The timestamp authority is the configured one (RFC 3161, section 3.4).
"""

from __future__ import annotations

import contextlib
import logging
import re
import ssl
import threading
import time
from collections import OrderedDict
from functools import partial
from pathlib import Path

from yarl import URL

from cardd.config import Network
from cardd.errors import TimestampUnavailable
from cardd.files import read_file
from cardd.http import NO_HEADERS, HttpClient, HttpFault, Limits
from cardd.outward import DIRECT, Outward
from cardd.ports import SecretStore

LIMIT = 10.0  # seconds
PAUSE = 30.0  # seconds for which a host that did not answer is not asked again
PAUSED_MAX = 256
REQUEST, RESPONSE = "application/ocsp-request", "application/ocsp-response"
ASKING = {"Content-Type": REQUEST, "Accept": RESPONSE}
MEMORY_MAX = 1024 * 1024  # bytes
DISK_MAX = 64 * 1024 * 1024
COUNT_MAX = 512
PASSWORD = "network-proxy-password"  # noqa: S105 - the secret's name
TIMESTAMP_MAX = 128 * 1024
QUERY, REPLY = "application/timestamp-query", "application/timestamp-reply"
STAMPING = {"Content-Type": QUERY, "Accept": REPLY}
_KEY = re.compile(r"[0-9a-f]{64}")
_log = logging.getLogger(__name__)


def outward_of(settings: Network, secrets: SecretStore) -> Outward:
    """Return the way out; the password is asked for when a proxy that has a user is first needed."""
    return Outward(
        None if settings.proxy == "none" else settings.proxy,
        user=settings.proxy_user,
        password=partial(secrets.get, PASSWORD),
        no_proxy=settings.no_proxy,
        authorities=settings.authorities,
    )


class RevocationHttp:
    """Connections to authorities, made and closed on the event loop; ``is_local`` lets them be on this machine."""

    def __init__(self, *, timeout: float = LIMIT, is_local: bool = False, outward: Outward = DIRECT) -> None:
        limits = Limits(total=timeout, connect=3.0, connections=8)
        self._http = HttpClient(limits, refuses_local=not is_local, outward=outward)
        self._silent: dict[str, float] = {}

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.close()

    async def fetch(self, url: str, body: bytes | None, limit: int) -> bytes | None:
        """Return the answer to a GET, or to a POST of an OCSP request; None without one, or for one above ``limit``."""
        try:
            address = URL(url)
            place = f"{address.host}:{address.port}"
        except ValueError:
            return None
        if address.scheme != "http" or self._silent.get(place, 0.0) > time.monotonic():
            return None
        method, headers = ("GET", NO_HEADERS) if body is None else ("POST", ASKING)
        try:
            answer = await self._http.request(method, url, body, headers=headers, size=limit)
        except HttpFault as fault:
            if fault.is_away:
                self._pause(place)
            return None
        is_ours = body is None or answer.media_type == RESPONSE
        return answer.body if answer.status == 200 and is_ours else None

    def _pause(self, place: str) -> None:
        if len(self._silent) >= PAUSED_MAX:
            self._silent.clear()
        self._silent[place] = time.monotonic() + PAUSE


class RevocationCache:
    """Answers in memory and in ``directory``, made when missing (0700); without one they end with the process."""

    def __init__(
        self,
        directory: Path | None,
        *,
        memory_max: int = MEMORY_MAX,
        disk_max: int = DISK_MAX,
        count_max: int = COUNT_MAX,
    ) -> None:
        self._directory = directory
        self._memory_max, self._disk_max, self._count_max = memory_max, disk_max, count_max
        self._memory: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def load(self, key: str) -> bytes | None:
        """Return the answer of this name (64 hexadecimal digits), if it is still there."""
        with self._lock:
            if key in self._memory:
                self._memory.move_to_end(key)
                return self._memory[key]
            answer = self._read(key)
            if answer is not None:
                self._remember(key, answer)
            return answer

    def save(self, key: str, answer: bytes) -> None:
        """Keep an answer; the oldest go."""
        with self._lock:
            self._remember(key, answer)
            if self._directory is not None:
                try:
                    self._write(self._path(self._directory, key), answer)
                    self._prune(self._directory)
                except OSError as fault:
                    _log.warning("answers about revocation are not kept in %s: %s", self._directory, fault.strerror)

    def _remember(self, key: str, answer: bytes) -> None:
        self._memory.pop(key, None)
        if len(answer) > self._memory_max:
            return
        self._memory[key] = answer
        size = sum(map(len, self._memory.values()))
        while size > self._memory_max or len(self._memory) > self._count_max:
            size -= len(self._memory.popitem(last=False)[1])

    def _read(self, key: str) -> bytes | None:
        if self._directory is None:
            return None
        with contextlib.suppress(OSError):
            path = self._path(self._directory, key)
            return read_file(path) if path.stat().st_size <= self._disk_max else None
        return None

    @staticmethod
    def _path(directory: Path, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError(f"no name of an answer: {key!r}")
        return directory / f"{key}.der"

    @staticmethod
    def _write(path: Path, answer: bytes) -> None:
        """Write a file; half a file, after a crash, is an answer that does not count."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_bytes(answer)
        fresh.replace(path)

    def _prune(self, directory: Path) -> None:
        files = sorted(((file.stat(), file) for file in directory.glob("*.der")), key=lambda one: one[0].st_mtime)
        size, count = sum(stat.st_size for stat, _ in files), len(files)
        for stat, file in files:
            if size <= self._disk_max and count <= self._count_max:
                return
            file.unlink(missing_ok=True)
            size, count = size - stat.st_size, count - 1


class TimestampHttp:
    """Connections to one authority, kept for a batch, made and closed on the event loop.

    ``tls`` decides whom an https address may belong to, the system's authorities by default. Over http, the token's own
    signature is what tells that nobody changed it.
    """

    def __init__(
        self, url: str, tls: ssl.SSLContext | None = None, *, timeout: float = 15.0, outward: Outward = DIRECT
    ) -> None:
        self._url = url
        self._http = HttpClient(Limits(size=TIMESTAMP_MAX, total=timeout, connections=8), tls=tls, outward=outward)

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.close()

    async def exchange(self, request: bytes) -> bytes:
        """Return the authority's answer to a timestamp request, both DER. Raises TimestampUnavailable."""
        try:
            answer = await self._http.request("POST", self._url, request, headers=STAMPING)
        except HttpFault as fault:
            raise self._unavailable() from fault
        if answer.status != 200 or answer.media_type != REPLY:
            raise self._unavailable()
        return answer.body

    def _unavailable(self) -> TimestampUnavailable:
        return TimestampUnavailable(host=URL(self._url).host or "")
