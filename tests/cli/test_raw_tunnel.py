"""``cardctl tunnel`` to a mail server: real pcscd, real daemon, dovecot that wants the card's certificate."""

from __future__ import annotations

import imaplib
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
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
    with user.tunnel(name) as told:
        url = urlsplit(told)
        assert (url.scheme, url.hostname, bool(url.port)) == ("tcp", "127.0.0.1", True)
        yield url.port or 0


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


def all_of(program: socket.socket, *words: bytes) -> bytes:
    """What is heard until the end, by who says these words and no more."""
    for word in words:
        time.sleep(0.05 if word is not words[0] else 0)
        program.sendall(word)
    with suppress(OSError):
        program.shutdown(socket.SHUT_WR)
    return b"".join(iter(lambda: program.recv(65536), b""))


def test_who_says_all_and_listens_hears_the_answer(professional: User) -> None:
    with tunnel(professional, "mail") as port, socket.create_connection(("127.0.0.1", port), timeout=30) as program:
        assert b"a OK" in all_of(program, b"a CAPABILITY\r\n")


def test_a_socket_s_path_is_for_its_user_alone_and_is_gone_afterwards(professional: User) -> None:
    path = professional.home / "mail.sock"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))  # and nobody listens any more
    with (
        professional.tunnel("mail", "--listen", str(path)) as told,
        socket.socket(socket.AF_UNIX) as program,
    ):
        assert (told, stat.S_IMODE(path.stat().st_mode)) == (f"unix:{path}", 0o600)
        assert professional.run("tunnel", "mail", "--listen", str(path)).status == 1  # the first one keeps it
        program.settimeout(30)
        program.connect(str(path))
        assert b"a OK" in all_of(program, b"a CAPABILITY\r\n")
    assert not path.exists()


def test_standard_input_and_output_may_be_pipes_or_one_socket(professional: User) -> None:
    command = professional.command("tunnel", "mail", "--stdio")
    said = subprocess.run(
        command, env=professional.environment, input=b"a CAPABILITY\r\n", capture_output=True, check=False
    )
    assert (b"a OK" in said.stdout, said.returncode) == (True, 0), said.stderr
    ours, theirs = socket.socketpair()
    with (
        ours,
        subprocess.Popen(
            command, env=professional.environment, stdin=theirs.fileno(), stdout=theirs.fileno()
        ) as process,
    ):
        theirs.close()
        ours.settimeout(30)
        assert b"a OK" in all_of(ours, b"a CAPABILITY\r\n")
        assert process.wait(20) == 0


def test_connections_by_the_dozen_leave_the_daemon_for_others(professional: User) -> None:
    with tunnel(professional, "mail") as port, ExitStack() as stack:
        for _ in range(80):
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
        assert professional.run("status").status == 0


def test_what_begins_as_a_browser_does_never_reaches_the_server(professional: User) -> None:
    with tunnel(professional, "mail") as port:
        for begun in (
            (b"POST / HTTP/1.1\r\n\r\na CAPABILITY\r\n",),
            (b"PO", b"ST / HTTP/1.1\r\n\r\na CAPABILITY\r\n"),
            (b"\x16\x03\x01\x00\x05hello",),
            (b"\x00\x01\x00\x00a\r\n",),
            (b"\x02\x10\x00\x01a\r\n",),  # STUN over TCP in its frame, with a long name that a page chose
        ):
            with socket.create_connection(("127.0.0.1", port), timeout=30) as page:
                assert all_of(page, *begun) == b""  # not even the server's greeting: it was not reached


@other_user.needs_root
def test_another_user_of_the_machine_gets_nothing(professional: User) -> None:
    with tunnel(professional, "mail") as port:
        code = "os.execv('/usr/bin/curl', ['curl', '-sS', '-m', '20', 'telnet://127.0.0.1:' + sys.argv[1]])"
        assert other_user.run(code, str(port)) == ""
