"""A sandbox that a process puts itself into, for good, before it touches what a stranger made: a document, a module.

Two parts of the kernel hold it, and neither needs root. Landlock gives the files that may be opened, and keeps signals
and abstract sockets inside (landlock(7)). A seccomp filter, made by libseccomp, refuses system calls: other programs,
other processes, keys, networks, namespaces (seccomp(2)). Limits on open files stand beside them. What the process has
open when it enters stays open.

Landlock does not speak about Unix sockets with a path, and a filter sees an address's length but not its bytes. So a
process works in the directory of its own descriptors, which it cannot leave, and may connect to the one socket that a
descriptor of its own names: by that number, one digit long. No other socket's path is as short, nor is one that leads
through a link or a directory; and it gets no further descriptor of that kind. The API refuses its own children besides
(``cardd.system.peer``).

Memory is limited by address space: neither what is shared nor a growing stack counts to RLIMIT_DATA (getrlimit(2)).
What would outlive the process (segments, queues) cannot be made.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import socket
import stat
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from cardd.model import UNCONFINED, Confinement
from cardd.values import Value

SET_DEATH_SIGNAL, SET_NO_NEW_PRIVILEGES = 1, 38  # prctl(2)
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same on every architecture
TELL_VERSION, PATH_BENEATH = 1, 1
# linux/landlock.h, LANDLOCK_ACCESS_FS_…: with each version came more
EXECUTE, WRITE_FILE, READ_FILE, READ_DIRECTORY, REFER, TRUNCATE, DEVICE_IOCTL = (
    1 << bit for bit in (0, 1, 2, 3, 13, 14, 15)
)
FIRST_RIGHTS = (1 << 13) - 1
OF_NODES = sum(1 << bit for bit in (6, 9, 10, 11, 12))  # making devices, sockets, pipes with a name, links
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | DEVICE_IOCTL
TCP, TCP_SINCE = 0b11, 4
SCOPES, SCOPES_SINCE = 0b11, 6  # abstract sockets, signals

# seccomp.h
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
NOT_EQUAL, EQUAL, MASKED_EQUAL = 1, 4, 7

LIBRARIES = ("/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache")
ITSELF = "/proc/self"
TIME_ZONES = ("/etc/localtime", "/usr/share/zoneinfo")
OWN_DESCRIPTORS = "/proc/self/fd"
LOAD = Path("/proc/loadavg")  # proc(5): its fourth field ends with how many threads there are
DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")


class Call(Value):
    """A system call, or what of it: ``argument`` compared with ``value``, under ``mask`` where there is one."""

    name: str
    argument: int = 0
    comparison: int = 0
    value: int = 0
    mask: int = 0
    error: int = errno.EPERM


class Sandbox(Value):
    """What a process needs; it gets nothing else. ``calls`` are all the system calls that it may make.

    Without them it may make every call but those by which it would reach other programs, processes, keys or networks.
    ``address`` is that of the one local socket that it may connect to, as ``own_address`` makes it; ``space_max`` its
    address space in bytes; ``threads_max`` about how many threads it may have.
    """

    reads: Sequence[str | Path]
    writes: Sequence[str | Path] = ()
    calls: Sequence[str] = ()
    files_max: int = 64
    address: str = ""
    space_max: int = 4 * 1024 * 1024 * 1024
    threads_max: int = 512


class Offer(Value):
    """What this machine has for it: Landlock's version, 0 for none, and whether a filter can be made."""

    landlock: int
    seccomp: bool

    @property
    def missing(self) -> tuple[str, ...]:
        """Return what a whole sandbox lacks here."""
        return (*(() if self.landlock else ("Landlock",)), *(() if self.seccomp else ("libseccomp",)))


def offer() -> Offer:
    """Return what this machine has, without entering anything."""
    return Offer(max(0, landlock_version()), _libseccomp() is not None)


def enter(sandbox: Sandbox, confinement: Confinement) -> None:
    """Put this process into its sandbox; it has one thread so far, and its libraries that need more are loaded.

    What is missing is told on the standard error; where a whole sandbox is required the process ends, ``UNCONFINED``.
    """
    if confinement is Confinement.OFF:
        return
    _limit(resource.RLIMIT_NOFILE, sandbox.files_max)
    _limit(resource.RLIMIT_AS, sandbox.space_max)
    with suppress(OSError, ValueError, IndexError):
        # the limit is on all that the user runs, which is no more than all that runs
        _limit(resource.RLIMIT_NPROC, int(LOAD.read_text("ascii").split()[3].partition("/")[2]) + sandbox.threads_max)
    os.chdir(OWN_DESCRIPTORS)
    missing = [*_limit_files(sandbox), *_limit_calls(sandbox)]
    if missing:
        print(f"cardd: a process has no whole sandbox: {', '.join(missing)}", file=sys.stderr, flush=True)  # noqa: T201
        if confinement is Confinement.REQUIRED:
            os._exit(UNCONFINED)


def own_address(descriptor: int, confinement: Confinement) -> str:
    """Return the address of the socket behind this descriptor, which is closed: its number may have been long.

    In a sandbox it is the new number alone, for the process works in the directory of its descriptors there.
    """
    lowest = os.dup(descriptor)
    os.close(descriptor)
    return f"{OWN_DESCRIPTORS}/{lowest}" if confinement is Confinement.OFF else str(lowest)


def python_files() -> tuple[str, ...]:
    """Return what a Python process reads of Python, of the C libraries and of itself."""
    own = (path for path in (*sys.path, sys.prefix, sys.base_prefix) if Path(path).is_absolute())
    return (*own, *LIBRARIES, *TIME_ZONES, ITSELF)


def _limit(kind: int, most: int) -> None:
    """Limit what this process may have of a resource (getrlimit(2)), for good."""
    before = resource.getrlimit(kind)[1]
    most = most if before == resource.RLIM_INFINITY else min(most, before)
    resource.setrlimit(kind, (most, most))


# --- files: Landlock ---


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("directory", ctypes.c_int32))


_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def _syscall(number: int, *arguments: object) -> int:
    long = [ctypes.c_long(argument) if isinstance(argument, int) else argument for argument in arguments]
    return int(_libc.syscall(ctypes.c_long(number), *long))


def landlock_version() -> int:
    """Return the kernel's version of Landlock, less than 1 where it has none."""
    return _syscall(CREATE_RULESET, None, 0, TELL_VERSION)


def _limit_files(sandbox: Sandbox) -> Iterable[str]:
    """Enter a Landlock domain; yields what is missing."""
    version = landlock_version()
    if version < 1 or _libc.prctl(SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        yield "Landlock"
        return
    rights = _rights(version)
    asked = _Ruleset(rights, TCP if version >= TCP_SINCE else 0, SCOPES if version >= SCOPES_SINCE else 0)
    size = 8 if version < TCP_SINCE else 16 if version < SCOPES_SINCE else 24
    ruleset = _syscall(CREATE_RULESET, ctypes.byref(asked), size, 0)
    if ruleset < 0:
        yield f"Landlock ({os.strerror(ctypes.get_errno())})"
        return
    try:
        for path in sandbox.reads:
            _allow(ruleset, path, READ_FILE | READ_DIRECTORY)
        for path in DEVICES:
            _allow(ruleset, path, READ_FILE | WRITE_FILE)
        for path in sandbox.writes:
            _allow(ruleset, path, rights & ~(EXECUTE | OF_NODES))
        if _syscall(RESTRICT_SELF, ruleset, 0):
            yield f"Landlock ({os.strerror(ctypes.get_errno())})"
    finally:
        os.close(ruleset)


def _rights(version: int) -> int:
    """Return every right on files that this version knows: what is not given back by a rule is refused."""
    later = ((2, REFER), (3, TRUNCATE), (5, DEVICE_IOCTL))
    return FIRST_RIGHTS | sum(right for since, right in later if version >= since)


def _allow(ruleset: int, path: str | Path, rights: int) -> None:
    """Allow what lies there; nothing, where nothing does."""
    with suppress(OSError):
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            kept = rights if stat.S_ISDIR(os.fstat(place).st_mode) else rights & OF_FILES
            rule = _PathBeneath(kept, place)
            _syscall(ADD_RULE, ruleset, PATH_BENEATH, ctypes.byref(rule), 0)
        finally:
            os.close(place)


# --- system calls: seccomp ---

CLONE_THREAD = 0x00010000
FAMILY = 2  # bytes before the path in sockaddr_un; libpcsclite counts the zero after it
KINDS = 0xF  # of a socket's type, which has flags too
UNCONNECTED = (socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET)  # these reach others without a connection
REFUSED_IOCTLS = (0x5412, 0x541C, 0x8901, 0x8902)  # TIOCSTI, TIOCLINUX, FIOSETOWN, SIOCSPGRP
SIGNALLING = (8, 10, 15)  # F_SETOWN, F_SETSIG, F_SETOWN_EX: a file has the kernel send signals
ALLOWED_IOCTLS = (0x5401, 0x541B, 0x5421, 0x5450, 0x5451)  # TCGETS, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX
ALLOWED_FCNTLS = (0, 1, 2, 3, 4, 1030)  # F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC
WHOLE = 0xFFFFFFFF  # what the kernel looks at of an int

# what a process never needs that signs or reads: it could reach another one by it, or the kernel
REFUSED = (
    *("execve", "execveat", "fork", "vfork", "setns", "unshare", "chroot", "pivot_root", "personality", "modify_ldt"),
    *("ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "kcmp", "tkill", "rt_sigqueueinfo"),
    *("rt_tgsigqueueinfo", "pidfd_open", "pidfd_getfd", "pidfd_send_signal", "move_pages", "migrate_pages"),
    *("add_key", "request_key", "keyctl", "bpf", "perf_event_open", "userfaultfd", "fanotify_init"),
    *("io_uring_setup", "io_uring_enter", "io_uring_register", "open_by_handle_at", "name_to_handle_at"),
    *("mount", "umount2", "mount_setattr", "move_mount", "open_tree", "fsopen", "fsconfig", "fsmount", "fspick"),
    *("init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot", "swapon", "swapoff"),
    *("acct", "quotactl", "syslog", "iopl", "ioperm", "vhangup", "lookup_dcookie", "nfsservctl", "clock_settime"),
    *("settimeofday", "adjtimex", "clock_adjtime", "sethostname", "setdomainname"),
    *("listen", "accept", "accept4", "bind"),
    # memory and queues that stay behind, or that no limit counts
    *("shmget", "shmat", "semget", "semop", "semtimedop", "msgget", "msgsnd", "msgrcv", "mq_open", "mq_unlink"),
    *("memfd_create", "memfd_secret"),
    # what Landlock leaves alone of files that may not be opened
    *("chmod", "fchmodat", "fchmodat2", "chown", "lchown", "fchownat", "utime", "utimes", "utimensat", "futimesat"),
    *("setxattr", "lsetxattr", "setxattrat", "removexattr", "lremovexattr", "removexattrat", "truncate"),
    *("inotify_add_watch", "chdir", "fchdir"),
    # other processes of the same user are slowed down by these
    *("setpriority", "ioprio_set", "sched_setscheduler", "sched_setparam", "sched_setattr", "sched_setaffinity"),
)

# what Python does that reads and computes, on one thread, with what it has open and what it may open
OF_PYTHON = (
    *("read", "readv", "pread64", "preadv", "preadv2", "write", "writev", "pwrite64", "pwritev", "pwritev2", "lseek"),
    *("close", "close_range", "dup", "dup2", "dup3", "pipe", "pipe2", "ftruncate"),
    *("stat", "lstat", "fstat", "newfstatat", "statx", "statfs", "fstatfs", "access", "faccessat", "faccessat2"),
    *("readlink", "readlinkat", "getcwd", "getdents", "getdents64", "fadvise64", "fallocate", "fsync", "fdatasync"),
    *("mmap", "munmap", "mremap", "mprotect", "madvise", "msync", "mlock", "munlock", "brk"),
    *("recvmsg", "sendmsg", "recvfrom", "sendto", "shutdown", "getsockopt", "setsockopt", "getsockname"),
    *("poll", "ppoll", "select", "pselect6", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "eventfd2"),
    *("futex", "futex_waitv", "set_robust_list", "get_robust_list", "rseq", "membarrier", "restart_syscall"),
    *("rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "rt_sigtimedwait", "sigaltstack"),
    *("getpid", "getppid", "gettid", "getuid", "geteuid", "getgid", "getegid", "getgroups", "getpgrp", "getsid"),
    *("clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time", "times", "alarm"),
    *("getrlimit", "setrlimit", "getrusage", "sched_yield", "sched_getaffinity", "getcpu", "sysinfo", "uname"),
    *("arch_prctl", "getrandom", "umask", "setitimer", "getitimer", "exit", "exit_group"),
)


def _calls_refused(sandbox: Sandbox) -> Iterable[Call]:
    yield from map(Call, REFUSED)
    own = os.getpid()
    yield Call("kill", 0, NOT_EQUAL, own)
    yield Call("tgkill", 0, NOT_EQUAL, own)
    yield Call("prlimit64", 0, NOT_EQUAL, 0)
    yield Call("clone", 0, MASKED_EQUAL, 0, CLONE_THREAD)  # another process
    yield Call("clone3", error=errno.ENOSYS)  # its flags cannot be seen: the C library takes clone then
    yield Call("prctl", 0, MASKED_EQUAL, SET_DEATH_SIGNAL, WHOLE)
    yield from (Call("ioctl", 1, MASKED_EQUAL, request, WHOLE) for request in REFUSED_IOCTLS)
    yield from (Call("fcntl", 1, MASKED_EQUAL, command, WHOLE) for command in SIGNALLING)
    # an open file that is only a name leads to what may not be opened
    yield Call("open", 1, MASKED_EQUAL, os.O_PATH, os.O_PATH)
    yield Call("openat", 2, MASKED_EQUAL, os.O_PATH, os.O_PATH)
    yield Call("openat2", error=errno.ENOSYS)
    yield Call("socket", 0, NOT_EQUAL, socket.AF_UNIX, error=errno.EAFNOSUPPORT)
    yield Call("socketpair", 0, NOT_EQUAL, socket.AF_UNIX, error=errno.EAFNOSUPPORT)
    for kind in UNCONNECTED:
        yield Call("socket", 1, MASKED_EQUAL, kind, KINDS)
        yield Call("socketpair", 1, MASKED_EQUAL, kind, KINDS)
    yield Call("connect", 2, NOT_EQUAL, FAMILY + len(sandbox.address) + 1 if sandbox.address else 0)


def _calls_of_itself() -> Iterable[Call]:
    """Yield what a process may do to itself and to no other."""
    own = os.getpid()
    yield Call("kill", 0, EQUAL, own)
    yield Call("tgkill", 0, EQUAL, own)
    yield Call("prlimit64", 0, EQUAL, 0)
    yield Call("open", 1, MASKED_EQUAL, 0, os.O_PATH)
    yield Call("openat", 2, MASKED_EQUAL, 0, os.O_PATH)
    yield from (Call("ioctl", 1, MASKED_EQUAL, request, WHOLE) for request in ALLOWED_IOCTLS)
    yield from (Call("fcntl", 1, MASKED_EQUAL, command, WHOLE) for command in ALLOWED_FCNTLS)


class _Comparison(ctypes.Structure):
    _fields_ = (("argument", ctypes.c_uint), ("how", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


def _libseccomp() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL("libseccomp.so.2")
    except OSError:
        return None
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = (ctypes.c_uint32,)
    library.seccomp_release.argtypes = library.seccomp_load.argtypes = (ctypes.c_void_p,)
    library.seccomp_syscall_resolve_name.argtypes = (ctypes.c_char_p,)
    library.seccomp_rule_add_array.argtypes = (
        *(ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint),
        ctypes.POINTER(_Comparison),
    )
    return library


def _limit_calls(sandbox: Sandbox) -> Iterable[str]:
    """Load the filter; yields what is missing."""
    library = _libseccomp()
    if library is None:
        yield "libseccomp"
        return
    context = library.seccomp_init(ERRNO | errno.EPERM if sandbox.calls else ALLOW)
    if not context:
        yield "seccomp"
        return
    if sandbox.calls:
        allowed = (*map(Call, sandbox.calls), *_calls_of_itself())
        added = [_add(library, context, call, ALLOW) for call in allowed]
    else:
        added = [_add(library, context, call, ERRNO | call.error) for call in _calls_refused(sandbox)]
    if not all(added) or library.seccomp_load(context):
        yield "seccomp"
    library.seccomp_release(context)


def _add(library: ctypes.CDLL, context: int, call: Call, action: int) -> bool:
    """Add a rule; a call that this machine's architecture or libseccomp does not know needs none."""
    number = library.seccomp_syscall_resolve_name(call.name.encode())
    if number < 0:
        return True
    if not call.comparison:
        return not library.seccomp_rule_add_array(context, action, number, 0, None)
    first, second = (call.mask, call.value) if call.comparison == MASKED_EQUAL else (call.value, 0)
    compared = _Comparison(call.argument, call.comparison, first, second)
    return not library.seccomp_rule_add_array(context, action, number, 1, ctypes.byref(compared))
