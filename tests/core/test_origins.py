"""Which sites' pages are let in, for what and for how long, without a connection and a browser."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import timedelta

import pytest

from cardd.config import Config, Web
from cardd.core.origins import EXPECTED, REFUSED_KEYS_MAX, REFUSED_SITES_MAX, TABS_MAX, Entered, Origins
from cardd.core.page_consents import KEYS_MAX
from cardd.core.page_keys import page_key
from cardd.core.register import Register
from cardd.errors import (
    CarddError,
    ClientNotFound,
    ConsentTimeout,
    OriginNotAskable,
    PageConsentNeeded,
    PageProofInvalid,
    PageProofNeeded,
    PageRightMissing,
    PairingRefused,
    StateUnavailable,
    TooManyRequests,
)
from cardd.model import Caller, CallerKey, CallerKind, Choice, Peer, Right, rights_of
from cardd.values import replace
from tests.core.alone import Alone
from tests.rig.page_keys import BrowserKey

LISTED, SITE, OTHER_SITE = "https://listed.example", "https://site.example", "https://autre.example"
ME = Peer(1000)
DETECT, HOLDER, LOGIN, SIGN = Right.DETECT, Right.HOLDER, Right.AUTHENTICATE, Right.SIGN
ALL = [right.value for right in Right]


def page(site: str = SITE, key: str = "key", uid: int = 1000) -> Caller:
    return Caller(CallerKind.ORIGIN, site, site, site, Peer(uid), page_key=key)


def owner(site: str = SITE, uid: int = 1000) -> CallerKey:
    return CallerKey(uid, site)


class Sites(Alone):
    """The sites, one of which is listed, and a person who decides about the others."""

    def __init__(self) -> None:
        super().__init__()
        self.web = Web(allowed_origins=(LISTED,), unknown_origins="ask", remember_days=30)
        self.origins = self.daemon()

    def daemon(self) -> Origins:
        """Return the sites as the next daemon knows them."""
        listed = Config(web=self.web).listed_origins
        return Origins(Register(self.store), self.dialogs, self.clock, self.lifecycle, self.web, listed=listed)

    async def enter(
        self, one: Caller, wanted: Iterable[str] | None = None, choice: Choice = Choice.YES, *, asks: bool = True
    ) -> Entered:
        self.person.choice = choice
        return await self.origins.enter(one, wanted, asks=asks)

    async def refused(self, one: Caller, wanted: Iterable[str] | None = None, *, asks: bool = True) -> type[CarddError]:
        """Return why the page is not let in where the person says no."""
        with pytest.raises(CarddError) as told:
            await self.enter(one, wanted, Choice.NO, asks=asks)
        return type(told.value)

    @property
    def asked(self) -> int:
        """How many dialogs there were since the last time."""
        count = len(self.person.questions)
        self.person.questions.clear()
        return count

    def may(self, one: Caller) -> set[Right]:
        """Return what the page may do."""
        return {right for right in Right if self.origins.may(one, right)}

    def later(self, **time: float) -> None:
        self.clock.seconds += timedelta(**time).total_seconds()

    def set(self, **web: object) -> None:
        """Configure them anew; no site is listed unless it is said here."""
        self.origins.reconfigured(Config(web=replace(self.web, **{"allowed_origins": (), **web})))


@pytest.fixture
async def sites() -> Sites:
    return Sites()


# --- who is let in, and for what ---


async def test_a_page_is_let_in_once_and_has_what_the_person_was_told(sites: Sites) -> None:
    entered = await sites.enter(page(), ["sign"])
    assert entered.rights == {DETECT, HOLDER, SIGN} == sites.may(page())
    assert entered.until == sites.clock.now() + timedelta(hours=12)
    [question] = sites.person.questions
    until = (sites.clock.now() + timedelta(days=30)).date().isoformat()
    assert (question.topic, question.uid, question.third, question.caller) == ("origin", 1000, Choice.ALWAYS, None)
    assert question.params == {"origin": SITE, "may_holder": "", "may_sign": "", "until": until}
    assert sites.heard.taken() == [f"in 1000 {SITE} key origin.allow yes"]
    assert sites.origins.passes.page(entered.given.value, SITE, ME) == page()
    assert (await sites.enter(page(), ["sign"])).rights == entered.rights
    assert sites.asked == 1


async def test_a_page_that_says_nothing_of_rights_logs_in_and_signs_at_first_and_keeps_what_it_has(
    sites: Sites,
) -> None:
    assert (await sites.enter(page())).rights == {DETECT, HOLDER, LOGIN, SIGN}
    await sites.enter(page(key="other"), ["detect"])
    assert (await sites.enter(page(key="other"))).rights == {DETECT}
    assert sites.asked == 2


async def test_each_key_each_site_and_each_user_is_asked_about(sites: Sites) -> None:
    for one in (page(), page(key="other"), page(OTHER_SITE), page(uid=1001)):
        await sites.enter(one)
    told = [question.params.get("another") for question in sites.person.questions]
    assert told == [None, "", None, None]  # a browser beside one that was let in


async def test_more_rights_are_asked_for_together_with_those_that_it_has(sites: Sites) -> None:
    await sites.enter(page(), ["detect"])
    assert (await sites.enter(page(), ["authenticate"])).rights == {DETECT, HOLDER, LOGIN}
    told = [[name for name in question.params if name.startswith("may_")] for question in sites.person.questions]
    assert told == [["may_detect"], ["may_holder", "may_authenticate"]]
    assert sites.asked == 2
    await sites.enter(page(), ["detect"])
    assert sites.may(page()) == {DETECT, HOLDER, LOGIN}
    assert sites.asked == 0


async def test_who_refuses_more_rights_leaves_those_that_a_page_has(sites: Sites) -> None:
    await sites.enter(page(), ["detect"])
    assert await sites.refused(page(), ["sign"]) is PairingRefused
    assert sites.may(page()) == {DETECT}
    assert (await sites.enter(page())).rights == {DETECT}


async def test_a_listed_site_is_asked_about_with_the_rights_that_it_has_by_configuration(sites: Sites) -> None:
    assert sites.may(page(LISTED)) == set()
    entered = await sites.enter(page(LISTED), ["detect"])
    assert entered.rights == set(Right)
    [question] = sites.person.questions
    assert question.params["listed"] == ""
    assert question.caller == CallerKey(1000, "known sites")


async def test_rights_that_the_configuration_takes_are_gone_and_those_that_it_adds_are_asked_for(sites: Sites) -> None:
    await sites.enter(page(LISTED))
    sites.set(allowed_origins=(LISTED,), rights=(DETECT,))
    assert sites.may(page(LISTED)) == {DETECT}
    assert (await sites.enter(page(LISTED), ALL)).rights == {DETECT}
    assert sites.asked == 1
    await sites.enter(page(LISTED, "new"))
    sites.set(allowed_origins=(LISTED,), rights=(DETECT, HOLDER))
    assert sites.may(page(LISTED, "new")) == {DETECT}
    assert (await sites.enter(page(LISTED, "new"))).rights == {DETECT, HOLDER}
    assert sites.asked == 2


async def test_a_page_that_may_not_ask_is_told_that_a_consent_is_needed(sites: Sites) -> None:
    assert await sites.refused(page(), asks=False) is PageConsentNeeded
    assert (sites.asked, sites.heard.taken()) == (0, [])
    await sites.enter(page(), ["detect"])
    assert (await sites.enter(page(), ["detect"], asks=False)).rights == {DETECT}
    assert await sites.refused(page(), ["sign"], asks=False) is PageConsentNeeded


@pytest.mark.parametrize(
    ("site", "may_ask"),
    [
        (SITE, True),
        ("https://a.b-c.example:8443", True),
        ("https://xn--pypal-4ve.example", True),
        ("http://site.example", False),
        ("https://site.example:443", False),
        ("https://site", False),
        ("https://SITE.example", False),
        ("https://127.0.0.1", False),
        ("https://site.example/", False),
        ("https://site.example\n", False),
        (f"https://{'a' * 63}.{'b' * 63}.{'c' * 56}.example", True),
        (f"https://{'a' * 63}.{'b' * 63}.{'c' * 57}.example", False),
        (f"https://{'a' * 64}.example", False),
    ],
)
async def test_only_a_site_whose_name_a_browser_would_write_so_may_ask(sites: Sites, site: str, may_ask: bool) -> None:
    assert sites.origins.may_ask(site) is may_ask
    sites.set(unknown_origins="refuse")
    assert not sites.origins.may_ask(site)


async def test_a_name_in_punycode_is_shown_as_it_reads_with_its_port(sites: Sites) -> None:
    for label in ("xn--pypal-4ve", "xn--99999999999999999999999"):
        await sites.enter(page(f"https://{label}.xn--pypal-4ve:8443"))
    told = [question.params.get("punycode") for question in sites.person.questions]
    assert told == ["p\u0430ypal.p\u0430ypal:8443", "xn--99999999999999999999999.p\u0430ypal:8443"]


# --- for how long ---


async def test_this_once_ends_after_twelve_hours_and_with_the_daemon(sites: Sites) -> None:
    entered = await sites.enter(page())
    sites.later(hours=12, seconds=-1)
    assert sites.may(page())
    sites.later(seconds=1)
    assert (sites.may(page()), sites.origins.is_allowed(SITE, ME)) == (set(), False)
    assert entered.until == sites.clock.now()
    await sites.enter(page())
    sites.origins = sites.daemon()
    assert sites.may(page()) == set()


async def test_always_ends_after_the_days_that_are_configured_and_outlives_the_daemon(sites: Sites) -> None:
    entered = await sites.enter(page(), choice=Choice.ALWAYS)
    assert entered.until == sites.clock.now() + timedelta(days=30)
    assert [(one.origin, one.uid) for one in sites.origins.known(1000)] == [(SITE, 1000)]
    assert (sites.origins.known(1001), sites.origins.owners(SITE), sites.origins.owners(LISTED)) == ([], [1000], [])
    sites.origins = sites.daemon()
    sites.later(days=30, seconds=-1)
    assert sites.may(page()) == {DETECT, HOLDER, LOGIN, SIGN}
    assert sites.may(page(uid=1001)) == sites.may(page(OTHER_SITE)) == sites.may(page(key="other")) == set()
    sites.later(seconds=1)
    assert sites.may(page()) == set()
    assert sites.origins.is_allowed(SITE, ME)  # and may ask anew
    assert not sites.origins.is_allowed(SITE, Peer(1001))


async def test_what_is_remembered_lasts_for_the_days_that_are_configured_now(sites: Sites) -> None:
    sites.set(remember_days=7)
    entered = await sites.enter(page(), choice=Choice.ALWAYS)
    assert entered.until == sites.clock.now() + timedelta(days=7)
    sites.set(remember_days=0)
    await sites.enter(page(key="other"))
    assert (sites.person.questions[-1].third, "until" in sites.person.questions[-1].params) == (None, False)


async def test_what_was_for_the_present_is_remembered_when_the_person_says_so(sites: Sites) -> None:
    await sites.enter(page(), ["detect"])
    await sites.enter(page(), ["sign"], Choice.ALWAYS)
    [standing] = [one for one in sites.origins.standings(1000) if one.origin == SITE]
    [key] = standing.keys
    assert (set(key.rights), key.until) == ({DETECT, HOLDER, SIGN}, sites.clock.now() + timedelta(days=30))


@pytest.mark.parametrize("choice", [Choice.YES, Choice.ALWAYS])
async def test_a_browser_that_was_let_in_twice_is_listed_once_since_the_last_time(sites: Sites, choice: Choice) -> None:
    await sites.enter(page(), ["detect"], choice)
    sites.later(hours=1)
    await sites.enter(page(), ["sign"], choice)
    [key] = sites.origins.standings(1000)[-1].keys
    assert (key.since, key.used) == (sites.clock.now(), sites.clock.now().date())


async def test_the_key_that_was_not_used_for_longest_makes_room_and_is_shut_out(sites: Sites) -> None:
    for number in range(KEYS_MAX):
        await sites.enter(page(key=str(number)), choice=Choice.ALWAYS)
        sites.later(seconds=1)
    sites.later(days=1)
    await sites.enter(page(key="0"))
    sites.heard.taken()
    await sites.enter(page(key="new"), choice=Choice.ALWAYS)
    assert sites.heard.taken() == [
        f"out 1000 {SITE} 1 origin_revoked {SITE}",
        f"in 1000 {SITE} new origin.allow always",
    ]
    sites.origins = sites.daemon()
    assert [key for key in ("0", "1", "2", "new") if sites.may(page(key=key))] == ["0", "2", "new"]


async def test_the_oldest_key_for_the_present_makes_room_and_is_shut_out(sites: Sites) -> None:
    for number in range(KEYS_MAX):
        await sites.enter(page(key=str(number)))
    sites.heard.taken()
    await sites.enter(page(key="new"))
    assert sites.heard.taken()[0] == f"out 1000 {SITE} 0 origin_revoked {SITE}"
    assert [key for key in ("0", "1", "new") if sites.may(page(key=key))] == ["1", "new"]


async def test_a_full_disk_remembers_nobody_and_keeps_nobody_out(sites: Sites, monkeypatch: pytest.MonkeyPatch) -> None:
    await sites.enter(page(), ["detect"], Choice.ALWAYS)
    sites.heard.taken()

    def save(_name: str, _text: str) -> None:
        raise StateUnavailable(file="clients", why="disk")

    monkeypatch.setattr(sites.store, "save", save)
    for one in (page(), page(OTHER_SITE)):
        with pytest.raises(StateUnavailable):
            await sites.enter(one, ["sign"], Choice.ALWAYS)
    assert (sites.may(page()), sites.may(page(OTHER_SITE)), sites.heard.taken()) == ({DETECT}, set(), [])
    sites.later(days=1)
    await sites.enter(page(), ["detect"])
    with pytest.raises(StateUnavailable):
        sites.origins.revoke(owner())
    assert sites.may(page()) == set()
    assert sites.heard.taken() == [f"out 1000 {SITE} origin_revoked {SITE}"]


# --- what a page may go on with ---


async def test_a_page_goes_on_with_a_right_that_it_has_as_long_as_its_proof_is_new(sites: Sites) -> None:
    with pytest.raises(PageProofNeeded):
        sites.origins.check(page(), [])
    await sites.enter(page(), ["holder"])
    for rights in ([], [DETECT], [HOLDER], [SIGN, HOLDER]):
        sites.origins.check(page(), rights)
    with pytest.raises(PageRightMissing) as missing:
        sites.origins.check(page(), [SIGN, LOGIN])
    assert missing.value.params == {"right": "sign"}
    sites.later(seconds=300)
    with pytest.raises(PageProofNeeded):
        sites.origins.check(page(), [])


async def test_a_page_of_an_unlisted_site_may_nothing_where_only_listed_ones_are_taken(sites: Sites) -> None:
    for one in (page(), page(LISTED), page(OTHER_SITE, uid=1001)):
        await sites.enter(one, choice=Choice.ALWAYS)
    sites.heard.taken()
    sites.set(unknown_origins="refuse", allowed_origins=(LISTED,))
    assert sorted(sites.heard.taken()) == [
        f"out 1000 {SITE} origin_revoked {SITE}",
        f"out 1001 {OTHER_SITE} origin_revoked {OTHER_SITE}",
    ]
    assert (sites.may(page()), bool(sites.may(page(LISTED)))) == (set(), True)
    with pytest.raises(PageProofNeeded):
        sites.origins.check(page(), [])
    assert (sites.origins.is_allowed(SITE, ME), sites.origins.is_allowed(LISTED, ME)) == (False, True)
    [listed, other] = sites.origins.standings(1000)
    assert [(one.origin, one.is_active) for one in (listed, other)] == [(LISTED, True), (SITE, False)]
    sites.set(unknown_origins="refuse")
    assert sites.heard.taken() == [f"out 1000 {LISTED} origin_revoked {LISTED}"]


async def test_a_site_that_is_listed_no_more_goes_on_where_the_person_is_asked(sites: Sites) -> None:
    await sites.enter(page(LISTED), choice=Choice.ALWAYS)
    sites.heard.taken()
    sites.set()
    assert (sites.heard.taken(), sites.may(page(LISTED))) == ([], set(Right))


def test_a_page_is_named_by_the_key_that_it_proved() -> None:
    sites, key = Sites(), BrowserKey()
    shown, address = page_key(str(key.jwk["x"]), str(key.jwk["y"])), "127.0.0.1:17463"
    challenge = sites.origins.passes.challenge(SITE, ME).value
    caller = sites.origins.proven(shown, key.proof(challenge, SITE, address), SITE, ME, address=address)
    assert (caller, caller.page_key) == (page(key=key.id), key.id)
    with pytest.raises(PageProofInvalid):
        sites.origins.proven(shown, key.proof(challenge, SITE, address), SITE, ME, address=address)


# --- what a person refused ---


@pytest.mark.parametrize("how", [Choice.NO, None], ids=["no", "no answer"])
async def test_a_strange_site_that_was_refused_is_asked_about_no_more_whatever_key_it_shows(
    sites: Sites, how: Choice | None
) -> None:
    sites.person.fault = None if how else ConsentTimeout()
    assert await sites.refused(page()) is (PairingRefused if how else ConsentTimeout)
    code = PairingRefused.code if how else ConsentTimeout.code
    assert sites.heard.taken() == [f"refused 1000 {SITE} key origin.allow {code}"]
    sites.person.fault = None
    for one in (page(), page(key="other")):
        for asks in (True, False):
            assert await sites.refused(one, asks=asks) is PairingRefused
    assert (sites.asked, sites.heard.taken()) == (1, [])
    await sites.enter(page(OTHER_SITE))
    await sites.enter(page(uid=1001))


async def test_of_a_known_site_the_key_that_was_refused_is_asked_about_no_more(sites: Sites) -> None:
    await sites.enter(page())
    assert await sites.refused(page(key="bad")) is PairingRefused
    assert await sites.refused(page(key="bad")) is PairingRefused
    assert sites.asked == 2
    await sites.enter(page(key="good"))
    assert sites.person.questions[-1].caller == CallerKey(1000, "known sites")


async def test_ever_new_keys_of_a_known_site_are_refused_in_the_end(sites: Sites) -> None:
    await sites.enter(page())
    for number in range(REFUSED_KEYS_MAX + 2):
        assert await sites.refused(page(key=str(number))) is PairingRefused
    assert sites.asked == 1 + REFUSED_KEYS_MAX
    await sites.enter(page())
    await sites.enter(page(LISTED))


async def test_ever_new_names_of_strange_sites_are_refused_in_the_end(sites: Sites) -> None:
    for number in range(REFUSED_SITES_MAX + 2):
        assert await sites.refused(page(f"https://s{number}.example")) is PairingRefused
    assert sites.asked == REFUSED_SITES_MAX
    await sites.enter(page(LISTED))
    await sites.enter(page(uid=1001))


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
