"""SIGHUP: the configuration is read anew while programs work; nothing of theirs is lost."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import ExitStack
from pathlib import Path

from cardd.system.audit_file import AuditReader
from tests.integration.workstation import Session, Workstation, wait_until
from tests.rig.simulator import simulated_card

RELOADS = 200


class Reloaded:
    """A workstation's configuration, which is written anew."""

    def __init__(self, workstation: Workstation) -> None:
        self._daemon = workstation.daemon
        self._first = self._daemon.configuration.read_text()

    def take(self, settings: str, told: str) -> None:
        """Write these settings beside the first ones, and wait until the journal says what is ``told``."""
        with self._daemon.log.open() as journal:
            journal.seek(0, os.SEEK_END)
            self._daemon.configuration.write_text(self._first + settings)
            os.kill(self._daemon.pid, signal.SIGHUP)
            wait_until(lambda: told in journal.read())


def test_two_hundred_reloads_with_open_sessions_lose_no_request(workstation: Workstation) -> None:
    with workstation.card(simulated_card()), ExitStack() as working:
        lps = workstation.pair()
        sessions = [workstation.log_in(lps) for _ in range(2)]
        reloaded, done = Reloaded(workstation), threading.Event()
        answers: list[int] = []

        def work(session: Session) -> None:
            while not done.is_set():
                answers.append(session.ask_to_sign()[0])
                answers.append(workstation.lps(lps.credential).call("GET", "/v1/methods")[0])

        for session in sessions:
            thread = threading.Thread(target=work, args=(session,))
            working.callback(thread.join, 20)
            thread.start()
        working.callback(done.set)
        for number in range(RELOADS):
            reloaded.take(f"[session]\nidle = {1000 + number}\n", "the configuration is taken: session.idle")
        done.set()
    assert set(answers) == {200}
    assert len(answers) > RELOADS / 10
    assert {str(session.state()) for session in sessions} == {"active"}


def test_what_cannot_be_used_changes_nothing_and_what_waits_for_a_restart_is_told(workstation: Workstation) -> None:
    reloaded = Reloaded(workstation)
    reloaded.take("[session]\nidel = 5\n", "the configuration is not taken")
    workstation.wait_for_state("ready")
    reloaded.take("[web]\nbrowsers = ['any']\n[session]\nidle = 60\n", "these settings want a restart: web.browsers")
    reloaded.take("[session]\nidle = 70\n", "the configuration is taken: session.idle")
    log = Path(workstation.daemon.log).read_text()
    # what waits for the restart has not changed yet
    wait_until(lambda: changes(workstation) == ["first", "session.idle", "session.idle"])
    assert "idel" in log
    assert "Traceback" not in log


def changes(workstation: Workstation) -> list[str | None]:
    """Return the rows of changed settings."""
    rows = AuditReader(workstation.daemon.state / "audit").tail(20)
    return [row.entry.document for row in rows if row.entry.action == "config.change"]
