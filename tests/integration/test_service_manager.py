"""The daemon as systemd runs it: sockets passed, READY=1 and STOPPING=1 told, ended by SIGTERM, started again."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.integration.workstation import DIGEST, Workstation, expect, problem, text, wait_until
from tests.rig.daemon import DaemonProcess
from tests.rig.lps import Json, UnixConnection
from tests.rig.simulator import simulated_card, store

PROGRAM = "systemd-socket-activate"
needs_systemd = pytest.mark.skipif(not shutil.which(PROGRAM), reason="systemd is not installed")


class Manager:
    """What systemd does for the service, with its real socket activation; hears what the daemon notifies."""

    def __init__(self, workstation: Workstation) -> None:
        self.daemon = workstation.daemon
        self.agents = workstation.directory / "agent.sock"
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(workstation.directory / "manager.sock"))
        self._notify.settimeout(20)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The activator, which becomes the daemon."""
        assert self._process
        return self._process.pid

    @contextmanager
    def listening(self) -> Iterator[Manager]:
        """The four sockets of cardd.socket; nothing is started yet."""
        sockets = (f"127.0.0.1:{self.daemon.port}", f"[::1]:{self.daemon.port}", self.daemon.socket, self.agents)
        listen = [option for where in sockets for option in ("--listen", str(where))]
        around = {"NOTIFY_SOCKET": str(self._notify.getsockname()), "PATH": os.environ["PATH"]}
        around |= {name: value for name, value in self.daemon.environment.items() if name.startswith("PCSC")}
        passed = [f"--setenv={name}={value}" for name, value in around.items()]
        command = [sys.executable, "-m", "cardd.cli.cardd", "run", "--config", str(self.daemon.configuration)]
        with self._notify, self.daemon.log.open("ab") as log:
            self._process = subprocess.Popen(
                [PROGRAM, *passed, *listen, "--fdname", "cardd:cardd:cardd:cardd", *command], stdout=log, stderr=log
            )
            try:
                wait_until(self.agents.exists)  # the last of the four
                yield self
            finally:
                self._process.kill()
                self._process.wait(15)

    def hears(self) -> bytes:
        """The next notification."""
        return self._notify.recv(4096)

    def has_started(self) -> bool:
        """Whether the activator has become the daemon."""
        return b"cardd.cli.cardd\0run" in Path(f"/proc/{self.pid}/cmdline").read_bytes().split(b"--fdname")[0]

    def stop(self) -> int:
        """SIGTERM; gives the exit status."""
        assert self._process
        self._process.terminate()
        return self._process.wait(15)


@pytest.fixture
def workstation(tmp_path: Path) -> Iterator[Workstation]:
    """Running, without a card, and as installed."""
    with Workstation(tmp_path, is_read=True).running() as workstation:
        yield workstation


@pytest.fixture
def manager(workstation: Workstation) -> Iterator[Manager]:
    """In place of the daemon that the workstation began with."""
    workstation.daemon.stop()
    manager = Manager(workstation)
    for left in (workstation.daemon.socket, manager.agents):
        left.unlink(missing_ok=True)
    with manager.listening():
        yield manager


def status_over(connection: http.client.HTTPConnection) -> int:
    with closing(connection):
        connection.request("GET", "/v1/status")
        return connection.getresponse().status


@needs_systemd
def test_the_first_connection_starts_the_daemon_which_answers_on_every_socket(
    workstation: Workstation, manager: Manager
) -> None:
    assert not manager.has_started()
    port = workstation.daemon.port
    assert status_over(http.client.HTTPConnection("::1", port, timeout=20)) == 200
    assert manager.has_started()
    assert manager.hears() == b"READY=1"
    assert status_over(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) == 200
    assert status_over(UnixConnection(workstation.daemon.socket)) == 200
    with closing(socket.socket(socket.AF_UNIX)) as agent:
        agent.connect(str(manager.agents))


@needs_systemd
def test_sigterm_closes_the_sessions_and_ends_the_daemon_with_success(
    workstation: Workstation, manager: Manager
) -> None:
    card = simulated_card()
    workstation.wait_for_state("ready")
    assert manager.hears() == b"READY=1"
    with workstation.card(card):
        workstation.log_in().sign()
        resets = card.resets
        assert manager.stop() == 0
    assert manager.hears() == b"STOPPING=1"
    assert card.resets > resets, "the card was left logged in"
    assert b"Traceback" not in workstation.daemon.log.read_bytes()


def test_a_program_stays_paired_when_the_daemon_is_killed_and_its_session_does_not(workstation: Workstation) -> None:
    card = simulated_card()
    lps = workstation.pair()
    with workstation.card(card):
        old = workstation.log_in(lps)
        old.sign()
        resets, asked = card.resets, card.count
        os.kill(workstation.daemon.pid, signal.SIGKILL)
        workstation.daemon.kill()
        wait_until(lambda: card.resets > resets)  # pcscd ends the transaction, and the login with it
        workstation.daemon.start()
        workstation.wait_for_cards(1)
        assert card.count == asked, "a restart has no PIN to send, and asks the card nothing"
        again = workstation.lps(lps.credential)
        problem(401, "session.unknown", workstation.lps(old.lps.credential).call("GET", old.path))
        opened = expect(201, again.call("POST", "/v1/sessions", {"method": "cpx"}))
        assert text(opened, "id") != old.id
        workstation.session(opened).sign()


def test_a_daemon_that_restarts_properly_keeps_its_clients_and_its_audit(workstation: Workstation) -> None:
    lps = workstation.pair()
    with workstation.card(simulated_card()):
        workstation.log_in(lps).sign()
        assert workstation.daemon.stop() == 0
        workstation.daemon.start()
        workstation.wait_for_cards(1)
        workstation.log_in(workstation.lps(lps.credential)).sign()
    command = [sys.executable, "-m", "cardd.cli.cardctl", "audit", "verify", "--config"]
    subprocess.run([*command, workstation.daemon.configuration], check=True, capture_output=True, timeout=20)


def test_the_daemon_starts_without_reading_the_machine_s_authorities(tmp_path: Path) -> None:
    nobody_writes = tmp_path / "authorities.pem"
    os.mkfifo(nobody_writes)
    daemon = DaemonProcess(tmp_path, environment={"SSL_CERT_FILE": str(nobody_writes)})
    try:
        daemon.start()
    finally:
        daemon.kill()


@pytest.mark.skipif(os.geteuid() != 0, reason="the daemon shows its memory to nobody but root")
def test_a_daemon_that_signs_holds_one_openssl(tmp_path: Path) -> None:
    trust = f'\n[trust]\nauthorities = "{store().chain}"\n'
    with (
        Workstation(tmp_path, extra=trust, is_read=True).running() as workstation,
        workstation.card(simulated_card()),
    ):
        session = workstation.log_in()
        body: Json = {"document_name": "compte-rendu.txt", "digest": DIGEST}
        signed = session.lps.call("POST", f"{session.path}/signatures", body, Idempotency_Key="once")
        assert expect(200, signed)["chain"]
        loaded = Path(f"/proc/{workstation.daemon.pid}/maps").read_text()
    assert "/libcrypto.so" in loaded
    assert "/cryptography/" not in loaded
