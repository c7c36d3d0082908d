"""The daemon is told to stop: within the time that systemd gives it, whatever hangs."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import threading
import time
from functools import partial

from cardd_simulators.cards.card import SimulatedCard
from tests.integration.workstation import Session, Workstation
from tests.rig.simulator import PIN, issue

TIMEOUT_STOP = 10.0  # of cardd.service


def stops_in_time(workstation: Workstation) -> bool:
    began = time.monotonic()
    assert workstation.daemon.stop() == 0
    return time.monotonic() - began < TIMEOUT_STOP


class HangingCard(SimulatedCard):
    """Answers nothing while ``hangs`` is set."""

    def __init__(self) -> None:
        super().__init__(issue("medecin", len(PIN)), pin=PIN)
        self.hangs = False
        self.is_asked = threading.Event()
        self.goes_on = threading.Event()

    def process(self, apdu: bytes) -> bytes:
        if self.hangs:
            self.is_asked.set()
            self.goes_on.wait(30)
        return super().process(apdu)


def test_a_card_that_hangs_keeps_the_daemon_no_longer(workstation: Workstation) -> None:
    card = HangingCard()
    with workstation.card(card):
        session = workstation.log_in()
        card.hangs = True
        asking = threading.Thread(target=partial(_ask, session))
        asking.start()
        assert card.is_asked.wait(10)
        assert stops_in_time(workstation)
        card.hangs = False
        card.goes_on.set()
        asking.join(20)


def _ask(session: Session) -> None:
    with contextlib.suppress(OSError, http.client.HTTPException):
        session.ask_to_sign()


def test_sighup_is_ignored(workstation: Workstation) -> None:
    os.kill(workstation.daemon.pid, signal.SIGHUP)
    workstation.wait_for_state("ready")
    assert workstation.local("/v1/status")["state"] == "ready"
