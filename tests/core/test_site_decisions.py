"""What the person decides of sites: once for all tabs that wait, and beside the pages, by command."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from cardd.core.origins import EXPECTED, TABS_MAX, Entered
from cardd.errors import (
    ClientNotFound,
    OriginNotAskable,
    PageConsentNeeded,
    PageProofNeeded,
    PairingRefused,
    TooManyRequests,
)
from cardd.model import Caller, CallerKey, Choice, Right, rights_of
from tests.core.sites import ALL, DETECT, HOLDER, LISTED, LOGIN, ME, OTHER_SITE, SIGN, SITE, Sites, owner, page


@pytest.fixture
async def sites() -> Sites:
    return Sites()


# --- several at once ---


async def waiting_for(sites: Sites, *pages: Caller) -> list[asyncio.Future[Entered]]:
    """Have these pages ask, one after the other, while the person thinks."""
    sites.person.attentive.clear()
    begun: list[asyncio.Future[Entered]] = []
    for one in pages:
        begun.append(asyncio.ensure_future(sites.enter(one)))
        for _ in range(5):
            await asyncio.sleep(0)
    return begun


async def test_all_tabs_of_a_browser_wait_for_the_one_answer_and_no_more_than_so_many(sites: Sites) -> None:
    tabs = await waiting_for(sites, *[page()] * TABS_MAX)
    with pytest.raises(TooManyRequests) as refused:
        await sites.enter(page())
    assert refused.value.params == {"retry_after": 5}
    sites.person.attentive.set()
    assert {entered.rights for entered in await asyncio.gather(*tabs)} == {rights_of(["authenticate", "sign"])}
    assert sites.asked == 1
    await sites.enter(page(), ALL)  # their places are free again
    assert sites.asked == 1


async def test_a_tab_that_wants_what_its_browser_has_or_may_not_ask_waits_for_no_dialog(sites: Sites) -> None:
    await sites.enter(page(), ["detect"])
    sites.person.attentive.clear()
    more = asyncio.ensure_future(sites.enter(page(), ["sign"]))
    async with asyncio.timeout(30):
        await asyncio.sleep(0)
        assert (await sites.enter(page(), ["detect"])).rights == {DETECT}
        assert await sites.refused(page(), ["sign"], asks=False) is PageConsentNeeded
    assert not more.done()
    sites.person.choice = Choice.YES
    sites.person.attentive.set()
    await more


async def test_what_one_tab_was_granted_stays_when_another_that_waited_is_granted_more(sites: Sites) -> None:
    sites.person.attentive.clear()
    first = asyncio.ensure_future(sites.enter(page(), ["sign"]))
    second = asyncio.ensure_future(sites.enter(page(), ["authenticate"]))
    await asyncio.sleep(0)
    sites.person.attentive.set()
    assert (await first).rights == {DETECT, HOLDER, SIGN}
    assert (await second).rights == {DETECT, HOLDER, LOGIN, SIGN} == sites.may(page())
    assert set(sites.person.questions[-1].params) >= {"may_authenticate", "may_sign"}  # the person sees both


async def test_one_strange_site_at_a_time_and_one_key_of_each_known_site_have_a_dialog(sites: Sites) -> None:
    await sites.enter(page(OTHER_SITE))
    waiting = await waiting_for(sites, page(), page(LISTED), page(OTHER_SITE, "new"))
    for one in (page("https://third.example"), page(LISTED, "new"), page(OTHER_SITE, "newer")):
        with pytest.raises(TooManyRequests) as refused:
            await sites.enter(one)
        assert refused.value.params == {"retry_after": 5}
    waiting += await waiting_for(sites, page(uid=1001))
    sites.person.attentive.set()
    await asyncio.gather(*waiting)
    await sites.enter(page("https://third.example"))


async def test_a_site_that_is_shut_out_while_it_is_asked_about_was_refused(sites: Sites) -> None:
    [waits] = await waiting_for(sites, page())
    sites.origins.revoke(owner())
    assert sites.heard.taken() == [f"out 1000 {SITE} origin_revoked {SITE}"]
    sites.person.fault = PageConsentNeeded()  # what the dialog of a caller that was shut out ends with
    sites.person.attentive.set()
    with pytest.raises(PairingRefused):
        await waits
    sites.person.fault = None
    assert await sites.refused(page()) is PairingRefused
    assert sites.heard.taken() == [f"refused 1000 {SITE} key origin.allow {PairingRefused.code}"]


# --- what the person decides beside the pages ---


async def allowed(sites: Sites, *rights: str, site: str = SITE, choice: Choice = Choice.YES) -> None:
    sites.person.choice = choice
    await sites.origins.allow(site, ME, rights or None)


async def test_the_first_page_of_a_site_that_the_person_let_in_comes_in_unasked_within_five_minutes(
    sites: Sites,
) -> None:
    await allowed(sites, "sign", choice=Choice.ALWAYS)
    [question] = sites.person.questions
    assert (question.params["by_command"], question.caller) == ("", CallerKey(1000, "sites by command"))
    assert sites.heard.taken() == [f"in 1000 {SITE} origin.allow always"]
    [_, standing] = sites.origins.standings(1000)
    assert (standing.origin, standing.keys) == (SITE, ())
    assert standing.rights == {DETECT, HOLDER, SIGN}
    assert len(sites.origins.standings(1001)) == 1
    sites.later(seconds=EXPECTED.total_seconds() - 1)
    entered = await sites.enter(page(), ["sign"], asks=False)
    assert entered.until == sites.clock.now() + timedelta(days=30)
    assert sites.heard.taken() == [f"in 1000 {SITE} key origin.allow always"]
    assert await sites.refused(page(key="second"), ["sign"], asks=False) is PageConsentNeeded


async def test_a_page_that_wants_more_comes_late_or_is_another_users_is_asked_about(sites: Sites) -> None:
    await allowed(sites, "sign")
    for one, wanted in ((page(), ["authenticate"]), (page(uid=1001), ["sign"]), (page(OTHER_SITE), ["sign"])):
        assert await sites.refused(one, wanted, asks=False) is PageConsentNeeded
    sites.later(seconds=EXPECTED.total_seconds())
    assert await sites.refused(page(), ["sign"], asks=False) is PageConsentNeeded
    assert [one.origin for one in sites.origins.standings(1000)] == [LISTED]


async def test_a_site_that_was_refused_by_mistake_is_let_in_by_the_person(sites: Sites) -> None:
    await sites.refused(page())
    await sites.refused(page(OTHER_SITE))
    await allowed(sites)
    await sites.enter(page(), asks=False)
    assert await sites.refused(page(key="second"), asks=False) is PageConsentNeeded
    assert await sites.refused(page(OTHER_SITE), asks=False) is PairingRefused


async def test_who_refuses_there_lets_nobody_in_and_the_site_stays_out(sites: Sites) -> None:
    with pytest.raises(PairingRefused):
        await allowed(sites, choice=Choice.NO)
    assert sites.heard.taken() == [f"refused 1000 {SITE} origin.allow {PairingRefused.code}"]
    assert await sites.refused(page()) is PairingRefused
    assert sites.asked == 1


async def test_the_person_is_asked_by_command_though_pages_have_a_dialog_open_and_once_at_a_time(sites: Sites) -> None:
    [waits] = await waiting_for(sites, page("https://third.example"))
    first = asyncio.ensure_future(allowed(sites))
    await asyncio.sleep(0)
    with pytest.raises(TooManyRequests):
        await allowed(sites, site=OTHER_SITE)
    sites.person.attentive.set()
    await asyncio.gather(waits, first)
    await allowed(sites, site=OTHER_SITE)


@pytest.mark.parametrize(
    ("unknown", "site", "why"),
    [("ask", "http://site.example", "form"), ("refuse", SITE, "refused"), ("refuse", "http://site.example", "refused")],
)
async def test_what_may_not_ask_is_not_let_in_by_command_either(
    sites: Sites, unknown: str, site: str, why: str
) -> None:
    sites.set(unknown_origins=unknown, allowed_origins=(LISTED,))
    with pytest.raises(OriginNotAskable) as refused:
        await allowed(sites, site=site)
    assert refused.value.params == {"origin": site, "why": why}
    assert sites.asked == 0
    await allowed(sites, site=LISTED)


async def test_the_list_says_how_each_site_stands_with_its_user(sites: Sites) -> None:
    await sites.enter(page(key="a"), ["detect"])
    await sites.enter(page(key="b"), ["sign"], Choice.ALWAYS)
    await sites.refused(page(key="bad"))
    await sites.refused(page(OTHER_SITE))
    await sites.enter(page("https://theirs.example", uid=1001))
    other, listed, site = sites.origins.standings(1000)
    assert (other.origin, listed.origin, site.origin) == (OTHER_SITE, LISTED, SITE)
    assert [one.is_listed for one in (other, listed, site)] == [False, True, False]
    assert [one.is_active for one in (other, listed, site)] == [True, True, True]
    assert [one.is_refused for one in (other, listed, site)] == [True, False, True]
    assert [one.rights for one in (other, listed, site)] == [set(), set(Right), {DETECT, HOLDER, SIGN}]
    assert sorted(key.id for key in site.keys) == ["a", "b"]


@pytest.mark.parametrize("choice", [Choice.YES, Choice.ALWAYS])
@pytest.mark.parametrize("key", [None, "key"])
async def test_a_site_or_one_browser_is_shut_out_at_once_and_no_other(
    sites: Sites, key: str | None, choice: Choice
) -> None:
    pages = [page(), page(key="other"), page(OTHER_SITE), page(uid=1001)]
    given = [(await sites.enter(one, choice=choice)).given for one in pages]
    sites.heard.taken()
    sites.origins.revoke(owner(), key)
    assert sites.heard.taken() == [f"out 1000 {SITE}{' key' if key else ''} origin_revoked {SITE}"]
    stays = [False, bool(key), True, True]
    assert [bool(sites.may(one)) for one in pages] == stays
    for one, its, goes_on in zip(pages, given, stays, strict=True):
        if goes_on:
            sites.origins.passes.page(its.value, one.origin, one.peer)
        else:
            with pytest.raises(PageProofNeeded):
                sites.origins.passes.page(its.value, one.origin, one.peer)
    with pytest.raises(ClientNotFound):
        sites.origins.revoke(owner(), key)
    if choice is Choice.ALWAYS:
        sites.origins = sites.daemon()
        assert [bool(sites.may(one)) for one in pages] == stays


async def test_a_site_of_which_nothing_is_known_cannot_be_shut_out(sites: Sites) -> None:
    await sites.enter(page())
    for one, key in ((owner(OTHER_SITE), None), (owner(uid=1001), None), (owner(), "other"), (owner(LISTED), None)):
        with pytest.raises(ClientNotFound):
            sites.origins.revoke(one, key)


async def test_what_waits_to_come_in_or_was_refused_can_be_shut_out_as_a_whole(sites: Sites) -> None:
    await allowed(sites)
    await sites.refused(page(OTHER_SITE))
    for site in (SITE, OTHER_SITE):
        with pytest.raises(ClientNotFound):
            sites.origins.revoke(owner(site), "key")
        sites.origins.revoke(owner(site))
    assert await sites.refused(page(), asks=False) is PageConsentNeeded
    assert await sites.refused(page(OTHER_SITE), asks=False) is PairingRefused
