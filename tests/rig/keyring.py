"""A real Secret Service on a bus of the tests' own: gnome-keyring, unlocked."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from time import monotonic, sleep

import secretstorage

from tests.rig.logind import Bus

LIMIT = 20.0
ASK = "org.freedesktop.DBus.NameHasOwner"
NAME = "string:org.freedesktop.secrets"


class Keyring:
    """``environment`` leads a program to it; ``files`` is where it keeps what it encrypts."""

    def __init__(self, directory: Path) -> None:
        self._bus = Bus(directory)
        self._process: subprocess.Popen[bytes] | None = None
        self.files = directory / "keyring"
        self.environment = {
            "DBUS_SESSION_BUS_ADDRESS": self._bus.address,
            "HOME": str(self.files),
            "XDG_DATA_HOME": str(self.files / "data"),
            "XDG_CONFIG_HOME": str(self.files / "config"),
            "XDG_RUNTIME_DIR": str(self.files / "run"),
        }

    def start(self) -> None:
        """Start both; secrets can be kept when this returns."""
        (self.files / "run").mkdir(mode=0o700, parents=True)
        self._bus.start()
        self._begin()

    def _begin(self) -> None:
        self._process = subprocess.Popen(
            ["gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets"],
            env={**os.environ, **self.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        assert self._process.stdin
        self._process.stdin.write(b"simulation")
        self._process.stdin.close()
        deadline = monotonic() + LIMIT
        while not self._answers():
            assert monotonic() < deadline, "the Secret Service does not come"
            sleep(0.02)

    def lock(self) -> None:
        """Lock what is kept, as a desktop does that was entered without a password; for this process's bus."""
        with closing(secretstorage.dbus_init()) as connection:
            secretstorage.get_default_collection(connection).lock()

    def unlock(self, after: float = 0.0) -> None:
        """Unlock it, as a login with the password does: by a daemon that begins anew, so many seconds later."""
        with self.away():
            sleep(after)

    @contextmanager
    def away(self, *, bus: bool = False) -> Iterator[None]:
        """Have none inside, and no bus either where that is wanted; what it kept is there again afterwards."""
        self._end()
        if bus:
            self._bus.stop()
        try:
            yield
        finally:
            if bus:
                self._bus.start()
            self._begin()

    def stop(self) -> None:
        """Stop both."""
        self._end()
        self._bus.stop()

    def _end(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(LIMIT)
            self._process = None

    def _answers(self) -> bool:
        ask = ["dbus-send", f"--bus={self.environment['DBUS_SESSION_BUS_ADDRESS']}", "--print-reply"]
        ask += ["--dest=org.freedesktop.DBus", "/", ASK, NAME]
        return b"true" in subprocess.run(ask, capture_output=True, timeout=LIMIT, check=True).stdout
