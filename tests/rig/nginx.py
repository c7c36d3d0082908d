"""nginx as the server that wants a client certificate, and the certificates for both sides, all fictitious."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic, sleep

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from tests.rig.ports import free_port

NGINX = "/usr/sbin/nginx"
WAIT = 20.0
CONFIGURATION = """
daemon off;
master_process off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/error.log info;
events {{ worker_connections 512; }}
http {{
    log_format judged '$ssl_client_verify "$request" $status $ssl_protocol $ssl_session_reused $ssl_client_serial';
    access_log {directory}/access.log judged;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    keepalive_requests 100000;
    client_max_body_size 0;
    default_type application/octet-stream;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_protocols {protocols};
        ssl_certificate {server.certificate};
        ssl_certificate_key {server.key};
        ssl_client_certificate {trusted};
        ssl_verify_client on;
        ssl_verify_depth 3;
        location / {{ root {directory}/files; }}
        location = /who {{ return 200 "$ssl_client_s_dn|$ssl_protocol|$ssl_client_serial"; }}
        location = /headers {{ return 200 "$http_x_ssl_client_dn|$http_forwarded|$http_authorization|$http_accept"; }}
        location /echo {{ proxy_pass http://127.0.0.1:{backend}; proxy_request_buffering off; proxy_buffering off; }}
{locations}
    }}
}}
"""


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path


@dataclass
class Nginx:
    """On loopback. ``trusted`` are the authorities for its clients; ``protocols`` as nginx writes them."""

    directory: Path
    trusted: Path
    server: Pair
    protocols: str = "TLSv1.2 TLSv1.3"
    backend: int = 9
    locations: str = ""
    port: int = field(default_factory=free_port)

    @contextmanager
    def running(self) -> Iterator[Nginx]:
        """Listen inside the ``with``."""
        self.directory.mkdir(exist_ok=True)
        (self.directory / "files").mkdir(exist_ok=True)
        configuration = self.directory / "nginx.conf"
        configuration.write_text(
            CONFIGURATION.format(
                directory=self.directory,
                port=self.port,
                protocols=self.protocols,
                server=self.server,
                trusted=self.trusted,
                backend=self.backend,
                locations=self.locations,
            )
        )
        with subprocess.Popen([NGINX, "-c", configuration, "-p", self.directory], stderr=subprocess.PIPE) as process:
            try:
                wait_for_port(self.port, process)
                yield self
            finally:
                process.terminate()

    def log(self, count: int) -> list[str]:
        """One line a request: verdict, request, status, protocol, whether the session was resumed, serial number.

        nginx writes them after it answered: waits for ``count`` of them, and gives all that there are.
        """
        deadline = monotonic() + WAIT
        while len(lines := (self.directory / "access.log").read_text().splitlines()) < count:
            assert monotonic() < deadline, lines
            sleep(0.01)
        return lines


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return when somebody listens there."""
    deadline = monotonic() + WAIT
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except OSError:
            assert process.poll() is None, process.stderr and process.stderr.read()
            assert monotonic() < deadline
            sleep(0.02)
        else:
            return


def authority(directory: Path, name: str = "AUTORITE SIMULATION") -> Pair:
    """A self-signed authority."""
    pair = Pair(directory / f"{name}.pem".replace(" ", "-"), directory / f"{name}.key".replace(" ", "-"))
    _openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", pair.key, "-out", pair.certificate,
             "-subj", f"/C=FR/CN={name}", "-days", "30", "-addext", "keyUsage=critical,keyCertSign")  # fmt: skip
    return pair


def issued(
    directory: Path,
    by: Pair,
    name: str,
    *,
    names: str = "",
    ec: bool = False,
    bits: int = 2048,
) -> Pair:
    """A certificate; ``names`` is a server's subjectAltName."""
    pair = Pair(directory / f"{name}.pem", directory / f"{name}.key")
    key = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256") if ec else (f"rsa:{bits}",)
    request = directory / f"{name}.csr"
    _openssl("req", "-newkey", *key, "-nodes", "-keyout", pair.key, "-out", request,
             "-subj", f"/C=FR/O=SIMULATION/CN={name}")  # fmt: skip
    extensions = directory / f"{name}.ext"
    extensions.write_text("keyUsage=critical,digitalSignature\n" + (f"subjectAltName={names}\n" if names else ""))
    _openssl("x509", "-req", "-in", request, "-CA", by.certificate, "-CAkey", by.key, "-CAcreateserial",
             "-days", "30", "-extfile", extensions, "-out", pair.certificate)  # fmt: skip
    return pair


def expired(pair: Pair, by: Pair) -> Pair:
    """Return a certificate whose time is over: today's openssl makes none."""
    key = load_pem_private_key(by.key.read_bytes(), None)
    assert isinstance(key, RSAPrivateKey)
    now, right = datetime.now(UTC), x509.load_pem_x509_certificate(pair.certificate.read_bytes())
    builder = x509.CertificateBuilder(right.issuer, right.subject, right.public_key(), right.serial_number)
    builder = builder.not_valid_before(now - timedelta(days=2)).not_valid_after(now - timedelta(days=1))
    for extension in right.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    pair.certificate.write_bytes(builder.sign(key, SHA256()).public_bytes(Encoding.PEM))
    return pair


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=60)
