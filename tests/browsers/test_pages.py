"""Real browsers: a page in the list does its work, and no other page does, learns or uses up anything."""

from __future__ import annotations

import socket
import socketserver
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import pytest

from cardd.system.audit_file import AuditReader
from cardd.web import web_file
from tests.browsers.opening import NONCE, is_running, page, serving, spying
from tests.integration.workstation import DIGEST, Workstation, expect
from tests.rig.browsers import Browser, Name, Portal
from tests.rig.daemon import DaemonProcess
from tests.rig.packages import packaged
from tests.rig.waiting import eventually_here

ENTER = (Path(__file__).parents[2] / "docs/webps.md").read_text().partition("```js\n")[2].partition("```")[0]
WORK = (
    ENTER
    + """
const [base, digest, nonce] = arguments;
const {token} = await enter(base);
const call = async (method, path, body, token) => {
  const headers = body ? {"Content-Type": "application/json"} : {};
  if (token) headers["Authorization"] = `Bearer ${token}`;
  const answer = await fetch(base + path, {method, headers, body: body && JSON.stringify(body)});
  return answer.status === 204 ? {} : {status: answer.status, ...await answer.json()};
};
const session = await call("POST", "/v1/sessions", {method: "cpx"}, token);
const path = `/v1/sessions/${session.id}`;
const auth = await call("POST", `${path}/auth-tokens`, {nonce}, session.token);
const signed = await call("POST", `${path}/signatures`, {document_name: "cr.txt", digest}, session.token);
return {session, auth, signed};
"""
)
LIBRARY = """
const [base, source] = arguments;
const { Cardd } = await import(URL.createObjectURL(new Blob([source], {type: "text/javascript"})));
const session = await new Cardd({at: base}).login({method: "cpx"});
const document = new TextEncoder().encode("SIMULATION");
const signed = await session.sign("cr.txt", {document});
const code = asked => asked.then(() => "nothing", refused => refused.code);
const refused = await code(session.sign("cr.xml", {document, format: "xades"}));
await session.close();
const forgetting = indexedDB.deleteDatabase("cardd");
const forgotten = await new Promise((done) => {
  forgetting.onsuccess = () => done("deleted");
  forgetting.onblocked = () => done("blocked");
});
return {
  forgotten,
  family: session.opened.identity.family_name,
  signature: signed.signature.length,
  refused,
  after: await code(session.state()),
};
"""
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


def base(workstation: Workstation) -> str:
    return workstation.daemon.url


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


def rows(workstation: Workstation) -> list[str]:
    return [
        f"{row.entry.action} {row.entry.code or row.entry.outcome}"
        for row in AuditReader(workstation.daemon.state / "audit").tail(50)
    ]


def test_a_page_in_the_list_logs_in_and_signs_and_a_program_with_its_origin_does_not(
    browser: Browser, portal: Portal, workstation: Workstation
) -> None:
    with page(browser, portal, "portal.test") as tab:
        done = tab.run(WORK, base(workstation), DIGEST, NONCE)
    assert (done["session"]["state"], done["auth"]["format"]) == ("active", "web-eid:1.0")
    assert done["signed"]["status"] == 200
    [pin, *_] = [shown for shown in reversed(workstation.pinentry.shown()) if shown.kind == "pin"]
    assert portal.origin().removeprefix("https://") in pin.description

    session, origin = done["session"], f"Origin: {portal.origin()}"
    dialogs = len(workstation.pinentry.shown())
    for request in (
        ["-d", '{"method":"cpx"}', "-H", "Content-Type: application/json", "/v1/sessions"],
        ["-H", f"Authorization: Bearer {session['token']}", f"/v1/sessions/{session['id']}"],
    ):
        *options, path = request
        said = subprocess.run(
            ["curl", "-s", "-H", origin, *options, base(workstation) + path], capture_output=True, check=True
        )
        assert b'"page.not_a_browser"' in said.stdout
    assert len(workstation.pinentry.shown()) == dialogs
    assert "page.call page.not_a_browser" in rows(workstation)


def test_a_page_uses_the_library_for_makers_as_it_stands(
    browser: Browser, portal: Portal, workstation: Workstation, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (package,) = packaged("typescript", tmp_path_factory).glob("*.tgz")
    with tarfile.open(package) as files:
        library, module = (files.extractfile(f"package/dist/{name}.js") for name in ("index", "cardd"))
        assert library
        assert module
        assert module.read() == web_file("cardd.js").content  # which the portal serves
        source = library.read().decode().replace('"./cardd.js"', f'"{portal.origin()}/cardd.js"')
    with page(browser, portal, "portal.test") as tab:
        done = tab.run(LIBRARY, base(workstation), source)
    assert done == {
        "forgotten": "deleted",
        "family": "SIMULATION-MEDECIN",
        "signature": 344,
        "refused": "document.malformed",
        "after": "session.closed",
    }


def test_a_pages_key_stays_in_its_browser_and_a_new_one_is_asked_about(
    browser: Browser, portal: Portal, workstation: Workstation
) -> None:
    script = """
    const [base] = arguments;
    const {token} = await enter(base);
    const {privateKey} = await pageKey();
    const taken = await crypto.subtle.exportKey("jwk", privateKey).then(() => "taken", (refused) => refused.name);
    const opened = (source) => new Promise((done) => {
      source.onopen = () => { source.close(); done("ok"); };
      source.onerror = () => { source.close(); done("error"); };
    });
    const ticket = async () => (await post(`${base}/v1/events/tickets`, {}, token)).ticket;
    const address = async () => `${base}/v1/events?ticket=${await ticket()}`;
    const once = await address();
    const streams = [
      await opened(new EventSource(once)),
      await opened(new EventSource(once)),
      await opened(new WebSocket((await address()).replace("http", "ws"))),
      await opened(new WebSocket(`${base.replace("http", "ws")}/v1/events`)),
    ];
    return {token, taken, streams};
    """
    with page(browser, portal, "portal.test") as tab:
        done = tab.run(ENTER + script, base(workstation))
        assert (done["taken"], done["streams"]) == ("InvalidAccessError", ["ok", "error", "ok", "error"])
        dialogs = len(workstation.pinentry.shown())
        assert tab.run(ENTER + "return (await enter(arguments[0])).origin", base(workstation)) == portal.origin()
        assert len(workstation.pinentry.shown()) == dialogs  # the browser has kept its key
        forgotten = """
        await settled(indexedDB.deleteDatabase("cardd"));
        const made = await Promise.all([pageKey(), pageKey()]); // as two tabs do
        const [one, other] = await Promise.all(made.map((key) => crypto.subtle.exportKey("jwk", key.publicKey)));
        return one.x === other.x && (await enter(arguments[0])).origin;
        """
        assert tab.run(ENTER + forgotten, base(workstation)) == portal.origin()
        [asked] = workstation.pinentry.shown()[dialogs:]
        assert "It was let in before, from another browser" in asked.description

    stolen = ["-H", f"Origin: {portal.origin()}", "-H", f"Authorization: Bearer {done['token']}"]
    said = subprocess.run(["curl", "-s", *stolen, f"{base(workstation)}/v1/cards"], capture_output=True, check=True)
    assert b'"page.not_a_browser"' in said.stdout


def test_a_site_in_a_frame_of_another_has_another_key(
    browser: Browser, portal: Portal, workstation: Workstation
) -> None:
    frame = """
    const frame = document.createElement("iframe");
    frame.allow = "loopback-network";
    frame.src = arguments[0];
    const loaded = new Promise((done) => { frame.onload = done; });
    document.body.append(frame);
    await loaded;
    """
    asked = (
        ENTER
        + """
    return await enter(arguments[0], {ask: false}).then(() => "let in", (refused) => refused.code ?? refused.name);
    """
    )
    with page(browser, portal, "portal.test") as tab:
        tab.run(ENTER + "await enter(arguments[0])", base(workstation))
        assert tab.run(asked, base(workstation)) == "let in"
    browser.permit(portal.origin("portal.test"))
    with page(browser, portal, "evil.test") as tab:
        tab.run(frame, portal.origin("portal.test"))
        assert tab.frame().run(asked, base(workstation)) in ("page.consent_needed", "TypeError")


def test_a_foreign_page_reaches_nothing_and_sees_what_it_sees_at_a_closed_port(
    browser: Browser, portal: Portal, workstation: Workstation
) -> None:
    before, dialogs = rows(workstation), len(workstation.pinentry.shown())
    with socket.socket() as closed, page(browser, portal, "evil.test") as tab:
        closed.bind(("127.0.0.1", 0))  # nobody listens
        here = tab.run(TRIES, base(workstation))
        nowhere = tab.run(TRIES, f"http://127.0.0.1:{closed.getsockname()[1]}")
    assert here == nowhere == dict.fromkeys(here, "error")
    assert (rows(workstation), len(workstation.pinentry.shown())) == (before, dialogs)


def test_no_spelling_of_this_machine_and_no_way_of_sending_gets_a_foreign_page_in(
    browser: Browser, portal: Portal, workstation: Workstation
) -> None:
    read = "return await fetch(`${arguments[0]}/v1/status`).then((answer) => answer.status, () => 'error')"
    before, dialogs = rows(workstation), len(workstation.pinentry.shown())
    bases = {name: f"http://{name}:{workstation.daemon.port}" for name in SPELLINGS}
    with page(browser, portal, "evil.test") as tab:
        for address in bases.values():
            assert set(tab.run(SENDS, address).values()) == {"error"}, address
    assert (rows(workstation), len(workstation.pinentry.shown())) == (before, dialogs)
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


def test_a_page_that_hands_a_pin_over_is_refused_and_nobody_is_asked(
    browser: Browser, portal: Portal, workstation: Workstation
) -> None:
    script = """
    const {token} = await enter(arguments[0]);
    const headers = {"Content-Type": "application/json", Authorization: `Bearer ${token}`};
    const login = async (query, body) => {
      const options = {method: "POST", headers, body: JSON.stringify({method: "cpx", ...body})};
      return (await (await fetch(`${arguments[0]}/v1/sessions${query}`, options)).json()).code;
    };
    return [await login("", {pin: "1234"}), await login("", {card: {pin: "1234"}}), await login("?pin=1234", {})];
    """
    with page(browser, portal, "portal.test") as tab:
        tab.run(ENTER + "await enter(arguments[0])", base(workstation))
        dialogs = len(workstation.pinentry.shown())
        assert tab.run(ENTER + script, base(workstation)) == ["request.invalid"] * 3
    assert len(workstation.pinentry.shown()) == dialogs


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


def test_a_dialog_closes_with_its_tab_and_with_its_page(
    browser: Browser, portal: Portal, workstation: Workstation, tmp_path: Path
) -> None:
    ask = """
    const {token} = await enter(arguments[0]);
    const headers = {"Content-Type": "application/json", Authorization: `Bearer ${token}`};
    const options = {method: "POST", headers, body: '{"method":"cpx"}'};
    const leaving = new AbortController();
    addEventListener("pagehide", () => leaving.abort());  // as docs/integrators.md has it, for pages kept for "Back"
    fetch(arguments[0] + "/v1/sessions", {...options, signal: leaving.signal}).catch(() => 0);
    """
    extra = f'\n[web]\nallowed_origins = ["{portal.origin()}"]\n'
    pinentry, around = workstation.pinentry, workstation.pcscd.environment
    daemon = DaemonProcess(tmp_path, pinentry=pinentry.path, environment=around, extra=extra, is_read=False).start()
    pinentry.answer("yes", "hang", "hang")  # the browser is let in once
    try:
        with page(browser, portal, "portal.test") as tab:
            tab.run(ENTER + ask, daemon.url)
            eventually_here(lambda: is_running(pinentry.path))
            tab.open(portal.origin("evil.test"))
            eventually_here(lambda: not is_running(pinentry.path))
        with page(browser, portal, "portal.test") as tab:
            tab.run(ENTER + ask, daemon.url)
            eventually_here(lambda: is_running(pinentry.path))
        eventually_here(lambda: not is_running(pinentry.path))  # the tab is closed
    finally:
        pinentry.answer()
        daemon.stop()


def test_a_page_in_a_browser_that_is_not_known_is_told_so(
    browser: Browser, portal: Portal, workstation: Workstation, tmp_path: Path
) -> None:
    script = """
    const options = {method: "POST", headers: {"Content-Type": "application/json"}, body: '{"method":"cpx"}'};
    const answer = await fetch(arguments[0] + "/v1/sessions", options);
    return [answer.status, (await answer.json()).code];
    """
    strict = f'\n[web]\nallowed_origins = ["{portal.origin()}"]\nbrowsers = ["/usr/bin/true"]\n'
    daemon = DaemonProcess(tmp_path, environment=workstation.pcscd.environment, extra=strict).start()
    try:
        with page(browser, portal, "portal.test") as tab:
            assert tab.run(script, daemon.url) == [403, "page.not_a_browser"]
    finally:
        daemon.stop()


def test_an_allowed_page_may_use_the_relays_methods_and_soap_action(
    browser: Browser, portal: Portal, workstation: Workstation
) -> None:
    script = """
    const options = {method: arguments[1], headers: {SOAPAction: "urn:x", "Content-Type": "application/soap+xml"}};
    if (arguments[1] !== "HEAD") options.body = "<x/>";
    const answer = await fetch(arguments[0] + "/v1/sessions/x/upstreams/dmp/y", options);
    return arguments[1] === "HEAD" ? [answer.status, "session.unknown"] : [answer.status, (await answer.json()).code];
    """
    with page(browser, portal, "portal.test") as tab:
        for method in ("POST", "PUT", "PATCH", "DELETE", "HEAD"):
            assert tab.run(script, base(workstation), method) == [401, "session.unknown"], method


# what becomes of a request to this machine in its first second
ASKING = """
const asked = fetch(arguments[0]).then(() => "ok", () => "error");
return await Promise.race([asked, new Promise(done => setTimeout(() => done("waiting"), 1000))]);
"""


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
