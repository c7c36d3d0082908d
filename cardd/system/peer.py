"""Who is at the other end of a connection: the OS user always, the process where the system tells.

Rule 6 rests on this. On a Unix socket the kernel keeps the credentials of the moment of connecting, and the process
itself (a pidfd): what is read of its number counts only while that process lives. On TCP the
connecting socket is looked up; it belongs to the user who made it, whoever holds it now. The kernel is asked for
exactly that socket (netlink sock_diag, as ``ss`` does); where the kernel has no such module, tcp and tcp6 of /proc
tell. Only a socket that a process still holds (inode not 0) counts, an established one or one that has said all and
listens: a socket that its process has left shows user 0 in both, and must never be taken for root.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import sys
from asyncio.trsock import TransportSocket
from collections import deque
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import TypeVar

from cardd import peer_process
from cardd.model import Peer
from cardd.values import Value, replace

T = TypeVar("T")

NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
NLM_F_REQUEST = 1
NLMSG_ERROR = 2
STATES = (1, 4, 5)  # net/tcp_states.h: established; having said all (FIN_WAIT1, FIN_WAIT2)
NO_COOKIE = 0xFFFFFFFF
TIMEOUT = 1.0

# linux/netlink.h nlmsghdr; linux/inet_diag.h inet_diag_req_v2 and inet_diag_msg: ports and addresses in network order
_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBBBI")
_ID = struct.Struct("!HH16s16s")
_ID_TAIL = struct.Struct("=III")
_ANSWER = struct.Struct("=BBBB")
_ANSWER_TAIL = struct.Struct("=IIIII")
# linux/unix_diag.h unix_diag_req and unix_diag_msg
_UNIX_REQUEST = struct.Struct("=BBHIIIII")
_UNIX_ANSWER = struct.Struct("=BBBBIII")
_ATTRIBUTE, _INODE = struct.Struct("=HH"), struct.Struct("=I")
SHOW_PEER, PEER = 0x4, 2
_MAPPED = bytes(10) + b"\xff\xff"

PROC = Path("/proc")

_unseen = count(1)
_called_lately: deque[int] = deque(maxlen=8)  # processes, and what has their number now: each look is at what is there


class End(Value):
    """One end of a connection: a packed address (4 or 16 bytes; v4-mapped ones are 4) and a port."""

    address: bytes
    port: int


class Owner(Value):
    """The holder of a socket: the user, and the inode by which a process's open files name the socket."""

    uid: int
    inode: int


def end_of(family: int, name: tuple[str, int]) -> End:
    """Return the end that ``getsockname`` or ``getpeername`` names."""
    address = socket.inet_pton(family, name[0].partition("%")[0])
    return End(address.removeprefix(_MAPPED) if len(address) == 16 else address, name[1])


def owner_of(client: End, server: End) -> Owner | None:
    """Return the owner of the socket ``client`` that is connected to ``server``; None when there is no such socket."""
    try:
        return _ask_kernel(client, server)
    except (OSError, struct.error):
        return owner_in_proc(client, server)


def _ask_kernel(client: End, server: End) -> Owner | None:
    """Ask by netlink. Raises OSError when the kernel cannot tell, or knows no such socket (one code for both)."""
    family = socket.AF_INET if len(client.address) == 4 else socket.AF_INET6
    request = (
        _REQUEST.pack(family, socket.IPPROTO_TCP, 0, 0, sum(1 << state for state in STATES))
        + _ID.pack(client.port, server.port, client.address, server.address)
        + _ID_TAIL.pack(0, NO_COOKIE, NO_COOKIE)
    )
    header = _HEADER.pack(_HEADER.size + len(request), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as netlink:
        netlink.settimeout(TIMEOUT)
        netlink.sendto(header + request, (0, 0))
        return _read_answer(netlink.recv(8192), client, server)


def _read_answer(answer: bytes, client: End, server: End) -> Owner | None:
    _, kind, _, _, _ = _HEADER.unpack_from(answer)
    body = memoryview(answer)[_HEADER.size :]
    if kind == NLMSG_ERROR:
        (code,) = struct.unpack_from("=i", body)
        raise OSError(-code, "sock_diag")
    _, state, _, _ = _ANSWER.unpack_from(body)
    # with no connection of these ends the kernel answers with a listener: what came must be what was asked for
    sport, dport, _, _ = _ID.unpack_from(body, _ANSWER.size)
    _, _, _, uid, inode = _ANSWER_TAIL.unpack_from(body, _ANSWER.size + _ID.size + _ID_TAIL.size)
    exact = state in STATES and (sport, dport) == (client.port, server.port)
    return Owner(uid, inode) if exact and inode else None


def owner_in_proc(client: End, server: End) -> Owner | None:
    """Return the owner from /proc/self/net; some 3 ms, as the kernel writes out every socket."""
    for wanted, table in _tables(client, server):
        try:
            lines = Path(PROC, "self/net", table).read_text(encoding="ascii").splitlines()
        except OSError:  # pragma: no cover - a kernel without IPv6
            continue
        for fields in map(str.split, lines):
            if fields[1:3] == wanted and int(fields[3], 16) in STATES and int(fields[9]):
                return Owner(int(fields[7]), int(fields[9]))
    return None


def _tables(client: End, server: End) -> Iterator[tuple[list[str], str]]:
    """Yield the columns to look for and the table: a v4 connection may have been made by a v6 socket."""
    if len(client.address) == 4:
        yield [_hex(client), _hex(server)], "tcp"
        client, server = End(_MAPPED + client.address, client.port), End(_MAPPED + server.address, server.port)
    yield [_hex(client), _hex(server)], "tcp6"


def _hex(point: End) -> str:
    """Return the end as /proc writes it: words of 4 bytes in the machine's own byte order."""
    words = struct.unpack(f"={len(point.address) // 4}I", point.address)
    return "".join(f"{word:08X}" for word in words) + f":{point.port:04X}"


def peer_of(connection: socket.socket | TransportSocket) -> Peer | None:
    """Return the peer of an accepted connection; None when nobody's user is known: refuse it then.

    The look-up takes about 0.02 ms. ``pid`` and ``program`` of a TCP peer are looked for only when this process may
    look into that user's processes (its own user, or root: a daemon of its own user sees neither).
    """
    try:
        if connection.family == socket.AF_UNIX:
            return _unix_peer(connection)
        return _tcp_peer(connection)
    except OSError:  # gone meanwhile
        return None


def outer_peer_of(connection: socket.socket | TransportSocket) -> Peer | None:
    """Return the peer as ``peer_of`` does; None too for a process that this one started.

    Our own children run modules or read documents. Their user is the daemon's, who may do much; they may do nothing.
    """
    peer = peer_of(connection)
    if peer and peer.pid and peer.uid == os.geteuid() and is_our_child(peer.pid):
        return None
    return peer


def program_peer_of(connection: socket.socket | TransportSocket) -> Peer | None:
    """Return the peer on a Unix socket as ``outer_peer_of`` does, with its process, the file it runs, and its end."""
    peer = outer_peer_of(connection)
    if peer is None or peer.pid is None:
        return None
    pid = peer.pid
    process, file = _seen(connection, pid, lambda: (_process(pid), _file(pid))) or (_no_process(pid), None)
    return replace(peer, process=process, file=file, socket=_other_end(connection))


def _file(pid: int) -> tuple[int, int] | None:
    """Return the device and inode of what a process runs; None where it may not be seen."""
    try:
        file = (PROC / str(pid) / "exe").stat()
    except OSError:
        return None
    return file.st_dev, file.st_ino


def _process(pid: int) -> str:
    """Return what tells this process from all others: its number and when it began, or a name that is given once."""
    try:
        # the program's name stands in parentheses and may hold any character; the beginning is the 20th after it
        began = (PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()[19].decode()
    except (OSError, IndexError):  # it has gone, or may not be seen: each of its connections is one of its own
        return _no_process(pid)
    return f"{pid}.{began}"


def _no_process(pid: int) -> str:
    return f"{pid}?{next(_unseen)}"


def _seen(connection: socket.socket | TransportSocket, pid: int, look: Callable[[], T]) -> T | None:
    """Return what is seen of the process that connected; None where it has ended: its number may be another's."""
    try:
        process = peer_process.process_of(connection, pid)
    except OSError:
        return None
    try:
        found = look()
        return None if peer_process.has_ended(process) else found
    finally:
        os.close(process)


def _other_end(connection: socket.socket | TransportSocket) -> int | None:
    """Return the inode of a Unix connection's other end; None when the kernel does not tell."""
    own = os.fstat(connection.fileno()).st_ino
    request = _UNIX_REQUEST.pack(socket.AF_UNIX, 0, 0, NO_COOKIE, own, SHOW_PEER, NO_COOKIE, NO_COOKIE)
    header = _HEADER.pack(_HEADER.size + len(request), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, 1, 0)
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as netlink:
            netlink.settimeout(TIMEOUT)
            netlink.sendto(header + request, (0, 0))
            answer = netlink.recv(8192)
        _, kind, _, _, _ = _HEADER.unpack_from(answer)
        if kind == NLMSG_ERROR or _UNIX_ANSWER.unpack_from(answer, _HEADER.size)[4] != own:
            return None
        place = _HEADER.size + _UNIX_ANSWER.size
        while place + _ATTRIBUTE.size <= len(answer):
            size, attribute = _ATTRIBUTE.unpack_from(answer, place)
            if attribute == PEER:
                found: int = _INODE.unpack_from(answer, place + _ATTRIBUTE.size)[0]
                return found
            place += max(_ATTRIBUTE.size, size + 3 & ~3)
    except (OSError, struct.error):
        return None
    return None


def has_left(connection: socket.socket | TransportSocket) -> bool:
    """Return whether the other end has hung up, though what it sent before was not read yet.

    A TCP peer's end may wait on its own side for room here: its socket is looked up then, which nobody holds any more.
    """
    state = select.poll()
    state.register(connection, select.POLLRDHUP)
    try:
        if state.poll(0):
            return True
        if connection.family == socket.AF_UNIX:
            return False
        client, server = connection.getpeername()[:2], connection.getsockname()[:2]
    except OSError:  # pragma: no cover - it hung up between the two looks
        return True
    return owner_of(end_of(connection.family, client), end_of(connection.family, server)) is None


def is_our_child(pid: int) -> bool:
    """Return whether this process started that one, itself or through another that still runs."""
    while pid > 1:
        try:
            # the program's name stands in parentheses and may hold any character; the parent is the second after it
            pid = int((PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            return False
        if pid == os.getpid():
            return True
    return False


def program_of(pid: int) -> str | None:
    """Return the path of the program that a process runs; None where it may not be seen.

    The file at that path must be the one that runs: in a mount namespace of its own a process may give its program any
    path. What a process says of itself (its short name) is no answer.
    """
    link = PROC / str(pid) / "exe"
    try:
        path = link.readlink()
        return str(path) if path.samefile(link) else None
    except OSError:
        return None


def calls_itself_cardctl(pid: int, program: str | None) -> bool:
    """Return whether the command line is cardctl's, and the interpreter ours as far as it can be seen."""
    if program is not None and not _is_our_interpreter(program):
        return False
    try:
        _, *given = (PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    if given[:2] == [b"-m", b"cardd.cli.cardctl"]:
        return True
    script = next((argument for argument in given if not argument.startswith(b"-")), b"")
    return script.rpartition(b"/")[2] == b"cardctl"


def _is_our_interpreter(program: str) -> bool:
    try:
        return Path(program).samefile(sys.executable)
    except OSError:
        return False


def _unix_peer(connection: socket.socket | TransportSocket) -> Peer | None:
    pid, uid = peer_process.credentials(connection)
    if pid <= 0:  # from outside our process namespace, or not connected at all
        return None

    def look() -> tuple[str | None, bool]:
        program = program_of(pid)
        return program, calls_itself_cardctl(pid, program)

    program, is_cardctl = _seen(connection, pid, look) or (None, False)
    return Peer(uid, pid, program, is_cardctl=is_cardctl)


def _tcp_peer(connection: socket.socket | TransportSocket) -> Peer | None:
    client = end_of(connection.family, connection.getpeername()[:2])
    owner = owner_of(client, end_of(connection.family, connection.getsockname()[:2]))
    if owner is None:
        return None
    pid = _holder(owner.inode) if os.geteuid() in {0, owner.uid} else None
    return Peer(owner.uid, pid, program_of(pid) if pid else None, socket=owner.inode)


def _holder(inode: int) -> int | None:
    """Return the newest process that has this socket open, of those that called lately or else of all.

    Some browsers (Firefox 153) open a connection for each request, and to look at all processes takes some 10 ms.
    """
    name = f"socket:[{inode}]"
    lately = sorted(_called_lately, reverse=True)
    found = next((pid for pid in lately if name in open_files(pid)), None)
    if found is None:
        found = next((pid for pid in sorted(processes(), reverse=True) if name in open_files(pid)), None)
        if found is not None:
            _called_lately.append(found)
    return found


def processes() -> list[int]:
    """Return the processes of this machine."""
    return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdecimal()]


def open_files(pid: int) -> Iterator[str]:
    """Yield what a process has open, by the kernel's names; nothing where that may not be seen."""
    try:
        folder = os.open(f"{PROC}/{pid}/fd", os.O_RDONLY | os.O_DIRECTORY)
    except OSError:  # it is gone, or not ours
        return
    try:
        for name in os.listdir(folder):  # noqa: PTH208 - a desktop has ten thousand: relative names are read sooner
            try:
                target = os.readlink(name, dir_fd=folder)
            except OSError:  # it was closed meanwhile
                continue
            yield target
    except OSError:  # it is gone
        return
    finally:
        os.close(folder)
