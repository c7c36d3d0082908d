"""What may stand where a file is expected, and would be waited for without end: a pipe, a socket, a device."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

every_kind = pytest.mark.parametrize("kind", ["pipe", "socket", "device"])


@contextmanager
def made(kind: str, path: Path) -> Iterator[Path]:
    """Put one at this path; a device is reached by a link, which everybody may make."""
    match kind:
        case "pipe":
            os.mkfifo(path, 0o600)
            yield path
        case "socket":
            with socket.socket(socket.AF_UNIX) as listening:
                listening.bind(str(path))
                path.chmod(0o600)
                yield path
        case _:
            path.symlink_to("/dev/zero")
            yield path
