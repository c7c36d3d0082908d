"""Which sites' pages are let in, for what and for how long, without a connection and a browser."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cardd.core.origins import REFUSED_KEYS_MAX, REFUSED_SITES_MAX
from cardd.core.page_consents import KEYS_MAX
from cardd.core.page_keys import page_key
from cardd.errors import (
    ConsentTimeout,
    PageConsentNeeded,
    PageProofInvalid,
    PageProofNeeded,
    PageRightMissing,
    PairingRefused,
    StateUnavailable,
)
from cardd.model import CallerKey, Choice, Peer, Right
from tests.core.sites import ALL, DETECT, HOLDER, LISTED, LOGIN, ME, OTHER_SITE, SIGN, SITE, Sites, owner, page
from tests.rig.page_keys import BrowserKey


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
    known = [sites.origins.is_allowed(site, peer) for site, peer in ((SITE, ME), (OTHER_SITE, ME), (SITE, Peer(1001)))]
    assert known == [True, False, False]
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


async def test_a_browser_that_comes_back_is_listed_with_the_day_of_its_last_proof(sites: Sites) -> None:
    await sites.enter(page(), choice=Choice.ALWAYS)
    sites.later(days=2)
    await sites.enter(page())
    [key] = sites.daemon().standings(1000)[-1].keys
    assert (key.used, key.since) == (sites.clock.now().date(), sites.clock.now() - timedelta(days=2))


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
