"""Debian's OpenSC tools, cut off from the machine's own configuration and caches."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.rig.pcscd import Pcscd

MODULE = "opensc-pkcs11.so"
CONFIGURATION = "app default {\n  framework pkcs15 {\n    use_file_caching = no;\n  }\n}\n"


@cache
def is_forgetful() -> bool:
    """Whether this is OpenSC 0.26, to which no IAS-ECC card can log in, whatever it answers.

    Its iasecc_sdo_parse (src/libopensc/iasecc-sdo.c) takes the length of what it read for an error, and frees all of it
    before the PIN's access rules are looked at; 0.23 does not.
    """
    told = subprocess.run(["opensc-tool", "--info"], check=True, capture_output=True, text=True, timeout=30).stdout
    return told.startswith("OpenSC 0.26.")


logs_in = pytest.mark.skipif(is_forgetful(), reason="OpenSC 0.26 logs in to no IAS-ECC card")


@dataclass(frozen=True)
class OpenSc:
    """Runs one tool after the other with a home of its own."""

    directory: Path
    pcscd: Pcscd

    def __call__(self, tool: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        configuration = self.directory / "opensc.conf"
        configuration.write_text(CONFIGURATION)
        private = {"HOME": str(self.directory), "XDG_CACHE_HOME": str(self.directory)}
        environment = {**os.environ, **self.pcscd.environment, **private, "OPENSC_CONF": str(configuration)}
        command = [tool, *(["--module", MODULE] if tool == "pkcs11-tool" else []), *map(str, arguments)]
        environment["LC_ALL"] = "C"
        return subprocess.run(command, env=environment, check=False, capture_output=True, text=True, timeout=30)

    def succeeds(self, tool: str, *arguments: str | Path) -> str:
        """Run a tool that must succeed; return what it printed."""
        done = self(tool, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout
