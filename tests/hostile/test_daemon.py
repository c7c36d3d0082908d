"""The daemon with a hostile card in one reader keeps serving a good card in another, over real pcscd."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pytest

from tests.hostile.cards import READ, Exchange, HostileCard, Malice
from tests.hostile.malices import CASES, Case
from tests.integration.workstation import LIMIT, Workstation, expect, problem
from tests.rig.lps import Json, Lps
from tests.rig.simulator import simulated_card

CHOSEN = ("61xx, a byte each time", "a certificate of FFFF bytes", "one certificate 64 times, as long as may be")
CARD_TIMEOUT = 3  # seconds, where a card is silent
ROUNDS = 10
GROWTH = 8 * 1024  # KiB; a second good card costs less
STOP = 10.0  # seconds


@pytest.fixture
def workstation(tmp_path: Path) -> Iterator[Workstation]:
    """With two devices, because a device's driver may serve its slots in turn."""
    with Workstation(tmp_path, devices=2).running() as workstation:
        yield workstation


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[Workstation]:
    """Return settings by which cards must answer soon."""
    limit, short = f"\n[card]\ntimeout = {CARD_TIMEOUT}\n", {"PATIENCE_OF_TESTS": "2"}
    with Workstation(tmp_path, extra=limit, environment=short, devices=2).running() as workstation:
        yield workstation


def log_in(workstation: Workstation, lps: Lps, card: str) -> tuple[int, Json]:
    """From a connection of its own, so that another call need not wait."""
    return workstation.lps(lps.credential).call("POST", "/v1/sessions", {"method": "cpx", "card": card})


@contextmanager
def both(workstation: Workstation, hostile: HostileCard) -> Iterator[tuple[str, str]]:
    """The two cards in readers of two devices; their identifiers, the hostile one's first."""
    with workstation.card(hostile):
        [first] = workstation.cards()
        with workstation.card(simulated_card(), slot=2):
            [second] = [card for card in workstation.cards() if card["id"] != first["id"]]
            yield str(first["id"]), str(second["id"])


@pytest.mark.parametrize("case", [case for case in CASES if case.name in CHOSEN], ids=lambda case: case.name)
def test_a_good_card_signs_beside_a_hostile_one(workstation: Workstation, case: Case) -> None:
    card = HostileCard(case.malice)
    with both(workstation, card) as (hostile, good):
        lps = workstation.pair()
        answered: list[tuple[int, Json]] = []
        asking = threading.Thread(target=lambda: answered.append(log_in(workstation, lps, hostile)))
        asking.start()
        session = workstation.log_in(lps, good)
        session.sign()
        asking.join(LIMIT)
        problem(502, case.error.partition(" ")[0], answered[0])
        listed = cast(list[Json], expect(200, lps.call("GET", "/v1/cards?pin=true"))["cards"])
        states = {str(found["id"]): found for found in listed}
        assert cast(Json, states[good]["pin"])["tries_left"] == 3
        session.sign()
    assert card.harms


def test_a_good_card_signs_beside_a_silent_one_and_the_daemon_stops_with_it(impatient: Workstation) -> None:
    let_go = threading.Event()

    def silent(exchange: Exchange) -> bytes | None:
        if exchange.instruction == READ:
            let_go.wait(4 * LIMIT)
        return None

    try:
        with both(impatient, HostileCard(Malice(answer=lambda: silent))) as (hostile, good):
            lps = impatient.pair()
            begun = time.monotonic()
            problem(504, "card.timeout", log_in(impatient, lps, hostile))
            assert time.monotonic() - begun < CARD_TIMEOUT + LIMIT / 2
            session = impatient.log_in(lps, good)
            session.sign()
            problem(504, "card.timeout", log_in(impatient, lps, hostile))
            session.sign()
            begun = time.monotonic()
            assert impatient.daemon.stop() == 0
            assert time.monotonic() - begun < STOP
            let_go.set()
    finally:
        let_go.set()


def test_a_hostile_card_that_is_asked_again_and_again_does_not_fill_the_daemon(workstation: Workstation) -> None:
    [case] = [case for case in CASES if case.name == "one certificate 64 times, as long as may be"]
    with both(workstation, HostileCard(case.malice)) as (hostile, good):
        lps = workstation.pair()
        workstation.log_in(lps, good).sign()
        log_in(workstation, lps, hostile)
        before = resident(workstation)
        for _ in range(ROUNDS):
            assert log_in(workstation, lps, hostile)[0] == 502
        assert resident(workstation) - before < GROWTH


def resident(workstation: Workstation) -> int:
    """The daemon's memory, in KiB."""
    status = Path(f"/proc/{workstation.daemon.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])
