"""`.make/setup.sh debian`, and what comes before Python in `.make/setup.sh sandbox`, on machines of every kind.

The machine is a folder of small programs that stand before the real ones on PATH: they say which packages are
installed and who is running, and write down what is asked of them.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tests.repository.rules import PIN, ROOT

SETUP = str(ROOT / ".make/setup.sh")
INSTALL = "apt-get install --yes --no-install-recommends"
LISTS = ("debian-runtime", "debian-packages")
DEBIAN_12 = "3.11.2"  # its own Python
BASIC_TOOLS = ("sh", "sed", "dirname", "env")


class Machine:
    """A pretended Debian; ``calls`` are the privileged commands it was given."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls_file = folder / "calls"
        self.calls_file.touch()
        for tool in BASIC_TOOLS:
            (folder / tool).symlink_to(f"/usr/bin/{tool}")
        self.program("npm", "exit 0")
        self.program("python3", f'exec {sys.executable} "$@"')
        self.program("apt-get", f'echo "${{DEBIAN_FRONTEND:-}} apt-get $*" >> {self.calls_file}')
        self.is_user(1000)
        self.has_installed(*self.wanted())

    def program(self, name: str, script: str) -> None:
        """Put a program on this machine."""
        (self.folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.folder / name).chmod(0o755)

    @staticmethod
    def wanted(*lists: str) -> list[str]:
        """The packages of the lists."""
        lines = [line for name in lists or LISTS for line in (ROOT / ".make" / name).read_text().splitlines()]
        return [line for line in lines if line and not line.startswith("#")]

    def has_installed(self, *packages: str) -> None:
        """Let dpkg know these packages, and one that was removed."""
        told = "".join(f" {package}:installed " for package in (*packages, "python3-venv", "python3-dev"))
        self.program("dpkg-query", f"printf '%s' '{told} gcc:not-installed '; exit 1")

    def is_user(self, uid: int) -> None:
        """Let this user run it."""
        self.program("id", f"echo {uid}")

    def set_up(self, what: str = "debian", **environment: str) -> subprocess.CompletedProcess[str]:
        """Run it, with no terminal."""
        return subprocess.run(
            [SETUP, what],
            env={"PATH": str(self.folder), "SYSTEM_PYTHON": "none", **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def calls(self) -> list[str]:
        """What apt-get was asked, with the front end it was told to use."""
        return [line.strip() for line in self.calls_file.read_text().splitlines()]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_nothing_missing_is_silent(machine: Machine) -> None:
    run = machine.set_up()

    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    assert machine.calls == []


def test_without_root_the_one_missing_command_is_printed(machine: Machine) -> None:
    machine.has_installed(*(package for package in machine.wanted() if package not in ("pcscd", "gcc")))
    run = machine.set_up()

    assert run.returncode != 0
    assert [line.strip() for line in run.stderr.splitlines() if "apt-get" in line] == [f"{INSTALL} gcc pcscd"]
    assert machine.calls == []


def test_root_installs_what_is_missing_and_says_so(machine: Machine) -> None:
    machine.has_installed(*(package for package in machine.wanted() if package != "opensc"))
    machine.is_user(0)
    run = machine.set_up()

    assert run.returncode == 0, run.stderr
    assert run.stdout == "Installing Debian packages: opensc\n"
    assert machine.calls == [
        "apt-get update --quiet --quiet",
        f"noninteractive {INSTALL} opensc --quiet --quiet",
    ]


def test_a_sandbox_needs_what_runs_cardd_and_nothing_that_tests_it(machine: Machine) -> None:
    (machine.folder / "npm").unlink()
    machine.has_installed()
    run = machine.set_up("sandbox")

    [asked] = [line.strip() for line in run.stderr.splitlines() if "apt-get" in line]
    assert asked == f"{INSTALL} {' '.join(machine.wanted('debian-runtime'))}"


def test_a_user_who_may_sudo_installs_too(machine: Machine) -> None:
    machine.has_installed(*(package for package in machine.wanted() if package != "opensc"))
    machine.program("sudo", '[ "$1" = -n ] && shift; exec "$@"')
    machine.program("true", "exit 0")
    run = machine.set_up()

    assert run.returncode == 0, run.stderr
    assert f"noninteractive {INSTALL} opensc --quiet --quiet" in machine.calls


def test_a_broken_third_party_list_does_not_stop_it(machine: Machine) -> None:
    machine.has_installed(*(package for package in machine.wanted() if package != "opensc"))
    machine.is_user(0)
    machine.program("apt-get", f'echo "$1" >> {machine.calls_file}; [ "$1" = install ]')
    run = machine.set_up()

    assert run.returncode == 0, run.stderr
    assert "apt-get update failed" in run.stdout
    assert machine.calls == ["update", "install"]


def test_an_old_python_is_named_with_what_is_needed(machine: Machine) -> None:
    machine.program("python3", '[ "$1" = --version ] && echo Python 3.9.2; exit 1')
    run = machine.set_up()

    assert run.returncode != 0
    assert "needs Python 3.11 or newer; python3 is Python 3.9.2" in run.stderr


def test_another_python_than_an_old_first_one_is_found(machine: Machine) -> None:
    machine.program("python3", '[ "$1" = --version ] && echo Python 3.9.2; exit 1')
    machine.program("python3.12", f'exec {sys.executable} "$@"')

    assert machine.set_up().returncode == 0


def test_a_python_without_venv_asks_for_debian_s(machine: Machine) -> None:
    machine.program("python3", 'case "$2" in *ensurepip*) echo python3-venv;; *) echo "$0";; esac')
    machine.program("dpkg-query", "printf ' %s:installed ' " + " ".join(machine.wanted()))
    run = machine.set_up()

    assert f"{INSTALL} python3-venv" in run.stderr


def test_a_machine_without_npm_asks_for_debian_s(machine: Machine) -> None:
    (machine.folder / "npm").unlink()
    run = machine.set_up()

    assert f"{INSTALL} npm" in run.stderr


def test_a_system_that_is_not_debian_is_told_what_to_install(machine: Machine) -> None:
    (machine.folder / "dpkg-query").unlink()
    run = machine.set_up()

    assert run.returncode == 0
    assert ".make/debian-packages" in run.stdout


def test_every_locked_package_that_is_installed_serves_debian_12_s_own_python() -> None:
    lock = (ROOT / ".make/dev.lock").read_text()
    locked = {canonicalize_name(name) for name, _, _ in PIN.findall(lock)}
    found = {canonicalize_name(one.name): one.metadata.get_all("Requires-Python", [""]) for one in distributions()}
    wanted = {name: SpecifierSet(found[name][0]) for name in locked & found.keys()}
    assert len(wanted) > len(locked) / 2
    assert [name for name, versions in wanted.items() if not versions.contains(DEBIAN_12)] == []
