"""The package of ``docs/writing-a-driver.md``, taken from that page and installed as anybody would install it."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

PAGE = Path(__file__).parents[2] / "docs" / "writing-a-driver.md"
FILE = re.compile(r"^`(\w+\.\w+)` (?:[^\n]*\n)+?\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@cache
def installed() -> Path:
    """A directory with the installed package, to be put on a Python path."""
    source, target = Path(mkdtemp(prefix="cardd-example-")), Path(mkdtemp(prefix="cardd-installed-"))
    files = FILE.findall(PAGE.read_text())
    assert [name for name, _ in files] == ["pyproject.toml", "cardd_driver_example.py"]
    for name, content in files:
        (source / name).write_text(content)
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--target", str(target)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(source)], check=True, timeout=120)
    return target
