"""The systemd units, judged by systemd itself."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from cardd.config import Config

UNITS = Path(__file__).parents[2] / "systemd"
WORST, WORST_AGENT = 1.2, 3.0
NEWER = ("RestartSteps", "RestartMaxDelaySec", "ImportCredential")  # since systemd 254

pytestmark = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")


def analyze(*arguments: str | Path, **environment: str) -> str:
    done = subprocess.run(
        ["systemd-analyze", "--no-pager", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units as an installer leaves them, with programs that exist."""
    for unit in (*UNITS.glob("*.service"), *UNITS.glob("*.socket"), *UNITS.glob("user/*.service")):
        text = unit.read_text()
        for program in ("cardd-agent", "cardctl", "cardd"):
            text = text.replace(f"=/usr/bin/{program}", "=/bin/true")
        (tmp_path / unit.name).write_text(text)
    return tmp_path


def test_the_service_and_its_socket_have_no_fault(installed: Path) -> None:
    told = analyze("verify", "--man=no", installed / "cardd.service", installed / "cardd.socket").splitlines()
    assert [line for line in told if not any(f"Unknown key '{key}'" in line for key in NEWER)] == []


@pytest.mark.parametrize("unit", ["cardd-agent.service", "cardd-agent-desktop.service"])
def test_the_agents_units_have_no_fault(installed: Path, unit: str) -> None:
    assert analyze("verify", "--user", "--man=no", installed / unit, **of_a_user(installed)) == ""


def of_a_user(directory: Path) -> dict[str, str]:
    runtime = directory / "runtime"
    runtime.mkdir(mode=0o700)
    return {"XDG_RUNTIME_DIR": str(runtime)}


def exposure(unit: Path, *arguments: str, **environment: str) -> float:
    report = analyze("security", "--offline=true", "--threshold=100", *arguments, unit, **environment)
    return float(report.partition(f"Overall exposure level for {unit.name}: ")[2].split()[0])


def test_what_has_the_pin_is_exposed_no_more_than_allowed(tmp_path: Path) -> None:
    assert exposure(UNITS / "cardd.service") <= WORST
    assert exposure(UNITS / "user/cardd-agent.service", "--user", **of_a_user(tmp_path)) <= WORST_AGENT


def test_the_sockets_are_those_of_the_default_configuration() -> None:
    listen = Config().listen
    written = (UNITS / "cardd.socket").read_text().splitlines()
    addresses = [line.partition("=")[2] for line in written if line.startswith("ListenStream=")]
    assert addresses == [
        f"127.0.0.1:{listen.tcp}",
        f"[::1]:{listen.tcp}",
        str(listen.socket),
        str(listen.agent_socket),
        str(Config().p11.socket),
    ]


@pytest.mark.skipif(not shutil.which("systemd-sysusers"), reason="systemd-sysusers is not installed")
def test_the_services_user_is_made_by_sysusers(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    subprocess.run(["systemd-sysusers", f"--root={tmp_path}", UNITS / "sysusers.d" / "cardd.conf"], check=True)
    name, _, uid, *_, home, shell = (tmp_path / "etc" / "passwd").read_text().strip().split(":")
    assert (name, home, shell) == ("cardd", "/var/lib/cardd", "/usr/sbin/nologin")
    assert 0 < int(uid) < 1000


@pytest.mark.skipif(not shutil.which("systemd-tmpfiles"), reason="systemd-tmpfiles is not installed")
def test_the_services_directories_are_made_by_tmpfiles_for_its_user_alone(tmp_path: Path) -> None:
    for folder in ("etc", "run", "var/lib"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "etc/passwd").write_text(f"cardd:x:{os.getuid()}:{os.getgid()}::/:/bin/sh\n")
    (tmp_path / "etc/group").write_text(f"cardd:x:{os.getgid()}:\n")
    subprocess.run(
        ["systemd-tmpfiles", "--create", f"--root={tmp_path}", UNITS / "tmpfiles.d" / "cardd.conf"], check=True
    )
    modes = [(tmp_path / place).stat().st_mode & 0o777 for place in ("run/cardd", "var/lib/cardd")]
    assert modes == [0o755, 0o700]
