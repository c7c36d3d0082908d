"""https on loopback: for which names our authority vouches, who may read the key, and what handshakes may hold."""

from __future__ import annotations

import socket
import ssl
import subprocess
from contextlib import ExitStack
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
    served = loopback_tls.Served(tmp_path)
    assert served.context()
    (tmp_path / loopback_tls.FILE).chmod(0o644)
    assert served.context() is None
    assert loopback_tls.forget(tmp_path)
    assert not loopback_tls.forget(tmp_path)
    assert served.context() is None


def test_a_link_is_replaced_and_what_it_leads_to_is_left(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("somebody's work")
    (tmp_path / loopback_tls.FILE).symlink_to(tmp_path / "mine")
    loopback_tls.keep(tmp_path, b"key")
    assert (tmp_path / "mine").read_text() == "somebody's work"


def test_a_certificate_that_comes_goes_or_is_renewed_needs_no_restart_and_silent_handshakes_keep_nobody_out(
    tmp_path: Path,
) -> None:
    daemon, port = DaemonProcess(tmp_path, is_read=False), free_port()
    text = daemon.configuration.read_text()
    daemon.configuration.write_text(text.replace("[listen]", f"[listen]\nhttps = {port}"))
    daemon.start()
    with ExitStack() as silent:
        silent.callback(daemon.stop)
        with pytest.raises(OSError, match=r"EOF|reset"):
            asked(port, loopback_tls.make())
        first, renewed = loopback_tls.make(), loopback_tls.make()
        loopback_tls.keep(daemon.state, first.server)
        for _ in range(200):
            silent.enter_context(socket.create_connection(("127.0.0.1", port)))
        begun = monotonic()
        assert b" 200 " in asked(port, first)
        assert monotonic() - begun < 3
        for wrong in (f"localhost:{daemon.port}", f"site.example:{port}"):
            assert b" 403 " in asked(port, first, wrong)
        loopback_tls.keep(daemon.state, renewed.server)
        assert b" 200 " in asked(port, renewed)
        with pytest.raises(ssl.SSLCertVerificationError):
            asked(port, first)
        loopback_tls.forget(daemon.state)
        with pytest.raises(OSError, match=r"EOF|reset"):
            asked(port, renewed)


def asked(port: int, made: loopback_tls.Made, host: str = "") -> bytes:
    """The first line of an answer to who trusts this authority."""
    context = ssl.create_default_context(cadata=made.authority)
    with (
        socket.create_connection(("127.0.0.1", port), 5) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as over,
    ):
        over.sendall(f"GET /v1/status HTTP/1.1\r\nHost: {host or f'localhost:{port}'}\r\n\r\n".encode())
        return over.recv(4096).partition(b"\r\n")[0]
