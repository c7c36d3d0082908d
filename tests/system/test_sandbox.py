"""What runs in a sandbox reaches nothing but what it needs: each try is made by a real process that entered its own."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import pytest

from cardd.model import UNCONFINED, Confinement
from cardd.sandbox import Offer, offer
from tests.repository.rules import ROOT
from tests.rig.other_user import needs_root, run

HOSTS = {
    "documents": "from cardd.formats.pdf.host import SANDBOX as mine",
    "module": "from cardd_drivers.pkcs11.host import sandbox_of\nmine = sandbox_of('/usr/lib/module.so', sys.argv[7:])",
}
TRIES = """
import ctypes, fcntl, json, mmap, os, resource, socket, subprocess, sys
from cardd.model import Confinement
from cardd.sandbox import enter
from pathlib import Path
{imports}
if version := os.environ.get("CARDD_TEST_LANDLOCK"):
    from cardd import sandbox
    sandbox.landlock_version = lambda: int(version)
enter(mine, Confinement(sys.argv[1]))
port, path, secret, sibling = int(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5])
libc = ctypes.CDLL(None, use_errno=True)
PRCTL = dict(x86_64=157, aarch64=167)[os.uname().machine]

def call(name, *arguments):
    if getattr(libc, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)

def at(family, where):
    with socket.socket(family) as asking:
        asking.connect(where)

def split():
    if not os.fork():
        os._exit(0)

def thread():
    import threading
    started = threading.Thread(target=lambda: None)
    started.start()
    started.join()

tries = dict(
    tcp=lambda: at(socket.AF_INET, ("127.0.0.1", port)),
    tcp6=lambda: at(socket.AF_INET6, ("::1", port)),
    udp=lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
    netlink=lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
    unix=lambda: at(socket.AF_UNIX, path),
    abstract=lambda: at(socket.AF_UNIX, chr(0) + Path(path).name),
    read=lambda: Path(secret).read_bytes(),
    names=lambda: os.listdir(Path(secret).parent),
    write=lambda: Path(secret).write_bytes(b"x"),
    make=lambda: Path(secret).with_name("new").touch(),
    remove=lambda: Path(secret).unlink(),
    passwords=lambda: Path("/etc/passwd").read_bytes(),
    memory=lambda: Path("/proc/%d/mem" % sibling).open("rb").read(1),
    command_line=lambda: Path("/proc/%d/cmdline" % sibling).read_bytes(),
    attach=lambda: call("ptrace", 16, sibling, 0, 0),
    end=lambda: os.kill(sibling, 15),
    program=lambda: os.execv("/bin/true", ["true"]),
    other_program=lambda: subprocess.run(["/bin/true"], check=True),
    fork=split,
    namespace=lambda: call("unshare", 0x10000000),
    keys=lambda: call("syscall", dict(x86_64=250, aarch64=219)[os.uname().machine], 0, -3, 0, 0, 0),
    outlive=lambda: call("prctl", 1, 0, 0, 0, 0),
    outlive_by_half=lambda: call("syscall", PRCTL, ctypes.c_long(1 << 32 | 1), 0),
    thread=thread,
    library=lambda: __import__("wsgiref.util"),
    by_name=lambda: os.close(os.open(path, os.O_PATH)),
    directory=lambda: os.chdir(Path(secret).parent),
    mode=lambda: Path(secret).chmod(0o777),
    mode_of_directory=lambda: Path(secret).parent.chmod(0o777),
    times=lambda: os.utime(secret),
    attribute=lambda: os.setxattr(secret, "user.x", b"x"),
    shorten=lambda: os.truncate(secret, 0),
    datagram=lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM),
    datagram_of_a_pair=lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b"x", path + "d"),
    shared_memory=lambda: mmap.mmap(-1, 5 << 30),
    stack=lambda: mmap.mmap(-1, 5 << 30, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x100),
    memory_without_a_name=lambda: os.memfd_create("x"),
    memory_that_stays=lambda: call("shmget", 0, 4096, 0o1600),
    queue_that_stays=lambda: call("msgget", 0, 0o1600),
    serve=lambda: socket.socket(socket.AF_UNIX).bind(chr(0) + "cardd.test"),
    slower=lambda: os.setpriority(os.PRIO_PROCESS, sibling, 19),
    owner=lambda: fcntl.fcntl(0, fcntl.F_SETOWN, sibling),
    other_limits=lambda: resource.prlimit(sibling, resource.RLIMIT_NOFILE),
)
told = dict()
for name, what in tries.items():
    if sys.argv[6] and name not in sys.argv[6].split(","):
        continue
    try:
        what()
    except Exception as refused:
        told[name] = getattr(refused, "errno", None) or -1
    else:
        told[name] = 0
print(json.dumps(told))
"""
NEEDED = {"documents": {"library"}, "module": {"library", "thread", "passwords"}}


@dataclass(frozen=True)
class Around:
    """What there is to be reached."""

    port: int
    path: Path
    secret: Path
    sibling: int


@pytest.fixture
def around(tmp_path: Path) -> Iterator[Around]:
    secret = tmp_path / "state" / "secret"
    secret.parent.mkdir()
    secret.write_text("SIMULATION")
    with (
        TemporaryDirectory(prefix="cardd-") as short,  # a socket's path has 107 bytes at most
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_UNIX) as unix,
        socket.socket(socket.AF_UNIX) as abstract,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams,
        subprocess.Popen(["sleep", "60"]) as sibling,
    ):
        path = Path(short) / f"{Path(short).name}.sock"
        unix.bind(str(path))
        abstract.bind(f"\0{path.name}")
        datagrams.bind(f"{path}d")
        unix.listen()
        abstract.listen()
        yield Around(server.getsockname()[1], path, secret, sibling.pid)
        assert sibling.poll() is None
        sibling.kill()


def tried(host: str, around: Around, confinement: Confinement, *files: Path, only: str = "") -> dict[str, int]:
    """The error number of each try, 0 for what was done."""
    command = [sys.executable, "-P", "-c", TRIES.format(imports=HOSTS[host]), confinement]
    arguments = [around.port, around.path, around.secret, around.sibling, only, *files]
    done = subprocess.run([*command, *map(str, arguments)], stdout=subprocess.PIPE, text=True, timeout=60, check=True)
    return cast(dict[str, int], json.loads(done.stdout))


@pytest.mark.skipif(bool(offer().missing), reason="this machine has no whole sandbox")
@pytest.mark.parametrize("host", HOSTS)
def test_a_process_in_its_sandbox_reaches_nothing_but_what_it_needs(host: str, around: Around) -> None:
    told = tried(host, around, Confinement.REQUIRED)
    assert {name for name, error in told.items() if not error} == NEEDED[host]
    assert around.secret.read_text() == "SIMULATION"


@pytest.mark.skipif(bool(offer().missing), reason="this machine has no whole sandbox")
@pytest.mark.parametrize("version", ["1", "3", "5"])
def test_an_older_kernel_keeps_a_module_in_as_well(
    version: str, around: Around, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARDD_TEST_LANDLOCK", version)
    told = tried("module", around, Confinement.REQUIRED)
    assert {name for name, error in told.items() if not error} == NEEDED["module"]


def test_without_a_sandbox_the_same_process_reaches_it_all(around: Around) -> None:
    told = tried("module", around, Confinement.OFF, only="tcp,unix,abstract,read,names,other_program,fork,command_line")
    assert len(told) == 8
    assert not any(told.values())


@pytest.mark.skipif(bool(offer().missing), reason="this machine has no whole sandbox")
def test_a_module_reads_and_writes_the_files_that_are_named_for_it(around: Around) -> None:
    told = tried("module", around, Confinement.REQUIRED, around.secret.parent)
    assert not {"read", "names", "write", "make", "remove"} & {name for name, error in told.items() if error}


# a module's process whose way to pcscd is one socket; it asks for others by every length of an address, and by a link
CONNECTING = """
import ctypes, json, os, socket, sys, threading
from cardd.model import Confinement
from cardd.sandbox import enter, own_address
from cardd_drivers.pkcs11.host import SOCKET_NAME, sandbox_of
gate, files = sys.argv[1], sys.argv[2]
confinement = Confinement.REQUIRED
os.environ[SOCKET_NAME] = own_address(os.open(gate, os.O_PATH), confinement)
enter(sandbox_of("/usr/lib/module.so", [files]), confinement)
libc = ctypes.CDLL(None, use_errno=True)

def reached(path):
    for size in range(3, 111):
        address = (1).to_bytes(2, sys.byteorder) + os.fsencode(path).ljust(108, bytes(1))
        with socket.socket(socket.AF_UNIX) as asking:
            if libc.connect(asking.fileno(), address, size) == 0:
                return True
    return False

place = os.open(files, os.O_RDONLY)
told = dict(gate=reached(os.environ[SOCKET_NAME]), short=reached(sys.argv[3]), link=reached(f"/dev/fd/{place}/l"))
told["beside"] = reached(f"{place}/l")
try:
    os.symlink(gate, files + "/made")
except OSError:
    told["makes_links"] = False
print(json.dumps(told))
"""


@pytest.mark.skipif(bool(offer().missing), reason="this machine has no whole sandbox")
def test_a_module_reaches_no_socket_but_its_gate_by_a_short_path_or_a_link(tmp_path: Path, around: Around) -> None:
    files = tmp_path / "files"
    files.mkdir()
    (files / "l").symlink_to(around.path)
    with TemporaryDirectory(dir="/tmp", prefix="c") as short, socket.socket(socket.AF_UNIX) as other:
        path = Path(short) / "s"  # 16 bytes at most: as /run/docker.sock has
        assert len(str(path)) <= 16
        other.bind(str(path))
        other.listen()
        command = [sys.executable, "-P", "-c", CONNECTING, str(around.path), str(files), str(path)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=60, check=True)
    told = json.loads(done.stdout)
    assert told == {"gate": True, "short": False, "link": False, "beside": False, "makes_links": False}


def test_what_this_machine_lacks_is_named() -> None:
    assert Offer(landlock=0, seccomp=True).missing == ("Landlock",)
    assert Offer(landlock=7, seccomp=False).missing == ("libseccomp",)
    assert Offer(landlock=1, seccomp=True).missing == ()


# a process that is not given a part of it, as an old kernel or a machine without libseccomp gives none
WITHOUT = """
import sys
from cardd import sandbox
from cardd.model import Confinement
from cardd.sandbox import Sandbox, enter
def missing(name): raise OSError(name)
exec(sys.argv[2])
enter(Sandbox(reads=sandbox.LIBRARIES), Confinement(sys.argv[1]))
print("entered")
"""


@pytest.mark.parametrize(
    ("confinement", "status", "printed"),
    [(Confinement.REQUIRED, UNCONFINED, ""), (Confinement.POSSIBLE, 0, "entered\n"), (Confinement.OFF, 0, "entered\n")],
)
def test_a_whole_sandbox_that_is_required_and_not_to_be_had_ends_the_process(
    confinement: Confinement, status: int, printed: str
) -> None:
    command = [sys.executable, "-c", WITHOUT, confinement, "sandbox.landlock_version = lambda: -1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (status, printed)
    assert ("Landlock" in done.stderr) == (confinement is not Confinement.OFF)


@pytest.mark.skipif(bool(offer().missing), reason="this machine has no whole sandbox")
@pytest.mark.parametrize(
    ("spoilt", "told"),
    [
        ("sandbox.ctypes.CDLL = missing", "libseccomp"),
        ("sandbox.FIRST_RIGHTS = 1 << 40", "Landlock (Invalid argument)"),  # no ruleset is made
        ("sandbox.RESTRICT_SELF = 9999", "Landlock (Function not implemented)"),
        ("sandbox.ALLOW = -1", "seccomp"),  # no filter is made
        ("sandbox.EQUAL = sandbox.NOT_EQUAL = 99", "seccomp"),  # a rule is refused
    ],
)
def test_each_part_of_a_sandbox_that_the_kernel_refuses_is_told(spoilt: str, told: str) -> None:
    command = [sys.executable, "-c", WITHOUT, Confinement.POSSIBLE, spoilt]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == f"cardd: a process has no whole sandbox: {told}\n"


# a process under a filter such as systemd makes, in which it enters its sandbox
UNDER_A_FILTER = """
import ctypes, sys
from cardd import sandbox
from cardd.model import Confinement
library = ctypes.CDLL("libseccomp.so.2")
library.seccomp_init.restype = ctypes.c_void_p
context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(sandbox.ERRNO | 1)))
for name in sys.stdin.read().split():
    number = library.seccomp_syscall_resolve_name(name.encode())  # negative for what this machine does not know
    library.seccomp_rule_add(context, ctypes.c_uint32(sandbox.ALLOW), number, 0)
assert not library.seccomp_load(context)
sandbox.enter(sandbox.Sandbox(reads=sandbox.python_files(), calls=sandbox.OF_PYTHON), Confinement.REQUIRED)
print("entered")
"""


def calls_in(group: str) -> set[str]:
    """The system calls of a group of systemd's; of a call itself, that one."""
    if not group.startswith("@"):
        return {group}
    told = subprocess.run(["systemd-analyze", "syscall-filter", group], capture_output=True, text=True, check=True)
    named = [line.strip() for line in told.stdout.splitlines()[1:]]
    return {call for name in named if name and not name.startswith("#") for call in calls_in(name)}


@pytest.mark.skipif(bool(offer().missing), reason="this machine has no whole sandbox")
@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd to tell its groups")
def test_the_unit_allows_what_makes_a_sandbox() -> None:
    allowed = calls_in("@default")
    for line in (ROOT / "systemd" / "cardd.service").read_text().splitlines():
        key, _, value = line.partition("=")
        if key == "SystemCallFilter":
            named = set().union(*(calls_in(name) for name in value.removeprefix("~").split()))
            allowed = allowed - named if value.startswith("~") else allowed | named
    command = [sys.executable, "-c", UNDER_A_FILTER]
    done = subprocess.run(command, input=" ".join(allowed), capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("entered\n", "")


COUNTED = """
import threading
enter(mine, Confinement.POSSIBLE)
held, many = threading.Event(), []
try:
    while len(many) < 5000:
        many.append(threading.Thread(target=held.wait, daemon=True))
        many[-1].start()
except RuntimeError:
    pass
print(len(many), flush=True)
held.set()
"""


@needs_root
def test_a_module_makes_no_thread_beyond_its_limit() -> None:
    mine = f"from cardd.model import Confinement\nfrom cardd.sandbox import enter\n{HOSTS['module']}"
    imports = f"import encodings.ascii, threading\n{mine}"
    running = int(Path("/proc/loadavg").read_text().split()[3].partition("/")[2])
    assert int(run(COUNTED, imports=imports)) <= running + 512
