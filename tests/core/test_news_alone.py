"""Each kind of news by itself: to whom it is told, with which words, how often, and at which level."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest

from cardd.config import Config, Prompt
from cardd.core.news import News
from cardd.core.session import Credential, Pending, Session
from cardd.errors import ConsentRefused, ConsentTimeout
from cardd.model import Algorithm, CallerKey, CardKind, KeyPurpose, KeyRef
from tests.core.alone import Alone, program

KEY = KeyRef("01", "Signature SIMULATION", KeyPurpose.SIGNATURE, 1, (Algorithm.RS256,), 1)
CARD = {"card": "CPS3", "reader": "Lecteur de test"}
IMPORTANT = [
    *("certificate_ended", "certificate_soon", "let_in", "pin_blocked", "pin_tries"),
    *("session_provider_ended", "session_taken_over", "unanswered"),
]
OTHERS = [
    *("card_in", "session_asks_again", "session_card_removed", "session_idle", "session_locked"),
    *("session_max_age", "session_readers_gone"),
]


class Telling(Alone):
    """The part, two users' desktops, and when the certificate with each serial number ends."""

    def __init__(self, level: str = "all") -> None:
        super().__init__()
        self.heard_at_desks: list[tuple[int, str, Mapping[str, str]]] = []
        self.ends: dict[bytes, datetime] = {}
        self.news = News(
            configured(level),
            self,
            self.clock,
            may_use=lambda uid, card: (uid, card.id) == (1001, "card-1"),
            not_after=self.ends.__getitem__,
        )

    def told(self) -> tuple[int, ...]:
        """Return whose desktops show news."""
        return 1000, 1001

    def tell(self, uid: int, topic: str, params: Mapping[str, str]) -> bool:
        """Keep it."""
        self.heard_at_desks.append((uid, topic, params))
        return True

    def said(self) -> list[tuple[int, str, Mapping[str, str]]]:
        """Return what was told since the last time."""
        said, self.heard_at_desks = self.heard_at_desks, []
        return said

    def opened(self, *, uid: int = 1000, card: str = "card-1", **days: float) -> Session:
        """Open a session whose certificates end in so many days, by their serial numbers."""
        session = self.session(caller=program(uid=uid), card=self.card(card))
        for purpose, (serial, left) in zip(KeyPurpose, days.items(), strict=False):
            self.ends[serial.encode()] = self.clock.now() + timedelta(days=left)
            session.credentials[purpose] = Credential(KEY, serial.encode(), serial)
        self.news.session_opened(session)
        return session


def configured(level: str) -> Config:
    return Config(prompt=Prompt(notifications=level))  # type: ignore[arg-type]


@pytest.fixture
async def telling() -> Telling:
    return Telling()


@pytest.mark.parametrize(
    ("act", "is_news"),
    [
        *((act, True) for act in ("client.pair", "origin.allow", "program.allow")),
        *((act, False) for act in ("client.unlock", "origin.ask", "")),
    ],
)
async def test_who_was_let_in_and_who_asked_in_vain_is_told_to_their_user(
    telling: Telling, act: str, is_news: bool
) -> None:
    telling.news.client_let_in(program(uid=1001), act, None)
    telling.news.client_refused(program(), act, ConsentTimeout())
    telling.news.client_refused(program(), act, ConsentRefused())  # by the person, who knows
    by_name = {"client": "lps SIMULATION"}
    assert telling.said() == ([(1001, "let_in", by_name), (1000, "unanswered", by_name)] if is_news else [])


async def test_the_tries_that_are_left_are_told_once_for_each_user_and_card(telling: Telling) -> None:
    first, second = telling.card("card-1"), telling.card("card-2")

    def refused(tries: int) -> list[tuple[int, str, str]]:
        for card in (first, second):
            for uid in (1000, 1001, 1000):
                telling.news.pin_refused(card, CallerKey(uid, "lps"), tries)
        return [(uid, topic, params["tries_left"]) for uid, topic, params in telling.said()]

    assert refused(2) == [(uid, "pin_tries", "2") for uid in (1000, 1001)] * 2
    assert refused(2) == []
    assert refused(0) == [(uid, "pin_blocked", "0") for uid in (1000, 1001)] * 2
    telling.news.pin_refused(first, CallerKey(1000, "lps"), 1)
    assert telling.said() == [(1000, "pin_tries", {**CARD, "tries_left": "1"})]


async def test_what_was_told_of_a_pin_is_forgotten_with_that_card_or_pin_alone(telling: Telling) -> None:
    first, second = telling.card("card-1"), telling.card("card-2", CardKind.CPS4)

    def told() -> list[str]:
        for card in (first, second):
            telling.news.pin_refused(card, CallerKey(1000, "lps"), 2)
        return [params["card"] for _, _, params in telling.said()]

    forgetting = (
        lambda: telling.news.card_removed(first, "card_removed"),
        lambda: telling.news.pin_changed(first),
        lambda: telling.opened(card=first.id),
    )
    assert told() == ["CPS3", "CPS4"]
    for forget in forgetting:
        forget()
        assert told() == ["CPS3"]


@pytest.mark.parametrize(
    ("days", "topic", "left"),
    [
        (61, None, ""),
        (60.9, "certificate_soon", "60"),
        (60, "certificate_soon", "60"),
        (0.5, "certificate_soon", "0"),
        (0, "certificate_ended", "0"),
        (-3, "certificate_ended", "0"),
    ],
)
async def test_a_certificate_is_news_for_sixty_days_before_its_end_and_after_it(
    telling: Telling, days: float, topic: str | None, left: str
) -> None:
    telling.opened(first=days)
    params = {"reader": "Lecteur de test", "days": left}
    assert telling.said() == ([(1000, topic, params)] if topic else [])


async def test_the_certificate_that_ends_first_is_told_of_once_a_day_to_each_user(telling: Telling) -> None:
    for uid in (1000, 1001, 1000):
        telling.opened(uid=uid, another=40, first=20)
    assert [(uid, params["days"]) for uid, _, params in telling.said()] == [(1000, "20"), (1001, "20")]
    telling.opened(other=10)
    assert [params["days"] for _, _, params in telling.said()] == ["10"]
    telling.clock.seconds += 86400
    telling.opened(another=39, first=19)
    telling.opened(another=39, first=19)
    assert [params["days"] for _, _, params in telling.said()] == ["19"]


async def test_a_session_without_a_card_or_without_certificates_is_no_news(telling: Telling) -> None:
    telling.opened()
    session = telling.opened(first=1)
    assert len(telling.said()) == 1
    session.card = None
    telling.clock.seconds += 86400
    telling.news.session_opened(session)
    telling.news.session_locked(session)
    await asyncio.sleep(0)
    assert telling.said() == []


@pytest.mark.parametrize(
    ("reason", "is_news"),
    [
        *((why, True) for why in ("idle", "max_age", "card_removed", "readers_gone", "locked", "provider_ended")),
        ("taken_over", True),
        *((why, False) for why in ("logout", "pin_changed", "client_removed", "daemon_stopped")),
    ],
)
async def test_why_a_session_ended_is_told_unless_somebody_wanted_it(
    telling: Telling, reason: str, is_news: bool
) -> None:
    waiting = telling.session()
    waiting.pending = Pending(telling.clock.now())
    for session in (telling.session(), telling.session(), waiting):
        telling.news.session_closed(session, reason)
    assert telling.said() == []  # at the end of this turn of the loop, once for all of them
    await asyncio.sleep(0)
    assert telling.said() == ([(1000, f"session_{reason}", {"client": "lps SIMULATION"})] if is_news else [])


async def test_a_locked_session_is_told_as_ended_alone_where_that_ends_it(telling: Telling) -> None:
    ended, locked = telling.session(card=telling.card("card-1")), telling.session(caller=program("other"))
    locked.card = ended.card
    for session in (ended, locked):
        telling.news.session_locked(session)
    telling.news.session_closed(ended, "locked")
    await asyncio.sleep(0)
    assert telling.said() == [
        (1000, "session_asks_again", {"client": "other SIMULATION"}),
        (1000, "session_locked", {"client": "lps SIMULATION"}),
    ]
    telling.news.session_locked(ended)
    telling.news.session_closed(locked, "idle")
    await asyncio.sleep(0)
    assert [topic for _, topic, _ in telling.said()] == ["session_asks_again", "session_idle"]


async def test_a_card_that_opens_sessions_is_told_to_whom_it_may_serve(telling: Telling) -> None:
    telling.news.card_inserted(telling.card("card-1"))
    telling.news.card_inserted(telling.card("card-2", CardKind.VITALE))
    assert telling.said() == [(1001, "card_in", CARD)]


@pytest.mark.parametrize(
    ("level", "topics"), [("all", sorted(IMPORTANT + OTHERS)), ("important", IMPORTANT), ("off", [])]
)
async def test_each_level_has_its_news(level: str, topics: list[str]) -> None:
    telling = Telling("all" if level == "off" else "off")
    telling.news.reconfigured(configured(level))
    telling.news.card_inserted(telling.card("card-1"))
    telling.news.client_let_in(program(), "client.pair", None)
    telling.news.client_refused(program(), "client.pair", ConsentTimeout())
    for tries in (1, 0):
        telling.news.pin_refused(telling.card("card-1"), CallerKey(1000, "lps"), tries)
    telling.opened(ended=-1)
    telling.opened(soon=1)
    session = telling.session(card=telling.card("card-1"))
    for reason in ("idle", "max_age", "card_removed", "readers_gone", "locked", "provider_ended", "taken_over"):
        telling.news.session_closed(session, reason)
    telling.news.session_locked(session)
    await asyncio.sleep(0)
    assert sorted(topic for _, topic, _ in telling.said()) == topics
