"""The wheel cardd-client: alone in an environment, for a practice software; and beside cardd."""

from __future__ import annotations

import subprocess
import sys
import venv
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.integration.workstation import Workstation
from tests.sdk.ten_lines import SDK, TenLines, for_station, printed_in

FOLDER = SDK / "python"
BUILD = "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])"


def needed(name: str) -> set[str]:
    """What a distribution needs here, with all that this needs."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        for line in metadata.requires(waiting.pop()) or ():
            requirement = Requirement(line)
            package = canonicalize_name(requirement.name)
            if package not in found and (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
                found.add(package)
                waiting.append(package)
    return found


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the wheel and what it asks for, and nothing else."""
    folder = tmp_path_factory.mktemp("lps")
    subprocess.run([sys.executable, "-c", BUILD, str(folder)], cwd=FOLDER, check=True)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv", symlinks=True)
    python = folder / "venv/bin/python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-index", "--no-deps"]
    subprocess.run([*pip, wheel], check=True)
    (site,) = (folder / "venv/lib").glob("python*/site-packages")
    here = Path(str(metadata.distribution("aiohttp").locate_file("")))
    for package in {"aiohttp", "msgspec"} | needed("aiohttp") | needed("msgspec"):
        tops = {file.parts[0] for file in metadata.files(package) or ()} - {"..", "__pycache__"}
        for top in tops:
            (site / top).symlink_to(here / top)
    return python


def test_the_wheel_asks_for_two_packages_and_loads_no_other(python: Path) -> None:
    program = """
import importlib.metadata, sys, cardd.client
print(sorted(importlib.metadata.requires("cardd-client")))
print(sorted({name.partition(".")[0] for name in sys.modules} & {"cryptography", "lxml", "pyhanko", "smartcard"}))
print(cardd.client.SOCKET, sorted(set(cardd.client.__all__) - set(dir(cardd.client))))
"""
    out = subprocess.check_output([python, "-c", program], cwd=python.parent, text=True)
    assert out.splitlines() == ["['aiohttp>=3.14', 'msgspec>=0.20']", "[]", "/run/cardd/cardd.sock []"]


@pytest.fixture
def program(python: Path, station: Workstation, tmp_path: Path) -> TenLines:
    text = for_station(printed_in(FOLDER / "README.md", FOLDER / "example.py"), station)
    (tmp_path / "example.py").write_text(text)
    return TenLines(station, (python, "example.py"), tmp_path)


def test_the_ten_lines_pair_once_and_do_all(program: TenLines) -> None:
    program.pairs_once()
