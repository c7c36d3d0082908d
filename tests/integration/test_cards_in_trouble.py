"""Every way in which a card or PC/SC lets the user down has a code of its own, and leaves nothing half done."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack, closing
from pathlib import Path
from time import sleep
from typing import cast

import pytest

from cardd.model import Outcome
from cardd.system.audit_file import AuditReader
from cardd_simulators.cards.card import SimulatedCard
from tests.integration.workstation import DIGEST, LIMIT, Session, Workstation, expect, problem, text, wait_until
from tests.rig.lps import Json, Lps, UnixConnection
from tests.rig.simulator import simulated_card, wait_for_card
from tests.rig.vcard import CPS3_ATR, MUTE_ATR, Answer, always_ok

SIGNS_FOR = 1000  # milliseconds: long enough for what happens meanwhile
COMPUTE_SIGNATURE = bytes.fromhex("002A9E")
LOGIN: Json = {"method": "cpx"}
VITALE_ATR = bytes.fromhex("3B7513000045 09EA9000")
UNKNOWN_ATR = bytes.fromhex("3B6800000073C84013009000")


def garbage(_apdu: bytes) -> bytes:
    return b"\x93"


def nothing_here(_apdu: bytes) -> bytes:
    return b"\x6a\x82"


def works(workstation: Workstation, lps: Lps | None = None) -> None:
    """A good card in the first slot serves, from login to logout."""
    with workstation.card(simulated_card()):
        session = workstation.log_in(lps)
        session.sign()
        session.close()


def log_in(lps: Lps, **more: object) -> tuple[int, Json]:
    return lps.call("POST", "/v1/sessions", {**LOGIN, **more})


def test_without_a_card_the_login_says_so_and_asks_no_pin(workstation: Workstation) -> None:
    lps = workstation.pair()
    problem(409, "card.absent", log_in(lps))
    assert "pin" not in [shown.kind for shown in workstation.pinentry.shown()]
    works(workstation, lps)


@pytest.mark.parametrize(
    ("atr", "answer", "status", "code"),
    [
        (VITALE_ATR, always_ok, 422, "card.vitale"),
        (MUTE_ATR, always_ok, 502, "card.mute"),
        (UNKNOWN_ATR, nothing_here, 422, "card.unrecognised"),
        (CPS3_ATR, garbage, 502, "card.garbled"),
    ],
    ids=["vitale", "mute", "unknown", "garbage"],
)
def test_a_card_that_cannot_serve_is_named_and_gets_no_pin(
    workstation: Workstation, atr: bytes, answer: Answer, status: int, code: str
) -> None:
    lps = workstation.pair()
    with workstation.foreign_card(answer, atr=atr) as card:
        problem(status, code, log_in(lps))
        [listed] = cast(list[Json], expect(200, lps.call("GET", "/v1/cards?pin=true"))["cards"])
        assert listed.get("problem") == code
        assert not any(apdu[1:2] == b"\x20" and len(apdu) > 5 for apdu in card.apdus)
    assert workstation.local("/v1/sessions") == {"sessions": []}
    works(workstation, lps)


def test_a_card_pulled_during_a_signature_gives_no_signature_and_ends_the_session(workstation: Workstation) -> None:
    lps = workstation.pair()
    answers: list[tuple[int, Json]] = []
    card = simulated_card(delay_ms=SIGNS_FOR)
    with workstation.card(card) as seat:
        session = workstation.log_in(lps)
        asking = threading.Thread(target=lambda: answers.append(session.ask_to_sign()))
        asking.start()
        wait_until(lambda: signs(card))
        seat.stop()
        asking.join(LIMIT)
        workstation.wait_for_cards(0)
        problem(409, "card.removed", answers[0])
        problem(401, "session.closed", session.ask_to_sign())
    works(workstation, lps)


def signs(card: SimulatedCard) -> bool:
    return any(apdu[:3] == COMPUTE_SIGNATURE for apdu in list(card.log))


def test_two_cards_are_told_apart_by_the_caller_or_by_the_user(workstation: Workstation) -> None:
    with workstation.card(simulated_card("medecin")), workstation.card(simulated_card("infirmier"), slot=1):
        ids = [card["id"] for card in workstation.cards()]
        lps = workstation.pair()
        holders = [
            cast(Json, expect(201, log_in(lps, card=identifier))["identity"])["family_name"] for identifier in ids
        ]
        assert len(set(holders)) == 2
        assert problem(409, "card.ambiguous", log_in(lps))["cards"] == ids
        workstation.pinentry.answer("no", "yes")  # the middle button shows the next card
        assert expect(201, log_in(lps, card="ask"))["card"] == ids[1]
        workstation.pinentry.answer("cancel")
        problem(403, "consent.refused", log_in(lps, card="ask"))


def test_a_wrong_pin_tells_the_tries_left_and_costs_one_of_them(workstation: Workstation) -> None:
    with workstation.card(simulated_card()):
        lps = workstation.pair()
        workstation.pinentry.answer("pin:9999", "cancel")
        assert problem(403, "pin.wrong", log_in(lps))["tries_left"] == 2
        [first, again] = [shown for shown in workstation.pinentry.shown() if shown.kind == "pin"]
        assert not first.error
        assert "2" in again.error
        assert tries_left(lps) == 2
        workstation.log_in(lps).sign()
        assert tries_left(lps) == 3


def tries_left(lps: Lps) -> object:
    [card] = cast(list[Json], expect(200, lps.call("GET", "/v1/cards?pin=true"))["cards"])
    return cast(Json, card["pin"])["tries_left"]


def test_a_blocked_pin_is_told_without_asking_for_it(workstation: Workstation) -> None:
    card = simulated_card()
    card.power_on()
    for _ in range(3):
        card.process(bytes.fromhex("00200001 04 39393939"))
    with workstation.card(card):
        lps = workstation.pair()
        problem(403, "pin.blocked", log_in(lps))
        assert "pin" not in [shown.kind for shown in workstation.pinentry.shown()]
    workstation.wait_for_cards(0)
    works(workstation, lps)


def test_pcscd_may_stop_and_come_back_under_a_running_daemon(workstation: Workstation) -> None:
    lps = workstation.pair()
    with workstation.card(simulated_card()):
        session = workstation.log_in(lps)
        session.sign()
        workstation.pcscd.stop()
        workstation.wait_for_state("no_readers")
        problem(503, "reader.pcsc_unavailable", log_in(lps))
        ended = problem(401, "session.closed", session.ask_to_sign())
        assert (ended["reason"], "(pcscd)" in text(ended, "detail")) == ("readers_gone", True)
    workstation.pcscd.start()
    workstation.wait_for_state("ready")
    works(workstation, lps)


def test_a_pcscd_that_has_come_is_found_by_the_first_request_that_needs_it(workstation: Workstation) -> None:
    lps = workstation.pair()
    with workstation.card(simulated_card()):
        workstation.pcscd.stop()
        workstation.wait_for_state("no_readers")
        sleep(1.5)  # the pauses between two looks have grown
        workstation.pcscd.start()
        wait_for_card(workstation.pcscd)
        # under load the daemon may have found pcscd by itself a moment ago, and hear of the card with the next event
        wait_until(lambda: kinds_of_cards(lps) == ["cps3"])


def kinds_of_cards(lps: Lps) -> list[object]:
    return [card["kind"] for card in cast(list[Json], expect(200, lps.call("GET", "/v1/cards"))["cards"])]


def test_a_signature_under_way_when_pcscd_stops_names_the_service_and_not_the_card(workstation: Workstation) -> None:
    lps = workstation.pair()
    answers: list[tuple[int, Json]] = []
    card = simulated_card(delay_ms=SIGNS_FOR)
    with workstation.card(card):
        session = workstation.log_in(lps)
        asking = threading.Thread(target=lambda: answers.append(session.ask_to_sign()))
        asking.start()
        wait_until(lambda: signs(card))
        workstation.pcscd.stop()
        asking.join(LIMIT)
        problem(503, "reader.pcsc_unavailable", answers[0])


def test_a_session_outlives_no_card_even_when_the_same_card_comes_back(workstation: Workstation) -> None:
    card = simulated_card()
    with workstation.card(card):
        session: Session = workstation.log_in()
    workstation.wait_for_cards(0)
    with workstation.card(card):
        problem(401, "session.closed", session.ask_to_sign())


def test_a_daemon_that_was_killed_gives_its_signature_again_and_the_card_signs_no_second_time(
    workstation: Workstation,
) -> None:
    key = {"Idempotency_Key": "3f2a-1"}
    asked: Json = {"document_name": "compte-rendu.txt", "digest": DIGEST}
    with workstation.card(simulated_card()):
        lps = workstation.pair()
        session = workstation.log_in(lps)
        first = expect(200, session.lps.call("POST", f"{session.path}/signatures", asked, **key))
        workstation.daemon.kill()
        workstation.daemon.start()
        workstation.wait_for_cards(1)
        lps = workstation.lps(lps.credential)
        session = workstation.log_in(lps)
        assert expect(200, session.lps.call("POST", f"{session.path}/signatures", asked, **key)) == first
    done = [
        row for row in AuditReader(workstation.daemon.state / "audit").tail(20) if row.entry.outcome is Outcome.DONE
    ]
    assert [row.entry.action for row in done].count("signature.raw") == 1


def test_a_daemon_without_a_descriptor_left_loses_no_signature_and_floods_no_log(tmp_path: Path) -> None:
    with Workstation(tmp_path, descriptors=192).running() as workstation, workstation.card(simulated_card()):
        lps = workstation.pair()
        session = workstation.log_in(lps)
        with ExitStack() as open_connections:
            for _ in range(120):
                crowd = open_connections.enter_context(closing(UnixConnection(workstation.daemon.socket)))
                crowd.connect()
                open_connections.enter_context(closing(socket.create_connection(("127.0.0.1", lps.port))))
            for form in ("raw", "jws", "cades"):
                session.sign(format=form, digest=None, document="eA==")
            workstation.log_in(lps).sign()
            assert workstation.local("/v1/status")["state"] == "ready"
            sleep(1.5)  # asyncio tries to accept once a second
        assert workstation.local("/v1/status")["state"] == "ready"
        assert workstation.daemon.log.stat().st_size < 10_000
        assert "file descriptors left" in workstation.daemon.log.read_text()
