"""cardd.js in real browsers: what it tells a page of cardd, the right word in each case."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from socketserver import BaseRequestHandler

import pytest

from tests.browsers.opening import find, page, serving, spying
from tests.integration.workstation import Workstation
from tests.rig.browsers import Browser, Portal
from tests.rig.daemon import DaemonProcess
from tests.rig.pinentry import ScriptedPinentry

OLD = b'{"name":"cardd","version":"0.1.0","state":"ready"}'
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


def answered(origin: str, content: bytes) -> bytes:
    """An answer of some other server that lets this origin read it."""
    head = f"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: {origin}\r\nContent-Length: {len(content)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + content


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
