"""A card whose certificate is not valid now stands for nobody."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cardd.errors import CarddError, HolderUnknown, LoginCertificateExpired, LoginCertificateNotYetValid
from cardd_simulators.cards.behaviour import behaving
from cardd_simulators.cards.card import SimulatedCard
from cardd_simulators.cards.inprocess import InProcessReader
from tests.core.conftest import CALLER, PIN, Core
from tests.rig.memory import ManualClock
from tests.rig.simulator import simulated_card as simulated

DECADES = timedelta(days=30 * 365)


@pytest.fixture
def before_and_after(simulated_card: SimulatedCard) -> dict[timedelta, Core]:
    """Daemons whose clocks stand decades before and after the card's time."""
    cores = {}
    for moved in (-DECADES, DECADES):
        clock = ManualClock(datetime.now(UTC) + moved)
        cores[moved] = Core(InProcessReader("Lecteur de test", simulated_card), simulated_card, clock=clock)
    return cores


@pytest.mark.parametrize(
    ("moved", "error"), [(DECADES, LoginCertificateExpired), (-DECADES, LoginCertificateNotYetValid)]
)
async def test_a_certificate_that_is_not_valid_now_opens_no_session(
    before_and_after: dict[timedelta, Core], moved: timedelta, error: type[CarddError]
) -> None:
    core = before_and_after[moved]
    await core.start()
    core.person.pins = [PIN]
    with pytest.raises(error):
        await core.login.open(CALLER, None)
    assert core.sessions.of(CALLER.peer.uid) == []
    assert [(entry.outcome.value, entry.code) for entry in core.audit.entries] == [("refused", error.code)]
    await core.stop()


@pytest.mark.parametrize(
    ("variant", "error"),
    [
        ("expired", LoginCertificateExpired),
        ("not-yet-valid", LoginCertificateNotYetValid),
        ("no-national-id", HolderUnknown),
    ],
)
async def test_a_card_that_names_nobody_now_opens_no_session(variant: str, error: type[CarddError]) -> None:
    card = simulated(behaviour=behaving([variant]), pin=PIN.encode())
    core = Core(InProcessReader("Lecteur de test", card), card)
    await core.start()
    core.person.pins = [PIN]
    with pytest.raises(error):
        await core.login.open(CALLER, None)
    assert core.sessions.of(CALLER.peer.uid) == []
    await core.stop()


async def test_a_card_whose_name_is_no_identifier_stands_for_whom_its_principal_name_tells() -> None:
    card = simulated(behaviour=behaving(["name-without-id"]), pin=PIN.encode())
    core = Core(InProcessReader("Lecteur de test", card), card)
    await core.start()
    core.person.pins = [PIN]
    session, _ = await core.login.open(CALLER, None)
    assert session.identity.national_id == card.issued.profile.national_id
    await core.stop()


async def test_where_it_is_configured_so_the_session_opens_with_a_warning(
    simulated_card: SimulatedCard, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock(datetime.now(UTC) + DECADES)
    reader = InProcessReader("Lecteur de test", simulated_card)
    core = Core(reader, simulated_card, clock=clock, invalid_certificate="warn")
    await core.start()
    core.person.pins = [PIN]
    session, _ = await core.login.open(CALLER, None)
    assert core.sessions.is_open(session)
    assert "session.certificate_expired" in caplog.text
    await core.stop()
