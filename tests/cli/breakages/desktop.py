"""What stands beside cardd, and the desktop: modules, the keyring, agents, remote sessions, the pinentry."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import keyring

from cardd.cli.doctor.surroundings import Surroundings
from cardd.system.pcsc_clients import clients
from cardd.values import replace
from tests.cli.breakages.making import agent, as_installed, breakage, child, listening, with_files
from tests.cli.practice import Practice
from tests.rig.plain_keyring import PlainKeyring
from tests.rig.waiting import eventually_here

LOAD = "import ctypes, sys; ctypes.CDLL(sys.argv[1]); print(1, flush=True); sys.stdin.read()"


@breakage("desktop_modules.loaded")
def module_in_the_desktop(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """A service of the desktop has loaded OpenSC."""
    [module] = Path("/usr/lib").glob("*/pkcs11/opensc-pkcs11.so")
    with child(sys.executable, "-c", LOAD, module):
        yield practice.surroundings(directory)


@breakage("middleware.broken")
def half_a_middleware(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """The official middleware's links are left, and it is not."""
    root = with_files(directory, "usr/lib64/libcps3_pkcs11_lux.so.3.1.0")
    yield replace(practice.surroundings(directory), root=root)


@breakage("modules.missing")
def no_module(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """A configured module is not installed."""
    yield practice.surroundings(directory, {"drivers.pkcs11": {"modules": ["/usr/lib/none.so"]}})


@breakage("organisation.missing")
def no_organisation(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """The organisation's certificate is not where the configuration says."""
    yield practice.surroundings(directory, {"csa": {"authentication": directory / "none.p12"}})


@breakage("keyring.plaintext")
def plain_keyring(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """A keyring that writes as it is was chosen."""
    before = keyring.get_keyring()
    keyring.set_keyring(PlainKeyring())
    yield practice.surroundings(directory)
    keyring.set_keyring(before)


@breakage("keyring.locked")
def locked_keyring(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """The desktop was entered without a password."""
    practice.keyring.lock()
    yield practice.surroundings(directory)
    practice.keyring.unlock()


@breakage("agent.absent")
def no_agent(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """Nobody has started the desktop's agent."""
    with as_installed(practice):
        yield practice.surroundings(directory)


@breakage("agent.unconnected")
def lost_agent(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """The agent's socket is not where the configuration says."""
    place = directory / "none.sock"
    with as_installed(practice), agent(practice, place):
        yield practice.surroundings(directory, {"listen": {"agent_socket": place}})


@breakage("second_agent.refused")
def second_agent(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """A second agent came, as a program would that wants the PIN."""
    path = practice.directory / "agent.sock"
    with as_installed(practice), agent(practice, path):
        eventually_here(lambda: bool(clients(str(path))))
        with agent(practice, path):
            yield practice.surroundings(directory)


@breakage("remote.unnamed")
def unnamed_socket(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """xrdp has made its socket, and nothing names it."""
    place = directory / ".pcsc10/pcscd.comm"
    place.parent.mkdir()
    session = {"HOME": str(directory), "DISPLAY": ":10.0", "XRDP_SESSION": "1"}
    with listening(place, lambda connection: connection.close()):
        yield replace(practice.surroundings(directory), environment=session)


@breakage("remote.silent")
def connection_without_readers(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """The session was made for redirected cards, and the connection of now hands over none."""
    with as_installed(practice):
        yield remote_desktop(practice, directory, directory / "none.comm")


@breakage("remote.foreign")
def protocol_of_xrdp(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """xrdp 0.9 hangs up on the library, which asks for the protocol first."""
    place = directory / "pcscd.comm"
    with as_installed(practice), listening(place, lambda connection: connection.close()):
        yield remote_desktop(practice, directory, place)


@breakage("lending.off")
def lending_switched_off(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """The service takes no readers of remote desktops, as it is installed."""
    path = practice.directory / "agent.sock"
    with as_installed(practice), agent(practice, path):
        eventually_here(lambda: bool(clients(str(path))))
        yield practice.surroundings(directory)


@breakage("lending.none")
def nothing_lent(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """The configuration wants it, and the service that runs has not read that."""
    path = practice.directory / "agent.sock"
    with as_installed(practice), agent(practice, path):
        eventually_here(lambda: bool(clients(str(path))))
        yield practice.surroundings(directory, {"access": {"lent_readers": True}})


def remote_desktop(practice: Practice, directory: Path, place: Path) -> Surroundings:
    """A session whose PC/SC should be at this place."""
    return replace(practice.surroundings(directory), environment={"PCSCLITE_CSOCK_NAME": str(place)})


@breakage("pinentry.broken")
def broken_pinentry(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """The configured pinentry is none."""
    yield practice.surroundings(directory, {"prompt": {"pinentry": "/bin/true"}})
