"""What `make packages` builds, built once for all processes of the tests."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path
from typing import Literal

import pytest

ROOT = Path(__file__).parents[2]
NODE_MODULES = ROOT / "docs/sdk/typescript/node_modules"

Kind = Literal["wheels", "typescript", "web", "csharp"]


def packaged(kind: Kind, factory: pytest.TempPathFactory) -> Path:
    """The folder with the packages of this kind. Skips the test where they cannot be built."""
    if kind == "typescript" and not (NODE_MODULES / ".bin/tsc").exists():
        pytest.skip("docs/sdk/typescript/node_modules is not there: without npm, `make setup` installs none")
    if kind == "web" and shutil.which("npm") is None:
        pytest.skip("no npm here")
    here = factory.getbasetemp()
    if kind == "csharp" and shutil.which("dotnet") is None:
        pytest.skip("no .NET SDK here: Debian has none")
    folder = (here.parent if "PYTEST_XDIST_WORKER" in os.environ else here) / f"packages-{kind}"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            made = folder.with_suffix(".made")
            command = [ROOT / ".make/packages.sh", made, kind]
            ran = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
            assert ran.returncode == 0, ran.stdout + ran.stderr
            made.rename(folder)
    return folder


def built_by_dotnet(folder: Path, *properties: str) -> None:
    """Build the project there into its folder ``built``, by the .NET SDK that is here and for its own version."""
    major = subprocess.check_output(["dotnet", "--version"], text=True).partition(".")[0]
    command = ["dotnet", "build", "--output", "built", "-p:UseAppHost=false", f"-p:TargetFramework=net{major}.0"]
    ran = subprocess.run([*command, *properties], cwd=folder, capture_output=True, text=True, timeout=100, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
