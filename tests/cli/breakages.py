"""Things that go wrong on a workstation, each by the code that doctor's first line has to tell.

A breakage is made for real, on a practice where all else is well: what is stopped, held, taken, filled or misconfigured
here is put right at the end of the ``with``. What no machine of the tests has (USB devices, systemd, the kernel's log,
another day) is put where doctor looks for it.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import keyring

from cardd.cli.doctor.surroundings import Surroundings
from cardd.system.pcsc_clients import clients
from cardd.values import replace
from cardd_simulators.cards.behaviour import behaving
from tests.cli.practice import Practice
from tests.cli.test_records import change_row
from tests.rig import other_program
from tests.rig.here import use_here, use_socket
from tests.rig.oidc.pki import Authority
from tests.rig.plain_keyring import PlainKeyring
from tests.rig.ports import free_port
from tests.rig.simulator import simulated_card, wait_for_card
from tests.rig.vcard import MUTE_ATR, VirtualCard
from tests.rig.waiting import eventually_here

Breakage = Callable[[Practice, Path], Iterator[Surroundings]]
BREAKAGES: dict[str, Breakage] = {}

VITALE_ATR = bytes.fromhex("3B751300004309EA9000")
STRANGE_ATR = bytes.fromhex("3B6500002063CB6A00")
WRONG_PIN = bytes.fromhex("0020000104") + b"9999"
NOBODY = 65534
DENIED = (
    'audit: type=1400 audit(1.2:3): apparmor="DENIED" operation="open" profile="pcscd" name="/x" pid=7 comm="pcscd"'
)
AVC = 'audit: type=1400 audit(1.2:3): avc:  denied  { connectto } for  pid=9 comm="cardd" path="/run/pcscd/pcscd.comm"'

# what a newer pcscd answers to an older library: its own version, and SCARD_E_SERVICE_STOPPED
NEWER = struct.pack("=iiI", 4, 5, 0x8010001E)
LISTEN = """
import socket, sys, threading
taken = socket.create_server(("127.0.0.1", int(sys.argv[1])))
def hang_up():
    while True:
        taken.accept()[0].close()
threading.Thread(target=hang_up, daemon=True).start()
print(1, flush=True)
sys.stdin.read()
"""
LOAD = "import ctypes, sys; ctypes.CDLL(sys.argv[1]); print(1, flush=True); sys.stdin.read()"
# by way of a process that ends at once: whoever the test starts itself counts as its own
ORPHAN = ["/bin/sh", "-c", 'exec 3<&0; "$@" <&3 & echo $! >&2', "sh"]


def breakage(code: str) -> Callable[[Breakage], Breakage]:
    """Keep a breakage by its code."""

    def keep(made: Breakage) -> Breakage:
        BREAKAGES[code] = made
        return made

    return keep


@contextmanager
def broken(code: str, practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """Break this on the practice; put it right again."""
    yield from BREAKAGES[code](practice, directory)


# --- the machine


@breakage("config.invalid")
def wrong_configuration(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """A key is misspelt."""
    surroundings = practice.surroundings(directory)
    assert surroundings.config_file
    surroundings.config_file.write_text(surroundings.config_file.read_text().replace("tcp =", "tpc ="))
    yield surroundings


@contextmanager
def small_disk(directory: Path, *options: str, size: str = "64k") -> Iterator[Path]:
    """A disk with hardly any room."""
    place = directory / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join((f"size={size}", *options)), "none", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


@breakage("disk.full")
def full_disk(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """The audit log's disk is full."""
    with small_disk(directory) as place:
        (place / "film").write_bytes(bytes(60 * 1024))
        yield practice.surroundings(directory, {"audit": {"directory": place}})


@breakage("disk.read_only")
def disk_that_can_be_read_only(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """The kernel has made the disk read-only, as it does after a fault."""
    with small_disk(directory, "ro") as place:
        yield practice.surroundings(directory, {"audit": {"directory": place}})


@breakage("state.open")
def open_state(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """Somebody has given everybody the right to change the state."""
    practice.station.daemon.state.chmod(0o777)
    yield practice.surroundings(directory)
    practice.station.daemon.state.chmod(0o700)


@breakage("state.owner")
def foreign_state(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """The state was copied by somebody else."""
    os.chown(practice.station.daemon.state, NOBODY, NOBODY)
    yield practice.surroundings(directory)
    os.chown(practice.station.daemon.state, 0, 0)


@breakage("clock.past")
def dead_battery(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """The clock has begun anew."""
    yield replace(practice.surroundings(directory), now=lambda: datetime(2001, 1, 1, tzinfo=UTC))


@breakage("denials.apparmor")
def apparmor(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """AppArmor forbids."""
    yield replace(practice.surroundings(directory), kernel_log=lambda: ["unrelated", DENIED])


@breakage("denials.selinux")
def selinux(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """SELinux forbids."""
    yield replace(practice.surroundings(directory), kernel_log=lambda: [AVC])


@breakage("audit.broken")
def changed_log(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """Somebody has changed a row of the audit log."""
    copy = directory / "audit"
    subprocess.run(["cp", "-a", practice.station.daemon.state / "audit", copy], check=True)
    change_row(copy, 1)
    yield practice.surroundings(directory, {"audit": {"directory": copy}})


# --- the service


@breakage("service.failed")
def failed_service(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """Systemd has given the service up, and says so."""
    yield replace(practice.surroundings(directory), unit=lambda: {"ActiveState": "failed"})


@breakage("service.restarting")
def service_in_vain(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """The service ends as soon as it is started."""
    unit = {"LoadState": "loaded", "ActiveState": "activating", "NRestarts": "3"}
    yield replace(practice.surroundings(directory), unit=lambda: unit)


@breakage("service.masked")
def masked_service(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """An administrator has switched the service off."""
    yield replace(practice.surroundings(directory), unit=lambda: {"LoadState": "masked", "ActiveState": "inactive"})


@breakage("port.taken")
def taken_port(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """Another program listens on the port."""
    port = free_port()
    with child(sys.executable, "-c", LISTEN, str(port)):
        yield practice.surroundings(directory, {"listen": {"tcp": port}})


@breakage("socket.dead")
def killed_daemon(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """The daemon was killed."""
    practice.station.daemon.kill()
    yield practice.surroundings(directory)
    practice.station.daemon.start()
    practice.station.wait_for_cards(1)


@breakage("socket.absent")
def no_daemon(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """Nobody has started the daemon of this configuration."""
    yield practice.surroundings(directory, {"listen": {"tcp": free_port(), "socket": directory / "none.sock"}})


@breakage("version.differs")
def older_daemon(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """The package was updated, and the daemon that runs is the old one: here, one that says so."""
    with answering(directory / "old.sock", b'{"name": "cardd", "version": "0.1.0", "state": "ready"}') as path:
        yield practice.surroundings(directory, {"listen": {"tcp": 0, "socket": path}})


@contextmanager
def answering(path: Path, body: bytes) -> Iterator[Path]:
    """Something that answers every request so."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"

    def answer(connection: socket.socket) -> None:
        if connection.recv(65536):
            connection.sendall(head % len(body) + body)

    with listening(path, answer):
        yield path


@contextmanager
def listening(path: Path, answer: Callable[[socket.socket], None]) -> Iterator[None]:
    """A thread that answers on a Unix socket."""

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                answer(connection)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(8)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


# --- readers


@breakage("pcscd_socket.dead")
def left_over_socket(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """A pcscd that was killed has left its socket."""
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(directory / "left.comm"))
    use_socket(directory / "left.comm")
    yield practice.surroundings(directory)
    use_here(practice.station.pcscd)


@breakage("protocol.mismatch")
def newer_pcscd(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """The library of a sandbox is older than the machine's pcscd."""

    def answer(connection: socket.socket) -> None:
        if connection.recv(64):
            connection.sendall(NEWER)

    with listening(directory / "newer.comm", answer):
        use_socket(directory / "newer.comm")
        yield practice.surroundings(directory)
        use_here(practice.station.pcscd)


@breakage("pcscd.absent")
def stopped_pcscd(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """Somebody has stopped pcscd."""
    station = practice.station
    station.pcscd.stop()
    station.wait_for_cards(0)
    yield practice.surroundings(directory)
    station.pcscd.start()
    wait_for_card(station.pcscd)
    station.wait_for_cards(1)


@breakage("pcscd.hangs")
def hanging_pcscd(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """Pcscd hangs in a driver."""
    os.kill(practice.station.pcscd.pid, signal.SIGSTOP)
    yield practice.surroundings(directory)
    os.kill(practice.station.pcscd.pid, signal.SIGCONT)


@breakage("polkit.rule_missing")
def no_rule(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """Debian 13's pcscd, and the rule was not installed."""
    root = with_files(
        directory,
        "usr/share/polkit-1/actions/org.debian.pcsc-lite.policy",
        "usr/lib/systemd/system/cardd.service",
        "etc/polkit-1/rules.d/50-other.rules",
    )
    yield replace(practice.surroundings(directory), root=root)


@breakage("driver.missing")
def no_driver(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """A reader is plugged in, and libccid is not installed."""
    plug_in(directory / "usb", "08e6", "3437")
    yield replace(practice.surroundings(directory), root=with_files(directory))


@breakage("reader.sesam_vitale")
def sesam_vitale(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """An Ingenico reader without its vendor's application."""
    plug_in(directory / "usb", "0b00", "0090", interface="ff")
    yield practice.surroundings(directory)


def plug_in(devices: Path, vendor: str, product: str, interface: str = "0b") -> None:
    """Have the kernel show a USB device."""
    for name, value in (
        ("1-1/idVendor", vendor),
        ("1-1/idProduct", product),
        ("1-1/product", "Reader"),
        ("1-1:1.0/bInterfaceClass", interface),
    ):
        file = devices / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{value}\n")


def with_files(directory: Path, *names: str) -> Path:
    """Another system's root, with these files and nothing else."""
    root = directory / "root"
    root.mkdir()
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


# --- the card


@contextmanager
def without_card(practice: Practice) -> Iterator[None]:
    """The card is out."""
    practice.take_out()
    yield
    practice.put_in()


@breakage("card.absent")
def no_card(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """No card is inserted."""
    with without_card(practice):
        yield practice.surroundings(directory)


def _with_card(atr: bytes, what: str) -> Breakage:
    def breaks(practice: Practice, directory: Path) -> Iterator[Surroundings]:
        with without_card(practice):
            card = VirtualCard(practice.station.pcscd.ports[0], atr=atr)
            card.insert()
            wait_for_card(practice.station.pcscd)
            yield practice.surroundings(directory)
            card.pull()
            wait_for_card(practice.station.pcscd, present=False)

    breaks.__doc__ = what
    return breaks


BREAKAGES["card.mute"] = _with_card(MUTE_ATR, "The card's chip is dirty")
BREAKAGES["card.vitale"] = _with_card(VITALE_ATR, "A patient's card is in the professional's slot")
BREAKAGES["card.unknown"] = _with_card(STRANGE_ATR, "A bank's card is inserted")


@breakage("pin.blocked")
def blocked(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """The wrong PIN was entered three times."""
    with without_card(practice):
        card = simulated_card()
        card.power_on()
        for _ in range(3):
            card.process(WRONG_PIN)
        practice.put_in(card)
        yield practice.surroundings(directory)
        practice.take_out()


@breakage("certificates.expired")
def expired(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """The card has ended."""
    with without_card(practice):
        practice.put_in(simulated_card(behaviour=behaving(["expired"])))
        yield practice.surroundings(directory)
        practice.take_out()


@breakage("held.program")
def held(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """Another program has begun a transaction, and does not end it."""
    station = practice.station
    with orphan(*other_program.command("hold", station.pcscd.reader_names[0]), said=b"held\n"):
        yield practice.surroundings(directory)


@breakage("stacks.several")
def two_stacks(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """Another program is connected to the card."""
    with orphan(*other_program.command("connect", practice.station.pcscd.reader_names[0]), said=b"held\n"):
        yield practice.surroundings(directory)


@contextmanager
def child(*command: str | Path, said: bytes = b"1\n") -> Iterator[subprocess.Popen[bytes]]:
    """A program that says when it is ready, and ends with its input."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as started:
        assert started.stdout
        assert started.stdout.readline() == said
        yield started


@contextmanager
def orphan(*command: str, said: bytes) -> Iterator[None]:
    """A program that this process did not start itself."""
    with subprocess.Popen(
        [*ORPHAN, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as started:
        assert started.stdout
        assert started.stdout.readline() == said
        started.wait()
        yield
        assert started.stdin
        started.stdin.close()
        started.stdout.read()  # until it has ended


# --- beside cardd


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


# --- the desktop


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


@contextmanager
def as_installed(practice: Practice) -> Iterator[None]:
    """The service is another user's, who owns its socket."""
    os.chown(practice.station.daemon.socket, NOBODY, NOBODY)
    yield
    os.chown(practice.station.daemon.socket, 0, 0)


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


@contextmanager
def agent(practice: Practice, path: Path) -> Iterator[None]:
    """An agent that this process did not start itself."""
    command = [sys.executable, "-m", "cardd.cli.agent", "--socket", str(path)]
    command += ["--pinentry", str(practice.station.pinentry.path)]
    with subprocess.Popen([*ORPHAN, *command], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as started:
        assert started.stderr
        pid = int(started.stderr.readline())
        started.wait()
        try:
            yield
        finally:
            os.kill(pid, signal.SIGTERM)
            started.stderr.read()  # until it has ended


# --- a remote desktop


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


# --- the network

OUTSIDE: Mapping[str, Mapping[str, object]] = {"timestamp": {"url": "https://tsa.example/"}}
CLOSED = {"ActiveState": "active", "IPAddressDeny": "0.0.0.0/0 ::/0", "IPAddressAllow": "127.0.0.0/8 ::1/128"}


@breakage("network.closed")
def closed_network(practice: Practice, directory: Path) -> Iterator[Surroundings]:
    """network.conf was not copied."""
    yield replace(practice.surroundings(directory, OUTSIDE), unit=lambda: CLOSED)


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


# --- browsers and PKCS#11


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
