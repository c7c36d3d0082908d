"""cardd.js in real browsers: what a page hears of cards, sessions and the daemon."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from tests.browsers.opening import LISTEN, page
from tests.integration.workstation import Workstation
from tests.rig.browsers import Browser, Portal
from tests.rig.daemon import DaemonProcess
from tests.rig.lps import EventStream, UnixConnection
from tests.rig.simulator import simulated_card
from tests.rig.waiting import eventually_here


def test_a_page_knows_of_a_card_that_is_pulled_and_of_a_daemon_that_comes_back_and_opens_no_dialog_for_it(
    browser: Browser, portal: Portal, tmp_path: Path
) -> None:
    begin = """
    const {Cardd} = await import(location.origin + "/cardd.js");
    window.cardd = new Cardd({bases: [arguments[0]]});
    window.told = [];
    for (const type of ["hello", "card.removed", "session.closed", "disconnected"])
      cardd.addEventListener(type, ({detail}) => window.told.push([type, detail?.code ?? ""]));
    cardd.listen();
    window.session = await cardd.login();
    """
    told = "return window.told.map(([type, code]) => `${type} ${code}`.trim())"
    own = Workstation(tmp_path, extra=f'\n[web]\nallowed_origins = ["{portal.origin()}"]\n')
    with own.running(), page(browser, portal, "portal.test") as tab:
        with closing(EventStream(UnixConnection(own.daemon.socket))) as program:
            with own.card(simulated_card()):
                tab.run(begin, own.daemon.url)
                assert [shown.kind for shown in own.pinentry.shown()] == ["confirm", "pin"]  # let in once, for both
            program.wait("card.removed")
        eventually_here(lambda: {"card.removed", "session.closed"} <= set(tab.run(told)))

        restart(own.daemon)
        eventually_here(lambda: tab.run(told)[-1] == "disconnected page.consent_needed")  # it was let in for once
        assert tab.run("return window.session.refresh().catch(error => error.code)") == "session.unknown"
        assert len(own.pinentry.shown()) == 2
        own.pinentry.answer("no")  # the middle button: until a day
        tab.run("await window.cardd.enter()")
        eventually_here(lambda: tab.run(told)[-1] == "hello")
        restart(own.daemon)
        eventually_here(lambda: tab.run(told).count("hello") == 3)
        assert len(own.pinentry.shown()) == 3


def restart(daemon: DaemonProcess) -> None:
    daemon.stop()
    daemon.start()


TWICE = """
const heard = what => new Promise(done => cardd.addEventListener(what, () => setTimeout(done), {once: true}));
let begun = heard("hello");
const ends = [cardd.listen(), cardd.listen()];
await begun;
const opened = heard("session.opened");
const session = await cardd.login();
await opened;
ends[0]();
ends[0]();
const closed = heard("session.closed");
await session.close();
await closed;
ends[1]();
begun = heard("hello");
cardd.listen();
await begun;
return told;
"""


def test_who_listens_twice_hears_each_event_once_until_both_have_ended(
    browser: Browser, portal: Portal, workstation: Workstation
) -> None:
    with page(browser, portal, "portal.test") as tab:
        tab.run(LISTEN, workstation.daemon.url)
        assert tab.run(TWICE) == ["hello", "session.opened", "session.closed", "hello"]


STRANGELY = """
const real = fetch;
const bodies = ["null", "[]", "{", "cardd"];
window.fetch = (path, sent) => path.endsWith("/tickets") && bodies.length
  ? Promise.resolve(new Response(bodies.pop(), {headers: {"Content-Type": "application/json"}})) : real(path, sent);
const pause = setTimeout;
window.setTimeout = (act, time) => pause(act, time / 50);
const begun = new Promise(done => cardd.addEventListener("hello", done));
const end = cardd.listen();
await Promise.race([begun, new Promise(done => pause(done, 4000))]);
end();
return [bodies.length, told];
"""
LEFT = """
const real = fetch;
window.fetch = (_, {signal}) => new Promise((_, failed) => signal.onabort = () => failed(signal.reason));
cardd.listen();
await new Promise(done => setTimeout(done, 50));
window.fetch = real;
"""


def test_a_stream_comes_back_after_strange_answers_and_when_its_page_comes_back(
    browser: Browser, portal: Portal, workstation: Workstation
) -> None:
    with page(browser, portal, "portal.test") as tab:
        tab.run(LISTEN, workstation.daemon.url)
        assert tab.run(STRANGELY) == [0, [*["disconnected"] * 4, "hello"]]
        tab.open(portal.origin())
        tab.run(LISTEN, workstation.daemon.url)
        tab.run(LEFT)  # before the stream has begun
        tab.open("about:blank")
        browser.command("browsingContext.traverseHistory", context=tab.context, delta=-1)
        eventually_here(lambda: tab.address.startswith(portal.origin()))
        if tab.run("return 'told' in window"):  # Chromium keeps the page, Firefox loads it anew
            eventually_here(lambda: tab.run("return told").count("hello") == 1)


def test_many_tabs_listen_and_each_still_calls(browser: Browser, portal: Portal, workstation: Workstation) -> None:
    many = """
    const {Cardd} = await import(location.origin + "/cardd.js");
    const tabs = Array.from({length: 20}, () => new Cardd({bases: [arguments[0]]}));
    await tabs[0].enter();
    const heard = tabs.map(cardd => new Promise(done => cardd.addEventListener("hello", done)));
    const ends = tabs.map(cardd => cardd.listen());
    await Promise.all(heard);
    const {readers} = await tabs[19].call("GET", "/v1/readers");
    ends.forEach(end => end());
    return readers.length;
    """
    with page(browser, portal, "portal.test") as tab:
        assert tab.run(many, workstation.daemon.url) == 2
