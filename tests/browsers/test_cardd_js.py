"""cardd.js in real browsers, on the pages of a public portal: the right word in each case, then the whole work."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from socketserver import BaseRequestHandler

import pytest

import cardd.web
from cardd.web import web_file
from tests.browsers.test_pages import NONCE, is_running, page, serving, spying
from tests.integration.workstation import Workstation
from tests.rig import organisation, other_user
from tests.rig.browsers import NAMES, Browser, Name, Portal, Tab, running
from tests.rig.daemon import DaemonProcess
from tests.rig.lps import EventStream, UnixConnection
from tests.rig.oidc.people import PEOPLE
from tests.rig.oidc.provider import SECRET, PscRig
from tests.rig.packages import NODE_MODULES, packaged
from tests.rig.pinentry import ScriptedPinentry
from tests.rig.simulator import simulated_card
from tests.rig.waiting import eventually_here

LARGE = 12 * 1024  # bytes; the module is copied into portals, and read there
FIND = """
const {Cardd} = await import(location.origin + "/cardd.js");
const {answered, ...found} = await new Cardd({bases: JSON.parse(arguments[0]), language: "en"}).find();
return await Promise.race([answered ?? found, new Promise(done => setTimeout(done, 1500, found))]);
"""
OLD = b'{"name":"cardd","version":"0.1.0","state":"ready"}'


def answered(origin: str, content: bytes) -> bytes:
    """An answer of some other server that lets this origin read it."""
    head = f"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: {origin}\r\nContent-Length: {len(content)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + content


def find(tab: Tab, *bases: str) -> dict[str, str]:
    found: dict[str, str] = tab.run(FIND, json.dumps(bases))
    return found


@pytest.fixture
def nobody() -> str:
    """An address where nobody listens."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{closed.getsockname()[1]}"


@pytest.fixture
def asking(tmp_path: Path) -> Iterator[DaemonProcess]:
    """A daemon that asks its person about sites that it does not know; the person refuses."""
    pinentry = ScriptedPinentry(tmp_path, confirm="cancel", reads=0)
    extra = '\n[web]\nunknown_origins = "ask"\n'
    daemon = DaemonProcess(tmp_path, pinentry=pinentry.path, extra=extra, is_read=False).start()
    yield daemon
    daemon.stop()


def test_a_page_is_told_that_the_question_is_open_and_sends_nothing_before(browser: Browser, portal: Portal) -> None:
    with spying() as (address, heard), page(browser, portal, "portal.test", permitted=False) as tab:
        # headless Chromium answers its own question; it was waved away, and another click asks again
        assert find(tab, address.rstrip("/"))["state"] == {"chromium": "unasked", "firefox": "asking"}[browser.name]
        assert b"".join(heard) == b""


def test_a_page_is_told_that_its_person_refused_the_browsers_question(browser: Browser, portal: Portal) -> None:
    browser.permit(portal.origin(), "denied")
    with spying() as (address, heard), browser.tab(portal.origin()) as tab:
        found = find(tab, address.rstrip("/"))
        assert (found["state"], "left of the address" in found["text"]) == ("denied", True)
        assert heard == []


def test_a_page_is_told_which_line_its_own_policy_lacks(
    browser: Browser, portal: Portal, workstation: Workstation
) -> None:
    base = workstation.daemon.url
    with page(browser, portal, "portal.test") as tab:
        tab.open(portal.with_csp("default-src 'self'"))
        found = find(tab, base)
        line = f"connect-src {base} {base.replace('http', 'ws')}"
        assert (found["state"], found["reason"], found["add"]) == ("blocked", "csp", line)
        tab.open(portal.with_csp(f"default-src 'self'; {found['add']}"))
        assert find(tab, base)["state"] in ("consent", "ready")


def test_a_frame_is_told_that_it_was_not_allowed(browser: Browser, portal: Portal, workstation: Workstation) -> None:
    script = """
    const frame = document.createElement("iframe");
    frame.allow = arguments[1];
    frame.src = location.origin.replace("portal.test", arguments[0]);
    const ready = new Promise(done => { frame.onload = done; });
    document.body.append(frame);
    await ready;
    """
    with page(browser, portal, "portal.test") as tab:
        tab.run(script, "evil.test", "")
        with spying() as (address, heard):
            found = find(tab.frame(), address.rstrip("/"))
            assert (found["state"], found["reason"]) == ("blocked", "frame")
            assert heard == []
    with page(browser, portal, "portal.test") as tab:
        tab.run(script, "portal.test", "loopback-network")
        assert find(tab.frame(), workstation.daemon.url)["state"] in ("consent", "ready")


def test_no_daemon_is_told_and_the_other_family_is_tried(
    browser: Browser, portal: Portal, workstation: Workstation, nobody: str
) -> None:
    with page(browser, portal, "portal.test") as tab:
        assert find(tab, nobody)["state"] == "absent"
        six = f"http://[::1]:{workstation.daemon.port}"
        assert find(tab, nobody, six)["state"] in ("consent", "ready")


def test_a_daemon_that_knows_no_keys_of_pages_is_too_old_and_found_over_ipv6_by_a_name_that_a_csp_takes(
    browser: Browser, portal: Portal
) -> None:
    class Old(BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            self.request.sendall(answered(portal.origin("evil.test"), OLD))

    with serving(Old, over_six=True) as port, page(browser, portal, "evil.test") as tab:  # which has no key
        tab.open(portal.with_csp(f"connect-src http://localhost:{port}", "evil.test"))
        found = find(tab, f"http://localhost:{port}")
        assert (found["state"], found["version"]) == ("old", "0.1.0")


def test_a_site_that_cardd_does_not_know_is_told_that_its_person_will_be_asked_and_then_that_they_refused(
    browser: Browser, portal: Portal, asking: DaemonProcess
) -> None:
    enter = """
    const {Cardd} = await import(location.origin + "/cardd.js");
    return new Cardd({bases: [arguments[0]], language: "en"}).enter().catch(error => error.code);
    """
    host = "policy.test"  # which an administrator's policy lets through to this machine without a question
    with browser.tab(portal.origin(host)) as tab:
        assert find(tab, asking.url)["state"] == "consent"
        assert tab.run(enter, asking.url) == "client.pairing_refused"
        found = find(tab, asking.url)
        assert (found["state"], found.get("code")) == ("refused", "client.pairing_refused"), found


WORK = """
const {Cardd, CarddError} = await import(location.origin + "/cardd.js");
const cardd = new Cardd({bases: [arguments[0]], language: "fr"});
const state = (await cardd.find()).state;
const greeted = new Promise(done => cardd.addEventListener("hello", done));
const ends = cardd.listen();
const session = await cardd.login({method: "cpx"});
const token = await session.authToken(arguments[1]);
const small = await session.sign("cr.txt", new TextEncoder().encode("SIMULATION"));
const large = await session.sign("image.bin", new Uint8Array(600_000), {format: "cades"});
const file = await session.fetch(large.document_id);
await greeted;
const closed = new Promise(done => cardd.addEventListener("session.closed", done));
await session.close();
await closed;
ends();
const after = await session.refresh().catch(error => error.code);
return {
  state,
  family: session.identity.family_name,
  token,
  small: small.signature.length,
  held: "document_id" in large,
  file: file.length > 600_000,
  after,
};
"""


def test_a_page_does_all_its_work_through_the_module(
    browser: Browser, portal: Portal, workstation: Workstation
) -> None:
    with page(browser, portal, "portal.test") as tab:
        done = tab.run(WORK, workstation.daemon.url, NONCE)
    assert done.pop("state") in ("consent", "ready")
    assert done.pop("token")["format"] == "web-eid:1.0"
    assert done == {"family": "SIMULATION-MEDECIN", "small": 344, "held": True, "file": True, "after": "session.closed"}


def test_a_page_whose_keys_are_deleted_under_it_makes_another_one(
    browser: Browser, portal: Portal, workstation: Workstation
) -> None:
    wipe = """
    const {Cardd} = await import(location.origin + "/cardd.js");
    const cardd = new Cardd({bases: [arguments[0]]});
    await cardd.enter();
    const gone = indexedDB.deleteDatabase("cardd");
    const deleted = await new Promise(done => {
      gone.onsuccess = () => done("deleted");
      gone.onblocked = () => done("blocked");
    });
    return [deleted, await Promise.race([
      cardd.enter().then(() => "entered"), new Promise(done => setTimeout(done, 8000, "hangs"))])];
    """
    with page(browser, portal, "portal.test") as tab:
        assert tab.run(wipe, workstation.daemon.url) == ["deleted", "entered"]


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


# each answer of a server that is no cardd, or none that has said so
STRANGE = (
    b"null",
    b"[]",
    b"cardd",
    b'{"name":"cardd"}',
    b'{"name":"cardd","version":2}',
    b'{"name":"x","version":"9"}',
)
COUNTING = """
const real = setInterval;
window.limits = 0;
window.setInterval = (act, time) => real(() => { window.limits++; act(); }, time / 3);
"""
FIND_EACH = """
const {Cardd} = await import(location.origin + "/cardd.js");
const find = async base => (await new Cardd({bases: [base], language: "en"}).find()).state;
return await Promise.all(JSON.parse(arguments[0]).map(find));
"""


def test_a_page_waits_some_seconds_for_what_is_silent_and_takes_no_other_program_for_cardd(
    browser: Browser, portal: Portal
) -> None:
    class Stranger(BaseRequestHandler):
        def handle(self) -> None:
            path = self.request.recv(65536).split(b" ")[1]
            self.request.sendall(answered(portal.origin("evil.test"), STRANGE[int(path.split(b"/")[1])]))

    class Silent(BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            self.request.recv(65536)  # until it is hung up on

    class HalfSilent(Silent):
        def handle(self) -> None:
            self.request.sendall(answered(portal.origin("evil.test"), b" " * 99)[:-99])
            super().handle()

    with serving(Stranger) as strange, serving(Silent) as silent, serving(HalfSilent) as half:
        ports = [f"{strange}/{number}" for number in range(len(STRANGE))] + [str(silent), str(half)]
        with page(browser, portal, "evil.test") as tab:
            tab.run(COUNTING)
            found = tab.run(FIND_EACH, json.dumps([f"http://127.0.0.1:{port}" for port in ports]))
            assert tab.run("return window.limits") <= 3 * len(ports)  # of five seconds each, of the page's clock
    assert found == ["absent"] * len(STRANGE) + ["silent"] * 2


def test_a_page_that_nobody_clicked_in_opens_no_question_and_one_that_is_not_let_in_learns_nothing(
    browser: Browser, portal: Portal, workstation: Workstation
) -> None:
    with spying() as (address, heard), page(browser, portal, "evil.test", permitted=False) as tab:
        unclicked = tab.run(FIND_EACH, json.dumps([address.rstrip("/")]), clicked=False)
        assert (unclicked, heard) == (["unasked"], [])
    with page(browser, portal, "evil.test") as tab:  # which cardd does not list, and asks nobody about
        assert find(tab, workstation.daemon.url)["state"] == "absent"
        tab.run("IDBFactory.prototype.open = () => { throw new DOMException('', 'SecurityError'); }")
        found = find(tab, workstation.daemon.url)  # as where the person lets no site keep data
        assert (found["state"], found["reason"]) == ("blocked", "storage")


BYTES = """
const {Cardd} = await import(location.origin + "/cardd.js");
const cardd = new Cardd({bases: [arguments[0]], language: "fr"});
const session = await cardd.login();
const bytes = Uint8Array.from({length: 64}, (_, at) => at);
const given = {
  array: bytes, part: bytes.subarray(8, 16), words: new Uint16Array(bytes.buffer),
  view: new DataView(bytes.buffer, 3, 5),
  buffer: bytes.buffer, blob: new Blob([bytes], {type: "text/plain"}), file: new File([bytes], "x.pdf"),
};
const held = {};
for (const [name, document] of Object.entries(given)) {
  const {id} = await session.handOver(document);
  held[name] = Array.from(await session.fetch(id)).join();
}
const refused = [];
for (const document of ["text", [1, 2], null, undefined, {size: 3}, 5])
  refused.push(await session.sign("x", document).catch(error => error.name));

const large = new Uint8Array(arguments[1]);
const sent = [];
const {id, size} = await session.handOver(large, {onProgress: ({loaded, total}) => sent.push(loaded / total)});
const leaving = new AbortController();
const onProgress = () => leaving.abort();
const given_up = await session.sign("large", large, {onProgress, signal: leaving.signal}).catch(error => error.name);
const over = await session.handOver(bytes, {signal: leaving.signal}).catch(error => error.name);
const rises = sent.every((each, at) => at === 0 || each >= sent[at - 1]);
await session.close();
return {held, refused, size, sent: [sent.length > 1, rises, sent.at(-1)], given_up, over};
"""


def test_a_page_gives_bytes_in_any_form_and_a_large_document_with_progress_and_can_give_that_up(
    browser: Browser, portal: Portal, workstation: Workstation
) -> None:
    large, dialogs = 50 * 1000 * 1000, len(workstation.pinentry.shown())
    with page(browser, portal, "portal.test") as tab:
        done = tab.run(BYTES, workstation.daemon.url, large)
    whole = ",".join(map(str, range(64)))
    held = dict.fromkeys(("array", "words", "buffer", "blob", "file"), whole)
    assert done.pop("held") == {**held, "part": "8,9,10,11,12,13,14,15", "view": "3,4,5,6,7"}
    assert done.pop("refused") == ["TypeError"] * 6
    assert done == {"size": large, "sent": [True, True, 1], "given_up": "AbortError", "over": "AbortError"}
    assert all(shown.kind != "confirm" or "x" not in shown.title for shown in workstation.pinentry.shown()[dialogs:])


LOGIN_GIVEN_UP = """
const {Cardd} = await import(location.origin + "/cardd.js");
const cardd = new Cardd({bases: [arguments[0]]});
await cardd.enter();
const leaving = new AbortController();
setTimeout(() => leaving.abort(), 1000);
return await cardd.login({signal: leaving.signal}).catch(error => error.name);
"""


def test_a_login_that_the_page_gives_up_takes_its_pin_dialog_with_it(
    browser: Browser, portal: Portal, workstation: Workstation
) -> None:
    with page(browser, portal, "portal.test") as tab:
        workstation.pinentry.answer(*(["hang"] if tab.run(IS_IN, workstation.daemon.url) else ["yes", "hang"]))
        assert tab.run(LOGIN_GIVEN_UP, workstation.daemon.url) == "AbortError"
        eventually_here(lambda: not is_running(workstation.pinentry.path))


IS_IN = """
const {Cardd} = await import(location.origin + "/cardd.js");
return (await new Cardd({bases: [arguments[0]]}).find()).state === "ready";
"""


@other_user.needs_root
@pytest.mark.parametrize("name", NAMES)
def test_another_users_browser_opens_no_dialog_of_the_persons_and_learns_of_no_card(
    name: Name, portal: Portal, workstation: Workstation, tmp_path: Path
) -> None:
    asks = """
    const {Cardd} = await import(location.origin + "/cardd.js");
    const cardd = new Cardd({bases: [arguments[0]]});
    const told = [];
    for (const type of ["hello", "disconnected"])
      cardd.addEventListener(type, ({detail}) => told.push(`${type} ${detail.code}`));
    cardd.listen();
    const codes = [];
    for (const ask of [() => cardd.enter(), () => cardd.login(), () => cardd.call("GET", "/v1/cards")])
      codes.push(await ask().then(() => "given", error => error.code));
    return [codes, told];
    """
    other_user.open_to_everybody(tmp_path)
    dialogs = len(workstation.pinentry.shown())
    with (
        running(name, [portal.port], tmp_path, user=other_user.UID) as browser,
        page(browser, portal, "portal.test") as tab,
    ):
        codes, told = tab.run(asks, workstation.daemon.url)
    assert (codes, told) == (["prompt.unavailable"] * 3, ["disconnected page.consent_needed"])
    assert len(workstation.pinentry.shown()) == dialogs


LISTEN = """
const {Cardd} = await import(location.origin + "/cardd.js");
window.cardd = new Cardd({bases: [arguments[0]]});
window.told = [];
for (const type of ["hello", "session.opened", "session.closed", "disconnected"])
  cardd.addEventListener(type, () => told.push(type));
await cardd.enter();
"""
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


FRAMED = """
const frame = document.createElement("iframe");
Object.assign(frame, {allow: "loopback-network", srcdoc: "<p>"});
const ready = new Promise(done => frame.onload = done);
document.body.append(frame);
await ready;
frame.contentWindow.address = `${location.origin}/cardd.js`;
const {Cardd} = await frame.contentWindow.eval("import(address)");
return (await new Cardd({bases: [arguments[0]]}).enter()).origin;
"""


def test_a_frame_that_the_page_wrote_itself_is_the_page(
    browser: Browser, portal: Portal, workstation: Workstation
) -> None:
    with page(browser, portal, "portal.test") as tab:
        assert tab.run(FRAMED, workstation.daemon.url) == portal.origin()


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
def remote(portal: Portal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    directory, psc = tmp_path_factory.mktemp("remote"), PscRig.installed()
    asyncio.run(psc.start())
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
        asyncio.run(psc.stop())


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


def test_the_module_is_small_and_a_package_with_types(tmp_path_factory: pytest.TempPathFactory) -> None:
    assert len(web_file("cardd.js").content) <= LARGE
    types = Path(cardd.web.__file__).with_name("cardd.d.ts")
    if shutil.which("node"):  # as a server does that renders pages
        script = (
            f"const {{cardd, Cardd}} = await import('{types.with_name('cardd.js')}'); console.log(cardd, typeof Cardd)"
        )
        told = subprocess.check_output(["node", "--input-type=module", "-e", script], text=True)
        assert told == "undefined function\n"
    (package,) = packaged("web", tmp_path_factory).glob("*.tgz")
    with tarfile.open(package) as files:
        assert {"package/cardd.js", "package/cardd.d.ts", "package/LICENSE"} <= set(files.getnames())
    compiler = NODE_MODULES / ".bin/tsc"
    if not compiler.exists():
        pytest.skip("no compiler of TypeScript here")
    subprocess.run([compiler, "--strict", "--noEmit", "--lib", "es2022,dom", types], check=True)
