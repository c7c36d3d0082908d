"""The status page's links and passes: whom they serve, how often, how long, and where the page is."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from cardd.core.status_pages import StatusPages
from cardd.errors import StatusPageLinkInvalid, StatusPageUnserved
from cardd.model import Peer
from tests.rig.memory import ManualClock

ME, OTHER = Peer(1000), Peer(1001)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def pages(clock: ManualClock) -> StatusPages:
    made = StatusPages(clock)
    made.port = 17463
    return made


def secret(pages: StatusPages) -> str:
    return pages.link(ME).value.partition("/#")[2]


def test_the_page_has_a_name_of_its_own_and_a_person_is_told_none(pages: StatusPages, clock: ManualClock) -> None:
    assert re.fullmatch(r"cardd-[0-9a-f]{16}\.localhost:17463", pages.host)
    assert pages.shown == "http://127.0.0.1:17463"
    assert pages.link(ME).value.startswith(f"http://{pages.host}/#")
    assert StatusPages(clock).host.partition(":")[0] != pages.host.partition(":")[0]


def test_where_the_page_is_not_served_there_is_no_link(clock: ManualClock) -> None:
    with pytest.raises(StatusPageUnserved):
        StatusPages(clock).link(ME)


def test_a_link_serves_its_user_once_for_two_minutes(pages: StatusPages, clock: ManualClock) -> None:
    link, late = secret(pages), secret(pages)
    with pytest.raises(StatusPageLinkInvalid):
        pages.enter(link, OTHER)
    assert pages.link(ME).expires_at == clock.now() + timedelta(minutes=2)
    clock.seconds += 119
    pages.enter(link, ME)
    with pytest.raises(StatusPageLinkInvalid):
        pages.enter(link, ME)
    clock.seconds += 1
    with pytest.raises(StatusPageLinkInvalid):
        pages.enter(late, ME)


def test_a_pass_serves_its_user_for_eight_hours(pages: StatusPages, clock: ManualClock) -> None:
    given = pages.enter(secret(pages), ME)
    assert given.expires_at == clock.now() + timedelta(hours=8)
    assert (pages.knows(given.value, ME), pages.knows(given.value, OTHER)) == (True, False)
    assert pages.knows("another", ME) is False
    clock.seconds += 8 * 3600 - 1
    assert pages.knows(given.value, ME)
    clock.seconds += 1
    assert not pages.knows(given.value, ME)


def test_a_link_is_no_pass_and_a_pass_is_no_link(pages: StatusPages) -> None:
    link = secret(pages)
    assert not pages.knows(link, ME)
    with pytest.raises(StatusPageLinkInvalid):
        pages.enter(pages.enter(link, ME).value, ME)
