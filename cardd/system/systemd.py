"""What systemd and the daemon tell each other: the sockets that it opened, sd_notify, the watchdog.

``cardd.socket`` opens all five sockets in one unit, so they share one FileDescriptorName. A TCP socket is known by its
family; of the Unix sockets the agent's is the one named ``agent`` or bound to a path that ends in ``agent.sock``, and
that of PKCS#11 the one named ``p11`` or bound to a path that ends so. What the daemon before this one gave systemd to
keep comes back beside them, by the name that it was given: the connections of programs that use PKCS#11.
Notifications are datagrams to NOTIFY_SOCKET, a path or an abstract name. A service manager that does not listen is no
reason to stop serving: a notification never raises.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import time
from pathlib import PurePath

from cardd.errors import ConfigInvalid
from cardd.values import Value

FIRST = 3
VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID")
LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
AGENT, P11 = "agent", "p11"
PROGRAM = "program-"  # before what tells its process from all others
KEPT_NAME = re.compile(r"[0-9.]{1,200}")

VARIABLE = "NOTIFY_SOCKET"
WATCHDOG = ("WATCHDOG_USEC", "WATCHDOG_PID")


class Inherited(Value):
    """The listening sockets that were passed: TCP of either family, the API's Unix sockets, the agents', PKCS#11's."""

    tcp: tuple[socket.socket, ...] = ()
    api: tuple[socket.socket, ...] = ()
    agent: tuple[socket.socket, ...] = ()
    p11: tuple[socket.socket, ...] = ()
    programs: tuple[tuple[socket.socket, str], ...] = ()  # connections, each with the name of its process

    def __bool__(self) -> bool:
        return bool(self.tcp or self.api or self.agent or self.p11)


def take() -> Inherited:
    """Take over the sockets meant for this process, and clear the variables so that no child takes them too.

    The sockets are non-blocking and closed on exec. Raises ConfigInvalid when one is not a listening stream socket, or
    listens beyond this machine (rule 5).
    """
    count, names = _announced()
    taken = [_adopt(FIRST + number) for number in range(count)]
    try:
        return _sorted(taken, names)
    except ConfigInvalid:
        for one in taken:
            one.close()
        raise


def _announced() -> tuple[int, list[str]]:
    found = {name: os.environ.pop(name, "") for name in VARIABLES}
    if found["LISTEN_PID"] != str(os.getpid()) or not found["LISTEN_FDS"].isdigit():
        return 0, []
    count = int(found["LISTEN_FDS"])
    return count, [*found["LISTEN_FDNAMES"].split(":"), *[""] * count]


def _adopt(descriptor: int) -> socket.socket:
    try:
        os.set_inheritable(descriptor, False)
        adopted = socket.socket(fileno=descriptor)
    except OSError as error:
        raise _refused(f"fd {descriptor}: {error.strerror}") from error
    adopted.setblocking(False)
    return adopted


def _sorted(taken: list[socket.socket], names: list[str]) -> Inherited:
    tcp, api, agent, p11, programs = [], [], [], [], []
    for one, name in zip(taken, names, strict=False):
        if name.startswith(PROGRAM):
            programs.append((one, name.removeprefix(PROGRAM)))
            _send(f"FDSTOREREMOVE=1\nFDNAME={name}")  # else the program would not notice that it is hung up on
            continue
        _check(one)
        if one.family != socket.AF_UNIX:
            tcp.append(one)
        elif name == AGENT or PurePath(str(one.getsockname())).name == "agent.sock":
            agent.append(one)
        elif name == P11 or PurePath(str(one.getsockname())).name == "p11":
            p11.append(one)
        else:
            api.append(one)
    return Inherited(tuple(tcp), tuple(api), tuple(agent), tuple(p11), tuple(programs))


def _check(one: socket.socket) -> None:
    where = one.getsockname()
    listens = one.type == socket.SOCK_STREAM and one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if not listens or one.family not in {socket.AF_UNIX, *LOOPBACK}:
        raise _refused(str(where))
    if one.family in LOOPBACK and where[0] != LOOPBACK[one.family]:
        raise _refused(str(where))


def _refused(what: str) -> ConfigInvalid:
    return ConfigInvalid(file="cardd.socket", key="ListenStream", why="inherited", expected=what)


def ready(status: str = "") -> bool:
    """Tell systemd that the daemon serves, and a word on how; return whether it was told."""
    return _send(f"READY=1\nSTATUS={status}" if status else "READY=1")


def reloading() -> bool:
    """Tell systemd that the configuration is being read anew, until ``ready``; return whether it was told."""
    return _send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")


def stopping() -> bool:
    """Tell systemd that the daemon is going down; return whether it was told."""
    return _send("STOPPING=1")


def keep(descriptor: int, process: str) -> bool:
    """Have systemd keep a program's connection until the next start; return whether it was told.

    A unit that keeps none (``FileDescriptorStoreMax=``) has it closed, as without this.
    """
    if not KEPT_NAME.fullmatch(process):
        return False
    return _send(f"FDSTORE=1\nFDNAME={PROGRAM}{process}", descriptor)


def _send(assignment: str, *descriptors: int) -> bool:
    address = os.environ.get(VARIABLE, "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.connect(address)
            if descriptors:
                socket.send_fds(sender, [assignment.encode()], descriptors)
            else:
                sender.send(assignment.encode())
    except OSError:
        return False
    return True


class Heartbeat:
    """Tells systemd that the event loop turns, twice in the time that WatchdogSec= of the unit leaves.

    A loop that is stuck tells nothing, and systemd ends the process. Where systemd waits for no word there is no timer.
    """

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None
        self._pause = _watched() / 2

    def start(self) -> None:
        """Begin, on the loop that runs."""
        if self._pause:
            _send("WATCHDOG=1")
            self._timer = asyncio.get_running_loop().call_later(self._pause, self.start)

    def stop(self) -> None:
        """Tell no more."""
        if self._timer is not None:
            self._timer.cancel()


def _watched() -> float:
    """Return within how many seconds systemd wants to hear from this process; 0 where it does not. No child is told."""
    given, process = (os.environ.pop(name, "") for name in WATCHDOG)
    return int(given) / 1e6 if given.isdigit() and process in ("", str(os.getpid())) else 0.0
