"""Rule 2 without a card: what a person is shown, what was agreed to, and when that ends."""

from __future__ import annotations

import asyncio
from hashlib import sha256

import pytest

from cardd.config import Config
from cardd.config import Consent as Rules
from cardd.core.consents import Batch, Consents, SignatureRequest, ensure_readable
from cardd.core.session import Session
from cardd.errors import BatchExhausted, ConsentRefused, InvalidRequest
from cardd.model import CallerKey, Choice, Message, Organisation, ShownDocument
from cardd.values import replace
from tests.core.alone import HOLDER, Alone, program
from tests.rig.waiting import eventually

DIGEST, STANDS_FOR = sha256(b"document").digest(), sha256(b"signed attributes").digest()


def request(document: str = "a.pdf", **more: object) -> SignatureRequest:
    return replace(SignatureRequest(None, Message(DIGEST), document), **more)


class Asking(Alone):
    """The consents, and a person."""

    def __init__(self) -> None:
        super().__init__()
        self.consents = Consents(self.dialogs, self.clock, Rules(batch_max=5, batch_lifetime=600))
        self.a = self.session()
        self.on_card = self.session("on card", card=self.card("card"))

    @property
    def topics(self) -> list[str]:
        """What was asked since the last time."""
        topics = self.person.topics()
        self.person.questions.clear()
        return topics

    def left(self, session: Session, batch: Batch) -> int:
        """How many signatures may follow unasked."""
        for count in range(10, 0, -1):
            try:
                consent = self.consents.take(session, [request()] * count, batch)
            except BatchExhausted:
                continue
            if consent is None:
                return 0
            consent.give_back()
            return count
        return 0


@pytest.fixture
def asking() -> Asking:
    return Asking()


def test_one_document_is_shown_by_its_name_its_digest_and_its_patient(asking: Asking) -> None:
    asked = asking.consents.question(asking.a, [request(patient="Patient SIMULATION", format="pades")], None)
    assert asked.topic == "sign"
    assert (asked.uid, asked.caller) == (1000, CallerKey(1000, "lps"))
    assert asked.params == {
        "client": "lps SIMULATION",
        "holder": "Camille SIMULATION (899700000001)",
        "document": "a.pdf",
        "digest": DIGEST.hex()[:16],
        "patient": "Patient SIMULATION",
    }
    assert asked.documents == (ShownDocument("a.pdf", "pades", "Patient SIMULATION"),)


def test_the_digest_that_is_shown_is_the_documents_and_not_that_of_what_the_key_signs(asking: Asking) -> None:
    one = request(message=Message(STANDS_FOR), digest=DIGEST)
    assert one.shown == DIGEST
    assert asking.consents.question(asking.a, [one], None).params["digest"] == DIGEST.hex()[:16]


def test_a_list_is_shown_with_its_count_and_the_names_of_all(asking: Asking) -> None:
    listed = [request("a.pdf", patient="B"), request("b.pdf", patient="A"), request("c.pdf", patient="B"), request()]
    asked = asking.consents.question(asking.a, listed, None)
    assert asked.topic == "sign_batch"
    assert (asked.params["batch"], asked.params["count"], asked.params["patient"]) == ("a.pdf", 4, "A, B")
    assert [one.name for one in asked.documents] == ["a.pdf", "b.pdf", "c.pdf", "a.pdf"]
    assert "digest" not in asked.params


def test_a_named_batch_is_shown_with_all_that_it_may_sign_also_where_one_document_is_there_yet(asking: Asking) -> None:
    asked = asking.consents.question(asking.a, [request()], Batch("Ordonnances", 4))
    assert asked.topic == "sign_batch"
    assert (asked.params["batch"], asked.params["count"]) == ("Ordonnances", 4)
    assert "document" not in asked.params


@pytest.mark.parametrize(
    ("seen", "batch", "told"),
    [
        ([True], None, {}),
        ([False], None, {"unseen": ""}),
        ([True, False], None, {"some_unseen": ""}),
        ([True, True], None, {}),
        ([False], Batch("Lot", 2), {"some_unseen": ""}),
    ],
    ids=str,
)
def test_a_person_is_told_that_nobody_here_has_seen_a_document(
    asking: Asking, seen: list[bool], batch: Batch | None, told: dict[str, str]
) -> None:
    asked = asking.consents.question(asking.a, [request(is_seen=one) for one in seen], batch)
    assert {name: text for name, text in asked.params.items() if "unseen" in name} == told


@pytest.mark.parametrize(
    ("count", "batch"), [(5, None), (1, None), (5, Batch("b", 5)), (1, Batch("b", 5)), (2, Batch("b", 2))], ids=str
)
def test_so_many_may_be_asked_for_at_once(asking: Asking, count: int, batch: Batch | None) -> None:
    asking.consents.check_size(count, batch)


@pytest.mark.parametrize(
    ("count", "batch", "where", "why"),
    [
        (6, None, "batch", "too_many"),
        (1, Batch("b", 6), "batch", "too_many"),
        (3, Batch("b", 2), "$.batch.count", "2 < 3"),
        (6, Batch("b", 2), "$.batch.count", "2 < 6"),
    ],
    ids=str,
)
def test_more_than_one_consent_may_cover_or_than_the_batch_says_is_refused(
    asking: Asking, count: int, batch: Batch | None, where: str, why: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        asking.consents.check_size(count, batch)
    assert (refused.value.params["where"], refused.value.params["why"]) == (where, why)
    assert refused.value.params.get("limit") == (5 if why == "too_many" else None)


def test_the_limit_is_the_one_that_is_configured_now(asking: Asking) -> None:
    asking.consents.reconfigured(Config(consent=Rules(batch_max=2)))
    with pytest.raises(InvalidRequest) as refused:
        asking.consents.check_size(3, None)
    assert refused.value.params["limit"] == 2


async def test_a_list_that_was_agreed_to_leaves_nothing_to_the_next_one(asking: Asking) -> None:
    consent = await asking.consents.ask(asking.a, [request(), request("b.pdf")], None)
    assert consent.how == "dialog"
    consent.give_back()
    assert asking.consents.take(asking.a, [request()], None) is None
    assert asking.topics == ["sign_batch"]


async def test_who_says_no_has_agreed_to_nothing(asking: Asking) -> None:
    asking.person.choice = Choice.NO
    with pytest.raises(ConsentRefused):
        await asking.consents.ask(asking.a, [request()], Batch("Lot", 3))
    assert asking.consents.take(asking.a, [request()], Batch("Lot", 3)) is None


async def test_what_is_left_of_a_batch_is_taken_unasked_down_to_the_last_one_and_no_further(asking: Asking) -> None:
    batch = Batch("Lot", 5)
    assert (await asking.consents.ask(asking.a, [request()] * 2, batch)).how == "dialog"
    assert [asked.params["count"] for asked in asking.person.questions] == [5]
    taken = asking.consents.take(asking.a, [request()] * 2, batch)
    assert taken
    assert taken.how == "batch:Lot"
    with pytest.raises(BatchExhausted) as exhausted:
        asking.consents.take(asking.a, [request()] * 2, batch)
    assert exhausted.value.params == {"batch": "Lot"}
    assert asking.left(asking.a, batch) == 1  # a refusal takes nothing
    taken.give_back()
    assert asking.left(asking.a, batch) == 3


async def test_what_the_first_request_gives_back_may_follow_unasked(asking: Asking) -> None:
    batch = Batch("Lot", 5)
    consent = await asking.consents.ask(asking.a, [request()] * 4, batch)
    consent.give_back()
    consent.give_back()
    assert asking.left(asking.a, batch) == 5


def test_a_batch_that_is_smaller_than_its_request_was_not_agreed_to(asking: Asking) -> None:
    with pytest.raises(BatchExhausted) as exhausted:
        asking.consents.agreed(asking.a, [request()] * 2, Batch("Lot", 1), "pin")
    assert exhausted.value.params == {"batch": "Lot"}
    assert asking.consents.take(asking.a, [request()], Batch("Lot", 1)) is None


def test_a_batch_is_one_sessions_and_has_one_name(asking: Asking) -> None:
    asking.consents.agreed(asking.a, [request()], Batch("Lot", 3), "pin")
    assert asking.consents.take(asking.a, [request()], Batch("Autre lot", 3)) is None
    assert asking.consents.take(asking.on_card, [request()], Batch("Lot", 3)) is None
    assert asking.consents.take(asking.a, [request()], None) is None
    assert asking.left(asking.a, Batch("Lot", 5)) == 2  # whatever its next request says of its size


def test_a_batch_ends_with_its_lifetime_and_is_agreed_to_anew(asking: Asking) -> None:
    batch = Batch("Lot", 3)
    asking.consents.agreed(asking.a, [request()], batch, "pin")
    asking.clock.seconds += 600
    assert asking.left(asking.a, batch) == 2
    asking.clock.seconds += 0.5
    assert asking.consents.take(asking.a, [request()], batch) is None
    asking.consents.agreed(asking.a, [request()], batch, "pin")
    assert asking.left(asking.a, batch) == 2


def test_a_batch_ends_with_its_session_and_no_other_one(asking: Asking) -> None:
    for session in (asking.a, asking.on_card):
        for name in ("Lot", "Autre lot"):
            asking.consents.agreed(session, [request()], Batch(name, 3), "pin")
    asking.consents.session_closed(asking.a, "logout")
    assert [asking.left(asking.a, Batch(name, 3)) for name in ("Lot", "Autre lot")] == [0, 0]
    assert [asking.left(asking.on_card, Batch(name, 3)) for name in ("Lot", "Autre lot")] == [2, 2]


async def test_a_caller_is_asked_about_once_for_each_card_whose_certificates_it_reads(asking: Asking) -> None:
    await asking.consents.reading(program(), "one")
    await asking.consents.reading(program(), "one")
    [question] = asking.person.questions
    assert (question.topic, question.uid, question.caller) == ("certificates", 1000, CallerKey(1000, "lps"))
    assert question.params == {"client": "lps SIMULATION"}
    for caller, card in ((program("other"), "one"), (program(uid=1001), "one"), (program(), "two")):
        await asking.consents.reading(caller, card)
    assert len(asking.topics) == 4


async def test_who_was_refused_the_certificates_is_asked_about_again(asking: Asking) -> None:
    asking.person.choice = Choice.NO
    for _ in range(2):
        with pytest.raises(ConsentRefused):
            await asking.consents.reading(program(), "one")
    assert len(asking.topics) == 2


def read_by_all(asking: Asking) -> None:
    for caller in (program(), program("other"), program(uid=1001)):
        for card in ("card", "another"):
            asking.consents.allow_reading(caller, card)


async def asked_about(asking: Asking) -> list[tuple[int, str, str]]:
    """Return which callers are asked about, on which card."""
    found = []
    for caller in (program(), program("other"), program(uid=1001)):
        for card in ("card", "another"):
            await asking.consents.reading(caller, card)
            if asking.topics:
                found.append((caller.peer.uid, caller.id, card))
    return found


async def test_who_could_read_a_card_is_asked_about_when_it_comes_again(asking: Asking) -> None:
    read_by_all(asking)
    assert await asked_about(asking) == []
    asking.consents.card_removed(asking.card("card"), "card_removed")
    assert await asked_about(asking) == [(1000, "lps", "card"), (1000, "other", "card"), (1001, "lps", "card")]


async def test_who_was_shut_out_is_asked_about_when_it_is_let_in_again(asking: Asking) -> None:
    read_by_all(asking)
    asking.consents.client_shut_out(CallerKey(1000, "lps"), "client_removed", "lps SIMULATION")
    assert await asked_about(asking) == [(1000, "lps", "card"), (1000, "lps", "another")]


async def test_assertions_are_asked_about_once_a_session_and_in_the_persons_name(asking: Asking) -> None:
    for _ in range(2):
        assert await asking.consents.assertions(asking.on_card) == "assertions"
    [question] = asking.person.questions
    assert (question.topic, question.uid, question.caller) == ("assertions", 1000, CallerKey(1000, "lps"))
    assert question.params == {"client": "lps SIMULATION", "holder": "Camille SIMULATION (899700000001)"}
    await asking.consents.assertions(asking.session("next", card=asking.card("card")))
    assert len(asking.topics) == 2


async def test_what_assertions_stand_on_is_told(asking: Asking) -> None:
    cabinet = replace(HOLDER, organisation=Organisation("1", "finess", "Cabinet SIMULATION"), family_name="DUPONT")
    await asking.consents.assertions(asking.a)
    await asking.consents.assertions(asking.session("pending"), cabinet)
    on_card, in_cabinet = asking.person.questions
    assert on_card.params == {
        "client": "lps SIMULATION",
        "holder": "Camille SIMULATION (899700000001)",
        "air": "",
    }
    assert in_cabinet.params == {
        "client": "lps SIMULATION",
        "holder": "Camille DUPONT (899700000001)",
        "indirect": "Cabinet SIMULATION",
    }


async def test_assertions_are_asked_about_again_after_the_session(asking: Asking) -> None:
    for session in (asking.a, asking.on_card):
        await asking.consents.assertions(session)
    asking.consents.session_closed(asking.a, "logout")
    asking.consents.session_closed(asking.session("never asked"), "logout")
    for session in (asking.a, asking.on_card):
        await asking.consents.assertions(session)
    assert len(asking.topics) == 3


async def asked_at_once(asking: Asking) -> set[str]:
    """Have three requests ask for assertions at once; return what became of them."""
    asking.person.attentive.clear()
    waiting = [asyncio.ensure_future(asking.consents.assertions(asking.a)) for _ in range(3)]
    await eventually(lambda: bool(asking.person.open))
    asking.person.attentive.set()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    return {answer if isinstance(answer, str) else type(answer).__name__ for answer in answers}


async def test_all_that_ask_for_assertions_at_once_have_the_one_answer(asking: Asking) -> None:
    asking.person.choices = [Choice.NO, Choice.NO, Choice.YES]
    answers = [(await asked_at_once(asking), len(asking.topics)) for _ in range(3)]
    assert answers == [({"ConsentRefused"}, 1), ({"ConsentRefused"}, 1), ({"assertions"}, 1)]


async def test_a_server_is_asked_about_once_a_session_and_named(asking: Asking) -> None:
    for _ in range(2):
        await asking.consents.relaying(asking.on_card, "dmp", "dmp.example")
    [question] = asking.person.questions
    assert (question.topic, question.uid, question.caller) == ("relay", 1000, CallerKey(1000, "lps"))
    assert question.params == {"client": "lps SIMULATION", "upstream": "dmp", "host": "dmp.example"}
    assert asking.consents.relay_consent(asking.on_card, "dmp") == "dialog"
    for session, upstream in ((asking.a, "dmp"), (asking.on_card, "insi")):
        await asking.consents.relaying(session, upstream, "x.example")
    assert len(asking.topics) == 3


def test_a_certificate_that_is_no_cards_is_told_to_be_lent(asking: Asking) -> None:
    assert asking.consents.relay_question(asking.a, "dmp", "dmp.example").params["lent"] == ""
    assert "lent" not in asking.consents.relay_question(asking.on_card, "dmp", "dmp.example").params


async def test_who_refused_a_server_is_asked_again(asking: Asking) -> None:
    asking.person.choice = Choice.NO
    for _ in range(2):
        with pytest.raises(ConsentRefused):
            await asking.consents.relaying(asking.a, "dmp", "dmp.example")
    assert len(asking.topics) == 2


async def test_the_first_consent_to_a_server_is_the_one_that_is_told_until_its_session_ends(asking: Asking) -> None:
    assert asking.consents.relay_consent(asking.a, "dmp") == "pin"
    for session in (asking.a, asking.on_card):
        asking.consents.relay_agreed(session, "dmp", "pin-dialog")
        asking.consents.relay_agreed(session, "dmp", "dialog")
        await asking.consents.relaying(session, "dmp", "dmp.example")
    assert asking.topics == []
    asking.consents.session_closed(asking.a, "logout")
    told = [asking.consents.relay_consent(session, "dmp") for session in (asking.a, asking.on_card)]
    assert told == ["pin", "pin-dialog"]


@pytest.mark.parametrize("name", ["a.pdf", "Compte rendu du 3 – été", "报告", "۱۲", "a" * 200, "7"])
def test_a_name_that_a_person_can_read_is_taken(name: str) -> None:
    ensure_readable(name, "$.name")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        *(
            (f"a{hidden}b", "invisible")
            for hidden in "\u202e\u200b\x00\n\u3164\ufe0f\U000e0101\u034f\ud800\u2028\u2800"
        ),
        *((nothing, "shows_nothing") for nothing in ("", " ", "...", "—", "\u0301", "🙂")),
    ],
)
def test_a_name_that_shows_nothing_or_less_than_it_is_is_refused(name: str, why: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        ensure_readable(name, "$.documents[0].name")
    assert refused.value.params == {"where": "$.documents[0].name", "why": why}
