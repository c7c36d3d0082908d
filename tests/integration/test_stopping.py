"""The daemon is told to stop: within the time that systemd gives it, whatever hangs."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from cardd_simulators.cards.card import SimulatedCard
from tests.integration.workstation import Session, Workstation, text, wait_until
from tests.rig import organisation, softhsm
from tests.rig.agent import children
from tests.rig.lps import Json
from tests.rig.pdf import pdf
from tests.rig.simulator import PIN, issue, simulated_card
from tests.rig.softhsm import SoftHsm

SHORT = {"PATIENCE_OF_TESTS": "2"}  # seconds for all parts, in place of eight
TIMEOUT_STOP = 10.0  # of cardd.service
PADES: Json = {"format": "pades", "digest": None, "document": b64encode(pdf()).decode()}


@pytest.fixture
def workstation(tmp_path: Path) -> Iterator[Workstation]:
    """Running, without a card; it has little time to stop."""
    with Workstation(tmp_path, environment=SHORT).running() as workstation:
        yield workstation


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


def _quietly(ask: Callable[[], object]) -> None:
    with contextlib.suppress(OSError, http.client.HTTPException):
        ask()


def _ask(session: Session, **more: object) -> None:
    with contextlib.suppress(OSError, http.client.HTTPException):
        session.ask_to_sign("compte-rendu", **more)


def test_a_pcscd_that_hangs_keeps_the_daemon_no_longer(workstation: Workstation) -> None:
    with workstation.card(simulated_card()):
        session = workstation.log_in()
        with frozen(workstation.pcscd.pid):
            asking = threading.Thread(target=partial(_ask, session))
            asking.start()
            assert stops_in_time(workstation)
        asking.join(20)


def test_a_module_that_hangs_keeps_the_daemon_no_longer_and_leaves_no_card_logged_in(tmp_path: Path) -> None:
    (tmp_path / "hsm").mkdir()
    hsm = SoftHsm(tmp_path / "hsm")
    hsm.token("SIMULATION", ec=True, subject=organisation.PERSON)
    card = simulated_card()
    extra = f'\n[drivers.pkcs11]\nmodules = ["{hsm.module}"]\nfiles = ["{hsm.directory}"]\n'
    station = Workstation(tmp_path, extra=extra, environment=hsm.environment | {"PATIENCE_OF_TESTS": "4"})
    with station.running():
        [token] = station.wait_for_cards(1)  # a module is slow to load
        with station.card(card):
            lps = station.pair()
            native = station.log_in(lps, text(next(found for found in station.cards() if found != token), "id"))
            station.pinentry.answer(f"pin:{softhsm.PIN}")
            session = station.log_in(lps, text(token, "id"))
            with frozen(child(station, "cardd_drivers.pkcs11.host")):
                asking = threading.Thread(target=partial(_ask, session))
                asking.start()
                native.sign()
                resets = card.resets
                assert stops_in_time(station)
                assert card.resets > resets
            asking.join(20)


def test_a_document_that_hangs_keeps_the_daemon_no_longer(workstation: Workstation) -> None:
    with workstation.card(simulated_card()):
        session = workstation.log_in()
        session.sign("compte-rendu", **PADES)
        with frozen(child(workstation, "cardd.formats.pdf.host")):
            asking = threading.Thread(target=partial(_ask, session, **PADES))
            asking.start()
            assert stops_in_time(workstation)
        asking.join(20)


def test_a_dialog_a_server_and_programs_that_hang_keep_the_daemon_no_longer(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, contextlib.ExitStack() as hanging:
        extra = f'\n[upstreams.dmp]\nurl = "https://127.0.0.1:{silent.getsockname()[1]}"\nconsent = "login"\n'
        station = hanging.enter_context(Workstation(tmp_path, extra=extra, environment=SHORT).running())
        with station.card(simulated_card()):
            session = station.log_in()
            for head in (b"GET / HTTP/1.1\r\nHost: loc", b"GET /cardd.js HTTP/1.1\r\nHost: localhost\r\n\r\n" * 500):
                client = hanging.enter_context(socket.create_connection(("127.0.0.1", station.daemon.port)))
                client.sendall(head)  # and reads nothing
            relayed = partial(session.lps.call, "GET", f"{session.path}/upstreams/dmp/x")
            station.pinentry.answer("hang")
            for ask in (relayed, station.pair):
                thread = threading.Thread(target=_quietly, args=(ask,))
                thread.start()
                hanging.callback(thread.join, 20)
            silent.settimeout(10)
            hanging.enter_context(silent.accept()[0])
            wait_until(lambda: bool(station.pinentry.shown()))
            assert stops_in_time(station)


@contextlib.contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Have a process do nothing inside; it may have ended by then."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def child(workstation: Workstation, module: str) -> int:
    """Return the daemon's process that runs this module."""
    found = [pid for pid in children(workstation.daemon.pid) if module in _command(pid)]
    [pid] = found
    return pid


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
