"""What pages prove and get for it, without a connection: whose each token is, how often and how long it serves."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec

import pytest

from cardd.core.page_keys import page_key
from cardd.core.page_passes import EACH_MAX, USER_MAX, USERS_MAX, ExpiringTokens, PagePasses, Pages
from cardd.errors import BrowserUnseen, NotABrowser, PageProofInvalid, PageProofNeeded
from cardd.model import AuditEntry, Caller, CallerKey, CallerKind, Outcome, Peer
from tests.rig.memory import ManualClock, MemoryAudit
from tests.rig.page_keys import BrowserKey

P = ParamSpec("P")
KEY = BrowserKey()
SITE, OTHER_SITE, ADDRESS = "https://webps.example", "https://autre.example", "127.0.0.1:17463"
ME, OTHER = Peer(1000), Peer(1001)
OWNER = CallerKey(1000, SITE)


def page(key: str = "key", site: str = SITE, peer: Peer = ME) -> Caller:
    return Caller(CallerKind.ORIGIN, site, site, site, peer, page_key=key)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def passes(clock: ManualClock) -> PagePasses:
    return PagePasses(clock)


@pytest.fixture
def tokens(clock: ManualClock) -> ExpiringTokens[int]:
    return ExpiringTokens(clock, 60.0)


def prove(passes: PagePasses, challenge: str, site: str = SITE, peer: Peer = ME) -> str:
    """Prove the key; return why that is refused, or nothing."""
    key = page_key(str(KEY.jwk["x"]), str(KEY.jwk["y"]))
    try:
        passes.check(key, KEY.proof(challenge, site, ADDRESS), site, peer, address=ADDRESS)
    except PageProofInvalid as refused:
        return str(refused.params["reason"])
    return ""


def test_a_challenge_serves_one_proof_of_its_site_and_user_within_a_minute(
    passes: PagePasses, clock: ManualClock
) -> None:
    given = passes.challenge(SITE, ME)
    assert (given.expires_at - clock.now()).total_seconds() == 60
    assert prove(passes, given.value, OTHER_SITE) == "challenge"
    assert prove(passes, given.value, peer=OTHER) == "challenge"
    assert prove(passes, given.value) == ""
    assert prove(passes, given.value) == "challenge"
    late = passes.challenge(SITE, ME).value
    clock.seconds += 59.5
    in_time = passes.challenge(SITE, ME).value
    clock.seconds += 0.5
    assert [prove(passes, late), prove(passes, in_time)] == ["challenge", ""]


def test_a_proof_that_fails_uses_its_challenge_up(passes: PagePasses) -> None:
    given = passes.challenge(SITE, ME).value
    key = page_key(str(KEY.jwk["x"]), str(KEY.jwk["y"]))
    with pytest.raises(PageProofInvalid) as refused:
        passes.check(key, KEY.proof(given, SITE, ADDRESS), SITE, ME, address="127.0.0.1:1")
    assert refused.value.params == {"reason": "address"}
    assert prove(passes, given) == "challenge"


def test_a_pass_names_its_page_as_it_calls_now_for_five_minutes(passes: PagePasses, clock: ManualClock) -> None:
    given = passes.give(page())
    assert (given.expires_at - clock.now()).total_seconds() == 300
    now = Peer(1000, 4711, "/usr/bin/firefox")
    found = passes.page(given.value, SITE, now)
    assert found == page(peer=now)
    assert (found.page_key, found.peer) == ("key", now)
    for token, site, peer in (
        (given.value, OTHER_SITE, ME),
        (given.value, SITE, OTHER),
        (None, SITE, ME),
        ("", SITE, ME),
    ):
        with pytest.raises(PageProofNeeded):
            passes.page(token, site, peer)
    clock.seconds += 299
    passes.page(given.value, SITE, ME)
    clock.seconds += 1
    with pytest.raises(PageProofNeeded):
        passes.page(given.value, SITE, ME)


def test_a_ticket_opens_one_stream_of_its_page_within_half_a_minute(passes: PagePasses, clock: ManualClock) -> None:
    given = passes.ticket(page())
    assert (given.expires_at - clock.now()).total_seconds() == 30
    for site, peer in ((OTHER_SITE, ME), (SITE, OTHER)):
        with pytest.raises(PageProofNeeded):
            passes.take_ticket(given.value, site, peer)
    assert passes.take_ticket(given.value, SITE, ME) == page()
    with pytest.raises(PageProofNeeded):
        passes.take_ticket(given.value, SITE, ME)
    late = passes.ticket(page()).value
    clock.seconds += 30
    with pytest.raises(PageProofNeeded):
        passes.take_ticket(late, SITE, ME)


def test_challenges_passes_and_tickets_are_no_one_anothers(passes: PagePasses) -> None:
    challenge, given, ticket = passes.challenge(SITE, ME), passes.give(page()), passes.ticket(page())
    for token in (challenge.value, ticket.value):
        with pytest.raises(PageProofNeeded):
            passes.page(token, SITE, ME)
    for token in (challenge.value, given.value):
        with pytest.raises(PageProofNeeded):
            passes.take_ticket(token, SITE, ME)


def test_a_key_that_has_proved_itself_goes_on_for_five_minutes(passes: PagePasses, clock: ManualClock) -> None:
    with pytest.raises(PageProofNeeded):
        passes.ensure_proven(page())
    passes.give(page())
    passes.ensure_proven(page())
    for other in (page("another"), page(site=OTHER_SITE), page(peer=OTHER)):
        with pytest.raises(PageProofNeeded):
            passes.ensure_proven(other)
    clock.seconds += 299
    passes.ensure_proven(page())
    clock.seconds += 1
    with pytest.raises(PageProofNeeded):
        passes.ensure_proven(page())


def test_no_key_has_proved_itself_on_a_machine_that_has_just_started(passes: PagePasses, clock: ManualClock) -> None:
    clock.seconds = 0.0
    with pytest.raises(PageProofNeeded):
        passes.ensure_proven(page())


def refused(ask: Callable[P, object], *args: P.args, **more: P.kwargs) -> int:
    """Return 1 where a proof is needed."""
    try:
        ask(*args, **more)
    except PageProofNeeded:
        return 1
    return 0


@pytest.mark.parametrize("key", [None, "key"])
def test_a_site_or_one_key_of_it_is_ended_with_all_that_it_was_given(passes: PagePasses, key: str | None) -> None:
    pages = [page(), page("another"), page(site=OTHER_SITE), page(peer=OTHER)]
    given = [(one, passes.give(one).value, passes.ticket(one).value) for one in pages]
    passes.end(OWNER, key)
    ended = [
        refused(passes.page, token, one.origin, one.peer)
        + refused(passes.take_ticket, ticket, one.origin, one.peer)
        + refused(passes.ensure_proven, one)
        for one, token, ticket in given
    ]
    assert ended == ([3, 0, 0, 0] if key else [3, 3, 0, 0])


def test_a_site_of_whom_nothing_is_known_is_ended_too(passes: PagePasses) -> None:
    passes.end(CallerKey(4242, SITE))


def test_the_oldest_of_one_site_makes_room(tokens: ExpiringTokens[int], clock: ManualClock) -> None:
    other, another = tokens.put(CallerKey(1001, SITE), -1), tokens.put(CallerKey(1000, OTHER_SITE), -2)
    given = [tokens.put(OWNER, number) for number in range(EACH_MAX)]
    assert tokens.get(given[0].value, OWNER) == 0
    tokens.put(OWNER, EACH_MAX)
    assert [tokens.get(one.value, OWNER) for one in given[:2]] == [None, 1]
    assert tokens.get(other.value, CallerKey(1001, SITE)) == -1
    assert tokens.get(another.value, CallerKey(1000, OTHER_SITE)) == -2
    assert clock.seconds == 1000


def test_what_is_over_makes_room_before_what_still_serves(tokens: ExpiringTokens[int], clock: ManualClock) -> None:
    for number in range(USER_MAX - 1):
        tokens.put(CallerKey(1000, f"https://{number % 32}.example"), -1)
    clock.seconds += 60
    given = [tokens.put(OWNER, number) for number in range(EACH_MAX)]  # more than any of the others had
    assert [tokens.get(one.value, OWNER) for one in given] == list(range(EACH_MAX))


def test_a_site_whose_tokens_are_all_over_is_given_new_ones(tokens: ExpiringTokens[int], clock: ManualClock) -> None:
    for number in range(EACH_MAX):
        tokens.put(OWNER, number)
    clock.seconds += 60
    assert tokens.get(tokens.put(OWNER, 7).value, OWNER) == 7


def test_a_user_under_many_names_pushes_out_the_tokens_of_the_name_that_has_most(tokens: ExpiringTokens[int]) -> None:
    busiest = CallerKey(1000, "https://0.example")
    other, alone = tokens.put(CallerKey(1001, SITE), -1), tokens.put(OWNER, 0)
    oldest = [tokens.put(busiest, number) for number in range(2)]
    for number in range(USER_MAX - 4):
        tokens.put(CallerKey(1000, f"https://{number % 32}.example"), -2)
    last = tokens.put(CallerKey(1000, OTHER_SITE), 7)
    assert [tokens.get(one.value, busiest) for one in oldest] == [0, 1]
    tokens.put(CallerKey(1000, OTHER_SITE), 8)
    assert [tokens.get(one.value, busiest) for one in oldest] == [None, 1]
    assert tokens.get(alone.value, OWNER) == 0
    assert tokens.get(last.value, CallerKey(1000, OTHER_SITE)) == 7
    assert tokens.get(other.value, CallerKey(1001, SITE)) == -1


def test_the_user_who_came_longest_ago_makes_room(tokens: ExpiringTokens[int]) -> None:
    given = [tokens.put(CallerKey(uid, SITE), uid) for uid in range(USERS_MAX)]
    tokens.put(CallerKey(0, SITE), -1)
    tokens.put(CallerKey(USERS_MAX, SITE), -1)
    assert [tokens.get(given[uid].value, CallerKey(uid, SITE)) for uid in range(3)] == [0, None, 2]


def test_what_an_owner_drops_is_its_own_and_what_the_condition_names(tokens: ExpiringTokens[int]) -> None:
    given = [(owner, tokens.put(owner, number)) for owner in (OWNER, CallerKey(1000, OTHER_SITE)) for number in (1, 2)]
    tokens.drop(OWNER, lambda value: value == 1)
    assert [tokens.get(one.value, owner) for owner, one in given] == [None, 2, 1, 2]


class OneProgram:
    """Tells what calls as if it were a page: a program, a browser (None), or that nobody can tell."""

    def __init__(self, program: str | BrowserUnseen | None) -> None:
        self.program = program
        self.asked: list[Peer] = []

    async def stranger(self, peer: Peer) -> str | None:
        self.asked.append(peer)
        if isinstance(self.program, BrowserUnseen):
            raise self.program
        return self.program


async def test_a_browser_calls_and_leaves_no_row() -> None:
    browsers, audit = OneProgram(None), MemoryAudit()
    await Pages(browsers, audit).check(SITE, ME)
    assert browsers.asked == [ME]
    assert audit.entries == []


@pytest.mark.parametrize(("origin", "claimed"), [(SITE, SITE), (None, "local:1000")])
async def test_a_program_that_calls_as_a_page_is_refused_and_recorded(origin: str | None, claimed: str) -> None:
    audit = MemoryAudit()
    with pytest.raises(NotABrowser):
        await Pages(OneProgram("/opt/l\x1bps"), audit).check(origin, ME)
    assert audit.entries == [
        AuditEntry("page.call", Outcome.REFUSED, 1000, claimed, "/opt/l ps", code="page.not_a_browser")
    ]


async def test_a_program_is_refused_on_a_full_disk_too() -> None:
    audit = MemoryAudit()
    audit.is_full = True
    with pytest.raises(NotABrowser):
        await Pages(OneProgram("/opt/lps"), audit).check(SITE, ME)


async def test_a_caller_of_whom_nobody_can_tell_is_let_pass_by_nobody() -> None:
    with pytest.raises(BrowserUnseen):
        await Pages(OneProgram(BrowserUnseen()), MemoryAudit()).check(SITE, ME)
