"""Doctor on readers and cards: each failure is made, on a real pcscd."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cardd.cli.doctor.check import Level
from cardd.cli.doctor.surroundings import Surroundings
from cardd_simulators.cards.behaviour import behaving
from tests.api.workbench import Workbench
from tests.cli.doctor import code, result
from tests.cli.station import User
from tests.rig.here import use_here
from tests.rig.pcscd import Pcscd
from tests.rig.ports import free_port
from tests.rig.simulator import inserted, issue, simulated_card, wait_for_card
from tests.rig.vcard import CPS3_ATR, VirtualCard

CPS4_ATR = bytes.fromhex("3B9B188001001225006480040100009044")
CONTACTLESS_ATR = bytes.fromhex("3B8F80010031B86404B0ECC1739401808290000E")
CPS2TER_ATR = bytes.fromhex("3BAC00402A001225006480820212009000")
WRONG_PIN = bytes.fromhex("0020000104") + b"9999"


@pytest.fixture(scope="module")
def pcscd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pcscd]:
    """A reader service with two slots."""
    pcscd = Pcscd(tmp_path_factory.mktemp("pcscd"))
    pcscd.start()
    yield pcscd
    pcscd.stop()


@pytest.fixture
def no_usb(tmp_path: Path) -> Surroundings:
    """A machine without USB devices."""
    return Surroundings(usb=tmp_path)


@contextmanager
def plugged(pcscd: Pcscd, atr: bytes) -> Iterator[None]:
    """A card that has an ATR and nothing else."""
    card = VirtualCard(pcscd.ports[0], atr=atr)
    card.insert()
    try:
        wait_for_card(pcscd)
        yield
    finally:
        card.pull()
        wait_for_card(pcscd, present=False)


def nowhere(user: User, pcsc: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """``cardctl doctor`` for which PC/SC is at this socket."""
    command = user.command("doctor", "pcscd", "reader", "card", "certificates", "--json", *options)
    environment = {**user.environment, "PCSCLITE_CSOCK_NAME": str(pcsc)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=30)


def test_without_pcscd_the_rest_is_skipped(stranger: User, tmp_path: Path) -> None:
    ran = nowhere(stranger, tmp_path / "none")
    assert ran.returncode == 1
    assert '"pcscd.absent"' in ran.stdout
    assert ran.stdout.count('"skipped.no_pcscd"') == 3


async def test_readers_of_cardds_own_need_no_pcscd(stranger: User, tmp_path: Path) -> None:
    bench = Workbench(tmp_path)
    await bench.start()
    ran = await asyncio.to_thread(nowhere, stranger, tmp_path / "none", "--socket", bench.path)
    assert ran.returncode == 0, ran.stdout
    assert ran.stdout.count('"skipped.no_pcscd_needed"') == 4
    await bench.stop()


async def test_readers_are_counted_and_named(pcscd: Pcscd, no_usb: Surroundings) -> None:
    use_here(pcscd)
    found = await result("pcscd", no_usb)
    assert (found.code, found.params["count"]) == ("pcscd.ok", 2)
    assert pcscd.reader_names[1] in (await result("reader", no_usb)).sentence("fr")


async def test_no_reader_is_a_failure(tmp_path: Path, no_usb: Surroundings) -> None:
    empty = Pcscd(tmp_path, devices=0)
    empty.start()
    try:
        use_here(empty)
        assert await code("reader", no_usb) == "reader.none"
        assert await code("card", no_usb) == "skipped.no_reader"
    finally:
        empty.stop()


async def test_a_sesam_vitale_reader_that_pcsc_does_not_see_is_named(pcscd: Pcscd, tmp_path: Path) -> None:
    use_here(pcscd)
    device = tmp_path / "usb" / "1-1"
    device.mkdir(parents=True)
    (device / "idVendor").write_text("0b00\n")
    (device / "idProduct").write_text("0090\n")
    found = await result("reader", Surroundings(usb=device.parent))
    assert (found.level, found.code) == (Level.WARNING, "reader.sesam_vitale")
    empty = Pcscd(tmp_path, devices=0)
    empty.start()
    try:
        use_here(empty)
        assert (await result("reader", Surroundings(usb=device.parent))).level is Level.FAILURE
    finally:
        empty.stop()


async def test_an_empty_reader_is_a_warning(pcscd: Pcscd) -> None:
    use_here(pcscd)
    assert await code("card") == "card.absent"
    assert await code("certificates") == "skipped.no_card"


@pytest.mark.parametrize(
    ("atr", "expected"),
    [
        (CPS3_ATR, "card.ok"),
        (CPS4_ATR, "card.ok"),
        (CONTACTLESS_ATR, "card.contactless"),
        (CPS2TER_ATR, "card.unsupported"),
    ],
    ids=["cps3", "cps4", "contactless", "cps2ter"],
)
async def test_what_is_inserted_is_named(pcscd: Pcscd, atr: bytes, expected: str) -> None:
    with plugged(pcscd, atr):
        assert await code("card") == expected


async def test_a_card_that_answers_nonsense_fails_alone(pcscd: Pcscd) -> None:
    with plugged(pcscd, CPS3_ATR):
        found = await result("certificates")
    assert found.level is Level.FAILURE
    assert found.code.startswith("card.")


def at(moment: datetime) -> Callable[[], datetime]:
    """A clock that stands there."""
    return lambda: moment


async def test_the_dates_of_the_certificates_are_judged(pcscd: Pcscd) -> None:
    certificate = issue().authentication.certificate
    begin, end, day = certificate.not_valid_before_utc, certificate.not_valid_after_utc, timedelta(days=1)
    with inserted(simulated_card(), pcscd):
        for moment, expected in (
            (datetime.now(UTC), "certificates.ok"),
            (end - 61 * day, "certificates.ok"),
            (end - 59 * day, "certificates.soon"),
            (end + day, "certificates.expired"),
            (begin - day, "certificates.not_yet"),
        ):
            found = await result("certificates", Surroundings(now=at(moment)))
            told = found.sentence("en"), found.params.get("reader", "")
            assert (found.code, str(told[1]) in told[0]) == (expected, True)
            assert bool(told[1]) is (expected != "certificates.ok")


async def test_a_card_that_names_nobody_is_a_failure(pcscd: Pcscd) -> None:
    wait_for_card(pcscd, present=False)  # the one of the test before
    with inserted(simulated_card(behaviour=behaving(["no-national-id"])), pcscd):
        assert await code("certificates", Surroundings()) == "card.holder_unknown"


@pytest.mark.parametrize(
    ("wrong", "expected"), [(0, "pin.ok"), (2, "pin.last_try"), (3, "pin.blocked")], ids=["fresh", "last", "blocked"]
)
async def test_the_state_of_the_pin_is_told_and_no_try_is_spent(tmp_path: Path, wrong: int, expected: str) -> None:
    bench = Workbench(tmp_path)
    await bench.start()
    card = simulated_card()
    card.power_on()
    for _ in range(wrong):
        card.process(WRONG_PIN)
    bench.reader.remove()
    bench.reader.insert(card)
    for _ in range(2):
        assert await code("pin", Surroundings(base=Path(bench.path))) == expected
    bench.reader.remove()
    assert await code("pin", Surroundings(base=Path(bench.path))) == "skipped.no_card"
    await bench.stop()


async def test_the_pin_of_somebody_elses_card_is_not_checked_and_no_failure(tmp_path: Path) -> None:
    bench = Workbench(tmp_path)
    await bench.start()
    bench.seat(1000)
    bench.turn_to(1001)
    assert await code("pin", Surroundings(base=Path(bench.path))) == "skipped.not_yours"
    await bench.stop()


async def test_without_a_daemon_the_pin_is_not_known(tmp_path: Path) -> None:
    assert await code("pin", Surroundings(base=f"http://127.0.0.1:{free_port()}")) == "skipped.no_daemon"
