"""The dialogs of one person, asked for without a connection: who comes next, who hears of it, and what is counted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from cardd.config import Config, Prompt
from cardd.core.dialog_lines import asking_only_who_is_there, question_of, spoken_to_in
from cardd.core.presence import Presence, waited_for_by
from cardd.errors import (
    AuditUnavailable,
    CallerLeft,
    CarddError,
    ClientLocked,
    ConsentTimeout,
    PinCancelled,
    PinFormat,
    PinTimeout,
    PromptBusy,
    PromptUnavailable,
    RefusedTooOften,
    SessionLocked,
)
from cardd.model import CallerKey, Choice, Event, JsonValue, PinInfo, PinQuestion, Question
from cardd.request import Request, Step, Where, working_on
from cardd.secret import Secret
from cardd.values import replace
from tests.core.alone import UNLIMITED, Alone, program
from tests.rig.prompter import ScriptedPrompter

PASSWORD = PinInfo(1, "PIN SIMULATION", 4, 8, 3)
TWO = Prompt(refusals=2, refusal_window=300)


def question(topic: str = "sign", who: str = "lps", uid: int = 1000, **more: object) -> Question:
    return replace(Question(topic, uid, {"document": "a.pdf"}, caller=CallerKey(uid, who)), **more)


def code(asked: Question) -> PinQuestion:
    return PinQuestion(asked, PASSWORD, "Lecteur de test", "cps3", 3)


class Notices(ScriptedPrompter):
    """A person who leaves messages open; ``closed`` are those that somebody took away."""

    def __init__(self) -> None:
        super().__init__()
        self.closed: list[str] = []

    async def notify(self, question: Question) -> None:
        await super().notify(question)
        try:
            await asyncio.Event().wait()
        finally:
            self.closed.append(question.topic)


class Line(Alone):
    """The dialogs, and the programs that ask for them."""

    def __init__(self, rules: Prompt = UNLIMITED, person: ScriptedPrompter | None = None) -> None:
        super().__init__(rules, person)
        self.programs = {who: self.events.subscribe(CallerKey(1000, who)) for who in ("lps", "other", "third")}
        self.steps: list[Step] = []
        self.request = Request(watcher=self)

    def stepped(self, _request: Request, step: Step) -> None:
        self.steps.append(step)

    def spent(self, where: Where, seconds: float) -> None: ...

    def ask(self, topic: str = "sign", who: str = "lps", uid: int = 1000, **more: object) -> asyncio.Task[Choice]:
        return asyncio.ensure_future(self.dialogs.confirm(question(topic, who, uid, **more)))

    async def ask_pin(self, asked: Question) -> None:
        with Secret() as into:
            await self.dialogs.ask_pin(code(asked), into)

    async def at_keypad(self, asked: Question) -> None:
        async with self.dialogs.keypad(asked):
            await self.person.attentive.wait()

    async def answered(self) -> str:
        """Have the dialog that is open answered; return the topic of the next one."""
        self.person.attentive.set()
        self.person.attentive.clear()
        await settled()
        return self.shown()

    def shown(self) -> str:
        """Return the topic of the dialog that is open; nothing for none."""
        return " and ".join(self.person.open)

    async def told(self, who: str = "lps") -> list[tuple[str, dict[str, JsonValue]]]:
        """Return what a program was told since the last time."""
        self.events.publish(Event("end", to=CallerKey(1000, who)))
        found = []
        while (event := await self.programs[who].next()) and event.type != "end":
            found.append((event.type, dict(event.data)))
        return found

    async def places(self) -> dict[object, object]:
        """Return how many dialogs come before each that waits, as its program was told last."""
        told = [one for who in self.programs for one in await self.told(who)]
        return {about["topic"]: about["ahead"] for kind, about in told if kind == "prompt.waiting"}


async def settled() -> None:
    """Have done what can be done without an answer."""
    for _ in range(30):
        await asyncio.sleep(0)


async def busy(*topics: str, rules: Prompt = UNLIMITED) -> Line:
    """Return a person who reads the first of these dialogs, each of a program of its own."""
    line = Line(rules)
    line.person.attentive.clear()
    for topic in topics:
        line.ask(topic, f"of {topic}")
        await settled()
    return line


@pytest.fixture
def line() -> Line:
    return Line()


# --- one dialog


async def test_a_question_is_shown_as_it_is_and_its_program_hears_when_and_for_how_long(line: Line) -> None:
    asked = question(timeout=59.6)
    with working_on(line.request):
        assert await line.dialogs.confirm(asked) is Choice.YES
    assert line.person.questions == [asked]
    assert await line.told() == [
        ("prompt.opened", {"topic": "sign", "timeout": 60}),
        ("prompt.closed", {"topic": "sign"}),
    ]
    assert await line.told("other") == []
    assert line.request.dialogs == 1
    [step] = line.steps
    assert (step.kind, step.where, step.about) == ("dialog", Where.PERSON, {"topic": "sign", "choice": Choice.YES})


async def test_a_pin_is_read_into_the_secret_that_was_given(line: Line) -> None:
    line.person.pins = ["7319"]
    asked = code(question("login"))
    with working_on(line.request), Secret() as into:
        await line.dialogs.ask_pin(asked, into)
        assert line.person.typed_into == [into]
    assert line.person.pin_questions == [asked]
    assert [kind for kind, _ in await line.told()] == ["prompt.opened", "prompt.closed"]
    [step] = line.steps
    assert (step.kind, step.where, step.about) == ("dialog", Where.PERSON, {"topic": "login", "asks": "pin"})


async def test_the_message_beside_a_keypad_stays_as_long_as_the_keypad_asks() -> None:
    line = Line(person=(person := Notices()))
    with working_on(line.request):
        async with line.dialogs.keypad(question("login")):
            await settled()
            assert (person.topics(), person.closed) == (["login"], [])
    assert person.closed == ["login"]
    assert await line.told() == [
        ("prompt.opened", {"topic": "login", "timeout": 120, "keypad": True}),
        ("prompt.closed", {"topic": "login"}),
    ]
    [step] = line.steps
    assert (step.kind, step.where, step.about) == ("dialog", Where.PERSON, {"topic": "login", "asks": "keypad"})


async def test_a_keypad_asks_though_its_message_cannot_be_shown() -> None:
    class Nobody(ScriptedPrompter):
        async def notify(self, question: Question) -> None:
            raise PromptUnavailable(why="agent")

    line = Line(person=Nobody())
    async with line.dialogs.keypad(question("login")):
        await settled()


async def test_every_dialog_of_a_request_is_counted(line: Line) -> None:
    with working_on(line.request):
        for _ in range(2):
            await line.dialogs.confirm(question())
    assert line.request.dialogs == 2


def test_a_question_for_a_caller_tells_the_person_no_more_than_its_name() -> None:
    caller = program()
    assert question_of(caller, "login") == Question("login", 1000, {"client": caller.name}, caller=caller.key)


async def test_of_a_dialog_that_nobody_is_known_to_ask_for_nobody_hears(line: Line) -> None:
    everybody = line.events.subscribe(CallerKey(1000, "any"), whole_user=True)
    await line.dialogs.confirm(Question("origin", 1000, {}))
    line.events.close()
    assert await everybody.next() is None


async def test_every_dialog_speaks_the_language_of_whoever_asks_unless_it_has_one() -> None:
    line = Line(person=Notices())
    line.person.pins = ["7319"] * 2
    with spoken_to_in("en"):
        for asked in (question(), question(language="fr")):
            await line.dialogs.confirm(asked)
            await line.ask_pin(asked)
            async with line.dialogs.keypad(asked):
                await settled()
    await line.dialogs.confirm(question())
    assert [one.language for one in line.person.questions] == ["en", "en", "fr", "fr", None]
    assert [one.question.language for one in line.person.pin_questions] == ["en", "fr"]


# --- who is not asked


WITHOUT_ROW = ["certificates", "ecps", "ecps_active", "ecps_browser", "origin", "pair", "remember_hint"]


async def test_nobody_is_asked_for_what_could_not_be_recorded(line: Line) -> None:
    line.audit.is_full = True
    for ask in (line.dialogs.confirm, line.ask_pin, line.at_keypad):
        with pytest.raises(AuditUnavailable):
            await ask(question())
    assert (line.person.questions, line.person.pin_questions, await line.told()) == ([], [], [])
    for topic in WITHOUT_ROW:
        assert await line.ask(topic) is Choice.YES


async def test_behind_a_locked_screen_nothing_is_asked_of_who_must_be_there(line: Line) -> None:
    line.dialogs.away = frozenset((1000,))
    assert await line.ask() is Choice.YES
    with asking_only_who_is_there():
        for ask in (line.dialogs.confirm, line.ask_pin, line.at_keypad):
            with pytest.raises(SessionLocked):
                await ask(question())
        assert await line.ask(uid=1001) is Choice.YES
        line.dialogs.away = frozenset()
        assert await line.ask() is Choice.YES
    assert len(line.person.questions) == 3


async def test_behind_another_dialog_too_whoever_may_not_be_asked_is_told_at_once() -> None:
    line = await busy("pair", rules=Prompt(refusals=1))
    line.ask()
    await settled()
    line.person.choice = Choice.NO
    await line.answered()
    await line.answered()
    line.ask("certificates", "other")
    await settled()
    assert line.shown() == "certificates"
    with pytest.raises(RefusedTooOften):
        await line.dialogs.confirm(question())
    line.dialogs.away = frozenset((1000,))
    with asking_only_who_is_there(), pytest.raises(SessionLocked):
        await line.dialogs.confirm(question(who="third"))


async def test_what_waits_while_the_screen_is_locked_is_not_shown_later() -> None:
    line = await busy("pair")
    with asking_only_who_is_there():
        waits = line.ask()
    await settled()
    line.dialogs.away = frozenset((1000,))
    assert await line.answered() == ""
    with pytest.raises(SessionLocked):
        await waits


# --- what is counted


@pytest.mark.parametrize("fault", [ConsentTimeout(), PinCancelled(), PinFormat(minimum=4, maximum=8), PinTimeout()])
async def test_a_dialog_that_comes_to_nothing_counts_as_refused(fault: CarddError) -> None:
    line = Line(Prompt(refusals=3))
    line.person.fault = fault
    with pytest.raises(type(fault)):
        await line.dialogs.confirm(question())
    with pytest.raises(type(fault)):
        await line.ask_pin(question("login"))
    with pytest.raises(type(fault)):
        async with line.dialogs.keypad(question("login")):
            raise fault
    for ask in (line.dialogs.confirm, line.ask_pin, line.at_keypad):
        with pytest.raises(RefusedTooOften):
            await ask(question("other topic"))
    with pytest.raises(type(fault)):
        await line.ask(who="other")


async def test_a_yes_and_a_dialog_that_cannot_be_shown_are_no_refusals() -> None:
    line = Line(Prompt(refusals=1))
    line.person.fault = PromptUnavailable(why="agent")
    with pytest.raises(PromptUnavailable):
        await line.ask()
    line.person.fault = None
    assert await line.ask() is Choice.YES
    assert await line.ask() is Choice.YES


async def refuse(line: Line, *at: float) -> None:
    """Have it refused at these seconds."""
    line.person.choice = Choice.NO
    for seconds in at:
        line.clock.seconds = seconds
        assert await line.ask() is Choice.NO


def until_asked(line: Line, seconds: float) -> tuple[object, object]:
    line.clock.seconds = seconds
    with pytest.raises(RefusedTooOften) as told:
        line.dialogs.ensure_askable(CallerKey(1000, "lps"))
    return told.value.params["times"], told.value.params["retry_after"]


async def test_who_was_refused_is_told_how_often_and_after_which_second_to_ask_again() -> None:
    line = Line(TWO)
    await refuse(line, 1000, 1020)
    assert until_asked(line, 1030) == (2, 270)
    assert until_asked(line, 1299.5) == (2, 1)
    await refuse(line, 1300)
    assert until_asked(line, 1300) == (2, 20)
    await refuse(line, 1320)


async def test_new_numbers_count_for_what_was_refused_before() -> None:
    line = Line()
    await refuse(line, 1000, 1010, 1020)
    line.dialogs.reconfigured(Config(prompt=TWO))
    assert until_asked(line, 1020) == (3, 290)
    line.dialogs.reconfigured(Config(prompt=Prompt(refusals=4)))
    await refuse(line, 1020)


async def test_those_whom_nobody_knows_are_counted_together_for_each_user_and_kind_of_question() -> None:
    line = Line(Prompt(refusals=1))
    line.person.choice = Choice.NO
    for topic, uid in (("origin", 1000), ("pair", 1000), ("origin", 1001)):
        await line.dialogs.confirm(Question(topic, uid, {"origin": "https://un.example"}))
        with pytest.raises(RefusedTooOften):
            await line.dialogs.confirm(Question(topic, uid, {"origin": "https://autre.example"}))


async def test_who_was_refused_while_its_next_question_waited_is_not_shown_that_one() -> None:
    line = await busy("sign", rules=Prompt(refusals=1))
    waits = line.ask(who="of sign")
    line.person.choice = Choice.NO
    await settled()
    assert await line.answered() == ""
    with pytest.raises(RefusedTooOften):
        await waits


Leave = Callable[[Presence], None]


@pytest.mark.parametrize(
    ("leave", "error", "is_counted"),
    [
        (Presence.leave, CallerLeft, True),
        (lambda there: there.revoke(ClientLocked(), is_by_caller=False), ClientLocked, False),
    ],
    ids=["hangs up", "is shut out"],
)
@pytest.mark.parametrize("kind", ["confirm", "pin"])
async def test_a_dialog_that_its_program_takes_back_counts_and_one_that_others_end_does_not(
    kind: str, leave: Leave, error: type[CarddError], is_counted: bool
) -> None:
    line, presence = Line(Prompt(refusals=1)), Presence()
    line.person.attentive.clear()
    with waited_for_by(presence):
        asks = line.ask() if kind == "confirm" else asyncio.ensure_future(line.ask_pin(question()))
    await settled()
    leave(presence)
    with pytest.raises(error):
        await asks
    assert line.shown() == ""
    if is_counted:
        until_asked(line, 1000)
    else:
        line.dialogs.ensure_askable(CallerKey(1000, "lps"))


async def test_whoever_ends_a_dialog_may_say_that_its_program_has_taken_it_back() -> None:
    line = Line(Prompt(refusals=1))
    line.person.attentive.clear()
    for is_taken_back in (lambda: False, lambda: True):
        asks = asyncio.ensure_future(line.dialogs.confirm(question(), is_taken_back))
        await settled()
        asks.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asks
    until_asked(line, 1000)


# --- the line


LOGINS = ["card", "ecps", "ecps_active", "ecps_browser", "last_try", "login", "situation"]


@pytest.mark.parametrize("topic", LOGINS)
async def test_whoever_logs_in_comes_first(topic: str) -> None:
    line = await busy("pair", "certificates", topic)
    assert [await line.answered() for _ in range(3)] == [topic, "certificates", ""]


async def test_the_persons_of_two_desktops_are_asked_at_once() -> None:
    line = await busy("pair")
    line.ask("sign", uid=1001)
    await settled()
    assert line.shown() == "pair and sign"


async def test_a_caller_has_one_place_in_the_line_and_its_next_question_is_behind_the_others() -> None:
    line = await busy("pair")
    for topic, who in (
        *(("a1", "lps"), ("a2", "lps"), ("a3", "lps")),
        *(("b1", "other"), ("b2", "other"), ("c1", "third")),
    ):
        line.ask(topic, who)
        await settled()
    assert await line.places() == {"a1": 1, "b1": 2, "c1": 3, "a2": 4, "b2": 5, "a3": 6}
    assert [await line.answered() for _ in range(7)] == ["a1", "b1", "c1", "a2", "b2", "a3", ""]


async def test_who_has_had_a_dialog_goes_behind_those_who_came_before_it_was_over() -> None:
    line = await busy("pair")
    line.programs["of pair"] = line.events.subscribe(CallerKey(1000, "of pair"))
    line.ask("again", "of pair")
    await settled()
    line.ask("sign", "other")
    await settled()
    assert await line.places() == {"sign": 1, "again": 2}
    assert [await line.answered() for _ in range(3)] == ["sign", "again", ""]


async def test_who_waits_is_told_its_place_when_it_changes_and_only_then() -> None:
    line = await busy("pair")
    for topic, who in (("sign", "other"), ("sign", "lps"), ("login", "third")):
        line.ask(topic, who)
        await settled()
    assert await line.told("other") == [("prompt.waiting", {"topic": "sign", "ahead": ahead}) for ahead in (1, 2)]
    assert await line.told("lps") == [("prompt.waiting", {"topic": "sign", "ahead": ahead}) for ahead in (2, 3)]
    assert await line.told("third") == [("prompt.waiting", {"topic": "login", "ahead": 1})]
    assert await line.answered() == "login"
    assert await line.told("other") == [("prompt.waiting", {"topic": "sign", "ahead": 1})]
    assert await line.told("lps") == [("prompt.waiting", {"topic": "sign", "ahead": 2})]


async def test_eight_questions_of_one_caller_wait_and_no_more() -> None:
    line = await busy("pair")
    waiting = [line.ask() for _ in range(8)]
    await settled()
    with pytest.raises(PromptBusy) as told:
        await line.ask()
    assert told.value.params == {"waiting": 8}
    other = line.ask("certificates", "other")
    await settled()
    line.person.attentive.set()
    assert await asyncio.gather(other, *waiting) == [Choice.YES] * 9


async def test_who_leaves_the_line_holds_nobody_up_and_the_others_move_up() -> None:
    line = await busy("pair")
    leaves = line.ask("certificates", "other")
    await settled()
    line.ask()
    await settled()
    leaves.cancel()
    await settled()
    assert await line.told() == [("prompt.waiting", {"topic": "sign", "ahead": ahead}) for ahead in (2, 1)]
    assert [await line.answered() for _ in range(2)] == ["sign", ""]


# --- a dialog that only informs


async def informing(*behind: str) -> Line:
    """Return a person who reads for three hundred seconds what goes on elsewhere, until somebody asks."""
    line = Line()
    line.person.attentive.clear()
    line.ask("ecps", "lps", own_time=True, timeout=300.0)
    await settled()
    for topic in behind:
        line.ask(topic, f"of {topic}")
        await settled()
    return line


def times(line: Line) -> Iterator[tuple[str, float]]:
    return ((asked.topic, asked.timeout) for asked in line.person.questions)


async def test_what_only_informs_makes_room_for_a_question_and_comes_back_for_the_time_that_is_left() -> None:
    line = await informing()
    line.clock.seconds += 100
    line.ask("sign", "other")
    await settled()
    assert line.shown() == "sign"
    assert await line.told() == [
        ("prompt.opened", {"topic": "ecps", "timeout": 300}),
        ("prompt.closed", {"topic": "ecps"}),
        ("prompt.waiting", {"topic": "ecps", "ahead": 1}),
    ]
    assert await line.answered() == "ecps"
    assert list(times(line)) == [("ecps", 300.0), ("sign", 120.0), ("ecps", 200.0)]
    assert await line.answered() == ""


async def test_what_only_informs_comes_back_for_a_second_when_its_time_is_over() -> None:
    line = await informing()
    line.clock.seconds += 299.5
    line.ask("sign", "other")
    await settled()
    assert await line.answered() == "ecps"
    assert list(times(line))[-1] == ("ecps", 1.0)


async def test_what_only_informs_comes_after_all_that_wait() -> None:
    line = await informing("pair", "sign", "certificates")
    assert line.shown() == "pair"
    assert [await line.answered() for _ in range(4)] == ["sign", "certificates", "ecps", ""]
    assert line.person.topics() == ["ecps", "pair", "sign", "certificates", "ecps"]


async def test_of_two_that_only_inform_neither_drives_the_other_away() -> None:
    line = await informing()
    line.ask("ecps_active", "other", own_time=True)
    await settled()
    assert line.shown() == "ecps"
    assert [await line.answered() for _ in range(2)] == ["ecps_active", ""]


async def test_the_answer_to_what_only_informs_is_its_answer(line: Line) -> None:
    line.person.choice = Choice.ANOTHER
    assert await line.ask("ecps", own_time=True) is Choice.ANOTHER


async def test_who_asks_while_what_informs_is_being_opened_is_shown_first(line: Line) -> None:
    opens = asyncio.Event()

    async def slow() -> None:
        await opens.wait()

    line.audit.ensure_writable = slow  # type: ignore[method-assign]
    line.person.attentive.clear()
    line.ask("last_try", "other", own_time=True)
    await settled()
    line.ask("pair")
    await settled()
    opens.set()
    await settled()
    assert [line.shown(), await line.answered(), await line.answered()] == ["pair", "last_try", ""]
