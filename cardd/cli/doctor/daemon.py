"""The daemon: its configuration, its service, port and sockets, its version, and the codes of support."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import sys
from datetime import timedelta
from pathlib import Path

import cardd
from cardd import peer_process
from cardd.cli.doctor.check import Check, Finding, failure, ok, warning
from cardd.cli.doctor.desktop import person
from cardd.cli.doctor.surroundings import ANSWER_LIMIT, Surroundings, Unknowable
from cardd.client import CarddClient
from cardd.config.loading import load
from cardd.errors import DaemonUnreachable
from cardd.files import OTHERS_WRITE, ROOT
from cardd.i18n import N_
from cardd.system import loopback_tls
from cardd.system.peer import PROC, open_files, processes, program_of
from cardd.system.people import Accounts
from cardd.values import Value

SERVICE_USER = "cardd"  # whom the installed service runs as
SYSTEMD = 1  # it may hold the socket in the service's place
HTTPS_ENDS_SOON = timedelta(days=14)
LISTENING = "0A"  # a state in /proc/net/tcp
# 127.0.0.1, ::1 and, on every address, 0.0.0.0 and ::, as /proc/net/tcp and tcp6 have them
LOOPBACK = tuple(
    "".join(f"{int.from_bytes(raw[at : at + 4], sys.byteorder):08X}" for at in range(0, len(raw), 4))
    for raw in (bytes((127, 0, 0, 1)), bytes(15) + b"\1", bytes(4), bytes(16))
)
RESTART_SOCKET = ("systemctl", "restart", "cardd.socket")

CONFIG_OK = ok("config.ok", N_("Valid."))


def config(surroundings: Surroundings) -> Finding:
    """Check whether the configuration can be used. Raises ConfigInvalid, which tells what is wrong with it."""
    load(surroundings.config_file)
    return CONFIG_OK()


# --- its service

SERVICE_OK = ok("service.ok", N_("systemd runs cardd ({state})."))
SERVICE_WAITING = ok(
    "service.waiting", N_("cardd does not run just now: systemd starts it at the next call (cardd.socket).")
)
SERVICE_STOPPED = warning(
    "service.stopped",
    N_("cardd does not run, and cardd.socket waits for no call."),
    N_("Start it: “sudo systemctl start cardd.socket”."),
    is_minor=True,
    fix=("systemctl", "start", "cardd.socket"),
)
SERVICE_FAILED = failure(
    "service.failed",
    N_("cardd has failed, and systemd has given it up."),
    N_(
        "See why (“sudo journalctl --no-pager -u cardd -n 50”), then start it again: “sudo systemctl restart "
        "cardd.socket cardd”."
    ),
    fix=("systemctl", "restart", "cardd.socket", "cardd.service"),
)
SERVICE_RESTARTING = failure(
    "service.restarting",
    N_("cardd ends as soon as it is started, and systemd starts it again and again."),
    N_("See why: “sudo journalctl --no-pager -u cardd -n 50”. Put that right, then “sudo systemctl restart cardd”."),
)
SERVICE_MASKED = failure(
    "service.masked",
    N_("cardd.service was switched off by an administrator (masked): nothing starts it."),
    N_("Ask why; then “sudo systemctl unmask cardd.service” and “sudo systemctl restart cardd.socket”."),
)


def service(surroundings: Surroundings) -> Finding:
    """Check whether systemd has given the service up, starts it in vain, or was told never to start it."""
    unit = surroundings.unit("cardd")
    if unit is None:
        raise Unknowable("no_unit")
    if unit.get("LoadState") == "masked":
        return SERVICE_MASKED()
    match unit.get("ActiveState", "?"):
        case "failed":
            return SERVICE_FAILED()
        case "activating" if unit.get("NRestarts", "0") != "0":
            return SERVICE_RESTARTING()
        case "inactive":
            return SERVICE_WAITING() if unit.get("SocketState") == "active" else SERVICE_STOPPED()
        case state:
            return SERVICE_OK(state=state)


# --- its port

PORT_OURS = ok("port.ours", N_("cardd answers on port {port}."))
PORT_TAKEN_BY = failure(
    "port.taken",
    N_("Another program has taken port {port}: {who}."),
    N_("Stop that program (“sudo ss -ltnp sport = :{port}” shows it), then “sudo systemctl restart cardd.socket”."),
)
PORT_FREE = warning(
    "port.free",
    N_("Nobody listens on port {port}: cardd does not run."),
    N_("Start it: “sudo systemctl start cardd.socket”."),
    fix=("systemctl", "start", "cardd.socket"),
)


async def port(surroundings: Surroundings) -> Finding:
    """Check whether the API's TCP port is cardd's, on both loopback families, or still free."""
    number = surroundings.config.listen.tcp
    if not number:
        raise Unknowable("no_port")
    strangers = [one for one in listeners(number) if one.uid not in _own(surroundings.socket)]
    owners = await asyncio.gather(_owner("127.0.0.1", number), _owner("[::1]", number))
    if strangers or "other" in owners:
        found = sorted({one.told() for one in strangers or listeners(number)})
        return PORT_TAKEN_BY(port=number, who=", ".join(found) or "?")
    return PORT_OURS(port=number) if "cardd" in owners else PORT_FREE(port=number)


def _own(socket: Path) -> set[int]:
    """Return the users whose listening is cardd's: who has its Unix socket, and systemd, which may hold the port."""
    listening = service_of(socket)
    return {ROOT, listening[1] if listening else person()}


async def _owner(host: str, number: int) -> str:
    """Return ``cardd``, ``other`` or, when nobody listens, an empty string."""
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host.strip("[]"), number), ANSWER_LIMIT)
    except OSError:
        return ""
    writer.close()
    try:
        async with asyncio.timeout(ANSWER_LIMIT), CarddClient(f"http://{host}:{number}") as client:
            return "cardd" if (await client.status()).name == "cardd" else "other"
    except (DaemonUnreachable, TimeoutError):
        return "other"


class Listener(Value):
    """What listens on a port: its user, whom the kernel tells everybody, and the kernel's name of it."""

    uid: int
    name: str

    def told(self) -> str:
        """Return the program and its process, as far as this user may see them; else whose it is."""
        for pid in processes():
            if self.name in open_files(pid):
                return f"{program_of(pid) or '?'} ({pid})"
        return f"? ({Accounts().name(self.uid) or self.uid})"


def listeners(number: int) -> list[Listener]:
    """Return what listens on a TCP port where loopback leads to."""
    found = []
    for table in ("tcp", "tcp6"):
        try:
            lines = Path("/proc/net", table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:  # pragma: no cover - a kernel without IPv6
            continue
        for fields in map(str.split, lines):
            address, _, port = fields[1].rpartition(":")
            if fields[3] == LISTENING and int(port, 16) == number and address in LOOPBACK:
                found.append(Listener(int(fields[7]), f"socket:[{fields[9]}]"))
    return found


# --- https

HTTPS_OK = ok("https.ok", N_("Valid until {date}."))
HTTPS_UNANSWERED = failure(
    "https.unanswered",
    N_("Nothing answers over https on port {port}."),
    N_(
        "Make the certificate: “sudo cardctl https install”. If it stays so, have systemd open the port, one after the "
        "other: “sudo install -D -m 644 /usr/share/doc/cardd/examples/https.conf "
        "/etc/systemd/system/cardd.socket.d/https.conf”, “sudo systemctl daemon-reload”, “sudo systemctl restart "
        "cardd.socket cardd”."
    ),
)
HTTPS_NOT_YET = failure(
    "https.not_yet_valid",
    N_("Not valid before {date}."),
    N_("Check the date of this workstation: it is probably wrong."),
)
HTTPS_EXPIRED = failure(
    "https.expired",
    N_("Expired since {date}."),
    N_("Make a new one: “sudo cardctl https install”, then restart the browsers."),
)
HTTPS_ENDING = warning(
    "https.ending",
    N_("Valid until {date}; days left: {days}."),
    N_("Make a new one: “sudo cardctl https install”, then restart the browsers."),
)


def https(surroundings: Surroundings) -> Finding:
    """Check whether the certificate that the daemon shows over https is good, and for how long."""
    number = surroundings.config.listen.https
    if not number:
        raise Unknowable("no_https")
    try:
        certificate = loopback_tls.shown(number, ANSWER_LIMIT)
    except OSError:
        return HTTPS_UNANSWERED(port=number)
    begin, end = loopback_tls.validity(certificate)
    now = surroundings.now()
    if now < begin:
        return HTTPS_NOT_YET(date=f"{begin:%Y-%m-%d}")
    if now > end:
        return HTTPS_EXPIRED(date=f"{end:%Y-%m-%d}")
    if end - now < HTTPS_ENDS_SOON:
        return HTTPS_ENDING(date=f"{end:%Y-%m-%d}", days=(end - now).days)
    return HTTPS_OK(date=f"{end:%Y-%m-%d}")


# --- its socket

SOCKET_OK = ok("socket.ok", N_("cardd {version} answers at {path}."))
SOCKET_ABSENT = failure(
    "socket.absent",
    N_("{path} does not exist: cardd does not run."),
    N_("Start it: “sudo systemctl start cardd.socket”."),
    fix=("systemctl", "start", "cardd.socket"),
)
SOCKET_NONE = failure(
    "socket.not_socket",
    N_("{path} is no socket."),
    N_(
        "Restart the socket, which takes that place again: “sudo systemctl restart cardd.socket”. If it stays so, "
        "that is no place of cardd's: have --socket, or listen.socket in the configuration, name its socket."
    ),
    fix=RESTART_SOCKET,
)
SOCKET_DIRECTORY = failure(
    "socket.directory",
    N_("Others than the service may change what is in {path}."),
    N_(
        "Give the directory back to the service: “sudo chown {user} {path}”, “sudo chmod go-w {path}”. Then "
        "“sudo systemctl restart cardd.socket”."
    ),
)
SOCKET_SHARED = failure(
    "socket.shared",
    N_("{path} is a folder of others too: they can take the place of cardd's socket, {name}, while it does not run."),
    N_(
        "Do not change that folder. Have listen.socket in the configuration name a place in a folder of cardd's own, "
        "which only its user may change; then restart cardd."
    ),
)
SOCKET_REFUSED = failure(
    "socket.refused",
    N_("This user may not use {path}."),
    N_("Restart the socket, which sets the rights: “sudo systemctl restart cardd.socket”. Do not change them by hand."),
    fix=RESTART_SOCKET,
)
SOCKET_DEAD = failure(
    "socket.dead",
    N_("Nobody listens at {path} any more."),
    N_("Restart it: “sudo systemctl restart cardd.socket”."),
    fix=RESTART_SOCKET,
)
SOCKET_SILENT = failure(
    "socket.silent",
    N_("Whoever listens at {path} does not answer as cardd."),
    N_(
        "Restart cardd: “sudo systemctl restart cardd”. If it stays so, “sudo journalctl --no-pager -u cardd -n 50” "
        "tells why."
    ),
)


async def socket_rights(surroundings: Surroundings) -> Finding:
    """Check whether the daemon's socket is there, answers this user, and stands where nobody else could replace it."""
    path = surroundings.socket
    try:
        mode, owner = path.stat().st_mode, path.stat().st_uid
    except FileNotFoundError:
        return SOCKET_ABSENT(path=str(path))
    except PermissionError:
        return SOCKET_REFUSED(path=str(path))
    if not stat.S_ISSOCK(mode):
        return SOCKET_NONE(path=str(path))
    directory = path.parent.stat()
    if directory.st_uid in (ROOT, owner) and not directory.st_mode & OTHERS_WRITE:
        return await _reachable(path)
    is_its_own = directory.st_uid == owner and not directory.st_mode & stat.S_ISVTX  # no home of others, share or /tmp
    is_usual = path.parent == surroundings.usual.listen.socket.parent
    if not (is_its_own or is_usual):
        return SOCKET_SHARED(path=str(path.parent), name=path.name)
    # by its name: whoever may write there may have put a socket of their own in its place
    is_services = is_usual and owner != os.geteuid()
    user = SERVICE_USER if is_services else Accounts().name(owner) or str(owner)
    return SOCKET_DIRECTORY(path=str(path.parent), user=user)


async def _reachable(path: Path) -> Finding:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except PermissionError:
            return SOCKET_REFUSED(path=str(path))
        except OSError:
            return SOCKET_DEAD(path=str(path))
    try:
        async with asyncio.timeout(ANSWER_LIMIT), CarddClient(path) as client:
            status = await client.status()
    except (DaemonUnreachable, TimeoutError):
        return SOCKET_SILENT(path=str(path))
    return SOCKET_OK(path=str(path), version=status.version)


def service_of(path: Path) -> tuple[int, int] | None:
    """Return process and user of who listens on a socket; None where nobody does. It may be the service manager."""
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(ANSWER_LIMIT)
            probe.connect(str(path))
            return peer_process.credentials(probe)
    except OSError:
        return None


def is_cardd(pid: int, path: Path) -> bool:
    """Return whether a process is the service: it listens on this socket.

    Where systemd does in its place, it is the socket's owner's, and its command line is cardd's, behind Python's own
    part: that alone may be anybody's.
    """
    listening = service_of(path)
    if listening and listening[0] != SYSTEMD:
        return pid == listening[0]
    try:
        said = (PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")
        is_owners = (PROC / str(pid)).stat().st_uid == path.stat().st_uid
    except OSError:
        return False
    return is_owners and any(Path(part).name in ("cardd", "cardd.cli.cardd") for part in said[:3])


# --- its version

VERSION_OK = ok("version.ok", N_("cardctl and cardd are both of version {version}."))
VERSION_DIFFERS = warning(
    "version.differs",
    N_("cardctl is of version {own}, the running cardd of version {running}."),
    N_("Restart the service, so that it runs what is installed: “sudo systemctl restart cardd”."),
    fix=("systemctl", "restart", "cardd.service"),
)


def version(surroundings: Surroundings) -> Finding:
    """Check whether the running daemon is of the version that is installed here."""
    running = surroundings.ask(CarddClient.status).version
    if running != cardd.__version__:
        return VERSION_DIFFERS(own=cardd.__version__, running=running)
    return VERSION_OK(version=running)


# --- codes of support

SUPPORT_OK = ok("support.ok", N_("Demanded, and the workstation is enrolled."))
SUPPORT_LOCKED = warning(
    "support.locked",
    N_("Locked for {seconds} s after wrong codes."),
    N_("Wait, and ask who tried: “cardctl audit tail” has each attempt."),
)
SUPPORT_NOT_ENROLLED = warning(
    "support.not_enrolled",
    N_("Demanded, but the workstation is not enrolled: what needs a code is refused."),
    N_("Enrol it (“sudo cardctl support enrol”), or set [support] totp = false."),
)


def support(surroundings: Surroundings) -> Finding:
    """Check whether the codes of support that are demanded can be given."""
    standing = surroundings.ask(CarddClient.support)
    if not standing.demanded:
        raise Unknowable("no_support")
    if standing.locked:
        return SUPPORT_LOCKED(seconds=standing.locked)
    return SUPPORT_OK() if standing.enrolled else SUPPORT_NOT_ENROLLED()


CHECKS = {
    "config": Check(N_("Configuration"), config),
    "service": Check(N_("Service"), service),
    "port": Check(N_("TCP port"), port),
    "socket": Check(N_("Unix socket"), socket_rights),
    "version": Check(N_("Version"), version),
    "https": Check(N_("Certificate of https"), https),
    "support": Check(N_("Codes of support"), support),
}
