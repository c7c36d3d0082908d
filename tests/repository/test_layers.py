"""Each import contract of pyproject.toml catches a breach, and lets through what it should.

A small copy of the packages stands in a folder of its own, with one module for each package and the real contracts.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import pytest

from tests.repository.rules import ROOT

VALUES = ("errors", "model", "values", "apdu", "tlv", "secret")
BASE = ("i18n", *VALUES)
CONTRACTS = ("driver", "ports", "simulator")
ADAPTERS = ("pcsc", "oidc", "formats", "tls", "system", "agent")
PACKAGES = (
    *BASE,
    *CONTRACTS,
    *ADAPTERS,
    "backoff",
    "http",
    "config",
    "client",
    "core",
    "identity",
    "api",
    "p11",
    "assembly",
    "daemon",
    "cli",
)

LAYERS = "Each layer knows only those below it, and nothing beside it"
API = "Only the assembly knows the API and PKCS#11's server"
LOADING = "Settings are read from files by the programs alone; everything else takes them as values"
PORTS = "What the parts need from outside is declared in ports, and given by the daemon"
CLIENT = "The client library knows values and errors only"
NO_IO = "Values and contracts do no input or output"
CORE = "The core knows no wire, no database and no PC/SC"
CODEC = "msgspec is the codec at the edges, and no rule of the core knows it"
ENTRY_POINTS = "cardd finds its drivers and simulators through entry points, and neither of them knows the other"
DRIVERS = "A driver knows the values and the contracts of cardd, nothing else"
SIMULATORS = "A simulator knows the values and the contracts of cardd, nothing else"

# modules that a contract names; each has its package
MODULES = (
    "cardd/core/audit.py",
    "cardd/core/state_file.py",
    "cardd/system/audit_store.py",
    "cardd/config/__init__.py",
    "cardd/config/loading.py",
    "cardd/config/reference.py",
)
DRIVEN = ("cardd_drivers", "cardd_drivers/cps3", "cardd_simulators", "cardd_simulators/cards")

ALLOWED = [
    *[(f"cardd.{outer}", f"cardd.{inner}") for outer in ADAPTERS for inner in (*BASE, "ports", "http")],
    *[("cardd_drivers.cps3", f"cardd.{inner}") for inner in (*VALUES, "driver", "ports")],
    *[("cardd_simulators.cards", f"cardd.{inner}") for inner in (*VALUES, *CONTRACTS)],
    *[("cardd.core", f"cardd.{inner}") for inner in (*BASE, "driver", "ports")],
    *[("cardd.daemon", f"cardd.{inner}") for inner in PACKAGES if inner not in ("api", "p11", "daemon", "cli")],
    *[("cardd.assembly", f"cardd.{inner}") for inner in ("api", "p11", "core", "identity", "config")],
    *[("cardd.p11", f"cardd.{inner}") for inner in ("core", "identity")],
    ("cardd.driver", "cardd.model"),
    ("cardd.ports", "cardd.driver"),
    ("cardd.identity", "cardd.core"),
    *[(f"cardd.{part}", "cardd.config") for part in ("core", "identity", "relay", "documents", "api", "daemon")],
    ("cardd.cli", "cardd.config.loading"),
    ("cardd.config.loading", "msgspec"),
    ("cardd.core.state_file", "msgspec"),
    ("cardd.values", "msgspec"),
    ("cardd.api", "cardd.core"),
    ("cardd.api", "cardd.identity"),
    ("cardd.client", "cardd.errors"),
    ("cardd.cli", "cardd.client"),
    ("cardd.cli", "cardd.daemon"),
    ("cardd.system.audit_store", "cardd.core.audit"),
    ("cardd.pcsc", "smartcard"),
]

BREACHES = [
    *[(f"cardd.{inner}", f"cardd.{outer}", LAYERS) for inner in BASE for outer in ("ports", "core", "api")],
    *[(f"cardd.{adapter}", f"cardd.{other}", LAYERS) for adapter in ADAPTERS for other in ("core", "api", "daemon")],
    ("cardd.config", "cardd.core", LAYERS),
    ("cardd.ports", "cardd.config", LAYERS),
    ("cardd.i18n", "cardd.config", LAYERS),
    *[("cardd.core", f"cardd.{outer}", LAYERS) for outer in (*ADAPTERS, "api", "identity", "cli")],
    ("cardd.pcsc", "cardd.system", LAYERS),
    ("cardd.ports", "cardd.core", LAYERS),
    ("cardd.ports", "cardd.http", LAYERS),
    ("cardd.api", "cardd.cli", LAYERS),
    ("cardd.documents", "cardd.api", LAYERS),
    ("cardd.daemon", "cardd.cli", LAYERS),
    ("cardd.client", "cardd.core", LAYERS),
    ("cardd.cli", "cardd.api", API),
    ("cardd.daemon", "cardd.api", API),
    ("cardd.daemon", "cardd.p11", API),
    ("cardd.cli", "cardd.p11", API),
    ("cardd.p11", "cardd.api", LAYERS),
    ("cardd.p11", "cardd.system", PORTS),
    ("cardd.assembly", "cardd.daemon", LAYERS),
    *[(f"cardd.{part}", "cardd.config.loading", LOADING) for part in ("core", "identity", "daemon", "system")],
    *[("cardd.api", f"cardd.{adapter}", PORTS) for adapter in ("pcsc", "system", "agent")],
    *[("cardd.assembly", f"cardd.{adapter}", PORTS) for adapter in ("pcsc", "system", "agent")],
    ("cardd.identity", "cardd.pcsc", PORTS),
    ("cardd.i18n", "cardd.errors", LAYERS),
    ("cardd.client", "cardd.secret", CLIENT),
    ("cardd.client", "cardd.ports", CLIENT),
    ("cardd.model", "asyncio", NO_IO),
    ("cardd.ports", "aiohttp", NO_IO),
    ("cardd.core", "sqlite3", CORE),
    ("cardd.core", "smartcard", CORE),
    *[(f"cardd.{part}", "msgspec", CODEC) for part in ("model", "core", "identity", "documents", "relay", "system")],
    ("cardd.daemon", "cardd_drivers.cps3", ENTRY_POINTS),
    ("cardd.core", "cardd_drivers.cps3", ENTRY_POINTS),
    ("cardd.core", "cardd_simulators.cards", ENTRY_POINTS),
    ("cardd_drivers.cps3", "cardd_simulators.cards", ENTRY_POINTS),
    ("cardd_simulators.cards", "cardd_drivers.cps3", ENTRY_POINTS),
    ("cardd_drivers.cps3", "cardd.simulator", DRIVERS),
    ("cardd_simulators.cards", "cardd.core", SIMULATORS),
    *[("cardd_drivers.cps3", f"cardd.{outer}", DRIVERS) for outer in ("core", "pcsc", "i18n", "api", "config")],
]


def project(folder: Path, imports: Iterable[tuple[str, str]], packages: Iterable[str] = PACKAGES) -> Path:
    """Packages in ``folder`` that contain only these imports, and the contracts."""
    shutil.copy(ROOT / "pyproject.toml", folder)
    for name in ("cardd", *DRIVEN, *(f"cardd/{package}" for package in packages)):
        (folder / name).mkdir()
        (folder / name / "__init__.py").touch()
    for module in MODULES:
        (folder / module).parent.mkdir(exist_ok=True)
        (folder / module).touch()
    for importer, imported in imports:
        place = folder / importer.replace(".", "/")
        with (place / "__init__.py" if place.is_dir() else place.with_suffix(".py")).open("a") as file:
            file.write(f"import {imported}\n")
    return folder


def lint(folder: Path) -> tuple[int, str]:
    """The exit code and the words of import-linter there, white space made single."""
    program = Path(sys.executable).with_name("lint-imports")
    command = [str(program), "--no-cache", "--no-logo"]
    # COLUMNS: a long name is not wrapped
    run = subprocess.run(
        command,
        cwd=folder,
        env={"COLUMNS": "300", "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    return run.returncode, " ".join((run.stdout + run.stderr).split())


def test_what_the_design_allows_passes(tmp_path: Path) -> None:
    code, words = lint(project(tmp_path, ALLOWED))

    assert code == 0, words


def test_packages_that_are_not_there_yet_are_no_error(tmp_path: Path) -> None:
    code, words = lint(project(tmp_path, [], (*BASE, *CONTRACTS, "core", "api", "p11", "assembly", "daemon", "cli")))

    assert code == 0, words


def test_a_package_without_a_layer_is_an_error(tmp_path: Path) -> None:
    code, words = lint(project(tmp_path, [], (*PACKAGES, "surprise")))

    assert code == 1
    assert f"{LAYERS} BROKEN" in words
    assert "surprise" in words


@pytest.mark.parametrize("contract", sorted({contract for _, _, contract in BREACHES}))
def test_each_breach_is_caught_by_its_contract(contract: str, tmp_path: Path) -> None:
    breaches = [(importer, imported) for importer, imported, catching in BREACHES if catching == contract]
    code, words = lint(project(tmp_path, breaches))
    sections = re.split(r" -{10,} ", words)
    told = "".join(after for title, after in pairwise(sections) if title.endswith(contract))

    assert code == 1
    assert [pair for pair in breaches if f"- {pair[0]} -> {pair[1]} (l." not in told] == []


def test_every_contract_is_tried() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]

    assert {contract["name"] for contract in contracts} == {contract for _, _, contract in BREACHES}
