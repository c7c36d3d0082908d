"""A real pcscd of the tests' own: private socket, virtual readers on free ports, stopped by its own pid.

pcscd takes its listening socket from whoever starts it (the systemd protocol: fd 3, LISTEN_FDS), so any number of
them run side by side, none of them the machine's; the client library finds it through PCSCLITE_CSOCK_NAME.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from functools import cache
from pathlib import Path

from tests.rig.ports import free_port

PROGRAM = "/usr/sbin/pcscd"
VPCD = Path("/usr/lib/pcsc/drivers/serial/libifdvpcd.so")
PATIENCE = 10  # seconds
ENTRY = 'FRIENDLYNAME "{name}"\nDEVICENAME /dev/null:{port:#x}\nLIBPATH {library}\nCHANNELID {port:#x}\n'


@cache
def _options() -> str:
    # newer ones (Debian 13) ask polkit about every client, root included, and refuse all where no system bus runs
    told = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True, check=False).stdout
    return "--disable-polkit" if "--disable-polkit" in told else ""


class Pcscd:
    """One pcscd with ``devices`` virtual readers of two slots each, whose names begin with ``name``.

    ``ports[n]`` is where a simulated card connects to sit in slot n; ``environment`` is what a PC/SC program needs.
    """

    def __init__(self, directory: Path, devices: int = 1, name: str = "Virtual") -> None:
        self.directory = directory
        self._name = name
        self.socket = directory / "pcscd.comm"
        self.log = directory / "pcscd.log"
        self.ports: list[int] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._listener: socket.socket | None = None
        self._write_configuration(devices)

    @property
    def environment(self) -> dict[str, str]:
        """What makes a PC/SC program talk to this pcscd and no other."""
        return {"PCSCLITE_CSOCK_NAME": str(self.socket)}

    @property
    def reader_names(self) -> list[str]:
        """The names under which PC/SC lists the slots, in the order of ``ports``."""
        return [f"{self._name} {n // 2} 00 {n % 2:02X}" for n in range(len(self.ports))]

    def _write_configuration(self, devices: int) -> None:
        entries = []
        for number in range(devices):
            # one library serves two slots; a further device wants a library file of its own
            library = VPCD if number == 0 else Path(shutil.copy(VPCD, self.directory / f"vpcd{number}.so"))
            port = free_port(2)
            self.ports += [port, port + 1]
            entries.append(ENTRY.format(name=f"{self._name} {number}", port=port, library=library))
        (self.directory / "reader.conf").write_text("\n".join(entries))

    def start(self) -> None:
        """Start it; the socket accepts connections when this returns."""
        self.socket.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.socket))
        self._listener.listen(64)
        self.socket.chmod(0o666)
        listener = self._listener.fileno()
        # bash, because dash knows no file descriptor above 9
        command = (
            f'exec 3<&{listener}; LISTEN_FDS=1 LISTEN_PID=$$ exec {PROGRAM} --foreground {_options()} --config "$0"'
        )
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                ["/bin/bash", "-c", command, str(self.directory / "reader.conf")],
                pass_fds=[listener],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "LC_ALL": "C"},
            )

    @property
    def pid(self) -> int:
        """Return its process."""
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        """Stop it; its clients see PC/SC go away."""
        if self._process:
            self._process.terminate()
            try:
                self._process.wait(PATIENCE)
            except subprocess.TimeoutExpired:  # as systemd ends it
                self._process.kill()
                self._process.wait()
            self._process = None
        if self._listener:
            self._listener.close()
            self._listener = None
        self.socket.unlink(missing_ok=True)
