"""The real daemon and its audit log: what it tells when it starts, and how the head is kept."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from cardd.errors import AuditKeyMissing
from cardd.secret import Secret
from cardd.system.audit_file import AuditReader
from tests.rig.daemon import DaemonProcess
from tests.rig.waiting import eventually_here

KEY = b"SIMULATION" * 4


def daemon(directory: Path, audit: str = "", **environment: str) -> DaemonProcess:
    return DaemonProcess(
        directory, extra=f"[audit]\n{audit}\n", arguments=("--simulate", "cps3"), environment=environment
    )


def test_the_head_is_sealed_with_a_credential_and_without_it_the_daemon_says_what_is_missing(tmp_path: Path) -> None:
    passed = tmp_path / "credentials"
    passed.mkdir()
    (passed / "cardd.audit-key").write_bytes(KEY + b"\n")
    sealed = daemon(tmp_path, "sealed = true", CREDENTIALS_DIRECTORY=str(passed)).start()
    log = tmp_path / "state" / "audit"
    eventually_here(lambda: "audit head" in sealed.log.read_text())
    sealed.stop()
    assert AuditReader(log, tmp_path / "state" / "audit-head", Secret.of(KEY)).verify().number
    shutil.rmtree(passed)
    command = [sys.executable, "-m", "cardd.cli.cardd", "run", "--config", str(sealed.configuration), "--lang", "en"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    told = AuditKeyMissing(why="audit-key").told("en")
    assert (ended.returncode, told.remedy in ended.stderr) == (1, True), ended.stderr
