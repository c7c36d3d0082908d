"""What the service keeps on the disk: room for it, whose it is, and the audit log."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from cardd.cli.doctor.check import Check, Finding, failure, ok, warning
from cardd.cli.doctor.daemon import SYSTEMD, service_of
from cardd.cli.doctor.surroundings import Surroundings, Unknowable
from cardd.errors import AuditBroken
from cardd.files import OTHERS_WRITE, ROOT
from cardd.i18n import N_
from cardd.system.people import Accounts

MEBI = 1024 * 1024
FULL, LOW = 4 * MEBI, 100 * MEBI  # the log's row must be on the disk before a signature leaves
HEAD_SHOWN = 16  # digits, enough to compare with what was sent on

# --- room

DISK_OK = ok("disk.ok", N_("Free: {free} MiB."))
DISK_FULL = failure(
    "disk.full",
    N_("The disk of {path} is full (free: {free} MiB): nothing can be signed without a row in the audit log."),
    N_(
        "Make room: “sudo apt clean” and “sudo journalctl --vacuum-size=200M” delete old packages and old lines of the "
        "system's journal; “df -h {path}” shows what is free. Do not touch cardd's own files: the audit log is among "
        "them. Then try again; nothing needs a restart."
    ),
)
DISK_LOW = warning(
    "disk.low",
    N_("The disk of {path} is nearly full (free: {free} MiB)."),
    N_(
        "Make room before it is full, for cardd signs nothing then: “sudo apt clean”, “sudo journalctl "
        "--vacuum-size=200M”. Do not touch cardd's own files: the audit log is among them."
    ),
)
DISK_READ_ONLY = failure(
    "disk.read_only",
    N_("The disk of {path} can only be read."),
    N_("Restart the computer; if it stays so, the disk may be ending: have it looked at."),
)


def disk(surroundings: Surroundings) -> Finding:
    """Check whether there is room for what the service keeps."""
    least: tuple[int, Path] | None = None
    for path in _kept(surroundings):
        found = os.statvfs(path)
        if found.f_flag & os.ST_RDONLY:
            return DISK_READ_ONLY(path=str(path))
        free = found.f_bavail * found.f_frsize if found.f_favail or not found.f_files else 0
        if least is None or free < least[0]:
            least = free, path
    if least is None:  # pragma: no cover - the root is always there
        raise Unknowable("no_rights")
    free, path = least
    told = DISK_FULL if free < FULL else DISK_LOW if free < LOW else DISK_OK
    return told(path=str(path), free=free // MEBI)


def _kept(surroundings: Surroundings) -> Iterator[Path]:
    """Yield where the service writes; of what is not made yet, where it would be made."""
    config = surroundings.config
    for path in (config.state.directory, config.audit.directory):
        yield next(each for each in (path, *path.parents) if _is_there(each))


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError:
        return False


# --- whose it is

STATE_OK = ok("state.ok", N_("{path} is the service's alone."))
STATE_NONE = failure(
    "state.not_directory",
    N_("{path} is no folder: cardd can keep nothing there."),
    N_(
        "Have state.directory in the configuration name a folder of cardd's own, then restart the service: “sudo "
        "systemctl restart cardd”."
    ),
)
STATE_SHARED = failure(
    "state.shared",
    N_("{path} is a folder of others too: they can change what cardd keeps there."),
    N_(
        "Do not change that folder. Have state.directory in the configuration name a folder of cardd's own, then "
        "restart the service: “sudo systemctl restart cardd”."
    ),
)
STATE_FOREIGN = failure(
    "state.foreign",
    N_("{path} belongs to {owner}, and cardd runs as {user}: it cannot keep anything there."),
    N_(
        "Do not change that folder, which is not cardd's usual one: it may be somebody's. Have state.directory in the "
        "configuration name a folder of cardd's own, then restart the service: “sudo systemctl restart cardd”."
    ),
)
STATE_OWNER = failure(
    "state.owner",
    N_("{path} belongs to {owner}, and cardd runs as {user}: it cannot keep anything there."),
    N_("Give it back: “sudo chown -R {user} {path}”, then restart the service: “sudo systemctl restart cardd”."),
)
STATE_OPEN = failure(
    "state.open",
    N_("Others than cardd may change what is in {path} (mode {mode}): cardd refuses to use it."),
    N_("Take that right away: “sudo chmod go-w {path}”. Then restart the service: “sudo systemctl restart cardd”."),
    fix=("chmod", "go-w", "{path}"),
)


def state(surroundings: Surroundings) -> Finding:
    """Check whether the state directory is the service's own, and nobody else's."""
    path = surroundings.config.state.directory
    try:
        found = path.stat()
    except FileNotFoundError:
        raise Unknowable("no_state") from None
    except PermissionError:
        raise Unknowable("no_rights") from None
    if not stat.S_ISDIR(found.st_mode):
        return STATE_NONE(path=str(path))
    uid = _uid_of_service(surroundings.socket)
    is_usual = path == surroundings.usual.state.directory
    is_its_own = found.st_uid == (os.geteuid() if uid is None else uid)
    if found.st_mode & stat.S_ISVTX or (found.st_mode & OTHERS_WRITE and not (is_usual or is_its_own)):
        return STATE_SHARED(path=str(path))  # /tmp and its like, a share
    if uid not in (None, found.st_uid):  # root's too, as / is
        accounts = Accounts()
        owner, user = (accounts.name(each) or str(each) for each in (found.st_uid, uid))
        return (STATE_OWNER if is_usual else STATE_FOREIGN)(path=str(path), owner=owner, user=user)
    if found.st_mode & OTHERS_WRITE:
        return STATE_OPEN(path=str(path), mode=f"{stat.S_IMODE(found.st_mode):04o}")
    return STATE_OK(path=str(path))


def _uid_of_service(socket: Path) -> int | None:
    """Return the user that the service runs as: who listens, or whose the socket is that systemd holds for it."""
    listening = service_of(socket)
    if listening and listening[0] != SYSTEMD:
        return listening[1]
    try:
        owner = socket.stat().st_uid
    except OSError:
        return None
    return owner if owner != ROOT or listening else None


# --- the audit log

AUDIT_OK = ok("audit.ok", N_("Whole; rows: {rows}; head: {head}…"))
AUDIT_EMPTY = ok("audit.empty", N_("Empty."))
AUDIT_BROKEN = failure(
    "audit.broken",
    N_("{path} was changed at row {row}."),
    N_("Keep the files as they are and tell your security officer."),
)
AUDIT_WENT_ON = warning(
    "audit.went_on",
    N_("Whole; rows: {rows}. Row {row} tells that it was broken before."),
    N_("If your security officer does not know: “cardctl audit verify” tells what was found."),
)


def audit(surroundings: Surroundings) -> Finding:
    """Check whether the audit log's chain is whole, up to its heads. Raises AuditHeadBroken and the like."""
    from cardd.system.audit_file import AuditReader  # noqa: PLC0415 - sqlite3
    from cardd.system.audit_heads import KEY, SECOND  # noqa: PLC0415
    from cardd.system.secrets import service_secret  # noqa: PLC0415

    directory = surroundings.config.audit.directory
    try:
        is_there = directory.exists()  # one that was taken away is told by the head that stands elsewhere
    except PermissionError:
        raise Unknowable("no_rights") from None
    if is_there and not os.access(directory, os.R_OK | os.X_OK):
        raise Unknowable("no_rights")
    try:
        reader = AuditReader(directory, surroundings.config.state.directory / SECOND, service_secret(KEY))
        head = reader.verify()
        breaks = reader.breaks()
    except AuditBroken as broken:
        return AUDIT_BROKEN(row=broken.params["row"], path=str(directory))
    if breaks:
        return AUDIT_WENT_ON(rows=head.number, row=breaks[-1].number)
    return AUDIT_OK(rows=head.number, head=head.hash[:HEAD_SHOWN]) if head.number else AUDIT_EMPTY()


CHECKS = {
    "disk": Check(N_("Disk"), disk),
    "state": Check(N_("State directory"), state),
    "audit": Check(N_("Audit log"), audit),
}
