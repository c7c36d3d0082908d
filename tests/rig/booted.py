"""systemd as process 1 over a copy-on-write view of this machine, in namespaces of its own: the units for real.

Nothing of the machine changes: files are an overlay in memory, processes, network, host name and cgroups are the
booted system's own. It has journald, D-Bus, logind and pcscd, as far as this machine has them, and no devices.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.rig.waiting import eventually_here

SYSTEMD = Path("/lib/systemd/systemd")
ROOT = Path(__file__).parents[2]
UNITS = ROOT / "systemd"
NAMESPACES = ("--mount", "--pid", "--uts", "--ipc", "--cgroup", "--net")
ENTER = ("--mount", "--pid", "--uts", "--ipc", "--cgroup", "--net", "--root", "--wd")
BOOT = """
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
cd "$1/root"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
for place in run tmp dev; do mount -t tmpfs -o mode=755 tmpfs $place; done
chmod 1777 tmp
for device in null zero full random urandom tty; do touch dev/$device; mount --bind /dev/$device dev/$device; done
mkdir dev/pts dev/shm was
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
for number in 0 1 2; do ln -s /proc/self/fd/$number dev/fd$number; done
ln -s /proc/self/fd dev/fd
mount -t tmpfs tmpfs dev/shm
cp -a "$2/." .
mkdir -p opt/python opt/project
mount --bind "$3" opt/python  # a home or /tmp, where they may lie, is not shown to services
mount --bind "$4" opt/project
pivot_root . was
umount -l /was
mount --make-rshared /  # as systemd itself does where it is in no container: credentials are mounted by a child
ip link set lo up 2>/dev/null || true
exec env -i container=cardd-tests PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --unit=tests.target --show-status=no --log-target=journal-or-kmsg
"""
PYTHON = f"/opt/python/bin/python{sys.version_info.major}.{sys.version_info.minor}"
_OURS = ":".join(
    f"/opt/project/{Path(path).relative_to(ROOT)}" if Path(path).is_relative_to(ROOT) else path
    for path in sys.path
    if path and not path.startswith(sys.base_prefix)
)
ENVIRONMENT = f"PYTHONPATH={_OURS} LD_LIBRARY_PATH=/opt/python/lib"
DOCTOR = 4000  # a person, whose service manager a test may start
PINENTRY = "/usr/lib/pinentry-of-tests"
DIALOG = """#!/bin/sh
echo OK
while read -r command words; do
    case $command in
        SETDESC) echo "$words" >> $XDG_RUNTIME_DIR/shown ;;
        CONFIRM) sleep 0.9 ;;
    esac
    echo OK
done
"""
TARGET = """[Unit]
Description=what the tests need
Requires=dbus.socket systemd-journald.service
Wants=cardd.socket pcscd.socket systemd-logind.service
After=cardd.socket systemd-logind.service
"""


class Machine:
    """A booted system. ``run`` runs a command in it, as root or as another user."""

    def __init__(self, init: int) -> None:
        self._init = init

    def run(self, *command: str, uid: int = 0, check: bool = True, timeout: float = 30) -> str:
        """Return what the command printed; a failure is an assertion's, unless ``check`` is False."""
        become = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"] if uid else []
        done = subprocess.run(
            ["nsenter", "--target", str(self._init), *ENTER, *become, *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0 or not check, done.stdout
        return done.stdout

    def is_up(self) -> bool:
        """Return whether the boot has ended."""
        return self.run("systemctl", "is-system-running", check=False).strip() in {"running", "degraded"}

    def show(self, unit: str, name: str) -> str:
        """Return a property of a unit."""
        return self.run("systemctl", "show", unit, "--value", "-p", name).strip()


def needs_boot() -> pytest.MarkDecorator:
    """Return the mark of a test that boots."""
    return pytest.mark.skipif(bool(_missing()), reason=_missing())


def _missing() -> str:
    if os.geteuid() != 0:
        return "only root can boot a system in namespaces"
    if not SYSTEMD.exists():
        return "systemd is not installed"
    tools = [tool for tool in ("unshare", "nsenter", "pivot_root", "setpriv") if not shutil.which(tool)]
    return f"{', '.join(tools)} is missing" if tools else ""


@contextmanager
def booted(directory: Path, configuration: str = "", files: dict[str, str] | None = None) -> Iterator[Machine]:
    """Boot with cardd's units, as installed; ``files`` are written into the system before, by path."""
    image, mountpoint = directory / "image", directory / "root"
    mountpoint.mkdir()
    _install(image, configuration, files or {})
    given = (str(mountpoint), str(image), sys.base_prefix, str(ROOT))
    with (directory / "boot.log").open("wb") as log:
        process = subprocess.Popen(
            ["unshare", *NAMESPACES, "--fork", "--kill-child", "sh", "-c", BOOT, "sh", *given],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        eventually_here(lambda: bool(_children(process.pid)) or process.poll() is not None)
        if process.poll() is not None:
            pytest.skip(f"this machine boots nothing in namespaces: {(directory / 'boot.log').read_text()}")
        machine = Machine(_children(process.pid)[0])
        eventually_here(machine.is_up)
        yield machine
    finally:
        process.kill()  # its child, process 1 of the booted system, ends with it, and so does the system
        process.wait(15)


def _install(image: Path, configuration: str, files: dict[str, str]) -> None:
    system = image / "usr/lib/systemd/system"  # an administrator's own are in etc, and may mask these
    system.mkdir(parents=True)
    for unit in (*UNITS.glob("*.service"), *UNITS.glob("*.socket")):
        text = unit.read_text()
        for program in ("cardd", "cardctl"):
            text = text.replace(f"=/usr/bin/{program} ", f"={PYTHON} -m cardd.cli.{program} ")
        (system / unit.name).write_text(text)
    of_users = image / "etc/systemd/user"
    of_users.mkdir(parents=True)
    for unit in UNITS.glob("user/*.service"):
        agent = f"ExecStart={PYTHON} -m cardd.cli.agent --pinentry {PINENTRY}"
        text = unit.read_text().replace("[Service]\n", f"[Service]\nEnvironment={ENVIRONMENT}\n")
        (of_users / unit.name).write_text(text.replace("ExecStart=/usr/bin/cardd-agent", agent))
    written = {
        PINENTRY.lstrip("/"): DIALOG,
        "etc/pam.d/systemd-user": "account sufficient pam_permit.so\nsession required pam_systemd.so\n",
        "etc/systemd/system/tests.target": TARGET,
        "etc/systemd/system/cardd.service.d/tests.conf": f"[Service]\nEnvironment={ENVIRONMENT}\n",
        "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
        "etc/cardd/cardd.toml": configuration,
        "etc/passwd": Path("/etc/passwd").read_text() + "cardd:x:977:977::/var/lib/cardd:/usr/sbin/nologin\n"
        f"doctor:x:{DOCTOR}:{DOCTOR}::/nonexistent:/bin/sh\n",
        "etc/group": Path("/etc/group").read_text() + "cardd:x:977:\n",
        **files,
    }
    for path, text in written.items():
        place = image / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    (image / PINENTRY.lstrip("/")).chmod(0o755)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
