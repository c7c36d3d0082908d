"""A remote desktop: whether its session's own PC/SC answers, and whether its readers reach the service."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path

from cardd.cli.doctor.check import Check, Finding, failure, ok, warning
from cardd.cli.doctor.pcsc import ASK_LIMIT, spoken_at
from cardd.cli.doctor.surroundings import Surroundings, Unknowable
from cardd.errors import ReaderNotYours
from cardd.i18n import N_
from cardd.pcsc.lending import SOCKET_NAME, has_own_readers
from cardd.pcsc.lent import MARK

XRDP = "XRDP_SESSION"  # what xrdp sets in its sessions

# --- the session's PC/SC

REMOTE_OK = ok("remote.ok", N_("This session's own PC/SC answers at {path}."))
REMOTE_UNNAMED = warning(
    "remote.unnamed",
    N_(
        "xrdp hands readers to this session at {path}, and PCSCLITE_CSOCK_NAME does not name it: no program looks "
        "there."
    ),
    N_(
        "Set PCSCLITE_CSOCK_NAME to it in the script that starts the desktop (/etc/xrdp/startwm.sh), then log in again."
    ),
)
REMOTE_SILENT = failure(
    "remote.silent",
    N_("PCSCLITE_CSOCK_NAME names {path}, and nobody listens there: the connection hands this session no reader."),
    N_(
        "Connect again with smart cards redirected (in FreeRDP “/smartcard”, in Microsoft's client under Local "
        "Resources); or, where the readers are this machine's own, remove PCSCLITE_CSOCK_NAME from the session."
    ),
)
REMOTE_FOREIGN = failure(
    "remote.foreign",
    N_("What listens at {path} hangs up on the PC/SC library: it speaks another protocol, as xrdp 0.9 does."),
    N_(
        "Ask whoever runs the server for an xrdp whose smart cards work with its libpcsclite: “opensc-tool "
        "--list-readers” in the session has to list the reader. Until then, use the card on the machine that it is in."
    ),
)


def remote(surroundings: Surroundings) -> Finding:
    """Check whether the PC/SC that this session has for itself is named, and answers."""
    if unnamed := _unnamed(surroundings.environment):
        return REMOTE_UNNAMED(path=str(unnamed))
    path = _own_socket(surroundings)
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(ASK_LIMIT)
            probe.connect(path)
    except OSError:
        return REMOTE_SILENT(path=path)
    return REMOTE_OK(path=path) if spoken_at(Path(path)) else REMOTE_FOREIGN(path=path)


def _unnamed(environment: Mapping[str, str]) -> Path | None:
    """Return the socket that xrdp made for this session, where nothing names it."""
    display = environment.get("DISPLAY", "").partition(":")[2].partition(".")[0]
    path = Path(environment.get("HOME", "/")) / f".pcsc{display}/pcscd.comm"
    is_unnamed = XRDP in environment and SOCKET_NAME not in environment
    return path if is_unnamed and path.exists() else None


def _own_socket(surroundings: Surroundings) -> str:
    """Return the PC/SC socket that this session alone has. Raises Unknowable."""
    if not has_own_readers(surroundings.environment):
        raise Unknowable("no_remote")
    try:
        owner = surroundings.socket.stat().st_uid
    except OSError:
        raise Unknowable("no_daemon") from None
    if owner == os.geteuid():
        raise Unknowable("own_readers")
    return surroundings.environment[SOCKET_NAME]


# --- lending

LENDING_OK = ok("lending.ok", N_("This session's readers are lent to cardd: {count}."))
LENDING_OFF = warning(
    "lending.off",
    N_("This session has a PC/SC of its own, and the service takes no readers of remote desktops."),
    N_(
        "If the card is in the machine that you connect from: set “lent_readers = true” under [access], then "
        "“sudo systemctl restart cardd”."
    ),
    is_minor=True,
)
LENDING_NONE = failure(
    "lending.none",
    N_("This session has readers ({count}), and its cardd-agent lends none of them."),
    N_(
        "The agent has to know the session's PC/SC: “systemctl --user import-environment PCSCLITE_CSOCK_NAME”, then "
        "“systemctl --user restart cardd-agent”. If it stays so, the service runs with an older configuration: "
        "“sudo systemctl restart cardd”."
    ),
    fix=("systemctl", "--user", "restart", "cardd-agent.service"),
)


def lending(surroundings: Surroundings) -> Finding:
    """Check whether the service takes this session's readers, and whether its agent lends them."""
    _own_socket(surroundings)
    if not surroundings.config.access.lent_readers:
        return LENDING_OFF()
    try:
        lent = [reader for reader in surroundings.ask(lambda daemon: daemon.readers()) if MARK in reader.name]
    except ReaderNotYours:
        lent = []
    return LENDING_OK(count=len(lent)) if lent else LENDING_NONE(count=len(surroundings.readers_or_skip()))


CHECKS = {
    "remote": Check(N_("The remote desktop's readers"), remote),
    "lending": Check(N_("Lent readers"), lending),
}
