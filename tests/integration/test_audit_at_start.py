"""The real daemon and its audit log: what it tells when it starts, and how the head is kept."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

from cardd.errors import AuditKeyMissing, AuditKeyWeak, StateInUse
from cardd.secret import Secret
from cardd.system.audit_file import AuditReader
from cardd.system.audit_heads import sent
from tests.rig.daemon import DaemonProcess
from tests.rig.waiting import eventually_here

KEY = b"SIMULATION" * 4


def cut(directory: Path) -> None:
    """Take the last row from the log, and its head."""
    connection = sqlite3.connect(directory / "audit.db")
    connection.execute("DROP TRIGGER audit_no_delete")
    connection.execute("DELETE FROM audit WHERE number = (SELECT max(number) FROM audit)")
    connection.commit()
    connection.close()
    (directory / "head").unlink()


def daemon(directory: Path, audit: str = "", **environment: str) -> DaemonProcess:
    return DaemonProcess(
        directory, extra=f"[audit]\n{audit}\n", arguments=("--simulate", "cps3"), environment=environment
    )


def test_a_log_that_was_cut_is_told_at_the_start_and_goes_on_only_where_that_is_configured(tmp_path: Path) -> None:
    first = daemon(tmp_path).start()
    log = tmp_path / "state" / "audit"
    eventually_here(lambda: (log / "head").exists() and "audit head" in first.log.read_text())
    first.stop()
    head = AuditReader(log, tmp_path / "state" / "audit-head").verify()
    assert head in sent(first.log.read_text().splitlines()).heads
    cut(log)
    again = daemon(tmp_path).start()
    eventually_here(lambda: "audit.broken: The audit log was changed. Rows from" in again.log.read_text())
    again.stop()
    going = daemon(tmp_path, 'broken = "record"').start()
    reader = AuditReader(log, tmp_path / "state" / "audit-head")
    eventually_here(lambda: bool(reader.breaks()))
    going.stop()
    assert reader.verify().number > reader.breaks()[0].number - 1


def test_a_second_daemon_does_not_start_with_the_state_of_the_first(tmp_path: Path) -> None:
    first = daemon(tmp_path).start()
    (tmp_path / "second").mkdir()
    second = daemon(tmp_path / "second")
    text = second.configuration.read_text().replace(str(second.state), str(first.state))
    second.configuration.write_text(text)
    command = [
        sys.executable,
        "-m",
        "cardd.cli.cardd",
        "run",
        "--config",
        str(second.configuration),
        "--simulate",
        "cps3",
    ]
    refused = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        env=second.environment | {"LC_ALL": "fr_FR.UTF-8"},
    )
    assert refused.returncode == 1
    assert StateInUse(file=str(first.state)).code == "state.in_use"
    assert StateInUse(file=str(first.state)).told("fr").detail in refused.stderr
    first.stop()
    DaemonProcess.start(second).stop()


def test_the_head_is_sealed_with_a_credential_and_without_it_the_daemon_says_what_is_missing(tmp_path: Path) -> None:
    passed = tmp_path / "credentials"
    passed.mkdir()
    (passed / "cardd.audit-key").write_bytes(KEY + b"\n")
    sealed = daemon(tmp_path, "sealed = true", CREDENTIALS_DIRECTORY=str(passed)).start()
    log = tmp_path / "state" / "audit"
    eventually_here(lambda: "audit head" in sealed.log.read_text())
    sealed.stop()
    assert AuditReader(log, tmp_path / "state" / "audit-head", Secret.of(KEY)).verify().number
    command = [sys.executable, "-m", "cardd.cli.cardd", "run", "--config", str(sealed.configuration)]
    english = {**os.environ, "LC_ALL": "C.UTF-8"}
    weak = [AuditKeyWeak(size=size, least=16).told("en").detail for size in (0, 15)]
    missing = AuditKeyMissing(why="audit-key").told("en").remedy
    for content, told in ((b"", weak[0]), (KEY[:15], weak[1]), (None, missing)):
        if content is None:
            shutil.rmtree(passed)
        else:
            (passed / "cardd.audit-key").write_bytes(content)
        environment = {**english, "CREDENTIALS_DIRECTORY": str(passed)}
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20, env=environment)
        assert (ended.returncode, told in ended.stderr) == (1, True), ended.stderr


AGENT = """
import socket, sys
link = socket.socket(socket.AF_UNIX)
link.connect(sys.argv[1])
link.send(b"OK cardd-agent fr\\n")
sys.stdin.read()
"""


def test_an_agent_that_comes_and_ends_is_a_row_each(tmp_path: Path) -> None:
    running = daemon(tmp_path).start()
    reader = AuditReader(tmp_path / "state" / "audit")
    command = [sys.executable, "-c", AGENT, str(tmp_path / "agent.sock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as agent:
        eventually_here(lambda: "agent.register" in [row.entry.action for row in reader.tail(9)])
        assert agent.stdin
        agent.stdin.close()
    eventually_here(lambda: "agent.leave" in [row.entry.action for row in reader.tail(9)])
    running.stop()
    rows = {row.entry.action: row.entry for row in reader.tail(9)}
    assert rows["config.change"].document == "first"
    assert {rows["agent.register"].uid, rows["agent.leave"].uid} == {os.getuid()}
