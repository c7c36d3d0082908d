"""https on loopback: for which names our authority vouches, who may read the key, and what handshakes may hold."""

from __future__ import annotations

import socket
import ssl
import subprocess
from pathlib import Path
from time import monotonic

import pytest

from cardd.system import loopback_tls
from tests.rig.daemon import DaemonProcess
from tests.rig.ports import free_port


@pytest.mark.parametrize(
    ("names", "addresses", "is_good"),
    [
        (("localhost",), ("127.0.0.1", "::1"), True),
        (("site.example",), (), False),
        (("localhost",), ("10.0.0.1",), False),
    ],
)
def test_the_authority_vouches_for_loopback_alone(
    tmp_path: Path, names: tuple[str, ...], addresses: tuple[str, ...], is_good: bool
) -> None:
    made = loopback_tls.make(names=names, addresses=addresses)
    (tmp_path / "authority.pem").write_text(ssl.DER_cert_to_PEM_cert(made.authority))
    (tmp_path / "server.pem").write_bytes(made.server)
    files = str(tmp_path / "authority.pem"), str(tmp_path / "server.pem")
    command = ["openssl", "verify", "-x509_strict", "-CAfile", *files]
    assert (subprocess.run(command, capture_output=True, check=False).returncode == 0) == is_good


def test_a_key_that_others_may_read_is_not_used(tmp_path: Path) -> None:
    loopback_tls.keep(tmp_path, loopback_tls.make().server)
    assert loopback_tls.context(tmp_path)
    (tmp_path / loopback_tls.FILE).chmod(0o644)
    assert loopback_tls.context(tmp_path) is None
    assert loopback_tls.forget(tmp_path)
    assert not loopback_tls.forget(tmp_path)
    assert loopback_tls.context(tmp_path) is None


def test_a_link_is_replaced_and_what_it_leads_to_is_left(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("somebody's work")
    (tmp_path / loopback_tls.FILE).symlink_to(tmp_path / "mine")
    loopback_tls.keep(tmp_path, b"key")
    assert (tmp_path / "mine").read_text() == "somebody's work"


def test_handshakes_that_never_end_keep_nobody_out(tmp_path: Path) -> None:
    daemon, port = DaemonProcess(tmp_path, is_read=False), free_port()
    text = daemon.configuration.read_text()
    daemon.configuration.write_text(text.replace("[listen]", f"[listen]\nhttps = {port}"))
    daemon.state.mkdir(mode=0o700)
    made = loopback_tls.make()
    loopback_tls.keep(daemon.state, made.server)
    daemon.start()
    silent = []
    try:
        silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(200)]
        begun = monotonic()
        context = ssl.create_default_context(cadata=made.authority)
        with socket.create_connection(("127.0.0.1", port), 5) as plain:
            over = context.wrap_socket(plain, server_hostname="localhost")
            over.sendall(f"GET /v1/status HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n".encode())
            answer = b"".join(iter(lambda: over.recv(4096), b""))
            assert b" 200 " in answer.partition(b"\r\n")[0]
            over.close()
        assert monotonic() - begun < 3
        for wrong in (f"localhost:{daemon.port}", f"site.example:{port}"):
            with socket.create_connection(("127.0.0.1", port), 5) as plain:
                over = context.wrap_socket(plain, server_hostname="localhost")
                over.sendall(f"GET /v1/status HTTP/1.1\r\nHost: {wrong}\r\nConnection: close\r\n\r\n".encode())
                assert b" 403 " in over.recv(4096).partition(b"\r\n")[0]
                over.close()
    finally:
        for one in silent:
            one.close()
        daemon.stop()
