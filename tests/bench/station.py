"""The workstation that is measured: real pcscd, the simulated card in a process of its own, the daemon, one LPS."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from tests.bench.wire import Wire
from tests.rig.daemon import DaemonProcess
from tests.rig.lps import Json, Lps
from tests.rig.pcscd import Pcscd
from tests.rig.pinentry import ScriptedPinentry
from tests.rig.simulator import STATE, wait_for_card

PIN = "1234"
BATCH, BATCH_MAX = 9_000, 10_000  # signatures of a consent that are asked for, and that it covers

# What the user's patience limits in practice must not limit the bench: one consent for all that it signs.
SETTINGS = """
[consent]
batch_max = 10000
"""


class Station:
    """Everything that one measure needs."""

    def __init__(self, directory: Path, *, hold: float = 0.5, devices: int = 1, extra: str = "") -> None:
        self.directory = directory
        self.pcscd = Pcscd(directory, devices)
        self.pinentry = ScriptedPinentry(directory, pin=PIN)
        extra = f"{SETTINGS}\n[card]\nhold = {hold}\n{extra}"
        self.daemon = DaemonProcess(
            directory, pinentry=self.pinentry.path, environment=self.pcscd.environment, extra=extra
        )

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
    def card(self, *, slot: int = 0, delay_ms: int = 0) -> Iterator[None]:
        """A simulated card in the slot, as a process of its own so that it shares no interpreter with us."""
        command = [sys.executable, "-m", "tests.bench.card", str(self.pcscd.ports[slot]), str(delay_ms), str(STATE)]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
            try:
                wait_for_card(self.pcscd, slot)
                yield
            finally:
                process.terminate()
                wait_for_card(self.pcscd, slot, present=False)

    def pair(self) -> Lps:
        """A paired program."""
        lps = Lps(self.daemon.port)
        status, client = lps.call("POST", "/v1/clients", {"name": "Bench", "vendor": "SIMULATION", "software_id": "b"})
        assert status == 201, client
        return lps.with_credential(str(client["client_secret"]))

    def cards(self) -> list[Json]:
        """The cards that the daemon knows."""
        status, answer = self.pair().call("GET", "/v1/cards")
        assert status == 200, answer
        return cast(list[Json], answer["cards"])

    def log_in(self, card: str | None = None, lps: Lps | None = None) -> Session:
        """A session of this program, or of one that is paired for it."""
        body: Json = {"method": "cpx", **({"card": card} if card else {})}
        status, opened = (lps or self.pair()).call("POST", "/v1/sessions", body)
        assert status == 201, opened
        return Session(self.daemon.port, f"/v1/sessions/{opened['id']}", str(opened["token"]))


class Session:
    """An open session."""

    def __init__(self, port: int, path: str, token: str) -> None:
        self.path = path
        self.token = token
        self._wire = Wire(port, f"{path}/signatures", token)
        self._lps = Lps(port, token)
        self._signed = 0

    def sign(self, *digests: str) -> Json:
        """One signature under the bench's batch, or a list of them; a batch that is used up is followed by another."""
        items: list[Json] = [{"document_name": "bench", "digest": digest} for digest in digests]
        wanted: Json = items[0] if len(items) == 1 else {"signatures": items}
        batch: Json = {"name": f"bench {self._signed // BATCH}", "count": BATCH_MAX}
        self._signed += len(items)
        return self._wire.post({**wanted, "batch": batch})

    def situate(self, situation: str) -> None:
        """Pick a situation of practice."""
        self.post("situation", {"id": situation})

    def post(self, place: str, body: Json) -> Json:
        """Any call of the session."""
        status, answer = self._lps.call("POST", f"{self.path}/{place}", body)
        assert status == 200, answer
        return answer
