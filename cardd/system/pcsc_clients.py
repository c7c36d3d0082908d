"""Which other program uses the readers, as far as this user may know: who is connected to pcscd's socket.

PC/SC does not tell who holds a card. But whoever does is connected to pcscd: where all the other connections are of one
program, it is that one. The kernel tells each connection's user to everybody (sock_diag(7)), and its process to
whoever may look into it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Collection, Iterator, Mapping
from itertools import chain
from pathlib import Path

from cardd.system.peer import is_our_child, program_of
from cardd.system.people import Accounts
from cardd.values import Value

SOCKET_NAME, SOCKET = "PCSCLITE_CSOCK_NAME", "/run/pcscd/pcscd.comm"
PROC = Path("/proc")
PEOPLE_FROM = 1000  # the service has a uid below, and no other program of its own user

NETLINK_SOCK_DIAG, BY_FAMILY, DUMP, DONE, ERROR = 4, 20, 0x301, 3, 2
NAME, PEER, UID = 0, 2, 7  # the attributes of an answer (linux/unix_diag.h)
SHOW_NAME_PEER_UID = 0x01 | 0x04 | 0x40
HEADER, REQUEST, ANSWER, ATTRIBUTE = (struct.Struct(f"={form}") for form in ("IHHII", "BBHIII8x", "BBBBI8x", "HH"))
SIZE = 64 * 1024
LIMIT = 1.0  # seconds


class _Socket(Value):
    """One Unix socket of this machine: inode, the inode at its other end, its owner, its path."""

    inode: int
    peer: int
    uid: int
    path: str


class PcscClient(Value):
    """A program that is connected to pcscd; ``pid`` 0 and ``program`` empty where that may not be seen."""

    uid: int
    pid: int = 0
    program: str = ""


def others() -> bool:
    """Return whether another program is connected to pcscd, and so may wait for a card; True where nobody can tell.

    A program in a network namespace of its own is not seen.
    """
    try:
        return any(uid != os.geteuid() for uid in _connected().values()) or bool(clients())
    except OSError:
        return True


def clients(path: str | None = None) -> frozenset[PcscClient]:
    """Return the programs that are connected to pcscd, or to another socket, without this one and its children.

    Raises OSError.
    """
    connected = _connected(path)
    owners = _owners(connected.keys())
    found = set()
    for inode, uid in connected.items():
        pid = owners.get(inode, 0)
        if pid == os.getpid() or is_our_child(pid) or (not pid and uid == os.geteuid() < PEOPLE_FROM):
            continue
        found.add(PcscClient(uid, pid, (program_of(pid) or "") if pid else ""))
    return frozenset(found)


def holder() -> Mapping[str, str | int]:
    """Return the params of ReaderBusy that tell who holds the card, where only one program can; else none."""
    try:
        found = clients()
    except OSError:  # pragma: no cover - a kernel without sock_diag
        return {}
    match list(found):
        case [PcscClient(pid=pid, program=program)] if program:
            return {"who": "program", "program": program, "pid": pid}
        case several if len({one.uid for one in several}) == 1:
            name = Accounts().name(several[0].uid)
            return {"who": "user", "user": name} if name else {}
    return {}


def _connected(path: str | None = None) -> dict[int, int]:
    """Return the connections to pcscd, or to another socket: each program's end, by its inode, and whose it is."""
    path = path or os.environ.get(SOCKET_NAME, SOCKET)
    sockets = {one.inode: one for one in _unix_sockets()}
    paths = {path, str(Path(path).resolve())}  # a socket has the name that it was given where it was made
    ends = {one.peer for one in sockets.values() if one.path in paths and one.peer}
    return {inode: sockets[inode].uid for inode in ends & sockets.keys()}


def _owners(inodes: Collection[int]) -> dict[int, int]:
    """Return the processes that have these sockets open, as far as they may be seen; this one first."""
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    found: dict[int, int] = {}
    for process in chain([PROC / "self"], PROC.glob("[0-9]*")):
        if len(found) == len(wanted):
            break
        with contextlib.suppress(OSError):
            for link in (process / "fd").iterdir():
                with contextlib.suppress(OSError):
                    if (inode := wanted.get(str(link.readlink()))) is not None:
                        found.setdefault(inode, os.getpid() if process.name == "self" else int(process.name))
    return found


def _unix_sockets() -> Iterator[_Socket]:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as asking:
        asking.settimeout(LIMIT)
        asked = REQUEST.pack(socket.AF_UNIX, 0, 0, 0xFFFFFFFF, 0, SHOW_NAME_PEER_UID)
        asking.send(HEADER.pack(HEADER.size + len(asked), BY_FAMILY, DUMP, 1, 0) + asked)
        while True:
            for kind, content in _messages(asking.recv(SIZE)):
                if kind == DONE:
                    return
                if kind == ERROR:  # pragma: no cover - a kernel without sock_diag
                    raise OSError("sock_diag")
                yield _socket(content)


def _messages(received: bytes) -> Iterator[tuple[int, bytes]]:
    while len(received) >= HEADER.size:
        size, kind, *_ = HEADER.unpack_from(received)
        if size < HEADER.size:
            return
        yield kind, received[HEADER.size : size]
        received = received[(size + 3) & ~3 :]


def _socket(content: bytes) -> _Socket:
    *_, inode = ANSWER.unpack_from(content)
    told: dict[int, bytes] = {}
    content = content[ANSWER.size :]
    while len(content) >= ATTRIBUTE.size:
        size, kind = ATTRIBUTE.unpack_from(content)
        if size < ATTRIBUTE.size:
            break
        told[kind] = content[ATTRIBUTE.size : size]
        content = content[(size + 3) & ~3 :]
    path = told.get(NAME, b"").rstrip(b"\0").decode(errors="replace")
    return _Socket(inode, _number(told.get(PEER)), _number(told.get(UID)), path)


def _number(value: bytes | None) -> int:
    return struct.unpack("=I", value)[0] if value and len(value) == 4 else 0
