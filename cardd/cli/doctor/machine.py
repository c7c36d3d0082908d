"""The machine: its clock, its desktop, and the memory that PINs are locked into."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import resource
import socket
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import cardd
from cardd.cli.doctor.check import Finding, failure, ok, warning
from cardd.cli.doctor.surroundings import Surroundings, Unknowable, in_time
from cardd.config import Config
from cardd.i18n import N_
from cardd.outward import HERE
from cardd.secret import CAPACITY
from cardd.system.browsers import ANY, executable, installed, is_installed, wanted
from cardd.system.peer import processes

PINS = 64  # more than can be held or asked for at once on one workstation
TOLERANCE = timedelta(days=1)
UNIT_LIMIT = 5.0  # seconds
EVERYWHERE = {"any", "0.0.0.0/0", "::/0"}

_CREDENTIALS = struct.Struct("=iII")
_LOCKED = re.compile(r"^Max locked memory\s+(\S+)", re.MULTILINE)


async def clock(surroundings: Surroundings) -> Finding:
    """Check whether the clock can be right, and whether something keeps it so: tokens and certificates depend on it."""
    installed, now = _installed(), surroundings.now()
    if now < installed - TOLERANCE:
        return failure(
            "past",
            N_("The clock says {now}, before cardd was installed ({built})."),
            N_("Set the clock and switch on automatic time: “timedatectl set-ntp true”."),
            now=f"{now:%Y-%m-%d %H:%M} UTC",
            built=f"{installed:%Y-%m-%d}",
        )
    match surroundings.synchronised():
        case True:
            return ok(N_("Plausible, and kept right by a time service."))
        case False:
            return warning(
                "unsynchronised",
                N_("No time service keeps the clock right."),
                N_("Switch on automatic time: “timedatectl set-ntp true”."),
            )
    return ok(N_("Plausible."), outcome="plausible")


def _installed() -> datetime:
    return datetime.fromtimestamp(Path(cardd.__file__).stat().st_mtime, UTC)


async def network(surroundings: Surroundings) -> Finding:
    """Check whether systemd lets the service reach the machines that the configuration names (IPAddressDeny)."""
    hosts = sorted(_elsewhere(surroundings.config))
    if not hosts:
        raise Unknowable("no_network")
    unit = await in_time(surroundings.unit, UNIT_LIMIT)
    if unit is None:
        raise Unknowable("no_unit")
    denied, allowed = (unit.get(name, "").split() for name in ("IPAddressDeny", "IPAddressAllow"))
    if not set(denied) & EVERYWHERE:
        return ok(N_("Open to the machines that the configuration names."))
    if [one for one in allowed if not ipaddress.ip_network(one, strict=False).is_loopback]:
        return ok(N_("Open to some addresses: {allowed}."), outcome="narrowed", allowed=", ".join(allowed)[:200])
    return failure(
        "closed",
        N_("systemd lets the service reach this machine only (IPAddressDeny), and the configuration names {host}."),
        N_(
            "As root, copy network.conf, which cardd brings in systemd/, to /etc/systemd/system/cardd.service.d/, then "
            "run “systemctl daemon-reload” and “systemctl restart cardd”."
        ),
        host=hosts[0],
    )


def _elsewhere(config: Config) -> set[str]:
    """Return the hosts that the configuration has cardd reach, this machine's own left out."""
    addresses = [upstream.url for upstream in config.upstreams.values()]
    addresses += [sink for sink in config.audit.sinks if sink.startswith("https:")]
    addresses += [config.timestamp.url or ""]
    hosts = {urlsplit(address).hostname or "" for address in addresses}
    hosts |= {config.psc.host} if config.psc.is_configured else set()
    return hosts - {"", *HERE}


async def memory(surroundings: Surroundings) -> Finding:
    """Check whether the daemon (this process, when it does not run) may lock the pages that PINs stand in."""
    limit = lockable_memory(_daemon(surroundings.socket))
    needed = PINS * CAPACITY
    if limit is not None and limit < needed:
        return warning(
            "low",
            N_("Only {limit} KiB may be locked; {needed} KiB are wanted: a PIN might be swapped to disk."),
            N_("Use the unit that cardd brings (LimitMEMLOCK), or raise “ulimit -l”."),
            limit=limit // 1024,
            needed=needed // 1024,
        )
    return ok(N_("Enough for PINs."))


async def desktop(_: Surroundings) -> Finding:
    """Check whether other programs of this desktop can read the PIN while it is typed."""
    is_x11 = "DISPLAY" in os.environ and "WAYLAND_DISPLAY" not in os.environ
    if is_x11 or os.environ.get("XDG_SESSION_TYPE") == "x11":
        return warning(
            "x11",
            N_("This desktop is X11: any of its programs can read the PIN while it is typed."),
            N_("Use a Wayland session, or a reader with its own keypad."),
        )
    return ok(N_("No X11 desktop."))


async def browsers(surroundings: Surroundings) -> Finding:
    """Check which browsers pages may call from, and whether one runs here whose pages are refused."""
    configured = surroundings.config.web.browsers
    if ANY in configured:
        return warning(
            "any",
            N_("Any program may pass itself off as a web page ([web] browsers)."),
            N_("Name the browsers that are used here: “known”, or their paths."),
        )
    patterns = wanted(configured)
    files, names = installed(patterns), {Path(pattern).name for pattern in patterns}
    for program in map(executable, processes()):
        if Path(program.path).name in names and not is_installed(program, files):
            return warning(
                "unknown",
                N_("Pages in {program}, which runs here, are refused."),
                N_("Install it for all users of this machine, or name its path in [web] browsers; then restart it."),
                program=program.path,
            )
    if not files:
        return warning(
            "none",
            N_("No browser is installed here from which pages may call."),
            N_("Install one for all users of this machine, or name its path in [web] browsers."),
        )
    return ok(N_("Pages may call from {browsers}."), browsers=", ".join(sorted(files.values())))


async def sandbox(surroundings: Surroundings) -> Finding:
    """Check whether what reads PDF files or runs a module can be kept from everything else."""
    config, found = surroundings.config, surroundings.sandbox()
    if found.missing:
        told = failure if config.sandbox.required else warning
        return told(
            "missing",
            N_("This computer has no {what}: what reads PDF files or runs PKCS#11 modules is not kept in whole."),
            N_("Install the package libseccomp2, and use a kernel with Landlock (Debian 12 and newer have one)."),
            what=", ".join(found.missing),
        )
    if config.pkcs11.unconfined:
        return warning(
            "unconfined",
            N_("These PKCS#11 modules run without a sandbox: {modules}."),
            N_(
                "Name the files that they need in drivers.pkcs11.files, and take them out of drivers.pkcs11.unconfined."
            ),
            modules=", ".join(config.pkcs11.unconfined),
        )
    return ok(
        N_("What reads PDF files or runs PKCS#11 modules is kept in (Landlock {version}, seccomp)."),
        version=found.landlock,
    )


def _daemon(path: Path) -> int | None:
    """Return the process that listens on the socket, when it is cardd itself and not the service manager."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
        probe.connect(str(path))
        raw = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        pid: int = _CREDENTIALS.unpack(raw)[0]
        if pid > 1 and os.access(f"/proc/{pid}/limits", os.R_OK):
            return pid
    return None


def lockable_memory(pid: int | None) -> int | None:
    """Return how many bytes the process (None: this one) may lock; None for no limit."""
    if pid is None:
        soft = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
        return None if soft == resource.RLIM_INFINITY else soft
    limits = Path(f"/proc/{pid}/limits").read_text(encoding="ascii")
    match = _LOCKED.search(limits)
    return int(match[1]) if match and match[1].isdecimal() else None
