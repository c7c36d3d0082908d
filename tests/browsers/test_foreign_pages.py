"""Pages in real browsers that were not let in: they reach nothing of this machine, whatever they try."""

from __future__ import annotations

import socket
import socketserver
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import pytest

from tests.browsers.opening import base, page, rows, serving, spying
from tests.integration.workstation import Workstation, expect
from tests.rig.browsers import Browser, Name, Portal
from tests.rig.waiting import eventually_here

# what a page can do without asking, each as "ok" or "error", as far as a script of the page is told
TRIES = """
const [base] = arguments;
const told = (element, property, value) => new Promise(done => {
  element.onload = () => done("ok");
  element.onerror = () => done("error");
  element[property] = value;
  document.body.append(element);
  setTimeout(() => done("silence"), 6000);
});
const fetched = options => fetch(base + "/v1/status", options).then(() => "ok", () => "error");
const make = name => document.createElement(name);
const sheet = make("link");
sheet.rel = "stylesheet";
const results = {
  cors: fetched({}),
  post: fetched({method: "POST", headers: {"Content-Type": "application/json"}, body: "{}"}),
  opaque: fetched({mode: "no-cors"}),
  opaque_post: fetched({mode: "no-cors", method: "POST", body: '{"method":"cpx"}'}),
  image: told(make("img"), "src", base + "/v1/status"),
  script: told(make("script"), "src", base + "/v1/status"),
  sheet: told(sheet, "href", base + "/v1/status"),
  events: new Promise(done => {
    const source = new EventSource(base + "/v1/events");
    source.onopen = () => done("ok");
    source.onerror = () => { source.close(); done("error"); };
  }),
  socket: new Promise(done => {
    const socket = new WebSocket(base.replace("http", "ws") + "/v1/events");
    socket.onopen = () => done("ok");
    socket.onerror = () => done("error");
  }),
};
for (const name in results) results[name] = await results[name];
return results;
"""
# ways of sending that wait for no preflight, and are not done before the daemon could have begun something
SENDS = """
const [base] = arguments;
const body = '{"method":"cpx","pin":"1234"}';
const post = {method: "POST", mode: "no-cors", body};
const result = (promise) => promise.then(() => "ok", () => "error");
const told = (element, event) => new Promise((done) => {
  element[event] = (message) => done(message.data ?? "ok");
  element.onerror = () => done("error");
});
const script = `fetch("${base}/v1/sessions", {method: "POST", mode: "no-cors", body: "{}"})
  .then(() => postMessage("ok"), () => postMessage("error"))`;
const worker = told(new Worker(URL.createObjectURL(new Blob([script]))), "onmessage");
const image = new Image();
const shown = told(image, "onload");
image.src = `${base}/v1/sessions?method=cpx&sign=MTIz`;
navigator.sendBeacon(`${base}/v1/sessions`, new Blob([body], {type: "text/plain"}));
return {
  read: await result(fetch(`${base}/v1/status`)),
  sent: await result(fetch(`${base}/v1/sessions`, post)),
  with_cookies: await result(fetch(`${base}/v1/status`, {mode: "no-cors", credentials: "include"})),
  outliving: await result(fetch(`${base}/v1/sessions`, {...post, keepalive: true})),
  worker: await worker,
  image: await shown,
};
"""
SPELLINGS = ("0.0.0.0", "127.1", "[::1]", "[::]", "[::ffff:127.0.0.1]", "localhost", "x.localhost")
HELD = 100  # of 200 preconnects, that really came
# headless Chromium answers its own question with no, Firefox leaves it open
WITHOUT_PERMISSION: dict[Name, str] = {"chromium": "error", "firefox": "waiting"}
# what becomes of a request to this machine in its first second
ASKING = """
const asked = fetch(arguments[0]).then(() => "ok", () => "error");
return await Promise.race([asked, new Promise(done => setTimeout(() => done("waiting"), 1000))]);
"""


def connections(port: int) -> int:
    """How many connections to this port of loopback are established."""
    lines = [line.split() for name in ("tcp", "tcp6") for line in Path("/proc/net", name).read_text().splitlines()]
    return sum(line[2].endswith(f":{port:04X}") and line[3] == "01" for line in lines[1:])


@contextmanager
def rebinding(daemon: int) -> Iterator[int]:
    """Serve a page; all that it asks of its own server goes to the daemon, byte for byte, as after rebinding.

    A browser whose name server lies sends the daemon's own port; here that is put in its place.
    """

    class Rebound(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            said = self.request.recv(65536)
            if said.startswith(b"GET / "):
                self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<body>")
                return
            ours = f":{self.request.getsockname()[1]}\r\n".encode()
            with socket.create_connection(("127.0.0.1", daemon)) as connection:
                connection.sendall(said.replace(ours, f":{daemon}\r\n".encode()))
                self.request.sendall(connection.recv(65536))

    with serving(Rebound) as port:
        yield port


def test_a_foreign_page_reaches_nothing_and_sees_what_it_sees_at_a_closed_port(
    browser: Browser, portal: Portal, workstation: Workstation
) -> None:
    before, dialogs = rows(workstation, "evil.test"), len(workstation.pinentry.shown())
    with socket.socket() as closed, page(browser, portal, "evil.test") as tab:
        closed.bind(("127.0.0.1", 0))  # nobody listens
        here = tab.run(TRIES, base(workstation))
        nowhere = tab.run(TRIES, f"http://127.0.0.1:{closed.getsockname()[1]}")
    assert here == nowhere == dict.fromkeys(here, "error")
    assert (rows(workstation, "evil.test"), len(workstation.pinentry.shown())) == (before, dialogs)


def test_no_spelling_of_this_machine_and_no_way_of_sending_gets_a_foreign_page_in(
    browser: Browser, portal: Portal, workstation: Workstation
) -> None:
    read = "return await fetch(`${arguments[0]}/v1/status`).then((answer) => answer.status, () => 'error')"
    before, dialogs = rows(workstation, "evil.test"), len(workstation.pinentry.shown())
    bases = {name: f"http://{name}:{workstation.daemon.port}" for name in SPELLINGS}
    with page(browser, portal, "evil.test") as tab:
        for address in bases.values():
            assert set(tab.run(SENDS, address).values()) == {"error"}, address
    assert (rows(workstation, "evil.test"), len(workstation.pinentry.shown())) == (before, dialogs)
    with page(browser, portal, "portal.test") as tab:
        served = {name for name, address in bases.items() if tab.run(read, address) == 200}
    assert served == {"127.1", "[::1]", "localhost"}  # the browser itself writes 127.0.0.1 for the first one


def test_a_page_of_an_allowed_sites_other_port_is_a_foreign_page(
    browser: Browser, workstation: Workstation, tmp_path: Path
) -> None:
    """The browser takes it for this machine's own, and asks nobody: it reaches the daemon, which refuses it."""
    with Portal(tmp_path).running() as other, browser.tab(other.origin("portal.test")) as tab:
        assert set(tab.run(SENDS, base(workstation)).values()) == {"error"}
        assert set(tab.run(TRIES, base(workstation)).values()) == {"error"}


def test_a_frame_without_an_origin_of_its_own_reaches_nothing_from_an_allowed_page(
    browser: Browser, portal: Portal, workstation: Workstation
) -> None:
    script = """
    const frame = document.createElement("iframe");
    frame.allow = "loopback-network";
    frame.sandbox = "allow-scripts";
    frame.srcdoc = `<script>fetch("${arguments[0]}/v1/status").then(() => "ok", () => "error")
        .then(told => parent.postMessage(told, "*"))</script>`;
    const told = new Promise(done => addEventListener("message", event => done(event.data)));
    document.body.append(frame);
    return await told;
    """
    with page(browser, portal, "portal.test") as tab:
        assert tab.run("return (await fetch(arguments[0] + '/v1/status')).status", base(workstation)) == 200
        assert tab.run(script, base(workstation)) == "error"


def test_a_form_and_a_click_of_a_foreign_page_open_no_session(
    browser: Browser, portal: Portal, workstation: Workstation
) -> None:
    script = """
    const form = document.createElement("form");
    Object.assign(form, {method: "POST", enctype: "text/plain", action: arguments[0] + "/v1/sessions"});
    form.innerHTML = `<input name='{"method":"cpx","x":"' value='"}'>`;
    document.body.append(form);
    setTimeout(() => form.submit(), 0);
    """
    dialogs = len(workstation.pinentry.shown())
    with page(browser, portal, "evil.test") as tab:
        tab.run(script, base(workstation))
        eventually_here(lambda: tab.address == f"{base(workstation)}/v1/sessions")
    assert len(workstation.pinentry.shown()) == dialogs


def test_a_page_whose_name_was_bound_anew_to_this_machine_reaches_nothing(
    browser: Browser, workstation: Workstation
) -> None:
    script = "const answer = await fetch(arguments[0]); return [answer.status, (await answer.json()).code]"
    stream = """
    const socket = new WebSocket(`ws://${location.host}/v1/events`);
    return await new Promise((done) => { socket.onopen = () => done("ok"); socket.onerror = () => done("error"); });
    """
    with rebinding(workstation.daemon.port) as port, browser.tab(f"http://rebind.test:{port}/") as tab:
        for path in ("/v1/status", "/openapi.json", "/v1/cards"):
            assert tab.run(script, path) == [403, "request.forbidden"]
        assert tab.run(stream) == "error"


def test_two_hundred_preconnects_of_a_page_keep_no_program_out(
    browser: Browser, portal: Portal, workstation: Workstation
) -> None:
    lps = workstation.pair()
    script = """
    for (let number = 0; number < 200; number++) {
      const link = document.createElement("link");
      Object.assign(link, {rel: "preconnect", href: `http://h${number}.localhost:${arguments[0]}`});
      document.head.append(link);
    }
    """
    with page(browser, portal, "evil.test", permitted=False) as tab:  # nobody asks before a browser connects
        tab.run(script, workstation.daemon.port)
        eventually_here(lambda: connections(workstation.daemon.port) >= HELD)
        began = monotonic()
        for _ in range(5):
            assert workstation.local("/v1/status")["state"] == "ready"
            expect(200, lps.call("GET", "/v1/cards"))
            expect(200, workstation.lps().call("GET", "/v1/status"))  # a new connection
        assert monotonic() - began < 10  # 31 s were measured once


def test_before_the_person_agrees_no_request_of_a_page_reaches_this_machine(browser: Browser, portal: Portal) -> None:
    with spying() as (address, heard):
        with page(browser, portal, "portal.test", permitted=False) as tab:
            assert tab.run(ASKING, address) == WITHOUT_PERMISSION[browser.name]
            assert b"".join(heard) == b""  # it may connect, and says nothing
        with page(browser, portal, "portal.test") as tab:
            tab.run("fetch(arguments[0]).catch(() => 0)", address)
            eventually_here(lambda: f"Origin: {portal.origin()}".encode() in b"".join(heard))


def test_a_site_of_the_administrators_policy_reaches_this_machine_without_a_question_and_no_other_does(
    browser: Browser, portal: Portal
) -> None:
    if not browser.has_settings:
        pytest.skip("nothing can be laid over /etc here: that needs root, and a kernel that lets it")
    with spying() as (address, heard):
        with page(browser, portal, "evil.test", permitted=False) as tab:
            assert tab.run(ASKING, address) == WITHOUT_PERMISSION[browser.name]
            assert b"".join(heard) == b""
        with browser.tab(portal.origin("policy.test")) as tab:  # nobody answered for it
            tab.run(ASKING, address)
            eventually_here(lambda: f"Origin: {portal.origin('policy.test')}".encode() in b"".join(heard))
