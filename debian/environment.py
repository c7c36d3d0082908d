"""Makes the environment of the Debian packages: /opt/cardd, with every Python package that cardd needs.

    environment.py make WHEELS FOLDER     an environment in FOLDER that works there and in /opt/cardd
    environment.py part FOLDER OTHER      moves the simulators into OTHER, and compiles the modules of both
    environment.py depends                prints which Python the packages depend on

Nothing in it tells where or when it was built.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import shutil
import subprocess
import sys
import venv
from pathlib import Path

HOME = "/opt/cardd"  # where the environment is once it is installed
PROGRAMS = ("cardd", "cardctl", "cardd-agent")
SIMULATORS = "cardd_simulators"
OLDER, NEWER = (f"{sys.version_info.major}.{sys.version_info.minor + more}" for more in (0, 1))
PACKAGES = Path("lib", f"python{OLDER}", "site-packages")


def make(wheels: Path, folder: Path) -> None:
    """Make the environment, from wheels alone."""
    builder = folder.parent / "builder"
    venv.create(builder, with_pip=True)
    venv.create(folder, symlinks=True)
    install = [
        "-m",
        "pip",
        "--python",
        str(folder / "bin/python"),
        "install",
        "--no-index",
        "--no-deps",
        "--no-compile",
    ]
    names = sorted({wheel.name.partition("-")[0] for wheel in wheels.glob("*.whl")})
    command = [str(builder / "bin/python"), *install, "--quiet", "--find-links", str(wheels), *names]
    subprocess.run(command, check=True)  # noqa: S603 - the names of the lock
    shutil.rmtree(builder)
    for file in (folder / "bin").iterdir():
        if file.name not in (*PROGRAMS, "python", "python3"):
            file.unlink()
    (folder / "pyvenv.cfg").write_text(f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {OLDER}\n")
    for name in ("include", "share"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for file in (folder / PACKAGES).rglob("*"):
        file.chmod(0o755 if file.is_dir() else 0o644)
    for name in PROGRAMS:
        script = folder / "bin" / name
        # isolated: neither the caller's folder nor its environment brings modules
        script.write_text(f"#!{HOME}/bin/python -I\n" + script.read_text().partition("\n")[2])
    for record in (folder / PACKAGES).glob("*.dist-info/RECORD"):
        _correct(record)


def _correct(record: Path) -> None:
    """Bring a package's list of files to those that are there: programs were rewritten, or left out."""
    rows = []
    with record.open(newline="") as file:
        for name, digest, size in csv.reader(file):
            installed = record.parent.parent / name
            if not installed.exists():
                continue
            content = installed.read_bytes()
            if digest and name.startswith("../"):
                told = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
                rows.append([name, f"sha256={told}", str(len(content))])
            else:
                rows.append([name, digest, size])
    with record.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(sorted(rows))


def part(folder: Path, other: Path) -> None:
    """Move the simulators where their own package has them; compile all modules, which are never looked at again."""
    (other / PACKAGES).mkdir(parents=True)
    for found in sorted((folder / PACKAGES).glob(f"{SIMULATORS}*")):
        found.rename(other / PACKAGES / found.name)
    for root in (folder, other):
        options = ["--invalidation-mode", "unchecked-hash", "-q", "-f", "-s", str(root), "-p", HOME]
        command = [sys.executable, "-m", "compileall", *options, str(root / PACKAGES)]
        subprocess.run(command, check=True)  # noqa: S603 - our own words


def depends() -> None:
    """Print the substitution of debian/control: compiled modules and libraries are of one Python."""
    print(f"python:Depends=python3 (>= {OLDER}~), python3 (<< {NEWER}~)")  # noqa: T201 - what it is for


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["make", wheels, folder]:
            make(Path(wheels), Path(folder))
        case ["part", folder, other]:
            part(Path(folder), Path(other))
        case ["depends"]:
            depends()
        case _:
            sys.exit(__doc__)
