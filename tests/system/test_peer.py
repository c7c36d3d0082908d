"""Who is at the other end: our own user, a real second user, and nobody."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cardd.model import Peer
from cardd.system.peer import (
    End,
    calls_itself_cardctl,
    end_of,
    has_left,
    is_our_child,
    outer_peer_of,
    owner_in_proc,
    owner_of,
    peer_of,
    program_of,
)
from tests.rig import other_user
from tests.rig.ports import free_port
from tests.rig.waiting import eventually_here

ADDRESSES = [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
CONNECT = """
family, host, port = int(sys.argv[1]), sys.argv[2], sys.argv[3]
connection = socket.socket(family)
connection.connect((host, int(port)) if port else host)
print(os.getpid(), flush=True)
sys.stdin.read()
"""


@pytest.fixture(params=ADDRESSES, ids=["v4", "v6"])
def listener(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    family, host = request.param
    with socket.create_server((host, 0), family=family) as server:
        server.settimeout(10)
        yield server


@pytest.fixture
def unix_listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "cardd.sock"))
        (tmp_path / "cardd.sock").chmod(0o666)
        server.listen()
        server.settimeout(10)
        yield server


@contextlib.contextmanager
def connected(server: socket.socket, *, as_other: bool = False) -> Iterator[tuple[socket.socket, int]]:
    """A connection that another process made: our end of it, and that process."""
    name = server.getsockname()
    target = [name, ""] if isinstance(name, str) else [name[0], str(name[1])]
    arguments = [str(int(server.family)), *target]
    if as_other:
        process = other_user.start(CONNECT, *arguments, imports="import socket")
    else:
        command = [sys.executable, "-c", f"import os, socket, sys\n{CONNECT}", *arguments]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        with server.accept()[0] as accepted:
            yield accepted, int(process.stdout.readline())


def both_ends(server: socket.socket) -> tuple[socket.socket, socket.socket]:
    client = socket.create_connection(server.getsockname()[:2])
    return client, server.accept()[0]


def owners_in_proc(port: int) -> list[tuple[str, str]]:
    """User and inode of each TCP socket with this local port, as /proc shows them."""
    lines = [line.split() for table in ("tcp", "tcp6") for line in Path("/proc/net", table).read_text().splitlines()]
    return [(fields[7], fields[9]) for fields in lines if fields[1].endswith(f":{port:04X}")]


def test_a_tcp_peer_of_our_own_is_known_by_user_process_and_program(listener: socket.socket) -> None:
    with connected(listener) as (accepted, pid):
        assert peer_of(accepted) == Peer(os.geteuid(), pid, str(Path(sys.executable).resolve()))


def test_a_process_that_calls_again_is_found_without_a_look_at_all_others(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[object] = []
    list_directory = os.listdir

    def listed(path: str | Path) -> list[str]:
        if str(path) == "/proc":
            looks.append(path)
        return list_directory(path)

    monkeypatch.setattr(os, "listdir", listed)
    for _ in range(3):  # each on a connection of its own, as Firefox does
        with socket.create_connection(listener.getsockname()[:2]), listener.accept()[0] as accepted:
            peer = peer_of(accepted)
            assert peer
            assert peer.pid == os.getpid()
    assert len(looks) <= 1
    with connected(listener) as (accepted, pid):
        assert peer_of(accepted) == Peer(os.geteuid(), pid, str(Path(sys.executable).resolve()))


def test_a_unix_peer_of_our_own_is_known_by_user_process_and_program(unix_listener: socket.socket) -> None:
    with connected(unix_listener) as (accepted, pid):
        assert peer_of(accepted) == Peer(os.geteuid(), pid, str(Path(sys.executable).resolve()))


def test_a_process_that_has_the_peers_number_by_now_is_not_taken_for_it(unix_listener: socket.socket) -> None:
    last = Path("/proc/sys/kernel/ns_last_pid")
    if not os.access(last, os.W_OK):
        pytest.skip("not root")
    leaving = "connection.connect(sys.argv[1])\nif os.fork():\n    os._exit(0)\nsys.stdin.read()"
    made = f"import os, socket, sys\nconnection = socket.socket(socket.AF_UNIX)\n{leaving}"
    for _ in range(50):
        left = subprocess.Popen([sys.executable, "-c", made, unix_listener.getsockname()], stdin=subprocess.PIPE)
        left.wait(10)
        before = last.read_text()
        last.write_text(str(left.pid - 1))
        with subprocess.Popen(["sleep", "30"]) as other:
            last.write_text(before)
            connection, _ = unix_listener.accept()
            with connection:
                found = peer_of(connection)
            other.kill()
        assert left.stdin is not None
        left.stdin.close()  # ends the child that has kept the connection
        if other.pid == left.pid:
            break
    else:
        pytest.skip("the number went to another one")

    assert found == Peer(os.geteuid(), left.pid, program=None)


def test_a_process_that_this_one_started_is_nobody(listener: socket.socket, unix_listener: socket.socket) -> None:
    for server in (listener, unix_listener):
        with connected(server) as (accepted, _):
            assert outer_peer_of(accepted) is None
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(unix_listener.getsockname())
        with unix_listener.accept()[0] as accepted:
            ourselves = outer_peer_of(accepted)
            assert ourselves
            assert ourselves.pid == os.getpid()


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_a_peer_that_left_is_seen_behind_all_that_it_sent(
    listener: socket.socket, unix_listener: socket.socket, kind: str
) -> None:
    server = listener if kind == "tcp" else unix_listener
    with socket.socket(server.family) as client:
        client.connect(server.getsockname())
        with server.accept()[0] as accepted:
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while client.send(bytes(65536)):  # until neither side has room: the end cannot follow
                    pass
            assert not has_left(accepted)
            client.close()
            assert has_left(accepted)


@other_user.needs_root
def test_a_second_user_is_known_over_tcp(listener: socket.socket) -> None:
    with connected(listener, as_other=True) as (accepted, _):
        peer = peer_of(accepted)
        assert peer is not None
        assert peer.uid == other_user.UID


@other_user.needs_root
def test_a_second_user_is_known_over_the_unix_socket(unix_listener: socket.socket, tmp_path: Path) -> None:
    other_user.open_to_everybody(tmp_path)
    with connected(unix_listener, as_other=True) as (accepted, pid):
        peer = peer_of(accepted)
        assert peer is not None
        assert (peer.uid, peer.pid) == (other_user.UID, pid)


@other_user.needs_root
def test_an_unprivileged_daemon_knows_the_user_of_another_ones_tcp_socket(listener: socket.socket) -> None:
    """The daemon runs as a user of its own, and may not look into its callers' processes."""
    code = (
        "with socket.create_server((sys.argv[1], 0), family=int(sys.argv[2])) as server:\n"
        "    print(server.getsockname()[1], flush=True)\n"
        "    print(peer_of(server.accept()[0]), flush=True)\n"
    )
    imports = "import socket\nfrom cardd.system.peer import peer_of"
    host = listener.getsockname()[0]
    with other_user.start(code, host, str(int(listener.family)), imports=imports) as daemon:
        assert daemon.stdout is not None
        with socket.create_connection((host, int(daemon.stdout.readline()))):
            assert daemon.stdout.readline().strip() == str(Peer(0))


def test_a_v6_socket_that_speaks_v4_is_known_by_both_sources() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_INET6) as client:
        client.connect(("::ffff:127.0.0.1", server.getsockname()[1]))
        with server.accept()[0] as accepted:
            peer = peer_of(accepted)
            assert peer is not None
            assert peer.uid == os.geteuid()
            ends = [end_of(end.family, end.getsockname()[:2]) for end in (client, accepted)]
            found = owner_in_proc(ends[0], ends[1])
            assert found is not None
            assert found.inode == os.fstat(client.fileno()).st_ino


def test_a_peer_that_has_said_all_and_listens_is_known_to_both_sources(listener: socket.socket) -> None:
    client, accepted = both_ends(listener)
    with client, accepted:
        client.shutdown(socket.SHUT_WR)
        peer = peer_of(accepted)
        assert peer is not None
        ends = [end_of(client.family, end.getsockname()[:2]) for end in (client, accepted)]
        asked = owner_of(ends[0], ends[1])
        assert (peer.uid, asked) == (os.getuid(), owner_in_proc(ends[0], ends[1]))
        assert asked is not None


def test_a_peer_that_closed_is_nobody(listener: socket.socket) -> None:
    client, accepted = both_ends(listener)
    with accepted:
        client.close()
        assert peer_of(accepted) is None


def test_a_peer_that_died_with_data_under_way_is_nobody_and_never_root(listener: socket.socket) -> None:
    """The peer's socket lives on without an owner and shows user 0; nothing of ours is read, so that it cannot go."""
    client, accepted = both_ends(listener)
    with accepted:
        client.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                client.send(b"x" * 65536)
        client.close()
        assert ("0", "0") in owners_in_proc(accepted.getpeername()[1])
        assert peer_of(accepted) is None


def test_both_sources_tell_the_same(listener: socket.socket) -> None:
    client, accepted = both_ends(listener)
    with client, accepted:
        ends = [end_of(client.family, end.getsockname()[:2]) for end in (client, accepted)]
        asked = owner_of(ends[0], ends[1])
        assert asked is not None
        assert asked == owner_in_proc(ends[0], ends[1])
        assert asked.inode == os.fstat(client.fileno()).st_ino


def test_neither_source_takes_a_listener_for_a_peer(listener: socket.socket) -> None:
    ours = end_of(listener.family, listener.getsockname()[:2])
    never = End(ours.address, 1)
    assert owner_of(ours, never) is None
    assert owner_in_proc(ours, never) is None


def test_a_socket_that_is_not_connected_has_no_peer() -> None:
    with socket.socket() as tcp, socket.socket(socket.AF_UNIX) as unix:
        assert peer_of(tcp) is None
        assert peer_of(unix) is None


@other_user.needs_root
def test_a_program_that_may_not_be_seen_is_not_named_by_what_it_says_of_itself() -> None:
    imports = "from cardd.system.peer import program_of"
    seen = other_user.run("print(program_of(int(sys.argv[1])))", str(os.getpid()), imports=imports)
    assert seen.strip() == "None"


@other_user.needs_root
def test_a_program_that_gives_itself_anothers_path_is_not_named(tmp_path: Path) -> None:
    pretended = tmp_path / "lps"
    pretended.write_text("the real one")
    own = tmp_path / "own"
    shutil.copy("/bin/sleep", own)
    command = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" "$1" && exec "$1" 60', str(own), str(pretended)]
    with subprocess.Popen(command) as process:
        try:
            link = Path(f"/proc/{process.pid}/exe")
            eventually_here(lambda: link.readlink().name == "lps")
            assert program_of(process.pid) is None
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("arguments", "is_cardctl"),
    [(["{script}"], True), (["-I", "{script}", "login"], True), (["-c", "{code}", "cardctl"], False)],
)
def test_cardctl_is_known_by_its_command_line(
    unix_listener: socket.socket, tmp_path: Path, arguments: list[str], is_cardctl: bool
) -> None:
    code = f"import socket\nc = socket.socket(socket.AF_UNIX)\nc.connect({str(tmp_path / 'cardd.sock')!r})\ninput()"
    script = tmp_path / "cardctl"
    script.write_text(code)
    command = [sys.executable, *(argument.format(script=script, code=code) for argument in arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process, unix_listener.accept()[0] as accepted:
        found = peer_of(accepted)
        assert found is not None
        assert found.is_cardctl is is_cardctl
        process.communicate(b"\n")


def test_of_a_process_that_is_gone_nothing_is_known() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert program_of(process.pid) is None
    assert not is_our_child(process.pid)
    assert not calls_itself_cardctl(process.pid, None)
    assert not calls_itself_cardctl(process.pid, "/nonexistent/python")


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_connection_that_never_was_has_no_owner(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    assert owner_of(end_of(family, (address, free_port())), end_of(family, (address, free_port()))) is None
