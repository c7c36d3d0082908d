"""The simulated card in the virtual reader of a real pcscd."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from cardd_simulators.cards.vpcd import ReaderState, VpcdSlot
from tests.rig.pcscd import Pcscd
from tests.rig.simulator import inserted, plugged, simulated_card, wait_for_card
from tests.simulator.opensc import OpenSc


def test_a_card_is_inserted_and_taken_out(pcscd: Pcscd) -> None:
    card = simulated_card()
    with inserted(card, pcscd):
        assert card.resets > 0
    wait_for_card(pcscd, present=False)


def test_a_card_comes_back_after_pcscd_was_restarted_and_keeps_its_counters(pcscd: Pcscd, tmp_path: Path) -> None:
    opensc = OpenSc(tmp_path, pcscd)
    with inserted(simulated_card(), pcscd):
        assert "SW1=0x63, SW2=0xC2" in opensc.succeeds("opensc-tool", "-s", "00:20:00:01:04:30:30:30:30")
        pcscd.stop()
        pcscd.start()
        wait_for_card(pcscd)
        assert "SW1=0x63, SW2=0xC2" in opensc.succeeds("opensc-tool", "-s", "00:20:00:01:00")


def test_a_card_waits_for_a_reader_that_is_not_there_yet(tmp_path: Path) -> None:
    pcscd = Pcscd(tmp_path)
    with plugged(simulated_card(), pcscd.ports[0]):
        pcscd.start()
        try:
            wait_for_card(pcscd)
        finally:
            pcscd.stop()


def test_two_cards_sit_in_two_slots(pcscd: Pcscd, tmp_path: Path) -> None:
    with inserted(simulated_card("medecin"), pcscd, 0) as first, inserted(simulated_card("infirmier"), pcscd, 1):
        told = OpenSc(tmp_path, pcscd).succeeds("pkcs11-tool", "-L")
        assert f"CPS3v3-{first.issued.card_number}" in told
        assert told.count("token label        : CPS3v3-") == 2


def test_what_becomes_of_the_card_is_reported(pcscd: Pcscd) -> None:
    states: list[ReaderState] = []
    told = threading.Semaphore(0)

    def report(state: ReaderState) -> None:
        states.append(state)
        told.release()

    seat = VpcdSlot(simulated_card(), ("127.0.0.1", pcscd.ports[0]), report)
    thread = threading.Thread(target=seat.run, daemon=True)
    thread.start()
    assert told.acquire(timeout=10)
    pcscd.stop()
    assert told.acquire(timeout=10)
    pcscd.start()
    assert told.acquire(timeout=10)
    seat.stop()
    thread.join(10)
    assert states == [ReaderState.INSERTED, ReaderState.WAITING, ReaderState.INSERTED]


@pytest.mark.parametrize("payload", ["", "03", "FF"])
def test_orders_that_do_not_exist_are_passed_over(payload: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as reader, plugged(simulated_card(), reader.getsockname()[1]):
        link, _ = reader.accept()
        with link:
            for message in (bytes.fromhex(payload), b"\x04"):
                link.sendall(len(message).to_bytes(2, "big") + message)
            assert link.recv(2) == b"\x00\x11"
            assert link.recv(17).hex() == "3bac00402a001225006480000310009000"


def test_a_command_without_power_is_answered_and_done_by_no_card() -> None:
    card = simulated_card()
    with socket.create_server(("127.0.0.1", 0)) as reader, plugged(card, reader.getsockname()[1]):
        link, _ = reader.accept()
        link.settimeout(10)
        with link:
            for order, answer in ((b"", "6f00"), (b"\x01", "63c3"), (b"\x00", "6f00"), (b"\x02", "63c3")):
                for message in (order, bytes.fromhex("00200001")):
                    link.sendall(len(message).to_bytes(2, "big") + message)
                assert link.recv(2) == b"\x00\x02"
                assert link.recv(2).hex() == answer
    assert card.count == 2
