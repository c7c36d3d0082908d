"""Which programs may use the keys through PKCS#11, without a card and a connection."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from cardd.config import P11, Config, Prompt
from cardd.core.presence import Presence, waited_for_by
from cardd.core.programs import PROGRAMS_MAX, STRANGERS, ProgramRight, Programs, Wanted, program_id, unseen_id
from cardd.errors import (
    CallerLeft,
    CarddError,
    ConsentTimeout,
    ProgramNotFound,
    ProgramRefused,
    ProgramsOff,
    RefusedTooOften,
    StateUnavailable,
)
from cardd.model import Caller, CallerKey, CallerKind, Choice, Peer
from tests.core.alone import UNLIMITED, Alone
from tests.rig.waiting import eventually

FIREFOX, SSH = "/usr/lib/firefox/firefox", "/usr/bin/ssh"
TLS, DATA, SIGN = ProgramRight.TLS, ProgramRight.DATA, ProgramRight.SIGN


def running(path: str = FIREFOX, uid: int = 1000) -> Caller:
    return Caller(CallerKind.PROGRAM, program_id(path), path, "", Peer(uid, 4711, path))


class Deciding(Alone):
    """The programs, and a person who decides about them."""

    def __init__(self, settings: P11 | None = None, rules: Prompt = UNLIMITED) -> None:
        super().__init__(rules)
        self.settings = settings or P11(remember_days=30)
        self.programs = self.daemon()

    def daemon(self) -> Programs:
        """Return the programs as the next daemon knows them."""
        return Programs(self.store, self.dialogs, self.clock, self.lifecycle, self.settings)

    async def admitted(
        self, program: Caller, right: ProgramRight = TLS, choice: Choice = Choice.YES, *, is_lasting: bool = True
    ) -> int:
        """Let the program in; return how many dialogs that took."""
        before, self.person.choice = len(self.person.questions), choice
        await self.programs.admit(program, Wanted(right), is_lasting=is_lasting)
        return len(self.person.questions) - before

    async def refused(self, program: Caller, right: ProgramRight = TLS) -> CarddError:
        """Return why the program is not let in, where the person says no."""
        self.person.choice = Choice.NO
        with pytest.raises(CarddError) as told:
            await self.programs.admit(program, Wanted(right), is_lasting=True)
        return told.value

    def rights(self, uid: int = 1000) -> dict[str, list[ProgramRight]]:
        """What the user is told of the programs."""
        return {one.path: list(one.rights) for one in self.programs.standings(uid)}

    def later(self, **time: float) -> None:
        self.clock.seconds += timedelta(**time).total_seconds()


@pytest.fixture
def deciding() -> Deciding:
    return Deciding()


def full_disk(deciding: Deciding, monkeypatch: pytest.MonkeyPatch) -> None:
    def save(_name: str, _text: str) -> None:
        raise StateUnavailable(file="programs", why="disk")

    monkeypatch.setattr(deciding.store, "save", save)


async def test_a_program_is_asked_about_once_for_each_right_and_each_user(deciding: Deciding) -> None:
    for program in (running(), running(SSH), running(uid=1001)):
        for right in (TLS, DATA, SIGN):
            assert [await deciding.admitted(program, right) for _ in range(2)] == [1, 0]
    assert deciding.rights() == {SSH: [TLS, DATA, SIGN], FIREFOX: [TLS, DATA, SIGN]}
    assert deciding.rights(1001) == {FIREFOX: [TLS, DATA, SIGN]}
    assert deciding.programs.is_let_in(running())
    assert deciding.heard.lines[0] == f"in 1000 p11:{FIREFOX} program.allow yes"


async def test_the_dialog_names_the_file_the_server_and_until_when(deciding: Deciding) -> None:
    await deciding.programs.admit(running(), Wanted(TLS, "esante.example"), is_lasting=True)
    await deciding.programs.admit(running(), Wanted(SIGN), is_lasting=False)
    first, passing = deciding.person.questions
    until = (deciding.clock.now() + timedelta(days=30)).date().isoformat()
    assert (first.topic, first.uid, first.third) == ("program", 1000, Choice.ALWAYS)
    assert first.params == {"program": FIREFOX, "program_tls": "", "server": "esante.example", "until": until}
    assert passing.third is None
    assert passing.params == {"program": FIREFOX, "program_sign": "", "passing": ""}


async def test_where_nothing_is_remembered_the_dialog_offers_no_such_thing() -> None:
    deciding = Deciding(P11(remember_days=0))
    await deciding.admitted(running())
    [question] = deciding.person.questions
    assert (question.third, question.params) == (None, {"program": FIREFOX, "program_tls": ""})


async def test_a_program_whose_file_nobody_can_tell_is_shown_by_its_process(deciding: Deciding) -> None:
    name = unseen_id("4711 12:00")
    await deciding.admitted(Caller(CallerKind.PROGRAM, name, "process 4711", "", Peer(1000, 4711)))
    await deciding.admitted(Caller(CallerKind.PROGRAM, name + "x", "process", "", Peer(1000)), is_lasting=False)
    told = [question.params for question in deciding.person.questions]
    assert told == [
        {"program": "", "program_tls": "", "process": 4711},
        {"program": "", "program_tls": "", "passing": ""},
    ]


async def test_this_once_ends_after_twelve_hours_and_with_the_daemon(deciding: Deciding) -> None:
    await deciding.admitted(running())
    deciding.later(hours=12, seconds=-1)
    assert await deciding.admitted(running()) == 0
    deciding.later(seconds=1)
    assert deciding.rights() == {}
    assert not deciding.programs.is_let_in(running())
    assert await deciding.admitted(running()) == 1
    deciding.programs = deciding.daemon()
    assert deciding.rights() == {}
    assert await deciding.admitted(running()) == 1


async def test_always_ends_after_the_days_that_are_configured_and_outlives_the_daemon(deciding: Deciding) -> None:
    await deciding.admitted(running(), choice=Choice.ALWAYS)
    deciding.programs = deciding.daemon()
    deciding.later(days=30, seconds=-1)
    assert await deciding.admitted(running()) == 0
    deciding.later(seconds=1)
    assert deciding.rights() == {}
    assert await deciding.admitted(running()) == 1


async def test_what_is_remembered_is_listed_though_this_once_is_over(deciding: Deciding) -> None:
    await deciding.admitted(running(), choice=Choice.YES)
    deciding.later(hours=13)
    await deciding.admitted(running(), choice=Choice.ALWAYS)
    [standing] = deciding.programs.standings(1000)
    assert (standing.path, standing.uid, standing.rights) == (FIREFOX, 1000, (TLS,))
    assert standing.until == deciding.clock.now() + timedelta(days=30)


async def test_all_that_a_program_may_do_is_listed_whether_remembered_or_for_the_present(deciding: Deciding) -> None:
    await deciding.admitted(running(), TLS, Choice.ALWAYS)
    began = deciding.clock.now()
    deciding.later(days=1)
    await deciding.admitted(running(), SIGN, Choice.YES)
    [standing] = deciding.programs.standings(1000)
    assert (standing.rights, standing.since, standing.until) == ((TLS, SIGN), began, began + timedelta(days=30))
    assert standing.used == deciding.clock.now().date()
    deciding.later(hours=13)
    assert deciding.rights() == {FIREFOX: [TLS]}
    assert await deciding.admitted(running(), DATA, Choice.ALWAYS) == 1
    assert deciding.rights() == {FIREFOX: [TLS, DATA]}


async def test_rights_whose_time_is_over_do_not_come_back_with_another_one(deciding: Deciding) -> None:
    await deciding.admitted(running(), TLS, Choice.ALWAYS)
    await deciding.admitted(running(SSH), TLS, Choice.YES)
    deciding.later(hours=12)
    await deciding.admitted(running(SSH), SIGN, Choice.YES)
    deciding.later(days=30, hours=-12)
    await deciding.admitted(running(), SIGN, Choice.ALWAYS)
    await deciding.admitted(running(SSH), SIGN, Choice.YES)
    assert deciding.rights() == {SSH: [SIGN], FIREFOX: [SIGN]}


async def test_a_refusal_stands_for_a_minute_for_this_program_and_right_alone(deciding: Deciding) -> None:
    refusals = [await deciding.refused(running())]
    assert deciding.heard.taken() == [f"refused 1000 p11:{FIREFOX} program.allow program.refused"]
    deciding.later(seconds=59)
    refusals.append(await deciding.refused(running()))
    assert [(type(one), one.params) for one in refusals] == [(ProgramRefused, {"program": FIREFOX})] * 2
    assert deciding.heard.taken() == []
    assert len(deciding.person.questions) == 1
    assert [await deciding.admitted(one, right) for one, right in ((running(), DATA), (running(SSH), TLS))] == [1, 1]
    deciding.later(seconds=1)
    assert await deciding.admitted(running()) == 1


async def test_a_refusal_that_still_stands_is_not_forgotten_for_anothers(deciding: Deciding) -> None:
    await deciding.refused(running())
    deciding.later(seconds=30)
    await deciding.refused(running(SSH))
    await deciding.refused(running())
    assert len(deciding.person.questions) == 2


async def test_a_dialog_that_is_left_without_an_answer_is_a_refusal(deciding: Deciding) -> None:
    deciding.person.fault = ConsentTimeout()
    assert type(await deciding.refused(running())) is ConsentTimeout
    assert deciding.heard.taken() == [f"refused 1000 p11:{FIREFOX} program.allow consent.timeout"]
    deciding.person.fault = None
    assert type(await deciding.refused(running())) is ProgramRefused
    assert len(deciding.person.questions) == 1


async def test_all_connections_of_a_program_wait_for_the_one_answer(deciding: Deciding) -> None:
    deciding.person.attentive.clear()
    waiting = [asyncio.ensure_future(deciding.admitted(running())) for _ in range(3)]
    await eventually(lambda: bool(deciding.person.open))
    deciding.person.attentive.set()
    await asyncio.gather(*waiting)
    assert len(deciding.person.questions) == 1


async def test_each_user_has_a_dialog_of_their_own_at_the_same_time(deciding: Deciding) -> None:
    deciding.person.attentive.clear()
    waiting = [asyncio.ensure_future(deciding.admitted(running(uid=uid))) for uid in (1000, 1001)]
    await eventually(lambda: deciding.person.open == ["program"] * 2)
    deciding.person.attentive.set()
    await asyncio.gather(*waiting)


async def test_who_hangs_up_while_another_connection_is_asked_about_waits_no_more(deciding: Deciding) -> None:
    deciding.person.attentive.clear()
    asked = asyncio.ensure_future(deciding.admitted(running()))
    await eventually(lambda: bool(deciding.person.open))
    presence = Presence()
    with waited_for_by(presence):
        waits = asyncio.ensure_future(deciding.programs.admit(running(), Wanted(TLS), is_lasting=True))
    await asyncio.sleep(0)
    presence.leave()
    with pytest.raises(CallerLeft):
        await waits
    deciding.person.attentive.set()
    await asked
    assert await deciding.admitted(running(), SIGN) == 1  # its turn was given back


@pytest.mark.parametrize("choice", [None, Choice.YES, Choice.ALWAYS], ids=["never", "over", "remembered, over"])
async def test_ever_new_programs_that_nobody_lets_in_wear_nobody_down(choice: Choice | None) -> None:
    deciding = Deciding(rules=Prompt(refusals=3))
    files = [f"/tmp/program{number}" for number in range(6)]
    if choice:
        for file in files:
            await deciding.admitted(running(file), choice=choice)
        deciding.later(days=31)
    asked = len(deciding.person.questions)
    refusals = [type(await deciding.refused(running(file))) for file in files]
    assert refusals == [ProgramRefused] * 3 + [RefusedTooOften] * 3
    assert len(deciding.person.questions) == asked + 3
    assert deciding.person.questions[-1].caller == CallerKey(1000, STRANGERS)
    assert type(await deciding.refused(running(files[0], uid=1001))) is ProgramRefused


async def test_a_program_that_is_let_in_may_ask_for_more_though_strangers_were_refused() -> None:
    deciding = Deciding(rules=Prompt(refusals=3))
    await deciding.admitted(running(), choice=Choice.ALWAYS)
    await deciding.admitted(running(SSH), choice=Choice.YES)
    for number in range(4):
        await deciding.refused(running(f"/tmp/program{number}"))
    assert [await deciding.admitted(running(path), DATA) for path in (FIREFOX, SSH)] == [1, 1]


@pytest.mark.parametrize("choice", [Choice.YES, Choice.ALWAYS])
async def test_a_program_that_is_shut_out_asks_again_and_no_other_one(deciding: Deciding, choice: Choice) -> None:
    for one in (running(), running(SSH), running(uid=1001)):
        await deciding.admitted(one, choice=choice)
    deciding.heard.taken()
    deciding.programs.revoke(FIREFOX, 1000)
    assert deciding.heard.taken() == [f"out 1000 p11:{FIREFOX} program_revoked {FIREFOX}"]
    assert (deciding.rights(), deciding.rights(1001)) == ({SSH: [TLS]}, {FIREFOX: [TLS]})
    for path, uid in ((FIREFOX, 1000), (SSH, 1001), ("/usr/bin/curl", 1000)):
        with pytest.raises(ProgramNotFound):
            deciding.programs.revoke(path, uid)
    if choice is Choice.ALWAYS:
        deciding.programs = deciding.daemon()
        assert (deciding.rights(), deciding.rights(1001)) == ({SSH: [TLS]}, {FIREFOX: [TLS]})
    assert await deciding.admitted(running()) == 1


async def test_who_is_shut_out_while_the_person_reads_is_not_let_in_by_the_answer(deciding: Deciding) -> None:
    await deciding.admitted(running(), TLS, Choice.ALWAYS)
    deciding.person.choice = Choice.ALWAYS
    deciding.person.attentive.clear()
    asked = asyncio.ensure_future(deciding.programs.admit(running(), Wanted(SIGN), is_lasting=True))
    await eventually(lambda: len(deciding.person.questions) == 2)
    deciding.programs.revoke(FIREFOX, 1000)
    deciding.person.attentive.set()
    with pytest.raises(ProgramRefused):
        await asked
    assert deciding.rights() == {}


async def test_nobody_is_let_in_by_an_answer_after_programs_were_turned_off(deciding: Deciding) -> None:
    deciding.person.choice = Choice.ALWAYS
    deciding.person.attentive.clear()
    asked = asyncio.ensure_future(deciding.programs.admit(running(), Wanted(TLS), is_lasting=True))
    await eventually(lambda: len(deciding.person.questions) == 1)
    deciding.programs.reconfigured(Config(p11=P11(programs="off")))
    deciding.person.attentive.set()
    with pytest.raises(ProgramsOff):
        await asked
    assert deciding.rights() == {}


@pytest.mark.parametrize(("choice", "hours"), [(Choice.YES, 12), (Choice.ALWAYS, 30 * 24)])
async def test_one_more_right_puts_off_the_end_of_no_other(deciding: Deciding, choice: Choice, hours: int) -> None:
    began = deciding.clock.now()
    await deciding.admitted(running(), SIGN, choice)
    deciding.later(hours=hours - 1)
    assert await deciding.admitted(running(), TLS, choice) == 1
    if choice is Choice.ALWAYS:
        assert deciding.person.questions[-1].params["until"] == (began + timedelta(hours=hours)).date().isoformat()
    deciding.later(hours=2)
    assert deciding.rights() == {}
    assert await deciding.admitted(running(), SIGN, choice) == 1


@pytest.mark.parametrize("what", ["one right ends", "more days are configured", "fewer days are configured"])
async def test_nothing_is_remembered_for_longer_than_the_dialog_said(deciding: Deciding, what: str) -> None:
    if what == "one right ends":
        await deciding.admitted(running(), TLS, Choice.ALWAYS)
        deciding.later(days=30, seconds=-1)
    deciding.person.choice = Choice.ALWAYS
    deciding.person.attentive.clear()
    asked = asyncio.ensure_future(deciding.programs.admit(running(), Wanted(SIGN), is_lasting=True))
    await eventually(lambda: bool(deciding.person.open))
    if what == "one right ends":
        deciding.later(seconds=2)
    else:
        deciding.programs.reconfigured(Config(p11=P11(remember_days=365 if what.startswith("more") else 1)))
    deciding.person.attentive.set()
    await asked
    told = deciding.person.questions[-1].params["until"]
    assert all(one.until.date().isoformat() <= str(told) for one in deciding.programs.standings(1000))
    if what.startswith("fewer"):
        deciding.later(days=1)
        assert deciding.rights() == {}


async def test_what_a_program_may_for_the_present_ends_with_what_is_remembered_of_it(deciding: Deciding) -> None:
    await deciding.admitted(running(), TLS, Choice.ALWAYS)
    await deciding.admitted(running(), DATA, Choice.YES)
    deciding.programs.revoke(FIREFOX, 1000)
    assert not deciding.programs.is_let_in(running())


async def test_a_program_is_shut_out_at_once_where_that_cannot_be_written_down(
    deciding: Deciding, monkeypatch: pytest.MonkeyPatch
) -> None:
    await deciding.admitted(running(), choice=Choice.ALWAYS)
    deciding.heard.taken()
    full_disk(deciding, monkeypatch)
    with pytest.raises(StateUnavailable):
        deciding.programs.revoke(FIREFOX, 1000)
    assert deciding.heard.taken() == [f"out 1000 p11:{FIREFOX} program_revoked {FIREFOX}"]
    assert not deciding.programs.is_let_in(running())


async def test_a_full_disk_lets_nobody_in_always_and_shuts_nobody_out(
    deciding: Deciding, monkeypatch: pytest.MonkeyPatch
) -> None:
    await deciding.admitted(running(), TLS, Choice.ALWAYS)
    await deciding.admitted(running(SSH), TLS, Choice.YES)
    deciding.heard.taken()
    full_disk(deciding, monkeypatch)
    for program in (running(), running("/usr/bin/curl")):
        with pytest.raises(StateUnavailable):
            await deciding.admitted(program, DATA, Choice.ALWAYS)
    assert deciding.heard.taken() == []
    deciding.later(days=1)
    assert await deciding.admitted(running()) == 0  # though the day of this use cannot be noted
    assert deciding.rights() == {FIREFOX: [TLS]}
    assert deciding.store.documents.keys() == {"programs"}


async def test_the_program_that_was_not_used_for_longest_makes_room(deciding: Deciding) -> None:
    for number in range(PROGRAMS_MAX):
        await deciding.admitted(running(f"/opt/{number:02}"), choice=Choice.ALWAYS)
        await deciding.admitted(running(f"/opt/{number:02}", uid=1001), choice=Choice.ALWAYS)
    # one that had been let in for something else too, this once
    await deciding.admitted(running("/opt/00"), DATA, Choice.YES)
    deciding.later(days=1)
    assert await deciding.admitted(running("/opt/00")) == 0
    await deciding.admitted(running("/opt/new"), choice=Choice.ALWAYS)
    deciding.programs = deciding.daemon()
    assert deciding.rights().keys() == {f"/opt/{number:02}" for number in range(PROGRAMS_MAX) if number != 1} | {
        "/opt/new"
    }
    assert len(deciding.rights(1001)) == PROGRAMS_MAX


async def test_of_programs_for_the_present_too_so_many_are_known(deciding: Deciding) -> None:
    for number in range(PROGRAMS_MAX + 2):
        await deciding.admitted(running(f"/opt/{number:02}"))
        deciding.later(seconds=1)
    assert deciding.rights().keys() == {f"/opt/{number:02}" for number in range(2, PROGRAMS_MAX + 2)}


async def test_no_program_is_let_in_where_they_are_off(deciding: Deciding) -> None:
    await deciding.admitted(running(), choice=Choice.ALWAYS)
    await deciding.admitted(running(SSH), choice=Choice.YES)
    deciding.heard.taken()
    out = [f"out 1000 p11:{path} program_revoked {path}" for path in (FIREFOX, SSH)]
    for settings, told in (
        (P11(remember_days=7), []),
        (P11(programs="off"), out),
        (P11(programs="off", remember_days=7), []),
        (P11(), []),
        (P11(programs="off"), out),
    ):
        deciding.programs.reconfigured(Config(p11=settings))
        assert deciding.heard.taken() == told
    with pytest.raises(ProgramsOff):
        await deciding.admitted(running())
    with pytest.raises(ProgramsOff):
        deciding.programs.ensure_served()


async def test_programs_are_remembered_for_the_days_that_are_configured_now(deciding: Deciding) -> None:
    deciding.programs.reconfigured(Config(p11=P11(remember_days=7)))
    await deciding.admitted(running(), choice=Choice.ALWAYS)
    deciding.programs.ensure_served()
    [standing] = deciding.programs.standings(1000)
    assert standing.until == deciding.clock.now() + timedelta(days=7)


def test_each_file_has_a_name_of_its_own_without_blanks() -> None:
    paths = ["/opt/a b", "/opt/a%20b", "/opt/\udcff", "/opt/é"]
    names = [program_id(path) for path in paths]
    assert names == ["p11:/opt/a%20b", "p11:/opt/a%2520b", "p11:/opt/%FF", "p11:/opt/%C3%A9"]
    assert CallerKey(1000, names[0]).client == names[0]
