"""The configuration is read anew: what may change does at once, for what is open too."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from msgspec.structs import replace

from cardd.config import P11, Access, Consent, Prompt, SessionRules
from cardd.config.loading import parse
from cardd.config.renewal import renewed
from cardd.errors import ProgramsOff
from cardd.model import Choice
from tests.api.test_events import stream
from tests.api.workbench import ALLOWED, PAGE, PIN, Workbench
from tests.rig.waiting import eventually

DIGEST = "3q2+796tvu/erb7v3q2+796tvu/erb7v3q2+796tvu8="
SIGN = {"document_name": "compte-rendu", "digest": DIGEST}
OTHER = 1001


@dataclass
class Reloading:
    """A workbench with an open session, whose configuration is changed."""

    api: Workbench
    path: str
    token: str

    def take(self, **sections: object) -> None:
        web = replace(self.api.config.web, allowed_origins=ALLOWED)
        self.api.lifecycle.reconfigured(replace(self.api.config, **{"web": web, **sections}))

    async def sign(self) -> int:
        return (await self.api.call("POST", f"{self.path}/signatures", SIGN, bearer=self.token)).status


@pytest.fixture
async def open_session(api: Workbench) -> Reloading:
    return Reloading(api, *await api.logged_in())


async def test_a_session_is_as_old_as_the_new_times_let_it_be(open_session: Reloading) -> None:
    api = open_session.api
    open_session.take(session=SessionRules(idle=600))
    api.clock.seconds += 599
    assert await open_session.sign() == 200
    api.clock.seconds += 601
    assert (await api.call("GET", open_session.path, bearer=open_session.token)).code == "session.expired"


async def test_a_timer_that_was_set_for_the_old_time_ends_the_session_at_the_new_one(open_session: Reloading) -> None:
    open_session.take(session=SessionRules(idle=1))
    [session] = open_session.api.sessions.of(open_session.api.uid or 0)
    open_session.api.clock.seconds += 2
    await eventually(lambda: not open_session.api.sessions.is_open(session))


async def test_pins_that_may_be_held_no_more_are_wiped_and_the_session_goes_on(open_session: Reloading) -> None:
    api = open_session.api
    [session] = api.sessions.of(api.uid or 0)
    held = session.pin
    assert held is not None
    open_session.take(session=SessionRules(pin="ask"))
    assert session.pin is None
    assert not held
    api.person.pins = [PIN]
    asked = len(api.person.pin_questions)
    assert await open_session.sign() == 200
    assert len(api.person.pin_questions) == asked + 1


async def test_who_owns_the_readers_no_more_is_locked_and_who_owns_them_now_may_look(open_session: Reloading) -> None:
    api = open_session.api
    api.seat(4711)
    api.turn_to(OTHER)
    assert (await api.call("GET", "/v1/cards", via="unix")).code == "reader.not_yours"
    api.person.pins = [PIN]
    open_session.take(access=Access(owners=(str(OTHER),)))
    assert (await api.call("GET", "/v1/cards", via="unix")).status == 200
    path, token = await api.logged_in()
    async with stream(api) as told:
        assert (await told())[0] == "hello"
        open_session.take()
        with pytest.raises(ValueError, match="dictionary update"):  # the stream has ended
            await told()
    assert (await api.call("GET", path, bearer=token)).json["state"] == "locked"


async def test_a_site_that_is_listed_no_more_is_out_at_once_and_comes_in_again(open_session: Reloading) -> None:
    api = open_session.api
    page = await api.page(PAGE)
    assert (await api.call("GET", "/v1/readers", headers=page)).status == 200
    open_session.take(web=replace(api.config.web, allowed_origins=()))
    assert (await api.call("GET", "/v1/readers", headers=page)).status == 403
    open_session.take()
    assert (await api.call("GET", "/v1/readers", headers=page)).status == 401  # its pass ended
    assert (await api.enter(PAGE)).status == 201


async def test_what_may_be_asked_and_agreed_to_follows(open_session: Reloading) -> None:
    api = open_session.api
    open_session.take(consent=Consent(batch_max=1), prompt=Prompt(refusals=1), p11=P11(programs="off"))
    two = {"items": [SIGN, SIGN]}
    assert (await api.call("POST", f"{open_session.path}/signatures", two, bearer=open_session.token)).status == 422
    with pytest.raises(ProgramsOff):
        api.parts.programs.ensure_served()
    api.person.choices = [Choice.NO]
    assert (await api.call("POST", f"{open_session.path}/signatures", SIGN, bearer=open_session.token)).status == 403
    refused = await api.call("POST", f"{open_session.path}/signatures", SIGN, bearer=open_session.token)
    assert refused.code == "consent.refused_often"


BEFORE = """
[portals.one]
origin = "https://one.example"
[upstreams.dmp]
url = "https://dmp.example"
"""
AFTER = """
[listen]
max_body = 4096
[state]
directory = "/srv/cardd"
[session]
idle = 600
[web]
browsers = ["any"]
allowed_origins = ["https://webps.example"]
[portals.two]
origin = "https://two.example"
[upstreams.dmp]
url = "https://dmp2.example"
[prompt]
pinentry = "/usr/bin/pinentry"
"""


def test_what_may_not_change_stays_as_it_was_and_is_named_each_time() -> None:
    before, wanted = parse(BEFORE), parse(AFTER)
    taken = renewed(before, wanted)
    assert set(taken.changed) == {"session.idle", "web.allowed_origins", "portals.one", "portals.two"}
    waiting = {"listen.max_body", "state.directory", "audit.directory", "web.browsers", "prompt.pinentry"}
    assert set(taken.waiting) == waiting | {"upstreams.dmp"}
    assert (taken.config.session.idle, taken.config.listen, taken.config.state) == (600, before.listen, before.state)
    assert (taken.config.portals, taken.config.upstreams) == (wanted.portals, before.upstreams)
    again = renewed(taken.config, wanted)
    assert (again.changed, set(again.waiting)) == ((), set(taken.waiting))
    assert renewed(before, before).waiting == ()
