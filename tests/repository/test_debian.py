"""The Debian packages' files agree with the project, and a downgrade is refused; `make deb-test` does the rest."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from cardd import __version__
from cardd.cli.doctor.network import NETWORK_CLOSED
from cardd.cli.doctor.pcsc import POLKIT_RULE
from tests.repository.rules import PIN, ROOT

DEBIAN = ROOT / "debian"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SCRIPTS = [
    *(ROOT / ".make").glob("deb*.sh"),
    *(path for path in (DEBIAN / "tests").iterdir() if path.name != "control"),
    *(DEBIAN / f"cardd.{name}" for name in ("preinst", "postinst", "prerm", "postrm")),
]
needs_dpkg = pytest.mark.skipif(not shutil.which("dpkg"), reason="this is not Debian")


def test_what_doctor_has_an_administrator_copy_is_where_the_package_puts_it() -> None:
    examples = (ROOT / "debian/cardd.examples").read_text().split()
    assert "systemd/network.conf" in examples
    assert "/usr/share/doc/cardd/examples/network.conf " in NETWORK_CLOSED.remedy
    assert f"systemd/polkit/{POLKIT_RULE} usr/share/polkit-1/rules.d" in (ROOT / "debian/cardd.install").read_text()


def test_the_changelog_has_the_version_of_the_project() -> None:
    assert (DEBIAN / "changelog").read_text().startswith(f"cardd ({__version__}) ")


def test_the_package_is_built_by_a_python_that_cardd_supports() -> None:
    assert f"python3-dev ({PROJECT['requires-python'].replace('>=', '>= ')})" in (DEBIAN / "control").read_text()


def test_each_program_of_the_project_is_a_command() -> None:
    links = (DEBIAN / "cardd.links").read_text().split("\n")
    assert {f"opt/cardd/bin/{name} usr/bin/{name}" for name in PROJECT["scripts"]} == set(filter(None, links))
    listed = re.search(r"^PROGRAMS = (.*)$", (DEBIAN / "environment.py").read_text(), re.MULTILINE)
    assert listed
    assert {f'"{name}"' for name in PROJECT["scripts"]} == set(listed[1].strip("()").split(", "))


def test_each_file_of_systemd_is_installed() -> None:
    named = "".join((DEBIAN / name).read_text() for name in ("rules", "cardd.install", "cardd.examples"))
    files = [path for path in (ROOT / "systemd").rglob("*") if path.is_file()]
    assert [path for path in files if str(path.relative_to(ROOT)) not in named] == []


def test_each_test_of_the_package_is_a_program() -> None:
    for name in re.findall(r"^Tests: (.*)$", (DEBIAN / "tests/control").read_text(), re.MULTILINE):
        assert os.access(DEBIAN / "tests" / name, os.X_OK)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_each_script_can_be_read_by_dash(script: Path) -> None:
    subprocess.run(["sh", "-n", script], check=True)


def preinst(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", DEBIAN / "cardd.preinst", *arguments],
        env={**os.environ, "DPKG_ROOT": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A machine where cardd has run."""
    (tmp_path / "var/lib/cardd").mkdir(parents=True)
    (tmp_path / "var/lib/cardd/clients.json").write_text("{}")
    return tmp_path


@needs_dpkg
@pytest.mark.parametrize("how", ["upgrade", "install"])
def test_an_older_version_is_refused_in_both_languages_with_the_way_back(state: Path, how: str) -> None:
    told = preinst(state, how, "0.3.0~deb12", "0.2.0~deb12")
    assert told.returncode == 1
    for sentence in ("version 0.2.0~deb12 is older than 0.3.0~deb12", "Nothing was changed", "Rien n'a été changé"):
        assert sentence in told.stderr
    assert f"mv {state}/var/lib/cardd {state}/var/lib/cardd.newer" in told.stderr


@needs_dpkg
@pytest.mark.parametrize(
    ("before", "after"),
    [("0.2.0~deb12", "0.3.0~deb12"), ("0.2.0~deb12", "0.2.0~deb12"), ("0.2.0~deb13", "0.2.0~deb12"), ("", "0.2.0")],
)
def test_what_is_not_older_is_installed(state: Path, before: str, after: str) -> None:
    assert preinst(state, "upgrade", before, after).returncode == 0


@needs_dpkg
def test_an_older_version_is_installed_where_there_is_no_state(tmp_path: Path) -> None:
    assert preinst(tmp_path, "install", "0.3.0", "0.2.0").returncode == 0


PURGE = """
set -e
for place in /var/lib /run /opt /mnt; do mount -t tmpfs none $place; done
mkdir -p /mnt/e /mnt/w /var/lib/cardd/audit /run/cardd /run/cardd-upgrade
mount -t overlay overlay -o lowerdir=/etc,upperdir=/mnt/e,workdir=/mnt/w /etc
mkdir -p /etc/cardd/cardd.toml.d /etc/systemd/system/cardd.service.d
echo "cardd:x:977:977::/var/lib/cardd:/usr/sbin/nologin" >> /etc/passwd; echo "cardd:x:977:" >> /etc/group
if [ "$2" ]; then mkdir "/var/lib/$2"; fi
sh "$1" purge
getent passwd cardd || getent group cardd || true
find /var/lib /run /etc /opt -name "cardd*"
"""


@needs_dpkg
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can have an /etc of its own")
@pytest.mark.parametrize(("copy", "left"), [("cardd.newer", 2), ("", 0)])
def test_a_purge_leaves_the_user_of_a_state_that_was_put_aside_and_else_nothing(copy: str, left: int) -> None:
    ran = subprocess.run(
        ["unshare", "--mount", "sh", "-c", PURGE, "sh", DEBIAN / "cardd.postrm", copy],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert len(lines) == left, lines
    assert (f"the user cardd stays: /var/lib/{copy} is its own" in ran.stderr) is bool(copy)


ELSEWHERE = """
set -e
for place in /var/lib /srv /mnt; do mount -t tmpfs none $place; done
mkdir -p /mnt/e /mnt/w /var/lib/cardd/audit /srv/var/lib/cardd/audit /srv/etc/cardd /srv/run/cardd
mount -t overlay overlay -o lowerdir=/etc,upperdir=/mnt/e,workdir=/mnt/w /etc
echo "cardd:x:977:977::/var/lib/cardd:/usr/sbin/nologin" >> /etc/passwd
DPKG_ROOT=/srv sh "$1" purge
getent passwd cardd | cut -d: -f1
find /var/lib /srv -name "cardd*"
"""


@needs_dpkg
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can have an /etc of its own")
def test_a_purge_in_another_tree_leaves_this_machines_state_and_user() -> None:
    command = ["unshare", "--mount", "sh", "-c", ELSEWHERE, "sh", str(DEBIAN / "cardd.postrm")]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["cardd", "/var/lib/cardd"]
    assert "the user cardd stays" in ran.stderr


def test_the_list_of_materials_has_each_locked_package_with_its_licence() -> None:
    command = [sys.executable, ".make/sbom.py", "nowhere"]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1796000000"}
    told = json.loads(subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True).stdout)
    found = {one["name"]: one for one in told["components"]}
    locked = {name: version for name, version, _ in PIN.findall((ROOT / ".make/runtime.lock").read_text())}
    # what only Python 3.11 needs is in no newer environment
    assert {name: found[name]["version"] for name in locked.keys() & found.keys()}.items() <= locked.items()
    assert {"aiohttp", "cryptography", "pyscard"} <= locked.keys() & found.keys()
    assert [name for name in locked.keys() & found.keys() if not found[name]["licenses"]] == []
    assert told["metadata"]["component"]["version"] == __version__
    assert told["metadata"]["timestamp"] == "2026-11-30T00:53:20Z"


def test_the_icon_that_the_desktop_entry_names_is_a_picture() -> None:
    icon = re.search(r"^Icon=(.*)$", (ROOT / "systemd/cardd.desktop").read_text(), re.MULTILINE)
    assert icon
    assert ET.parse(ROOT / "systemd" / f"{icon[1]}.svg").getroot().get("viewBox") == "0 0 128 128"
