"""The relay: what it moves once the handshake is done, and what it adds to a small request on a reused connection."""

from __future__ import annotations

import http.client
import ssl
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.bench.measure import Measure, p50
from tests.bench.station import Station
from tests.rig.nginx import Nginx, Pair, authority, issued
from tests.rig.ports import free_port
from tests.rig.simulator import issue, store

SIZE = 256 * 1024 * 1024
PART = 1024 * 1024
SMALL = "/who"
SETTINGS = """
[upstreams.bench]
url = "https://localhost:{port}"
authorities = "{authorities}"
consent = "login"
max_body = 1073741824
"""
SINK = "location = /sink {{ proxy_pass http://127.0.0.1:{port}; proxy_request_buffering off; }}"


class Site:
    """nginx with the certificates for both sides, a file to fetch, and a program that takes uploads and drops them."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.authority = authority(directory)
        issue()
        self.client: Pair = issued(directory, self.authority, "client")
        server = issued(directory, self.authority, "serveur", names="DNS:localhost")
        trusted = directory / "trusted.pem"
        trusted.write_text(store().chain.read_text() + self.authority.certificate.read_text())
        self.sink = ThreadingHTTPServer(("127.0.0.1", free_port()), _Sink)
        locations = SINK.format(port=self.sink.server_port)
        self.nginx = Nginx(directory / "nginx", trusted, server, locations=locations)

    @property
    def settings(self) -> str:
        """What the daemon's configuration says of it."""
        return SETTINGS.format(port=self.nginx.port, authorities=self.authority.certificate)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Serve inside the ``with``."""
        threading.Thread(target=self.sink.serve_forever, daemon=True).start()
        try:
            with self.nginx.running():
                with (self.nginx.directory / "files" / "large").open("wb") as file:
                    file.truncate(SIZE)
                yield
        finally:
            self.sink.shutdown()
            self.sink.server_close()

    def direct(self) -> http.client.HTTPSConnection:
        """A connection past the relay, with a key in a file."""
        context = ssl.create_default_context(cafile=str(self.authority.certificate))
        context.load_cert_chain(self.client.certificate, self.client.key)
        return http.client.HTTPSConnection("localhost", self.nginx.port, context=context)


class _Sink(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        """Take all and say so."""
        left = int(self.headers["Content-Length"])
        while left:
            left -= len(self.rfile.read(min(left, PART)))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
        """Be quiet."""


class _Way:
    """One way to the server: directly, or through the relay."""

    def __init__(self, connection: http.client.HTTPConnection, prefix: str = "", token: str = "") -> None:
        self._connection = connection
        self._prefix = prefix
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def get(self, path: str) -> int:
        """Fetch; the body's size."""
        self._connection.request("GET", self._prefix + path, headers=self._headers)
        answer = self._connection.getresponse()
        assert answer.status == 200, answer.read()
        size, buffer = 0, bytearray(PART)
        while got := answer.readinto(buffer):
            size += got
        return size

    def put(self, path: str, size: int) -> None:
        """Send so many bytes."""
        part = bytes(PART)
        headers = {**self._headers, "Content-Length": str(size), "Content-Type": "application/pdf"}
        body = (part for _ in range(size // PART))
        self._connection.request("PUT", self._prefix + path, body, headers)
        answer = self._connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"ok")

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


def relayed(directory: Path, *, count: int, rounds: int) -> Iterator[Measure]:
    """Throughput each way, the time added to a small request, and the memory that it all took."""
    site = Site(directory / "relay-site")
    place = directory / "relay"
    place.mkdir()
    station = Station(place)
    with station.daemon.configuration.open("a") as file:
        file.write(site.settings)
    with site.running(), station.running(), station.card():
        lps = station.pair()
        status, opened = lps.call("POST", "/v1/sessions", {"method": "cpx"})
        assert status == 201, opened
        prefix = f"/v1/sessions/{opened['id']}/upstreams/bench"
        connection = http.client.HTTPConnection("127.0.0.1", station.daemon.port)
        ways = _Way(site.direct()), _Way(connection, prefix, str(opened["token"]))
        yield from _latency(*ways, count=count, rounds=rounds)
        yield from _throughput(*ways)
        for way in ways:
            way.close()


def _latency(direct: _Way, ours: _Way, *, count: int, rounds: int) -> Iterator[Measure]:
    times: dict[_Way, list[float]] = {direct: [], ours: []}
    direct.get(SMALL)
    began = time.perf_counter()
    ours.get(SMALL)
    first = 1000 * (time.perf_counter() - began)
    for _ in range(rounds):
        for way, taken in times.items():
            for _ in range(count):
                began = time.perf_counter()
                way.get(SMALL)
                taken.append(1000 * (time.perf_counter() - began))
    yield Measure("small request relayed, above a direct one (p50)", p50(times[ours]) - p50(times[direct]), "ms", 1)
    slow = statistics.quantiles(times[ours], n=100)
    yield Measure("  the same relayed (p50)", p50(times[ours]), "ms")
    yield Measure("  the same relayed (p99)", slow[98], "ms")
    yield Measure("  the first one, with the card's handshake", first, "ms")


def _throughput(direct: _Way, ours: _Way) -> Iterator[Measure]:
    yield Measure("download relayed", _rate(lambda: ours.get("/large")), "MB/s", 50, at_least=True)
    yield Measure("upload relayed", _rate(lambda: ours.put("/sink", SIZE)), "MB/s", 50, at_least=True)
    yield Measure("  download directly", _rate(lambda: direct.get("/large")), "MB/s")
    yield Measure("  upload directly", _rate(lambda: direct.put("/sink", SIZE)), "MB/s")


def _rate(move: Callable[[], object]) -> float:
    began = time.perf_counter()
    move()
    return SIZE / 1e6 / (time.perf_counter() - began)
