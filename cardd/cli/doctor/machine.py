"""The machine: its clock, the memory that PINs are locked into, and what its kernel forbids."""

from __future__ import annotations

import os
import re
import resource
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import cardd
from cardd.cli.doctor.check import Check, Finding, failure, ok, warning
from cardd.cli.doctor.daemon import service_of
from cardd.cli.doctor.surroundings import Surroundings, Unknowable
from cardd.client import CarddClient
from cardd.i18n import N_
from cardd.secret import CAPACITY

PINS = 64  # more than can be held or asked for at once on one workstation
TOLERANCE = timedelta(days=1)

_LOCKED = re.compile(r"^Max locked memory\s+(\S+)", re.MULTILINE)

# --- the clock

CLOCK_OK = ok("clock.ok", N_("Plausible, and kept right by a time service."))
CLOCK_PLAUSIBLE = ok("clock.plausible", N_("Plausible."))
CLOCK_PAST = failure(
    "clock.past",
    N_("The clock says {now}, before cardd was installed ({built})."),
    N_("Set the clock and switch on automatic time: “sudo timedatectl set-ntp true”."),
    fix=("timedatectl", "set-ntp", "true"),
)
CLOCK_UNSYNCHRONISED = warning(
    "clock.unsynchronised",
    N_("No time service keeps the clock right."),
    N_(
        "Switch on automatic time: “sudo timedatectl set-ntp true”. Where that says “not supported”, before it: “sudo "
        "apt install systemd-timesyncd”."
    ),
    is_minor=True,
    fix=("timedatectl", "set-ntp", "true"),
)


def clock(surroundings: Surroundings) -> Finding:
    """Check whether the clock can be right, and whether something keeps it so: tokens and certificates depend on it."""
    installed, now = _installed(), surroundings.now()
    if now < installed - TOLERANCE:
        return CLOCK_PAST(now=f"{now:%Y-%m-%d %H:%M} UTC", built=f"{installed:%Y-%m-%d}")
    match surroundings.synchronised():
        case True:
            return CLOCK_OK()
        case False:
            return CLOCK_UNSYNCHRONISED()
    return CLOCK_PLAUSIBLE()


def _installed() -> datetime:
    return datetime.fromtimestamp(Path(cardd.__file__).stat().st_mtime, UTC)


# --- what the kernel forbids

DENIALS_OK = ok("denials.ok", N_("The kernel has forbidden cardd and pcscd nothing since they were started."))
DENIALS_APPARMOR = warning(
    "denials.apparmor",
    N_("AppArmor has kept {program} from {what}."),
    N_(
        "Look at its profile (“sudo aa-status”). For a test, “sudo apt install apparmor-utils”, then “sudo aa-complain "
        "{program}”, let it do everything and only report."
    ),
)
DENIALS_SELINUX = warning(
    "denials.selinux",
    N_("SELinux has kept {program} from {what}."),
    N_("Give support the lines of “sudo ausearch -m avc -ts boot”: the policy of this system lacks a rule."),
)
SERVICES = ("cardd", "pcscd")  # started anew, they have left behind what was forbidden before
PROGRAMS = r"cardd(?:-agent)?|pcscd|pinentry[a-z0-9-]*"
APPARMOR = re.compile(rf'apparmor="DENIED" operation="(?P<what>[^"]+)".*? comm="(?P<program>{PROGRAMS})"')
SELINUX = re.compile(rf'avc: +denied +{{ (?P<what>[^}}]+) }}.*? comm="(?P<program>{PROGRAMS})"')


def denials(surroundings: Surroundings) -> Finding:
    """Check whether SELinux or AppArmor has kept one of our programs from something, which may be why it is down."""
    lines = surroundings.kernel_log()
    if lines is None:
        raise Unknowable("no_rights")
    unit = cache(lambda service: surroundings.unit(service) or {})
    for one in reversed(lines):  # the last one first
        for pattern, told in ((APPARMOR, DENIALS_APPARMOR), (SELINUX, DENIALS_SELINUX)):
            found = pattern.search(one.line)
            if found is None:
                continue
            program, state = found["program"], unit(found["program"]) if found["program"] in SERVICES else {}
            if one.at >= int(state.get("ExecMainStartTimestampMonotonic") or 0):
                outcome = told.as_failure() if _is_down(program, state, surroundings) else told
                return outcome(program=program, what=found["what"].strip())
    return DENIALS_OK()


def _is_down(program: str, unit: Mapping[str, str], surroundings: Surroundings) -> bool:
    """Return whether this is one of the two services, and it does not answer.

    One that systemd would start for whoever asks is not asked: that takes its time, and what was forbidden before the
    last start does not count the next time.
    """
    match unit:
        case {"ActiveState": "failed" | "activating"}:
            return True
        case {"ActiveState": "inactive", "SocketState": "active"}:
            return False
    try:
        match program:
            case "pcscd":
                surroundings.readers_of_pcscd()
            case "cardd":
                surroundings.ask(CarddClient.status)
    except Unknowable as unknown:
        return unknown.reason in ("no_pcscd", "no_daemon")
    return False


# --- memory

MEMORY_OK = ok("memory.ok", N_("Enough for PINs."))
MEMORY_LOW = warning(
    "memory.low",
    N_("Only {limit} KiB may be locked; {needed} KiB are wanted: a PIN might be swapped to disk."),
    N_("Use the unit that cardd brings (LimitMEMLOCK), or raise “ulimit -l”."),
)


def memory(surroundings: Surroundings) -> Finding:
    """Check whether the daemon (this process, when it does not run) may lock the pages that PINs stand in."""
    limit = lockable_memory(_daemon(surroundings.socket))
    needed = PINS * CAPACITY
    if limit is not None and limit < needed:
        return MEMORY_LOW(limit=limit // 1024, needed=needed // 1024)
    return MEMORY_OK()


def _daemon(path: Path) -> int | None:
    """Return the process that listens on the socket, when it is cardd itself and not the service manager."""
    listening = service_of(path)
    if listening and listening[0] > 1 and os.access(f"/proc/{listening[0]}/limits", os.R_OK):
        return listening[0]
    return None


def lockable_memory(pid: int | None) -> int | None:
    """Return how many bytes the process (None: this one) may lock; None for no limit."""
    if pid is None:
        soft = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
        return None if soft == resource.RLIM_INFINITY else soft
    limits = Path(f"/proc/{pid}/limits").read_text(encoding="ascii")
    match = _LOCKED.search(limits)
    return int(match[1]) if match and match[1].isdecimal() else None


# --- the sandbox

SANDBOX_OK = ok(
    "sandbox.ok", N_("What reads PDF files or runs PKCS#11 modules is kept in (Landlock {version}, seccomp).")
)
SANDBOX_MISSING = warning(
    "sandbox.missing",
    N_("This computer has no {what}: what reads PDF files or runs PKCS#11 modules is not kept in whole."),
    N_("Install the package libseccomp2, and use a kernel with Landlock (Debian 12 and newer have one)."),
    is_minor=True,
)
SANDBOX_UNCONFINED = warning(
    "sandbox.unconfined",
    N_("These PKCS#11 modules run without a sandbox: {modules}."),
    N_("Name the files that they need in drivers.pkcs11.files, and take them out of drivers.pkcs11.unconfined."),
    is_minor=True,
)


def sandbox(surroundings: Surroundings) -> Finding:
    """Check whether what reads PDF files or runs a module can be kept from everything else."""
    config, found = surroundings.config, surroundings.sandbox()
    if found.missing:
        told = SANDBOX_MISSING.as_failure() if config.sandbox.required else SANDBOX_MISSING
        return told(what=", ".join(found.missing))
    if config.pkcs11.unconfined:
        return SANDBOX_UNCONFINED(modules=", ".join(config.pkcs11.unconfined))
    return SANDBOX_OK(version=found.landlock)


CHECKS = {
    "clock": Check(N_("Clock"), clock),
    "denials": Check(N_("What the kernel forbids"), denials),
    "memory": Check(N_("Locked memory"), memory),
    "sandbox": Check(N_("Sandbox"), sandbox),
}
