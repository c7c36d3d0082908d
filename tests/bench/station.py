"""The workstation that is measured: real pcscd, the simulated card in a process of its own, the daemon, one LPS."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.rig.daemon import DaemonProcess
from tests.rig.lps import Json, Lps
from tests.rig.pcscd import Pcscd
from tests.rig.pinentry import ScriptedPinentry
from tests.rig.simulator import STATE, wait_for_card

PIN = "1234"

# What the user's patience limits in practice must not limit the bench: one consent for all that it signs.
SETTINGS = """
[consent]
batch_max = 10000
"""


class Station:
    """Everything that one measure needs."""

    def __init__(self, directory: Path, *, hold: float = 0.5) -> None:
        self.directory = directory
        self.pcscd = Pcscd(directory)
        self.pinentry = ScriptedPinentry(directory, pin=PIN)
        extra = f"{SETTINGS}\n[card]\nhold = {hold}\n"
        self.daemon = DaemonProcess(
            directory, pinentry=self.pinentry.path, environment=self.pcscd.environment, extra=extra
        )
        self.session: Lps | None = None
        self.path = ""

    @contextmanager
    def running(self) -> Iterator[Station]:
        """Start pcscd and the daemon; stop them at the end."""
        self.pcscd.start()
        try:
            self.daemon.start()
            yield self
        finally:
            self.daemon.stop()
            self.pcscd.stop()

    @contextmanager
    def card(self, *, delay_ms: int = 0) -> Iterator[None]:
        """A simulated card in the first slot, as a process of its own so that it shares no interpreter with us."""
        command = [sys.executable, "-m", "tests.bench.card", str(self.pcscd.ports[0]), str(delay_ms), str(STATE)]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
            try:
                wait_for_card(self.pcscd)
                yield
            finally:
                process.terminate()
                wait_for_card(self.pcscd, present=False)

    def pair(self) -> Lps:
        """A paired program."""
        lps = Lps(self.daemon.port)
        status, client = lps.call("POST", "/v1/clients", {"name": "Bench", "vendor": "SIMULATION", "software_id": "b"})
        assert status == 201, client
        return lps.with_credential(str(client["client_secret"]))

    def log_in(self) -> Lps:
        """A session of a paired program."""
        status, session = self.pair().call("POST", "/v1/sessions", {"method": "cpx"})
        assert status == 201, session
        self.path = f"/v1/sessions/{session['id']}/signatures"
        return Lps(self.daemon.port, str(session["token"]))

    def sign(self, session: Lps, digest: str) -> Json:
        """One signature under the bench's batch."""
        body: Json = {"document_name": "bench", "digest": digest, "batch": {"name": "bench", "count": 10000}}
        status, signed = session.call("POST", self.path, body)
        assert status == 200, signed
        return signed
