"""The reader service and the readers: pcscd's socket, its protocol, its rights, drivers, readers that are not seen."""

from __future__ import annotations

import os
import socket
import stat
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cardd.cli.doctor.check import Check, Finding, failure, ok, warning
from cardd.cli.doctor.surroundings import PCSC_LIMIT, Surroundings, Unknowable
from cardd.errors import PcscUnavailable
from cardd.i18n import N_
from cardd.pcsc.lending import has_own_readers
from cardd.system.pcsc_clients import SOCKET, SOCKET_NAME

REFUSED = "8010006A"  # SCARD_W_SECURITY_VIOLATION: polkit lets only users of an active local session in
NOT_RUNNING = "8010001D"  # SCARD_E_NO_SERVICE
SESAM_VITALE = ("0b00", "0090")  # Ingenico; in PC/SC only with the reader's own application (the card facts, "Readers")
SMART_CARD = "0b"  # USB's class of interfaces

# pcsc-lite's own messages, as a pcscd and a library say them: size and command; major, minor, result
VERSION = 0x11
_HEADER, _VERSION = struct.Struct("=II"), struct.Struct("=iiI")
ASK_LIMIT = 1.0  # seconds
START_LIMIT = 2.5  # seconds, for a Python that loads the library
ESTABLISH = "from smartcard import scard; scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)"

POLKIT_ACTION = "usr/share/polkit-1/actions/org.debian.pcsc-lite.policy"
POLKIT_RULE = "50-cardd.rules"
POLKIT_RULES = ("etc/polkit-1/rules.d", "usr/share/polkit-1/rules.d")
UNITS = ("etc/systemd/system/cardd.service", "usr/lib/systemd/system/cardd.service")
DRIVERS = "usr/lib/pcsc/drivers/*.bundle"
START = ("systemctl", "start", "pcscd.socket")

# --- its socket

SOCKET_OK = ok("pcscd_socket.ok", N_("{path} takes connections."))
SOCKET_NONE = failure(
    "pcscd_socket.not_socket",
    N_("{path} is no socket: pcscd cannot be reached there."),
    N_("Restart the reader service, which takes that place again: “sudo systemctl restart pcscd.socket”."),
    fix=("systemctl", "restart", "pcscd.socket"),
)
SOCKET_MISNAMED = failure(
    "pcscd_socket.misnamed",
    N_("PCSCLITE_CSOCK_NAME names {path}, which is no socket: no program of this session reaches pcscd."),
    N_(
        "Take PCSCLITE_CSOCK_NAME out of where the session sets it (~/.profile, ~/.config/environment.d), then log "
        "out of the desktop and in again."
    ),
)
SOCKET_DEAD = failure(
    "pcscd_socket.dead",
    N_("{path} is left over: nobody listens there."),
    N_("Restart the reader service: “sudo systemctl restart pcscd.socket”."),
    fix=("systemctl", "restart", "pcscd.socket"),
)
SOCKET_REFUSED = failure(
    "pcscd_socket.refused",
    N_("This user may not use {path}."),
    N_("Restart the reader service, which sets the rights: “sudo systemctl restart pcscd.socket”."),
    fix=("systemctl", "restart", "pcscd.socket"),
)


def pcscd_path() -> Path:
    """Return where PC/SC's library finds pcscd."""
    return Path(os.environ.get(SOCKET_NAME, SOCKET))


def pcscd_socket(_: Surroundings) -> Finding:
    """Check whether pcscd's socket, where there is one, is good; one that is missing is told by ``pcscd``."""
    path = pcscd_path()
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            return (SOCKET_MISNAMED if has_own_readers(os.environ) else SOCKET_NONE)(path=str(path))
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(ASK_LIMIT)
            probe.connect(str(path))
    except FileNotFoundError:
        raise Unknowable("no_pcscd") from None
    except PermissionError:
        return SOCKET_REFUSED(path=str(path))
    except ConnectionRefusedError:
        return SOCKET_DEAD(path=str(path))
    except TimeoutError:
        pass  # its queue is full: pcscd hangs, which is told by its own check
    return SOCKET_OK(path=str(path))


# --- its protocol

PROTOCOL_OK = ok("protocol.ok", N_("The PC/SC library and pcscd speak the same protocol, {spoken}."))
PROTOCOL_MISMATCH = failure(
    "protocol.mismatch",
    N_("The PC/SC library speaks protocol {library}, pcscd {service}: they do not understand each other."),
    N_(
        "Bring both to one version: “sudo apt install --reinstall pcscd libpcsclite1”, then “sudo systemctl "
        "restart pcscd”. In a Flatpak or another sandbox, use the program that the distribution brings."
    ),
)


def protocol(surroundings: Surroundings) -> Finding:
    """Check whether pcscd and the library of this process have the same protocol."""
    service = spoken_at(pcscd_path())
    if service is None:
        raise Unknowable("no_pcscd")
    try:
        surroundings.readers()
    except PcscUnavailable:
        library = _spoken_by_library()
        if library and library != service:
            return PROTOCOL_MISMATCH(library=library, service=service)
    except TimeoutError:
        raise Unknowable("no_pcscd") from None
    return PROTOCOL_OK(spoken=service)


def spoken_at(path: Path) -> str | None:
    """Return the protocol that pcscd answers with, whatever it is asked for."""
    asked = _HEADER.pack(_VERSION.size, VERSION) + _VERSION.pack(4, 4, 0)
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(ASK_LIMIT)
            probe.connect(str(path))
            probe.sendall(asked)
            with probe.makefile("rb") as answer:
                major, minor, _ = _VERSION.unpack(answer.read(_VERSION.size))
    except (OSError, struct.error):
        return None
    return f"{major}:{minor}"


def _spoken_by_library() -> str | None:
    """Return the protocol that the library asks a pcscd for: one of ours, that only listens."""
    with tempfile.TemporaryDirectory(prefix="cardd-doctor-") as place, socket.socket(socket.AF_UNIX) as listener:
        path = f"{place}/pcscd.comm"
        listener.bind(path)
        listener.listen(1)
        listener.settimeout(START_LIMIT)
        with subprocess.Popen(  # noqa: S603 - this Python, a fixed program
            [sys.executable, "-P", "-c", ESTABLISH], env={**os.environ, SOCKET_NAME: path}, stderr=subprocess.DEVNULL
        ) as library:
            try:
                connection, _ = listener.accept()
                connection.settimeout(ASK_LIMIT)
                with connection, connection.makefile("rb") as said:
                    _, (major, minor, _) = said.read(_HEADER.size), _VERSION.unpack(said.read(_VERSION.size))
            except (OSError, struct.error):
                return None
            finally:
                library.kill()
    return f"{major}:{minor}"


# --- pcscd

PCSCD_OK = ok("pcscd.ok", N_("pcscd answers; readers: {count}."))
PCSCD_HANGS = failure(
    "pcscd.hangs",
    N_("pcscd does not answer within {seconds} s."),
    N_("Unplug the reader, then restart pcscd: “sudo systemctl restart pcscd”."),
)
PCSCD_REFUSED = warning(
    "pcscd.refused",
    N_("pcscd lets only users of an open desktop session in."),
    N_("Run doctor from the desktop, or “sudo cardctl doctor”; cardd has a rule of its own."),
)
PCSCD_ABSENT = failure(
    "pcscd.absent",
    N_("pcscd does not run."),
    N_(
        "Install it (“sudo apt install pcscd”), or start it: “sudo systemctl start pcscd.socket”. Where that says "
        "“masked”, before it: “sudo systemctl unmask pcscd.socket pcscd.service”."
    ),
    fix=START,
)
PCSCD_FAULT = failure(
    "pcscd.fault",
    N_("PC/SC does not work ({why})."),
    N_("Restart pcscd: “sudo systemctl restart pcscd”. If it comes back, give this code to support."),
)


def pcscd(surroundings: Surroundings) -> Finding:
    """Check whether pcscd runs, answers in time, and lets this user in."""
    try:
        return PCSCD_OK(count=len(surroundings.readers()))
    except TimeoutError:
        return PCSCD_HANGS(seconds=round(PCSC_LIMIT))
    except PcscUnavailable as error:
        match error.params.get("pcsc"):
            case code if code == REFUSED:
                return PCSCD_REFUSED()
            case code if code == NOT_RUNNING:
                if not surroundings.needs_pcscd():
                    raise Unknowable("no_pcscd_needed") from None
                return PCSCD_ABSENT()
            case code:
                return PCSCD_FAULT(why=str(code or error.params.get("why", "?")))


POLKIT_OK = ok("polkit.ok", N_("polkit has cardd's rule ({file})."))
POLKIT_MISSING = warning(
    "polkit.rule_missing",
    N_("pcscd asks polkit whom to let in, and cardd's rule is not there: the service may be refused."),
    N_(
        "Put {rule} back into /usr/share/polkit-1/rules.d/: “sudo apt install --reinstall cardd”; where cardd is "
        "no package, it stands in systemd/polkit/ of cardd's sources."
    ),
)


def polkit(surroundings: Surroundings) -> Finding:
    """Check whether polkit, where pcscd asks it, lets the service in."""
    root = surroundings.root
    if not (root / POLKIT_ACTION).exists() or not any((root / unit).exists() for unit in UNITS):
        raise Unknowable("no_polkit")
    for folder in POLKIT_RULES:
        try:
            if (root / folder / POLKIT_RULE).exists():
                return POLKIT_OK(file=f"/{folder}/{POLKIT_RULE}")
        except PermissionError:  # Debian's folder is root's and polkit's alone
            raise Unknowable("no_rights") from None
    return POLKIT_MISSING(rule=POLKIT_RULE)


# --- readers

DRIVER_OK = ok("driver.ok", N_("Drivers for smart card readers: {drivers}."))
DRIVER_MISSING = failure(
    "driver.missing",
    N_("A smart card reader is plugged in ({device}), and pcscd has no driver for USB readers."),
    N_("Install it: “sudo apt install libccid”, then restart pcscd: “sudo systemctl restart pcscd”."),
)
DRIVER_UNSUITED = failure(
    "driver.unsuited",
    N_("A smart card reader is plugged in ({device}), and pcscd does not show it: its driver does not know it."),
    N_(
        "Unplug it and plug it in again. If it stays so, look for a driver at its vendor's, or take a reader that "
        "Debian's libccid supports."
    ),
)
READER_OK = ok("reader.ok", N_("{names}"))
READER_SESAM_VITALE = warning(
    "reader.sesam_vitale",
    N_("An Ingenico SESAM-Vitale reader is plugged in, but PC/SC does not see it."),
    N_("Have its vendor install the reader's PC/SC application (EI96S, version 4.0 or later)."),
)
READER_NONE = failure(
    "reader.none",
    N_("No reader is seen."),
    N_("Plug the reader in, directly rather than through a hub; check that it is a PC/SC reader."),
)


def driver(surroundings: Surroundings) -> Finding:
    """Check whether pcscd has a driver for the USB readers that are plugged in."""
    plugged = list(_smart_card_devices(surroundings.usb))
    if not plugged:
        raise Unknowable("no_usb_reader")
    bundles = sorted(found.stem for found in surroundings.root.glob(DRIVERS))
    if not any("ccid" in name for name in bundles):
        return DRIVER_MISSING(device=plugged[0])
    if not surroundings.readers_of_pcscd():
        return DRIVER_UNSUITED(device=plugged[0])
    return DRIVER_OK(drivers=", ".join(bundles))


def reader(surroundings: Surroundings) -> Finding:
    """Check whether there is a reader, and whether one is plugged in that PC/SC does not see."""
    names = [reader.name for reader in surroundings.readers_of_pcscd()]
    if _is_plugged(surroundings.usb) and not any("INGENICO" in name.upper() for name in names):
        return (READER_SESAM_VITALE if names else READER_SESAM_VITALE.as_failure())()
    return READER_OK(names=", ".join(names)) if names else READER_NONE()


def _is_plugged(devices: Path) -> bool:
    return any(
        (_attribute(device / "idVendor"), _attribute(device / "idProduct")) == SESAM_VITALE
        for device in devices.glob("*")
    )


def _smart_card_devices(devices: Path) -> Iterator[str]:
    """Yield the USB devices that have an interface for smart cards: product, and its numbers."""
    for interface in sorted(devices.glob("*:*")):
        if _attribute(interface / "bInterfaceClass") == SMART_CARD:
            device = devices / interface.name.partition(":")[0]
            numbers = f"{_attribute(device / 'idVendor')}:{_attribute(device / 'idProduct')}"
            yield f"{_attribute(device / 'product')} {numbers}".strip()


def _attribute(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip().lower()
    except (OSError, UnicodeDecodeError):
        return ""


CHECKS = {
    "pcscd_socket": Check(N_("Socket of the reader service"), pcscd_socket),
    "protocol": Check(N_("Protocol of the reader service"), protocol),
    "pcscd": Check(N_("Reader service"), pcscd),
    "polkit": Check(N_("Right to the readers"), polkit),
    "driver": Check(N_("Driver of the reader"), driver),
    "reader": Check(N_("Reader"), reader),
}
