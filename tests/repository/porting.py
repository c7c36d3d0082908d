"""Which modules know the operating system, read from the code, to keep docs/porting.md honest."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

PAGE = Path("docs/porting.md")
PACKAGES = ("cardd", "drivers")
ROW = re.compile(r"^\| ((?:`[^`]+`(?:, )?)+) \|", re.MULTILINE)

# modules of Python that Windows has not, what speaks to Linux services only, and what loads a library by its name
MODULES = {"ctypes", "dbus_fast", "fcntl", "grp", "pty", "pwd", "resource", "termios", "tty"}
# what the typeshed gives to Linux alone, or to POSIX systems alone
NAMES = {
    "asyncio": {"open_unix_connection", "start_unix_server"},
    "mmap": {"MAP_ANONYMOUS", "MAP_PRIVATE"},
    "os": {
        *("fchmod", "fchown", "fork", "fstatvfs", "geteuid", "getgid", "getuid", "initgroups", "killpg"),
        *("memfd_create", "pidfd_open", "pread", "preadv", "pwrite", "readv", "setresgid", "setresuid", "setsid"),
        *("statvfs", "ttyname", "uname", "O_CLOEXEC", "O_DIRECTORY", "O_NOCTTY", "O_NOFOLLOW", "O_NONBLOCK", "O_PATH"),
    },
    "select": {"poll"},
    "signal": {"SIGHUP", "SIGKILL", "SIGXCPU", "pthread_sigmask"},
    "socket": {
        *("AF_NETLINK", "AF_UNIX", "MSG_DONTWAIT", "SCM_RIGHTS", "SO_PEERCRED", "TCP_QUICKACK"),
        *("recv_fds", "send_fds"),
    },
    "time": {"CLOCK_BOOTTIME", "clock_gettime"},
}
METHODS = {"add_signal_handler", "create_unix_connection", "create_unix_server"}
PLACE = re.compile(r"/(?:dev|etc|lib\d*|proc|run|sys|usr|var)(?:/|$)")


def _knows_the_system(node: ast.AST) -> bool:
    match node:
        case ast.Import(names=names):
            return any(name.name.split(".")[0] in MODULES for name in names)
        case ast.ImportFrom(module=str(module)):
            return module.split(".")[0] in MODULES
        case ast.Attribute(value=ast.Name(id=module), attr=name):
            return name in NAMES.get(module, METHODS) or name in METHODS
        case ast.Attribute(attr=name):
            return name in METHODS
        case ast.Constant(value=str(text)):
            return PLACE.match(text) is not None
        case _:
            return False


def the_page_names_what_knows_the_system(files: dict[Path, str]) -> Iterator[str]:
    """The tables of docs/porting.md name each module that knows Linux, or its folder, and nothing else."""
    named = {Path(place) for row in ROW.findall(files[PAGE]) for place in re.findall("`([^`]+)`", row)}
    needed = set[Path]()
    for path, text in files.items():
        ours = path.suffix == ".py" and path.parts[0] in PACKAGES
        if ours and any(map(_knows_the_system, ast.walk(ast.parse(text)))):
            found = named.intersection([path, *path.parents])
            needed |= found
            if not found:
                yield f"{path}: knows the operating system, and {PAGE} does not name it"
    for place in sorted(named - needed):
        yield f"{PAGE}: names {place}, which knows nothing of the operating system"
