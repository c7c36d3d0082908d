"""PC/SC inside the test's own process.

The client library reads PCSCLITE_CSOCK_NAME once in a process's life. It is given one name for good, a symbolic link,
and each test points the link at its own pcscd.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from tests.rig.pcscd import Pcscd

_directory = Path(tempfile.mkdtemp(prefix="cardd-pcsc-"))
_link = _directory / "pcscd.comm"
atexit.register(shutil.rmtree, _directory, ignore_errors=True)


def use_here(pcscd: Pcscd) -> None:
    """Let this process's PC/SC calls go to this pcscd from now on; it need not run yet."""
    use_socket(pcscd.socket)


def use_socket(path: Path) -> None:
    """Let them go to whatever is at this path."""
    os.environ["PCSCLITE_CSOCK_NAME"] = str(_link)
    _link.unlink(missing_ok=True)
    _link.symlink_to(path)
