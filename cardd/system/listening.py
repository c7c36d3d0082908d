"""The sockets that the daemon listens on: those that systemd passed, else its own, on this machine only (rule 5)."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from pathlib import Path

from cardd.errors import AddressInUse, ConfigInvalid, StateUnavailable
from cardd.system.systemd import LOOPBACK, Inherited
from cardd.values import Value

EVERYBODY = 0o666  # who connects is told by the kernel; what they may do is decided then
DIRECTORY = 0o755
BACKLOG = 128


class Listening(Value):
    """The API's sockets, TCP of both families and Unix, those over TLS, and where agents and PKCS#11 connect.

    ``programs`` are connections to PKCS#11 of the daemon before this one, each with the name of its process.
    """

    api: tuple[socket.socket, ...]
    agents: tuple[socket.socket, ...]
    https: tuple[socket.socket, ...] = ()
    p11: tuple[socket.socket, ...] = ()
    programs: tuple[tuple[socket.socket, str], ...] = ()


def listen(
    inherited: Inherited, port: int, api: Path, agents: Path, *, https: int = 0, p11: Path | None = None
) -> Listening:
    """Open what was not passed; none for https on port 0, nor for PKCS#11 without a path.

    What was passed for https is known by its port. Raises AddressInUse, StateUnavailable, ConfigInvalid.
    """
    passed = tuple(one for one in inherited.tcp if https and one.getsockname()[1] == https)
    plain = tuple(one for one in inherited.tcp if one not in passed)
    with contextlib.ExitStack() as opened:
        tls = passed or (tuple(opened.enter_context(one) for one in _tcp(https)) if https else ())
        tcp = plain or tuple(opened.enter_context(one) for one in _tcp(port))
        unix = inherited.api or (opened.enter_context(_unix(api)),)
        agent = inherited.agent or (opened.enter_context(_unix(agents)),)
        programs = (inherited.p11 or (opened.enter_context(_unix(p11)),)) if p11 else ()
        opened.pop_all()
    if not p11:
        for unused in (*inherited.p11, *(one for one, _ in inherited.programs)):
            unused.close()
    return Listening((*tcp, *unix), agent, tls, programs, inherited.programs if p11 else ())


def address_of(listening: socket.socket) -> str:
    """Return where a socket listens, as people write it: ``127.0.0.1:17463``, ``[::1]:17463`` or a path."""
    name: str | tuple[str, int] = listening.getsockname()
    if isinstance(name, str):
        return name
    host, port = name[:2]
    return f"[{host}]:{port}" if listening.family is socket.AF_INET6 else f"{host}:{port}"


def _tcp(port: int) -> tuple[socket.socket, ...]:
    """Open both loopback families on one port; a machine without IPv6 has one only."""
    with contextlib.ExitStack() as undo:
        try:
            first = undo.enter_context(_bound(socket.AF_INET, port))
        except OSError as error:
            if error.errno != errno.EAFNOSUPPORT:
                raise
            where = f"{LOOPBACK[socket.AF_INET]}:{port}"  # systemd's RestrictAddressFamilies
            raise ConfigInvalid(file="cardd.socket", key="ListenStream", why="not_passed", expected=where) from error
        opened = [first]
        try:
            opened.append(undo.enter_context(_bound(socket.AF_INET6, first.getsockname()[1])))
        except OSError as error:
            if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                raise
        undo.pop_all()
    return tuple(opened)


def _bound(family: int, port: int) -> socket.socket:
    address = LOOPBACK[socket.AddressFamily(family)]
    with contextlib.ExitStack() as undo:
        one = undo.enter_context(socket.socket(family))
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((address, port))
            one.listen(BACKLOG)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise AddressInUse(address=f"{address}:{port}") from error
            raise
        undo.pop_all()
    one.setblocking(False)
    return one


def _unix(path: Path) -> socket.socket:
    """Bind the path, in place of a socket that nobody listens on any more."""
    with contextlib.ExitStack() as undo:
        one = undo.enter_context(socket.socket(socket.AF_UNIX))
        try:
            path.parent.mkdir(mode=DIRECTORY, parents=True, exist_ok=True)
            _remove_stale(path)
            one.bind(str(path))
            path.chmod(EVERYBODY)
            one.listen(BACKLOG)
        except OSError as error:
            raise StateUnavailable(file=str(path), why=error.strerror or str(error)) from error
        undo.pop_all()
    one.setblocking(False)
    return one


def _remove_stale(path: Path) -> None:
    """Remove a socket that nobody listens on. Raises AddressInUse where somebody does, OSError for anything else."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            _unlink_socket(path)
        else:
            raise AddressInUse(address=str(path))


def _unlink_socket(path: Path) -> None:
    """Remove a socket; a file that somebody has there is theirs. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise OSError(errno.ENOTSOCK, os.strerror(errno.ENOTSOCK))
        path.unlink()
