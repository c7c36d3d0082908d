"""The network, browsers, and programs that come by PKCS#11."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from cardd.cli.doctor.surroundings import Surroundings
from cardd.values import replace
from tests.cli.breakages.making import breakage
from tests.cli.practice import Practice
from tests.rig.oidc.pki import Authority
from tests.rig.ports import free_port

OUTSIDE: Mapping[str, Mapping[str, object]] = {"timestamp": {"url": "https://tsa.example/"}}
CLOSED = {"ActiveState": "active", "IPAddressDeny": "0.0.0.0/0 ::/0", "IPAddressAllow": "127.0.0.0/8 ::1/128"}


@breakage("network.closed")
def closed_network(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """network.conf was not copied."""
    yield replace(practice.surroundings(directory, OUTSIDE), unit=lambda _: CLOSED)


@breakage("proxy.unreachable")
def no_proxy(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """The proxy is down."""
    yield practice.surroundings(directory, {"network": {"proxy": f"http://127.0.0.1:{free_port()}"}})


@breakage("proxy.unused")
def untold_proxy(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """The desktop has a proxy, and nobody told cardd."""
    os.environ["https_proxy"] = "http://user:secret@proxy.example:3128"
    yield practice.surroundings(directory, OUTSIDE)
    del os.environ["https_proxy"]


@breakage("chain.incomplete")
def other_authorities(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """The file of authorities has others."""
    file = directory / "others.pem"
    file.write_bytes(Authority().pem)
    yield practice.surroundings(directory, {"trust": {"authorities": file}})


@breakage("revocation.unreachable")
def nobody_tells(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """The server that the card's certificates name is nowhere."""
    yield practice.surroundings(directory, {"trust": {"revocation": "online"}})


@breakage("https.unanswered")
def no_https(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """https was configured, and has no certificate."""
    yield practice.surroundings(directory, {"listen": {"https": free_port()}})


@breakage("browser_policy.asks")
def asking_browser(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """A portal is let in, and the browser was not told."""
    yield practice.surroundings(directory, {"web": {"allowed_origins": ["https://portail.example"]}})


@breakage("pkcs11.unregistered")
def unregistered(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """Somebody new, for whom nobody has registered."""
    with at_home(directory):
        yield practice.surroundings(directory)


@breakage("pkcs11.socket_missing")
def gone_socket(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """PKCS#11's socket was taken away."""
    path, kept = practice.directory / "p11", practice.directory / "p11-kept"
    path.rename(kept)
    yield practice.surroundings(directory)
    kept.rename(path)


@breakage("sandboxes.flatpak")
def in_flatpak(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """Firefox was installed as a Flatpak after the card was registered."""
    folder = practice.home / ".var/app/org.mozilla.firefox"
    folder.mkdir(parents=True)
    yield practice.surroundings(directory)
    folder.rmdir()


@contextmanager
def at_home(home: Path) -> Iterator[None]:
    """Somebody with another home."""
    before, os.environ["HOME"] = os.environ["HOME"], str(home)
    yield
    os.environ["HOME"] = before
