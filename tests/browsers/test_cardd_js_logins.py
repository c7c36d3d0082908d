"""cardd.js in real browsers: logins that wait for a person, by PIN, e-CPS or for an organisation."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.browsers.opening import LISTEN, NONCE, is_running, page
from tests.integration.workstation import Workstation
from tests.rig import organisation
from tests.rig.browsers import Browser, Portal
from tests.rig.daemon import DaemonProcess
from tests.rig.oidc.people import PEOPLE
from tests.rig.oidc.provider import SECRET, PscRig
from tests.rig.pinentry import ScriptedPinentry
from tests.rig.waiting import eventually_here

LOGIN_GIVEN_UP = """
const {Cardd} = await import(location.origin + "/cardd.js");
const cardd = new Cardd({bases: [arguments[0]]});
await cardd.enter();
const leaving = new AbortController();
setTimeout(() => leaving.abort(), 1000);
return await cardd.login({signal: leaving.signal}).catch(error => error.name);
"""
IS_IN = """
const {Cardd} = await import(location.origin + "/cardd.js");
return (await new Cardd({bases: [arguments[0]]}).find()).state === "ready";
"""


def test_a_login_that_the_page_gives_up_takes_its_pin_dialog_with_it(
    browser: Browser, portal: Portal, workstation: Workstation
) -> None:
    with page(browser, portal, "portal.test") as tab:
        workstation.pinentry.answer(*(["hang"] if tab.run(IS_IN, workstation.daemon.url) else ["yes", "hang"]))
        assert tab.run(LOGIN_GIVEN_UP, workstation.daemon.url) == "AbortError"
        eventually_here(lambda: not is_running(workstation.pinentry.path))


LIED = """
const real = fetch;
window.fetch = (path, sent) => path.endsWith("/v1/sessions") || path.endsWith("/v1/sessions/1")
  ? Promise.resolve(Response.json({id: "1", state: "pending", authorization_url: arguments[0]})) : real(path, sent);
const leaving = new AbortController();
const told = new Promise(done => cardd.login({signal: leaving.signal, onPending: done}).catch(() => undefined));
const {url} = await told;
leaving.abort();
return url;
"""


def test_what_holds_cardds_port_has_a_page_open_no_script_as_an_address(
    browser: Browser, portal: Portal, workstation: Workstation
) -> None:
    with page(browser, portal, "portal.test") as tab:
        tab.run(LISTEN, workstation.daemon.url)
        for lie in ("javascript:alert(1)", " javascript:x", "data:text/html,x", "file:///etc"):
            assert tab.run(LIED, lie) is None
        assert tab.run(LIED, "https://psc.example/?x=1") == "https://psc.example/?x=1"


REMOTE = """
[web]
allowed_origins = ["{origin}"]
[psc]
issuer = "{issuer}"
client_id = "basic"
authorities = "{directory}/psc.pem"
[csa]
authentication = "{directory}/authentication.p12"
signature = "{directory}/signature.p12"
"""


@dataclass(frozen=True)
class Remote:
    """A daemon without cards, where people log in by Pro Santé Connect and for an organisation."""

    daemon: DaemonProcess
    pinentry: ScriptedPinentry
    psc: PscRig


@pytest.fixture(scope="module")
def remote(portal: Portal, running_psc: PscRig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    directory, psc = tmp_path_factory.mktemp("remote"), running_psc
    (directory / "psc.pem").write_bytes(psc.authority.pem)
    (directory / "cardd.psc-client-secret").write_text(SECRET)
    organisation.make(directory)
    pinentry = ScriptedPinentry(directory, pin=organisation.PASSWORD, reads=0)
    extra = REMOTE.format(origin=portal.origin(), issuer=psc.issuer, directory=directory)
    around = {"CREDENTIALS_DIRECTORY": str(directory)}
    daemon = DaemonProcess(directory, pinentry=pinentry.path, environment=around, extra=extra, is_read=False)
    try:
        yield Remote(daemon.start(), pinentry, psc)
    finally:
        daemon.stop()


# logins that wait side by side; what each shows is kept in window.shown, what came of it in window.ended
BEGIN = """
const {Cardd} = await import(location.origin + "/cardd.js");
window.cardd = new Cardd({bases: [arguments[0]], language: "en", rights: ["authenticate", "relay"]});
Object.assign(window, {shown: {}, ended: {}});
for (const [name, how] of Object.entries(JSON.parse(arguments[1]))) {
  window.shown[name] = [];
  const onPending = pending => window.shown[name].push(pending);
  const told = ({code, message}) => ({code, text: message});
  window.ended[name] = window.cardd.login({...how, onPending}).catch(told);
}
"""
# and what such a session does not give to a page: PSC's own token, and one that a card must sign
ENDED = """
const session = await window.ended[arguments[0]];
if (session.code) return session;
const code = asked => asked.then(() => "given", error => error.code);
const handOut = window.cardd.call("POST", `/v1/sessions/${session.id}/psc-token`, {body: {}, token: session.token});
const cannot = [await code(handOut), await code(session.authToken(arguments[1]))];
await session.close();
return {state: session.state, who: session.identity.national_id, cannot};
"""
GIVEN_UP = """
const [leaving, real, sent] = [new AbortController(), fetch, []];
window.fetch = (path, form) => sent.push(form.method) && real(path, form);
const how = {method: "ecps", login_hint: arguments[0], signal: leaving.signal, onPending: () => leaving.abort()};
const name = await window.cardd.login(how).catch(({name}) => name);
window.fetch = real;
return [name, sent.at(-1)];
"""
ORGANISATION = """
const acting = {national_id: "899000000999", family_name: "SIMULATION-AGENT", given_name: "LOU"};
const session = await window.cardd.login({method: "csa", acting});
await session.close();
const {organisation, is_declared, given_name} = session.identity;
return {kind: organisation.kind, declared: is_declared, who: given_name};
"""


def test_a_page_shows_the_digits_and_the_time_and_is_told_how_each_login_by_e_cps_ended(
    browser: Browser, portal: Portal, remote: Remote
) -> None:
    people = [str(person["SubjectNameID"]) for person in PEOPLE[:3]]
    logins: dict[str, dict[str, str]] = {
        name: {"method": "ecps", "login_hint": who}
        for name, who in zip(("agrees", "refuses", "sleeps"), people, strict=True)
    }
    logins["browses"] = {"method": "ecps", "flow": "browser"}
    good = {"state": "active", "who": people[0], "cannot": ["client.permission", "session.cannot_sign"]}
    asyncio.run(remote.psc.reset())
    with page(browser, portal, "portal.test") as tab:
        began = time.monotonic()
        tab.run(BEGIN, remote.daemon.url, json.dumps(logins))
        eventually_here(lambda: all(tab.run("return Object.values(window.shown).map(each => each.length)")))
        shown = {name: pending[0] for name, pending in tab.run("return window.shown").items()}
        assert "digits" not in shown["browses"]
        with browser.tab(shown["browses"]["url"]) as theirs:
            assert tab.run(ENDED, "browses", NONCE) == good
            assert theirs.address.startswith("http://127.0.0.1:")
        asyncio.run(remote.psc.approve(people[0]))
        asyncio.run(remote.psc.deny(people[1]))
        asked = {request["login_hint"]: request["binding_message"] for request in asyncio.run(remote.psc.requests())}
        for name, who in zip(("agrees", "refuses", "sleeps"), people, strict=True):
            assert shown[name]["digits"] == asked[who]
            assert 100 < shown[name]["secondsLeft"] <= 120
        assert tab.run(ENDED, "agrees", NONCE) == good
        assert tab.run(ENDED, "refuses", NONCE)["code"] == "psc.denied"
        left = [pending["secondsLeft"] for pending in tab.run("return window.shown.sleeps")]
        assert left == sorted(left, reverse=True)
        assert left[-1] < left[0]
        # past the request's two minutes; a quarter of a minute later PSC no longer knows that it was there
        asyncio.run(remote.psc.shift_clock(125 - (time.monotonic() - began)))
        ended = tab.run(ENDED, "sleeps", NONCE)
        assert (ended["code"], "e-CPS" in ended["text"]) == ("psc.expired", True)
        assert tab.run(GIVEN_UP, people[0]) == ["AbortError", "DELETE"]  # nobody has what the mobile would open
        assert tab.run(ORGANISATION) == {"kind": "siret", "declared": True, "who": "LOU"}
