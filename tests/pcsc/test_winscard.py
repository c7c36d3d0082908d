"""Loading pyscard late, and a machine without PC/SC."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.rig.other_program import ROOT


def run(program: str, *before: str) -> str:
    done = subprocess.run(
        [*before, sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True, timeout=20
    )
    return done.stdout.strip()


def test_importing_the_layer_does_not_load_pyscard() -> None:
    assert run("import sys, cardd.pcsc; print('smartcard' in sys.modules)") == "False"


ESTABLISH = """
import sys
from cardd.errors import PcscUnavailable
from cardd.pcsc.winscard import WinScard
{before}
try:
    WinScard().establish()
except PcscUnavailable:
    print("unavailable")
"""


def test_without_pyscard_pcsc_is_unavailable() -> None:
    assert run(ESTABLISH.format(before="sys.modules['smartcard'] = None")) == "unavailable"


def test_without_the_client_library_pcsc_is_unavailable() -> None:
    hidden = ["strace", "-f", "-o", "/dev/null", "-e", "inject=openat:error=ENOENT"]
    found = [str(path) for path in Path("/usr/lib").glob("*/libpcsclite.so.1")]
    paths = [part for path in found for part in ("-P", path, "-P", path.removeprefix("/usr"))]
    # pyscard says something of its own, before or after
    assert "unavailable" in run(ESTABLISH.format(before=""), *hidden, *paths)
