"""What the daemon's start does not pay for: the libraries of documents and logins that nobody has asked for yet."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("lxml", "asn1crypto", "pyhanko", "pyhanko_certvalidator", "signxml", "PIL", "jwt", "pyotp", "segno", "keyring",
         "cryptography", "cardd.tls", "cardd_simulators")  # fmt: skip


@pytest.mark.parametrize("module", HEAVY)
def test_the_daemon_starts_without(module: str) -> None:
    code = f"import sys, cardd.daemon; sys.exit({module!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
