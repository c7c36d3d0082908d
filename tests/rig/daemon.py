"""The real daemon as a process of its own, with its own configuration, sockets and state."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from tests.rig.ports import free_port
from tests.rig.warm import Warm

READY_TIMEOUT = 60.0
AS_INSTALLED = ("-m", "cardd.cli.cardd")
UNREAD = ("-P", str(Path(__file__).with_name("unread_daemon.py")))

CONFIGURATION = """
[listen]
tcp = "127.0.0.1:{port}"
socket = "{directory}/cardd.sock"

[state]
directory = "{directory}/state"

[prompt]
pinentry = "{pinentry}"
timeout = 20
"""


class DaemonProcess:
    """`cardd run --config FILE` on free ports. ``log`` holds all that it wrote; ``extra`` is TOML added to its file.

    ``descriptors`` is how many files it may open. Where it ``is_read``, a dialog takes a yes or a PIN as late as it
    does from a person, and the program is started as installed; else warm (``tests.rig.warm``) where that can be.
    """

    def __init__(
        self,
        directory: Path,
        *,
        pinentry: Path | str = "",
        environment: dict[str, str] | None = None,
        extra: str = "",
        arguments: tuple[str, ...] = (),
        descriptors: int | None = None,
        is_read: bool = True,
    ) -> None:
        self.directory = directory
        self.port = free_port()
        self.socket = directory / "cardd.sock"
        self.state = directory / "state"
        self.log = directory / "cardd.log"
        self.configuration = directory / "cardd.toml"
        self.arguments = arguments
        self._program = AS_INSTALLED if is_read else UNREAD
        self._limit = ["prlimit", f"--nofile={descriptors}"] if descriptors else []
        # as installed: with compiled modules, which some shells of developers switch off
        self.environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", **(environment or {})}
        self._process: subprocess.Popen[bytes] | Warm | None = None
        is_as_usual = not {"PYTHONPATH", "LD_PRELOAD"} & self.environment.keys()
        self._is_warm = not is_read and not descriptors and is_as_usual
        text = CONFIGURATION.format(port=self.port, directory=directory, pinentry=pinentry)
        self.configuration.write_text(text + extra)

    @property
    def url(self) -> str:
        """Where its API answers over TCP."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The daemon's process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> DaemonProcess:
        """Start it and wait for its READY=1, as systemd would."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            address = self.directory / "notify.sock"
            address.unlink(missing_ok=True)
            notify.bind(str(address))
            notify.settimeout(READY_TIMEOUT)
            given = ["run", "--config", str(self.configuration), *self.arguments]
            around = {**self.environment, "NOTIFY_SOCKET": str(address)}
            with self.log.open("ab") as log:
                if self._is_warm:
                    self._process = Warm("cardd", given, around, log.fileno(), log.fileno())
                else:
                    command = [*self._limit, sys.executable, *self._program, *given]
                    self._process = subprocess.Popen(
                        command, env=around, stdin=subprocess.DEVNULL, stdout=log, stderr=log
                    )
            while b"READY=1" not in notify.recv(4096):
                pass
        return self

    def stop(self) -> int:
        """Ask it to stop, as systemd would, and give its exit status."""
        if self._process is None:
            return 0
        self._process.terminate()
        status = self._process.wait(15)
        self._process = None
        return status

    def kill(self) -> None:
        """End it without warning."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(15)
            self._process = None
