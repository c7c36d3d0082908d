"""PKCS#11 modules and PC/SC readers: whose card it is, and who else can use it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from cardd_simulators.cards.card import SimulatedCard
from tests.contract.cases import OPENSC
from tests.integration.test_every_key import module_process
from tests.integration.test_second_program import is_refused_anew, thief
from tests.integration.workstation import Workstation, problem, wait_until
from tests.pkcs11.shim import FORGETFUL, compiled, going_round
from tests.rig.other_program import holding
from tests.rig.simulator import PIN, PUK, issue
from tests.simulator.opensc import CONFIGURATION, logs_in


class ForeignCard(SimulatedCard):
    """A card that OpenSC knows, and no driver of ours: its ATR tells a generation that does not exist."""

    atr = bytes.fromhex("3BAC00402A001225006480000F10009000")


class Counted(SimulatedCard):
    """A CPS3 that counts the commands that it is sent."""

    commands = 0

    def process(self, apdu: bytes) -> bytes:
        """Take one command."""
        self.commands += 1
        return super().process(apdu)


def made(kind: type[SimulatedCard]) -> SimulatedCard:
    return kind(issue("medecin", len(PIN)), pin=PIN, puk=PUK)


@contextmanager
def exclusively(there: Workstation) -> Iterator[None]:
    """Another program has the reader for itself: it was faster than the module's new process."""
    with ExitStack() as held:
        for _ in range(5):
            with suppress(AssertionError, subprocess.CalledProcessError):
                os.kill(module_process(there), signal.SIGKILL)
                held.enter_context(holding(there.pcscd, there.pcscd.reader_names[0], "exclusive"))
                break
        else:
            pytest.fail("the module was always faster")
        yield


def station(directory: Path, module: str, hold: float = 0.5, more: str = "") -> Workstation:
    (directory / "opensc.conf").write_text(CONFIGURATION)
    extra = f'\n[card]\nhold = {hold}\n[drivers.pkcs11]\nmodules = ["{module}"]\n{more}'
    return Workstation(directory, extra=extra, environment={"OPENSC_CONF": str(directory / "opensc.conf")})


@logs_in
@pytest.mark.parametrize("hold", [0.0, 0.3])
def test_no_program_ever_signs_on_a_login_behind_a_module(tmp_path: Path, hold: float) -> None:
    """OpenSC leaves the card logged in after its logout; this one hides besides that the card can be taken out."""
    with station(tmp_path, compiled(tmp_path, OPENSC, FORGETFUL), hold).running() as there:
        with there.card(made(ForeignCard)):
            wait_until(lambda: [card["kind"] for card in there.cards()] == ["pkcs11"])
            lps = there.pair()
            with thief(there) as attempts:
                for _ in range(3):
                    session = there.log_in(lps)
                    tried = len(attempts())
                    wait_until(partial(is_refused_anew, attempts, tried))
                    session.close()
                    tried = len(attempts())
                    wait_until(partial(is_refused_anew, attempts, tried))
        assert attempts()
        assert set(attempts()) <= {"6982", "6985", "6a88", "8010000B", "80100068"}


@logs_in
def test_a_login_behind_a_module_that_goes_round_the_gate_ends_with_its_operation(tmp_path: Path) -> None:
    module = compiled(tmp_path, OPENSC, FORGETFUL | going_round(tmp_path / "pcscd.comm"))
    there = station(tmp_path, module, hold=5, more=f'unconfined = ["{module}"]\n')
    with there.running(), there.card(made(ForeignCard)):
        wait_until(lambda: [card["kind"] for card in there.cards()] == ["pkcs11"])
        with thief(there) as attempts:
            session = there.log_in()
            tried = len(attempts())
            wait_until(partial(is_refused_anew, attempts, tried))
            session.close()
            tried = len(attempts())
            wait_until(partial(is_refused_anew, attempts, tried))


@logs_in
def test_a_reader_that_another_program_has_for_itself_is_busy_and_its_token_stays(tmp_path: Path) -> None:
    with station(tmp_path, OPENSC).running() as there, there.card(made(ForeignCard)):
        wait_until(lambda: [card["kind"] for card in there.cards()] == ["pkcs11"])
        lps = there.pair()
        there.log_in(lps).close()
        with exclusively(there):
            problem(503, "reader.busy", lps.call("POST", "/v1/sessions", {"method": "cpx"}))
            assert [card["kind"] for card in there.cards()] == ["pkcs11"]
        there.log_in(lps)


def test_a_module_sends_nothing_to_a_card_that_is_served_natively(tmp_path: Path) -> None:
    with station(tmp_path, OPENSC).running() as there:
        ours = made(Counted)
        with there.card(ours), there.card(made(ForeignCard), slot=1):
            wait_until(lambda: {card["kind"] for card in there.cards()} == {"cps3", "pkcs11"})
            assert isinstance(ours, Counted)
            assert ours.commands == 0, "the module has looked into the readers"
