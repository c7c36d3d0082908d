"""A program in a sandbox as Flatpak makes one: no pcscd, none of the machine's processes, and cardd's socket alone."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.p11.programs import CERTIFICATE, KEY, MODULES, Desk, desk, needs, registered
from tests.rig.nginx import Nginx, Pair
from tests.rig.simulator import simulated_card

INSIDE = "/run/cardd/p11"  # where the sandbox sees the socket
# what Flatpak tells bubblewrap: mounts, processes and names of its own, the network shared
SANDBOX = (
    *("bwrap", "--unshare-all", "--share-net", "--die-with-parent", "--clearenv", "--uid", "1000"),
    *("--ro-bind", "/usr", "/usr", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"),
    *("--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"),
    *("--setenv", "PATH", "/usr/bin", "--setenv", "HOME", "/tmp"),
)
BY_ADDRESS = ("--setenv", "P11_KIT_SERVER_ADDRESS", f"unix:path={INSIDE}")
WITH_CLIENT = ("--provider", str(MODULES[0])) if MODULES else ()
FIREFOX = "org.mozilla.firefox"
GNUTLS = "/usr/bin/gnutls-cli"
WHO = "CN=899000000010"


@pytest.fixture(scope="module")
def boxed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk with a CPS3."""
    needs("bwrap", "gnutls-cli", "certutil", "tstclnt")
    if subprocess.run([*SANDBOX, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody make namespaces")
    with desk(tmp_path_factory.mktemp("boxed"), simulated_card()) as made:
        yield made


def of_card(address: str) -> str:
    """Return the address with the card's model in it: other modules of p11-kit are asked too."""
    return address.replace("pkcs11:", "pkcs11:model=CPS3;")


def sandboxed(of: Desk, *more: str | Path) -> tuple[str | Path, ...]:
    """Return the command before a program that runs it in the sandbox; ``more`` is for bubblewrap too."""
    return (*SANDBOX, "--bind", of.socket, INSIDE, *more)


def login(of: Desk, server: tuple[Nginx, Pair], *more: str | Path, options: tuple[str, ...] = WITH_CLIENT) -> str:
    """Log in at the server with GnuTLS in the sandbox; return what it said."""
    nginx, own = server
    return of.says(
        *sandboxed(of, "--ro-bind", own.certificate, "/run/authority.pem", *more),
        *(GNUTLS, *options, "--x509certfile", of_card(CERTIFICATE), "--x509keyfile", of_card(KEY)),
        *("--priority", "NORMAL:-VERS-TLS1.3", "--x509cafile", "/run/authority.pem", "-p", nginx.port, "127.0.0.1"),
        given="GET /who HTTP/1.0\r\n\r\n",
    )


def test_the_sandbox_has_the_socket_and_no_card_service(boxed: Desk) -> None:
    seen = boxed.says(*sandboxed(boxed), "find", "/run", "/proc", "-maxdepth", "1").split()

    assert [path for path in seen if path.startswith("/run/")] == ["/run/cardd"]
    assert sorted(path for path in seen if path.removeprefix("/proc/").isdigit()) == ["/proc/1", "/proc/2"]


def test_a_program_in_a_sandbox_logs_in_and_is_named_by_its_file(boxed: Desk, server: tuple[Nginx, Pair]) -> None:
    said = login(boxed, server, *BY_ADDRESS)

    assert WHO in said
    asked, pin = boxed.station.pinentry.shown()
    assert [asked.kind, pin.kind] == ["confirm", "pin"]
    assert GNUTLS in asked.description
    assert asked.not_ok == "Mémoriser"


def test_what_is_registered_for_a_flatpak_leads_nss_and_gnutls_to_the_card(
    boxed: Desk, server: tuple[Nginx, Pair], tmp_path: Path
) -> None:
    """No address is given: Flatpak takes it away where it has a socket of its own for the machine's authorities."""
    profile = tmp_path / ".var/app" / FIREFOX / ".mozilla/firefox/x"
    profile.mkdir(parents=True)
    subprocess.run(["certutil", "-N", "--empty-password", "-d", f"sql:{profile}"], check=True)
    registered(tmp_path, Path(INSIDE))
    own = tmp_path / ".var/app" / FIREFOX
    flatpak = ("--bind", own, own, "--setenv", "XDG_CONFIG_HOME", own / "config")
    override = (tmp_path / ".local/share/flatpak/overrides" / FIREFOX).read_text()

    assert override == f"[Context]\nfilesystems={INSIDE};\n"
    assert WHO in login(boxed, server, *flatpak, options=())

    database = ("-d", f"sql:{profile}")
    listed = boxed.says(*sandboxed(boxed, *flatpak), "certutil", "-L", "-h", "all", *database).splitlines()
    [nickname] = [line.rsplit(maxsplit=1)[0] for line in listed if "Authentification" in line]
    boxed.says(
        *sandboxed(boxed, *flatpak, "--ro-bind", "/etc/hosts", "/etc/hosts"),
        *("tstclnt", "-4", "-h", "localhost", "-p", server[0].port, *database, "-n", nickname),
        *("-V", "tls1.2:tls1.2", "-o", "-Q"),
    )
    asked, pin = boxed.station.pinentry.shown()[-2:]
    assert "/usr/bin/tstclnt" in asked.description
    assert pin.kind == "pin"


def test_wget_logs_in_by_what_its_user_registered(boxed: Desk, server: tuple[Nginx, Pair], tmp_path: Path) -> None:
    """In the sandbox a user runs it: p11-kit reads no user's file for root."""
    needs("wget")
    nginx, own = server
    configuration = registered(tmp_path, Path(INSIDE)) / ".config"
    said = boxed.says(
        *sandboxed(boxed, "--ro-bind", own.certificate, "/run/authority.pem", "--ro-bind", "/etc/hosts", "/etc/hosts"),
        *("--ro-bind", configuration, "/var/config", "--setenv", "XDG_CONFIG_HOME", "/var/config"),
        *("wget", "-q", "-O", "-", "--ciphers=NORMAL:-VERS-TLS1.3", "--ca-certificate=/run/authority.pem"),
        *(f"--certificate={of_card(CERTIFICATE)}", f"--private-key={of_card(KEY)}"),
        f"https://localhost:{nginx.port}/who",
    )

    assert WHO in said


def test_a_file_of_the_sandbox_has_no_name_and_cannot_be_remembered(
    boxed: Desk, server: tuple[Nginx, Pair], tmp_path: Path
) -> None:
    """The sandbox shows somebody's own file where root's stands outside."""
    own = Path(shutil.copy(GNUTLS, tmp_path / "own"))
    before = len(boxed.station.pinentry.shown())

    said = login(boxed, server, *BY_ADDRESS, "--ro-bind", own, GNUTLS)

    assert WHO in said
    asked = boxed.station.pinentry.shown()[before]
    assert "programme inconnu" in asked.description
    assert GNUTLS not in asked.description
    assert (asked.ok, asked.not_ok) == ("Accepter", "")
