"""``cardctl tunnel`` to a mail server: real pcscd, real daemon, dovecot that wants the card's certificate."""

from __future__ import annotations

import imaplib
import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from tests.cli.station import Station, User, stationed
from tests.rig import other_user
from tests.rig.dovecot import Dovecot
from tests.rig.nginx import authority, issued
from tests.rig.simulator import issue, store

SETTINGS = """
[upstreams.mail]
kind = "tls"
url = "tls://localhost:{dovecot.port}"
authorities = "{authorities}"

[upstreams.starting]
kind = "tls"
url = "tls://localhost:{dovecot.plain}"
starttls = "imap"
authorities = "{authorities}"
"""


@pytest.fixture(scope="module")
def dovecot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dovecot]:
    directory = tmp_path_factory.mktemp("mail")
    issue()
    server = issued(directory, authority(directory), "serveur", names="DNS:localhost")
    with Dovecot(store().chain, server).running() as dovecot:
        yield dovecot


@pytest.fixture(scope="module")
def station(dovecot: Dovecot, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    authorities = dovecot.server.certificate.parent / "AUTORITE-SIMULATION.pem"
    extra = SETTINGS.format(dovecot=dovecot, authorities=authorities)
    with stationed(tmp_path_factory.mktemp("station"), extra) as station:
        yield station


@contextmanager
def tunnel(user: User, name: str) -> Iterator[int]:
    """Yield the tunnel's port; the tunnel must end well when it is told to."""
    command = user.command("tunnel", name, "--json")
    with subprocess.Popen(command, env=user.environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = ""
        while not told.endswith("}\n"):
            line = process.stdout.readline()
            assert line, told
            told += line
        url = urlsplit(str(json.loads(told)["url"]))
        assert (url.scheme, url.hostname, bool(url.port)) == ("tcp", "127.0.0.1", True)
        try:
            yield url.port or 0
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 0


@pytest.mark.parametrize("name", ["mail", "starting"])
def test_a_mail_program_that_knows_no_tls_has_the_holders_mailbox(professional: User, name: str) -> None:
    with tunnel(professional, name) as port:
        for _ in range(3):
            with imaplib.IMAP4("127.0.0.1", port, timeout=30) as imap:
                assert "STARTTLS" not in imap.capabilities
                assert imap.authenticate("EXTERNAL", lambda _: b"")[0] == "OK"
                imap.append("INBOX", "", "", b"Subject: SIMULATION\r\n\r\n" + b"x" * 300_000)
                assert imap.select("INBOX")[0] == "OK"
                assert imap.status("INBOX", "(MESSAGES)")[0] == "OK"


def test_what_begins_as_a_browser_does_never_reaches_the_server(professional: User) -> None:
    with tunnel(professional, "mail") as port:
        for begun in (
            b"POST / HTTP/1.1\r\n\r\na CAPABILITY\r\n",
            b"\x16\x03\x01\x00\x05hello",
            b"\x00\x01\x00\x00a\r\n",
        ):
            with socket.create_connection(("127.0.0.1", port), timeout=30) as page:
                page.sendall(begun)
                heard = b"".join(iter(lambda: page.recv(65536), b""))
            assert b"CAPABILITY completed" not in heard
            assert b"BAD" not in heard


@other_user.needs_root
def test_another_user_of_the_machine_gets_nothing(professional: User) -> None:
    with tunnel(professional, "mail") as port:
        code = "os.execv('/usr/bin/curl', ['curl', '-sS', '-m', '20', 'telnet://127.0.0.1:' + sys.argv[1]])"
        assert other_user.run(code, str(port)) == ""
