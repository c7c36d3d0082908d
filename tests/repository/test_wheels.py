"""The wheels as they are built: what stands in each, and how cardd serves without its simulators."""

from __future__ import annotations

import json
import subprocess
import sysconfig
import tomllib
import venv
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

from cardd import __version__
from tests.repository.rules import ROOT
from tests.rig.packages import packaged

PROJECTS = {
    "cardd": ROOT,
    "cardd_client": ROOT / "docs/sdk/python",
    "cardd_simulators": ROOT / "drivers/cardd_simulators",
}
LOCALE = "/i18n/locale/fr/LC_MESSAGES"
PACKAGES = Path(sysconfig.get_path("purelib"))


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ZipFile]:
    """Each wheel, by its name."""
    files = packaged("wheels", tmp_path_factory).glob("*.whl")
    return {file.name.partition("-")[0]: ZipFile(file) for file in files}


@pytest.fixture(scope="module")
def workstation(tmp_path_factory: pytest.TempPathFactory, wheels: dict[str, ZipFile]) -> Path:
    """The Python of a virtual environment with cardd's dependencies and its wheel, without the simulators'."""
    folder = tmp_path_factory.mktemp("workstation")
    venv.create(folder, symlinks=True)
    python = folder / "bin/python"
    where = subprocess.check_output(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True
    ).strip()
    for package in PACKAGES.iterdir():
        if "cardd" not in package.name:
            (Path(where) / package.name).symlink_to(package)
    wheels["cardd"].extractall(where)
    return python


def run(python: Path, program: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run one of cardd's programs there, from a folder that is not the repository."""
    command: list[str | Path] = [python, "-m", f"cardd.cli.{program}", *arguments]
    return subprocess.run(command, cwd=python.parent, env=environment, capture_output=True, text=True, check=False)


def packages_in(wheel: ZipFile) -> set[str]:
    return {name.partition("/")[0] for name in wheel.namelist() if ".dist-info/" not in name}


def read(wheel: ZipFile, name: str) -> str:
    (found,) = [each for each in wheel.namelist() if each.endswith(f".dist-info/{name}")]
    return wheel.read(found).decode()


def metadata_of(wheel: ZipFile) -> Message:
    return HeaderParser().parsestr(read(wheel, "METADATA"))


def test_a_production_workstation_gets_no_simulator(wheels: dict[str, ZipFile]) -> None:
    wheel = wheels["cardd"]
    assert packages_in(wheel) == {"cardd", "cardd_drivers"}
    assert [name for name in wheel.namelist() if b"AC RACINE SIMULATION" in wheel.read(name)] == []
    assert "simulat" not in read(wheel, "entry_points.txt")


def test_the_simulators_wheel_holds_all_of_them_and_nothing_else(wheels: dict[str, ZipFile]) -> None:
    wheel = wheels["cardd_simulators"]
    folder = PROJECTS["cardd_simulators"]
    sources = {f"{folder.name}/{path.relative_to(folder)}" for path in folder.rglob("*.py")}
    others = {"cardd_simulators/py.typed"} | {
        f"cardd_simulators/dmp/{name}.csv" for name in ("codes", "rights-SIMULATION")
    }
    assert {name for name in wheel.namelist() if ".dist-info/" not in name} == sources | others
    assert {"cps3", "cps3-contactless", "cps4", "vitale-atr", "psc", "dmp"} <= {
        line.partition(" = ")[0] for line in read(wheel, "entry_points.txt").splitlines()
    }


def test_the_client_stands_alone_and_upgrading_cardd_loses_none_of_it(wheels: dict[str, ZipFile]) -> None:
    """pip takes the files of the wheel before away when the client's wheel is there already."""
    own, whole = wheels["cardd_client"], wheels["cardd"]
    files = {name for name in own.namelist() if ".dist-info/" not in name}
    assert {name: own.read(name) for name in files} == {name: whole.read(name) for name in files}
    folders = {name.rpartition("/")[0] for name in files}
    assert folders == {f"cardd{part}" for part in ("", "/client", "/errors", "/model", "/i18n", LOCALE)}
    assert f"cardd{LOCALE}/errors.mo" in files


def test_cardd_asks_for_the_client_of_its_own_version(wheels: dict[str, ZipFile]) -> None:
    asked = {each.name: each for each in map(Requirement, metadata_of(wheels["cardd"]).get_all("Requires-Dist") or ())}
    own = {each.name for each in map(Requirement, metadata_of(wheels["cardd_client"]).get_all("Requires-Dist") or ())}
    assert str(asked["cardd-client"].specifier) == f"=={__version__}"
    assert own == {"aiohttp", "msgspec"}


def test_all_have_one_version_the_licence_and_their_types(wheels: dict[str, ZipFile]) -> None:
    licence = (ROOT / "LICENSE").read_text()
    for wheel in wheels.values():
        metadata = metadata_of(wheel)
        assert metadata["Version"] == __version__
        assert metadata["License-Expression"] == "Apache-2.0"
        assert read(wheel, "licenses/LICENSE") == licence
        assert {f"{package}/py.typed" for package in packages_in(wheel)} <= set(wheel.namelist())


def test_the_libraries_for_makers_have_that_version_too() -> None:
    npm = json.loads((ROOT / "docs/sdk/typescript/package.json").read_text())
    locked = json.loads((ROOT / "docs/sdk/typescript/package-lock.json").read_text())
    assert (npm["version"], locked["version"], npm.get("dependencies")) == (__version__, __version__, None)
    assert json.loads((ROOT / "cardd/web/package.json").read_text())["version"] == __version__
    assert f"<Version>{__version__}</Version>" in (ROOT / "docs/sdk/csharp/Cardd.Client.csproj").read_text()


def test_the_simulators_ask_for_this_cardd_and_for_nothing_that_it_does_not_ask_for(
    wheels: dict[str, ZipFile],
) -> None:
    own, above = (
        set(metadata_of(wheels[name]).get_all("Requires-Dist") or ()) for name in ("cardd_simulators", "cardd")
    )
    (wanted,) = own - above
    assert Requirement(wanted).name == "cardd"
    assert Requirement(wanted).specifier.contains(__version__)


def test_the_simulators_are_built_by_what_builds_cardd() -> None:
    own, above = (
        set(tomllib.loads((PROJECTS[name] / "pyproject.toml").read_text())["build-system"]["requires"])
        for name in ("cardd_simulators", "cardd")
    )
    assert own <= above


@pytest.mark.parametrize(
    ("program", "arguments"),
    [("cardctl", ("simulate",)), ("cardctl", ("simulate", "psc")), ("cardd", ("run", "--simulate", "cps3:medecin"))],
)
def test_without_the_simulators_the_user_reads_what_to_install(
    workstation: Path, program: str, arguments: tuple[str, ...]
) -> None:
    for locale, told in (("fr_FR.UTF-8", "Aucun simulateur n'est installé"), ("C.UTF-8", "No simulator is installed")):
        ran = run(workstation, program, *arguments, LC_ALL=locale)
        assert ran.returncode == 1
        assert told in ran.stderr
        assert "pip install cardd-simulators" in ran.stderr


def test_without_the_simulators_a_program_reads_the_code(workstation: Path) -> None:
    assert '"code": "simulators.missing"' in run(workstation, "cardctl", "simulate", "--json").stdout
    assert run(workstation, "cardctl", "simulate", "--help").returncode == 0


def test_with_both_wheels_the_simulators_are_listed(workstation: Path, wheels: dict[str, ZipFile]) -> None:
    where = Path(wheels["cardd"].filename or "").parent / "both"
    wheels["cardd_simulators"].extractall(where)
    ran = run(workstation, "cardctl", "simulate", PYTHONPATH=str(where))
    assert {line.split()[0] for line in ran.stdout.splitlines()} >= {"cps3", "cps4", "psc", "dmp"}
