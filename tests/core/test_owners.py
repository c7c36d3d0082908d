"""Rule 12 without a connection: whose the readers are, and what a change of user takes from whom."""

from __future__ import annotations

import asyncio
import os

import pytest

from cardd.assembly import assemble
from cardd.config import Access, Config
from cardd.core.inserted_card import InsertedCard
from cardd.core.owners import CallersReaders
from cardd.core.session import Session
from cardd.errors import CardIsVitale, CardUnknown, PcscUnavailable, ReaderNotYours
from cardd.model import CallerKey, CardKind
from cardd.ports import Token
from cardd.secret import Secret
from cardd_simulators.cards.inprocess import InProcessReader
from tests.core.alone import HOLDER, program
from tests.core.test_readers import CPS3_ATR, VITALE_ATR
from tests.rig.memory import MemoryPeople
from tests.rig.outside import Around

DOCTOR, OTHER, NAMED, REMOTE = 1000, 1001, 1002, 1003
HERE, LENT, FILE = "Lecteur", "Lecteur prêté", "key file"


class Workstation:
    """One reader with a card; REMOTE may be lent a reader, and an organisation have its key in a file."""

    def __init__(self, *owners: str, is_told: bool = True, alone: int | None = None) -> None:
        people = MemoryPeople({NAMED: "named", OTHER: "1000"}, alone)  # one whose name looks like a number
        self.around = Around(people=people, tells_who_sits_here=is_told)
        self.parts = assemble(Config(access=Access(owners=owners)), self.around.made())
        self.owners, self.readers = self.parts.readers.owners, self.parts.readers.every
        self.readers.readers_available(True)
        self.readers.reader_added(InProcessReader(HERE))
        self.readers.card_inserted(HERE, CPS3_ATR)
        [self.card] = self.readers.cards()

    def lend(self, atr: bytes = CPS3_ATR) -> InsertedCard:
        """Put a card into a reader that REMOTE's agent lends."""
        self.readers.reader_added(InProcessReader(LENT), REMOTE)
        self.readers.card_inserted(LENT, atr)
        return self.found(LENT)

    def take_file(self) -> InsertedCard:
        """Have an organisation's key in a file."""
        self.readers.reader_added(InProcessReader(FILE))
        self.readers.token_inserted(FILE, Token(CardKind.PKCS12))
        return self.found(FILE)

    def found(self, reader: str) -> InsertedCard:
        return next(card for card in self.readers.cards() if card.reader == reader)

    def opened(self, uid: int, card: InsertedCard | None = None) -> Session:
        """Open a session that holds a PIN."""
        session, _ = self.parts.sessions.open(
            session_id=f"of {uid}", caller=program(uid=uid), method="", identity=HOLDER, card=card, credentials={}
        )
        session.take_pin(Secret.of(b"7319"))
        return session

    def of(self, uid: int) -> CallersReaders:
        return self.parts.readers.of(program(uid=uid))

    def seen_by(self, uid: int) -> list[str]:
        """In which readers this user sees cards; a dash where no reader is theirs."""
        try:
            cards = [card.reader for card in self.of(uid).cards()]
            assert [state.reader.name for state in self.of(uid).readers() if state.card] == cards
        except ReaderNotYours:
            with pytest.raises(ReaderNotYours):
                self.of(uid).readers()
            return ["-"]
        return cards


@pytest.fixture
async def workstation() -> Workstation:
    """One at which the doctor sits."""
    made = Workstation()
    made.owners.seated(frozenset({DOCTOR}))
    return made


async def test_the_readers_are_of_who_sits_here_and_of_no_other_user(workstation: Workstation) -> None:
    assert [workstation.owners.owns(uid) for uid in (DOCTOR, OTHER, NAMED)] == [True, False, False]
    assert workstation.owners.may_use(DOCTOR, workstation.card)
    assert not workstation.owners.may_use(OTHER, workstation.card)
    workstation.owners.admit(CallerKey(DOCTOR, "lps"), workstation.card)
    with pytest.raises(ReaderNotYours):
        workstation.owners.admit(CallerKey(OTHER, "lps"), workstation.card)


async def test_root_and_the_services_own_user_have_them_whoever_sits_here(
    workstation: Workstation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 990)
    assert [workstation.owners.owns(uid) for uid in (0, 990, 1)] == [True, True, False]


@pytest.mark.parametrize(
    ("owners", "theirs"),
    [
        ((), set()),
        (("named",), {NAMED}),
        (("1003",), {REMOTE}),
        (("named", "1003"), {NAMED, REMOTE}),
        (("*",), {DOCTOR, OTHER, NAMED, REMOTE}),
        (("1000",), {DOCTOR}),  # a number is nobody's name
        (("nobody",), set()),
    ],
)
async def test_the_configuration_names_further_owners(owners: tuple[str, ...], theirs: set[int]) -> None:
    for workstation in (Workstation(*owners), Workstation()):
        workstation.owners.reconfigured(Config(access=Access(owners=owners)))
        assert {uid for uid in (DOCTOR, OTHER, NAMED, REMOTE) if workstation.owners.owns(uid)} == theirs


async def test_nobody_sits_here_until_it_is_told_and_who_asks_can_wait_for_that() -> None:
    workstation = Workstation(alone=DOCTOR)
    assert not workstation.owners.owns(DOCTOR)
    assert not workstation.owners.told.is_set()
    workstation.owners.seated(frozenset({OTHER}))
    assert workstation.owners.told.is_set()
    assert [workstation.owners.owns(uid) for uid in (DOCTOR, OTHER)] == [False, True]


async def test_nobody_waits_for_long_where_nothing_is_told() -> None:
    workstation = Workstation()
    workstation.owners.told_within = 0.01
    await workstation.owners.start()
    assert not workstation.owners.told.is_set()
    await asyncio.wait_for(workstation.owners.told.wait(), 30)
    assert not workstation.owners.owns(DOCTOR)


@pytest.mark.parametrize("is_told", [True, False])
async def test_where_nobody_tells_who_sits_here_the_only_person_has_them(is_told: bool) -> None:
    workstation = Workstation(is_told=is_told, alone=DOCTOR)
    if is_told:
        workstation.owners.seated(None)
    assert workstation.owners.told.is_set()
    assert [workstation.owners.owns(uid) for uid in (DOCTOR, OTHER)] == [True, False]
    nobody = Workstation(is_told=False)
    assert not nobody.owners.owns(DOCTOR)


async def test_a_key_file_is_everybodys_and_in_no_list_of_who_has_no_reader(workstation: Workstation) -> None:
    file = workstation.take_file()
    assert workstation.owners.may_use(OTHER, file)
    assert workstation.seen_by(DOCTOR) == [HERE, FILE]
    assert workstation.seen_by(OTHER) == [FILE]
    assert workstation.of(OTHER).card(file.id) is file
    with pytest.raises(ReaderNotYours):
        workstation.of(OTHER).card(workstation.card.id)


async def test_who_has_a_session_on_a_card_goes_on_with_it_and_sees_no_other(workstation: Workstation) -> None:
    workstation.readers.reader_added(InProcessReader("Another"))
    workstation.readers.card_inserted("Another", CPS3_ATR)
    workstation.opened(OTHER, workstation.card)
    workstation.opened(NAMED)
    assert workstation.seen_by(OTHER) == [HERE]
    assert workstation.seen_by(NAMED) == ["-"]
    assert workstation.of(OTHER).choose(workstation.card.id) is workstation.card
    assert workstation.of(OTHER).readable(workstation.card.id) is workstation.card
    assert workstation.of(DOCTOR).choose(workstation.found("Another").id) is workstation.found("Another")
    for identifier in (None, workstation.found("Another").id):
        with pytest.raises(ReaderNotYours):
            workstation.of(OTHER).choose(identifier)


async def test_a_lent_reader_is_its_users_alone(workstation: Workstation) -> None:
    lent = workstation.lend()
    workstation.owners.reconfigured(Config(access=Access(owners=("named",))))
    workstation.opened(OTHER, lent)  # which cannot be, and would give nothing
    assert [workstation.owners.may_use(uid, lent) for uid in (REMOTE, DOCTOR, NAMED, OTHER, 0)] == [True, *[False] * 4]
    assert (workstation.seen_by(REMOTE), workstation.seen_by(DOCTOR)) == ([LENT], [HERE])
    assert workstation.of(REMOTE).choose(None) is lent
    for identifier in (lent.id, "no card"):
        with pytest.raises(CardUnknown):
            workstation.of(DOCTOR).card(identifier)
        with pytest.raises(CardUnknown):
            workstation.of(DOCTOR).readable(identifier)
        with pytest.raises(ReaderNotYours):
            workstation.of(OTHER).card(identifier)
    with pytest.raises(CardUnknown):
        workstation.of(REMOTE).card(workstation.card.id)


@pytest.mark.parametrize("ask", ["card", "readable", "choose"])
async def test_whoever_asks_for_a_card_by_its_name_has_it_only_where_they_may_use_it(
    workstation: Workstation, ask: str
) -> None:
    for uid in (DOCTOR, 0):
        assert getattr(workstation.of(uid), ask)(workstation.card.id) is workstation.card
    for identifier in (workstation.card.id, "no card"):
        with pytest.raises(ReaderNotYours):
            getattr(workstation.of(OTHER), ask)(identifier)


async def test_what_the_owner_of_a_card_is_told_of_it_is_told_to_nobody_else(workstation: Workstation) -> None:
    workstation.readers.card_removed(HERE)
    workstation.readers.card_inserted(HERE, VITALE_ATR)
    patient = workstation.found(HERE)
    with pytest.raises(CardIsVitale):
        workstation.of(DOCTOR).choose(None)
    with pytest.raises(ReaderNotYours):
        workstation.of(OTHER).choose(None)
    with pytest.raises(ReaderNotYours):
        workstation.of(OTHER).readable(patient.id)
    assert [card.id for card in workstation.of(DOCTOR).visible()] == [patient.id]
    assert workstation.of(OTHER).visible() == []


async def test_where_the_reader_service_is_down_its_owners_are_told_and_others_are_not(
    workstation: Workstation,
) -> None:
    workstation.readers.reader_removed(HERE)
    workstation.readers.readers_available(False)
    for ask in ("readers", "cards"):
        with pytest.raises(PcscUnavailable):
            getattr(workstation.of(DOCTOR), ask)()
        with pytest.raises(ReaderNotYours):
            getattr(workstation.of(OTHER), ask)()
    assert workstation.of(DOCTOR).visible() == []
    assert workstation.of(OTHER).visible() == []


async def test_an_empty_reader_is_its_owners(workstation: Workstation) -> None:
    workstation.readers.card_removed(HERE)
    assert [state.reader.name for state in workstation.of(DOCTOR).readers()] == [HERE]
    assert workstation.of(DOCTOR).cards() == []
    assert (workstation.of(DOCTOR).is_owner, workstation.of(OTHER).is_owner) == (True, False)
    assert workstation.seen_by(OTHER) == ["-"]


@pytest.mark.parametrize("how", ["seat", "configuration"])
async def test_who_ceases_to_own_the_readers_has_the_sessions_on_their_cards_locked(
    workstation: Workstation, how: str
) -> None:
    if how == "configuration":
        workstation.owners.reconfigured(Config(access=Access(owners=("1001",))))
    else:
        workstation.owners.seated(frozenset({DOCTOR, OTHER}))
    leaves = workstation.opened(OTHER, workstation.card)
    stay = [
        workstation.opened(DOCTOR, workstation.card),
        workstation.opened(NAMED, workstation.card),  # who owned nothing before either
        workstation.opened(OTHER),
        workstation.opened(OTHER, workstation.take_file()),
        workstation.opened(OTHER, workstation.lend()),
    ]
    if how == "configuration":
        workstation.owners.reconfigured(Config())
    else:
        workstation.owners.seated(frozenset({DOCTOR}))
    assert (leaves.state.value, leaves.pin) == ("locked", None)
    assert [session.state.value for session in stay] == ["active"] * len(stay)


async def test_streams_end_for_whom_the_switch_changed_something(workstation: Workstation) -> None:
    buses = (workstation.parts.events, *workstation.parts.trace.buses)
    users = (DOCTOR, OTHER, NAMED, 0)
    for bus in buses:
        for uid in users:
            bus.subscribe(CallerKey(uid, "lps"))
    nobody = [bus.subscribe(None) for bus in buses]
    workstation.owners.seated(frozenset({DOCTOR}))
    assert [bus.listeners for bus in buses] == [len(users) + 1] * len(buses)
    workstation.owners.seated(frozenset({OTHER}))
    heard = {uid for uid in users if all(bus.is_heard_by(CallerKey(uid, "lps")) for bus in buses)}
    assert heard == {NAMED, 0}
    assert [bus.listeners for bus in buses] == [len(heard) + 1] * len(buses)
    assert len(nobody) > 1


async def test_a_refusal_is_a_row_with_who_was_refused(workstation: Workstation) -> None:
    await workstation.owners.record_refusal(program(uid=OTHER))
    [row] = workstation.around.audit.entries
    assert (row.action, row.outcome.value, row.code) == ("reader.use", "refused", "reader.not_yours")
    assert (row.uid, row.caller) == (OTHER, "lps")
    workstation.around.audit.is_full = True
    await workstation.owners.record_refusal(program(uid=OTHER))
