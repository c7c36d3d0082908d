"""An authority, a server's certificate and clients' keys, made once a module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.rig.nginx import Nginx, Pair, authority, issued


@dataclass(frozen=True)
class Pki:
    """All of one test module."""

    directory: Path
    authority: Pair
    server: Pair
    rsa: Pair
    ec: Pair


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    directory = tmp_path_factory.mktemp("pki")
    root = authority(directory)
    server = issued(directory, root, "serveur", names="IP:127.0.0.1,DNS:localhost")
    return Pki(directory, root, server, issued(directory, root, "rsa"), issued(directory, root, "ec", ec=True))


StartNginx = Callable[..., Nginx]


@pytest.fixture
def nginx(pki: Pki, tmp_path: Path) -> Iterator[StartNginx]:
    """Start one; ``protocols``, ``server`` and others as ``Nginx`` has them."""
    with ExitStack() as stack:

        def start(protocols: str = "TLSv1.2 TLSv1.3", server: Pair = pki.server, trusted: Path | None = None) -> Nginx:
            found = Nginx(tmp_path / "nginx", trusted or pki.authority.certificate, server, protocols)
            return stack.enter_context(found.running())

        yield start
