"""Rules 3 and 5: other PC/SC programs use the card at the same time, and never on the PIN that cardd presented."""

from __future__ import annotations

import base64
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from time import monotonic, sleep
from typing import cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256

from tests.integration import card_program
from tests.integration.workstation import DIGEST, Session, Workstation, expect, problem, text, wait_until
from tests.rig.lps import Json
from tests.rig.other_program import holding, reset
from tests.rig.simulator import PIN, simulated_card
from tests.simulator.opensc import OpenSc, logs_in

TIMES = 20
OPENSCS_TIMES = 8  # each is a program that reads all of the card first
HOLD = 0.3
PATIENCE = 8.0  # seconds that another program waits at the most
AUTHENTICATION_ID = "E828BD080F8025000001FF001002"
SHARING_VIOLATION, RESET = "8010000B", "80100068"
DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420") + b"\x5a" * 32


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Workstation]:
    """Where cardd keeps the card for a moment only, so that programs really take turns."""
    with Workstation(tmp_path, extra="\n[card]\nhold = 0.02\n").running() as workstation:
        yield workstation


def verify(signed: Json) -> None:
    """The signature must be one of the digest, by the certificate that came with it."""
    key = x509.load_der_x509_certificate(base64.b64decode(text(signed, "certificate"))).public_key()
    assert isinstance(key, RSAPublicKey)
    key.verify(base64.b64decode(text(signed, "signature")), base64.b64decode(DIGEST), PKCS1v15(), Prehashed(SHA256()))


def sign_often(session: Session) -> None:
    for number in range(TIMES):
        verify(session.sign(batch={"name": "beside others", "count": TIMES}))
        sleep(0.02 * (number % 5))  # in the hold, and after it


def test_a_bare_pcsc_program_and_cardd_both_sign_again_and_again(shared: Workstation) -> None:
    with shared.card(simulated_card()):
        session = shared.log_in()
        with card_program.start(shared, "sign", str(TIMES), PIN.decode()) as other:
            sign_often(session)
            signatures, _ = other.communicate(timeout=30)
    assert other.returncode == 0
    assert Counter(map(len, signatures.split())) == {512: TIMES}
    assert len(set(signatures.split())) == 1  # one digest, one key


@logs_in
def test_opensc_and_cardd_both_sign_again_and_again(shared: Workstation) -> None:
    opensc = OpenSc(shared.directory, shared.pcscd)
    document, signature = shared.directory / "digest-info", shared.directory / "signature"
    document.write_bytes(DIGEST_INFO)
    files = ("-i", document, "-o", signature)
    arguments = ("--login", "--pin", PIN.decode(), "--sign", "-m", "RSA-PKCS", "--id", AUTHENTICATION_ID, *files)
    with shared.card(simulated_card()), ThreadPoolExecutor() as threads:
        session = shared.log_in()
        ours = threads.submit(sign_often, session)
        found = set()
        for _ in range(OPENSCS_TIMES):
            opensc.succeeds("pkcs11-tool", *arguments)
            found.add(signature.read_bytes())
        ours.result()
    assert [len(value) for value in found] == [256]


@contextmanager
def thief(workstation: Workstation) -> Iterator[Callable[[], list[str]]]:
    """Somebody who asks for signatures all the time; gives how each attempt ended so far."""
    answers: list[str] = []
    with card_program.start(workstation, "steal") as process:
        assert process.stdin
        assert process.stdout
        lines = process.stdout
        reading = threading.Thread(target=lambda: answers.extend(line.strip() for line in lines))
        reading.start()
        try:
            yield lambda: list(answers)
        finally:
            process.stdin.close()
            process.wait(20)
            reading.join(20)


def is_refused_anew(attempts: Callable[[], list[str]], tried: int) -> bool:
    return attempts()[tried:].count("6982") >= 4


@pytest.mark.parametrize("hold", [0.0, HOLD])
def test_no_program_ever_signs_on_the_pin_that_cardd_presented(tmp_path: Path, hold: float) -> None:
    machine = Workstation(tmp_path, extra=f"\n[card]\nhold = {hold}\n")
    with machine.running() as workstation, workstation.card(simulated_card()):
        session = workstation.log_in()
        with thief(workstation) as attempts:
            for _ in range(5):
                verify(session.sign(batch={"name": "thief", "count": 5}))
                tried = len(attempts())
                # each way of trying, after the hold has ended
                wait_until(partial(is_refused_anew, attempts, tried))
            session.close()
            tried = len(attempts())
            wait_until(partial(is_refused_anew, attempts, tried))
    assert attempts()
    assert set(attempts()) <= {"6982", "6985", "6a88", SHARING_VIOLATION, RESET}


def test_another_programs_reset_between_requests_costs_nothing_but_time(workstation: Workstation) -> None:
    with workstation.card(simulated_card()):
        session = workstation.log_in()
        for _ in range(3):
            verify(session.sign())
            reset(workstation.pcscd, workstation.pcscd.reader_names[0])
        verify(session.sign())
        assert [shown.kind for shown in workstation.pinentry.shown()].count("pin") == 1
        assert session.state() == "active"


LONG = [{"document_name": f"Document {number}", "digest": DIGEST} for number in range(20)]


def test_a_long_list_and_steady_signing_let_each_other_and_a_third_program_in(workstation: Workstation) -> None:
    with workstation.card(simulated_card(delay_ms=150)), ThreadPoolExecutor() as threads:
        one, other = workstation.log_in(), workstation.log_in()
        over = threading.Event()

        def steadily() -> None:
            for number in count():
                if over.is_set():
                    break
                began = monotonic()
                verify(one.sign(batch={"name": f"steady {number // 50}", "count": 50}))
                assert monotonic() - began < PATIENCE

        def at_length() -> None:  # alone it takes 6 s
            answer = expect(200, other.lps.call("POST", f"{other.path}/signatures", {"signatures": LONG}))
            for signed in cast(list[Json], answer["signatures"]):
                verify(signed)

        steady = [threads.submit(steadily), threads.submit(at_length)]
        try:
            for _ in range(2):
                sleep(0.5)  # they sign
                began = monotonic()
                reset(workstation.pcscd, workstation.pcscd.reader_names[0])
                assert monotonic() - began < PATIENCE
        finally:
            over.set()
        for each in steady:
            each.result()
        assert [shown.kind for shown in workstation.pinentry.shown()].count("pin") == 2  # the logins


def gets_it_exclusively(workstation: Workstation) -> bool:
    try:
        with holding(workstation.pcscd, workstation.pcscd.reader_names[0], "exclusive"):
            return True
    except AssertionError:
        return False


def test_another_program_gets_the_card_exclusively_when_no_session_needs_it(workstation: Workstation) -> None:
    with workstation.card(simulated_card()):
        session = workstation.log_in()
        session.sign()
        assert not gets_it_exclusively(workstation)
        session.close()
        wait_until(partial(gets_it_exclusively, workstation))
        lps = workstation.pair()
        with holding(workstation.pcscd, workstation.pcscd.reader_names[0], "exclusive"):
            busy = problem(503, "reader.busy", lps.call("POST", "/v1/sessions", {"method": "cpx"}))
            assert f"{Path(sys.executable).resolve()} (processus" in text(busy, "detail")
        verify(workstation.log_in(lps).sign())
