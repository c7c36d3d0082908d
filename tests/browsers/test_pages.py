"""Pages in real browsers that were let in: what they do with the card, and by whose leave."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path

import pytest

from cardd.web import web_file
from tests.browsers.opening import NONCE, base, is_running, page, rows
from tests.integration.workstation import DIGEST, Workstation
from tests.rig.browsers import Browser, Portal
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
