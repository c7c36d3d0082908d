"""The status page in real browsers: opened by its link, live, in two languages; and shut to everybody else."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import sleep, time
from urllib.parse import urlsplit

import pytest

from tests.browsers.opening import page
from tests.integration.workstation import LPS, Workstation, expect
from tests.p11.programs import Desk, needs
from tests.rig import axe
from tests.rig.browsers import Browser, Portal, Tab
from tests.rig.simulator import simulated_card
from tests.rig.waiting import eventually_here

ARMED = 0.75  # seconds before the page takes a second press
ELSEWHERE = ("Cette page est ouverte dans un autre onglet.", "This page is open in another tab.")
HINTS = {"fr": ("Ouvrir cette page", "English"), "en": ("Open this page", "Français")}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workstation]:
    """A workstation without a card, whose person looks at its page."""
    workstation = Workstation(
        tmp_path_factory.mktemp("status"), extra='\n[web]\nallowed_origins = ["https://site.test"]\n'
    )
    with workstation.running():
        yield workstation


def link(own: Workstation) -> str:
    """What `cardctl open` opens."""
    command = [sys.executable, "-m", "cardd.cli.cardctl", "--socket", str(own.daemon.socket), "open", "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    return str(json.loads(ran.stdout)["url"])


def words(tab: Tab) -> str:
    """What the person reads on the page."""
    return str(tab.run("return document.body.innerText"))


def language(tab: Tab) -> str:
    """The language that the page says it speaks."""
    return str(tab.run("return document.documentElement.lang"))


def reads(tab: Tab, sentence: str) -> bool:
    """Whether this stands on the page."""
    return sentence in words(tab)


def press(tab: Tab, label: str) -> None:
    """Press the button of this name, which has the focus then."""
    tab.run(
        "const found = [...document.querySelectorAll('button')].find(each => each.textContent === arguments[0]);"
        "found.focus(); found.click();",
        label,
    )


def described(tab: Tab, label: str) -> str:
    """What a screen reader says after the name of this button."""
    script = """
    const found = [...document.querySelectorAll("button")].find(each => each.textContent === arguments[0]);
    const ids = found.getAttribute("aria-describedby").split(" ");
    return ids.map(id => document.getElementById(id).textContent).join(" ");
    """
    return str(tab.run(script, label))


def test_the_page_opens_by_its_link_and_follows_what_happens(browser: Browser, own: Workstation) -> None:
    with browser.tab(link(own)) as tab:
        assert urlsplit(tab.address).fragment == ""
        eventually_here(lambda: "e-CPS" in words(tab))
        if language(tab) == "en":
            tab.run("document.getElementById('language').click()")
        eventually_here(lambda: "Lecteurs et cartes" in words(tab))
        eventually_here(lambda: "Aucune carte" in words(tab))
        assert "lire qui vous êtes, vous connecter" in words(tab)
        card = simulated_card()
        with own.card(card):
            eventually_here(lambda: "Code porteur" in words(tab))
            session = own.log_in()
            eventually_here(lambda: "ouverte par LPS" in words(tab))
            before = len(card.log)
            for _ in range(4):
                session.sign()
            assert len(card.log) - before <= 4 * 3  # signing waits for no page that is open
            assert "ouverte par LPS" in described(tab, "Se déconnecter")
            press(tab, "Verrouiller")
            eventually_here(lambda: "verrouillée" in words(tab))
            press(tab, "Se déconnecter")
            eventually_here(lambda: "Aucune session ouverte" in words(tab))
            assert session.lps.call("GET", f"/v1/sessions/{session.id}")[0] == 401
            press(tab, "Retirer LPS")
            press(tab, "Oui, retirer LPS")  # as the second half of a double click, which is not taken
            sleep(ARMED)
            press(tab, "Oui, retirer LPS")
            eventually_here(lambda: "logiciel retiré" in words(tab))
        eventually_here(lambda: "Aucune carte" in words(tab))
        tab.open(tab.address)
        eventually_here(lambda: "Aucune carte" in words(tab))  # this tab keeps its pass


def test_a_program_that_uses_the_card_by_itself_is_shown_and_shut_out(browser: Browser, own: Workstation) -> None:
    needs("pkcs11-tool")
    card = simulated_card()
    with own.card(card), browser.tab(own.status_page()) as tab:
        Desk(own, card).pkcs11_tool("--login", "--list-objects")
        eventually_here(lambda: "/usr/bin/pkcs11-tool" in words(tab))
        if language(tab) == "en":
            tab.run("document.getElementById('language').click()")
        eventually_here(lambda: "Retirer /usr/bin/pkcs11-tool" in words(tab))
        press(tab, "Retirer /usr/bin/pkcs11-tool")
        sleep(ARMED)
        press(tab, "Oui, retirer /usr/bin/pkcs11-tool")
        eventually_here(lambda: "Retirer /usr/bin/pkcs11-tool" not in words(tab))
        assert own.local("/v1/programs") == {"programs": []}


def test_everybody_can_use_the_page_in_both_languages_and_on_a_phone(browser: Browser, own: Workstation) -> None:
    with browser.tab(f"{own.daemon.url}/") as tab:
        assert axe.faults(tab) == []  # the hint
        for title, other in ((HINTS[language(tab)]), HINTS["fr" if language(tab) == "en" else "en"]):
            assert title in words(tab)
            press(tab, other)
    with own.card(simulated_card()), browser.tab(own.status_page()) as tab:
        session = own.log_in()
        eventually_here(lambda: "LPS" in words(tab))
        if language(tab) == "fr":
            press(tab, "English")
        for title, other in (("Your sessions", "Français"), ("Vos sessions", "English")):
            eventually_here(partial(reads, tab, title))
            assert axe.faults(tab) == []
            assert not axe.is_too_wide_for_a_phone(tab)
            press(tab, other)
        session.lps.call("DELETE", session.path)


def test_the_address_alone_and_a_used_link_show_the_hint_only(browser: Browser, own: Workstation) -> None:
    used = own.status_page()
    with browser.tab(used) as tab:
        eventually_here(lambda: "e-CPS" in words(tab))
        tab.run("location.hash = 'SIMULATION'")
        eventually_here(lambda: "cardctl open" in words(tab))  # this link has served, and the tab's pass serves on
        assert tab.run("return sessionStorage.pass")
        for address in (f"{own.daemon.url}/", used):
            with browser.tab(address) as other:
                eventually_here(lambda: "cardctl open" in words(other))
                assert "e-CPS" not in words(other)


def test_a_tab_that_nobody_looks_at_holds_no_stream(browser: Browser, own: Workstation) -> None:
    hide = """
    Object.defineProperty(document, "visibilityState", {value: arguments[0], configurable: true});
    document.dispatchEvent(new Event("visibilitychange"));
    """
    with browser.tab(own.status_page()) as tab:
        eventually_here(partial(reads, tab, "e-CPS"))
        tab.run(hide, "hidden")
        expect(201, own.lps().call("POST", "/v1/clients", {**LPS, "name": f"LPS {browser.name}"}))
        sleep(0.5)
        assert not reads(tab, f"LPS {browser.name}")
        tab.run(hide, "visible")
        eventually_here(partial(reads, tab, f"LPS {browser.name}"))


def test_a_page_that_is_opened_again_takes_the_place_of_the_one_before(browser: Browser, own: Workstation) -> None:
    def is_closed(tab: Tab) -> bool:
        open_ones = browser.command("browsingContext.getTree")["contexts"]
        return tab.context not in [each["context"] for each in open_ones]

    before = Tab(browser, browser.command("browsingContext.create", type="tab")["context"])
    before.open(own.status_page())
    eventually_here(partial(reads, before, "e-CPS"))
    with browser.tab(own.status_page()) as tab:
        eventually_here(partial(reads, tab, "e-CPS"))
        # Chromium keeps a tab that has shown another page: here the empty one
        eventually_here(lambda: is_closed(before) or not reads(before, "e-CPS"))
        if not is_closed(before):
            assert words(before).splitlines()[-1] in ELSEWHERE
            assert before.run("return sessionStorage.pass ?? null") is None
            before.close()
        assert reads(tab, "e-CPS")


def test_of_two_pages_that_are_opened_at_once_one_stays(browser: Browser, own: Workstation) -> None:
    enter = "setTimeout(() => { location.hash = arguments[0]; }, arguments[1] - Date.now());"
    entered = "return sessionStorage.pass !== undefined"
    links = [link(own), link(own)]
    with browser.tab(links[0].partition("#")[0]) as one, browser.tab(one.address) as other:
        at = int(time() * 1000) + 400
        for tab, each in zip((one, other), links, strict=True):
            tab.run(enter, each.partition("#")[2], at)
        sleep(0.9)  # until both have been, and have heard of each other
        assert [tab.run(entered) for tab in (one, other)].count(True) == 1


def test_no_page_of_another_origin_frames_reads_or_holds_it(browser: Browser, portal: Portal, own: Workstation) -> None:
    tries = """
    const frame = document.createElement("iframe");
    frame.src = arguments[0];
    document.body.append(frame);
    await new Promise(done => { frame.onload = frame.onerror = done; setTimeout(done, 700); });
    const opened = window.open(arguments[0]);
    let seen = "";  // of the empty page that a window begins with, until the address is open there
    for (let looks = 0; looks < 100 && seen === ""; looks++) {
      await new Promise(done => setTimeout(done, 50));
      try { seen = opened?.document?.body?.innerText ?? "nothing"; } catch { seen = "nothing"; }  // of another origin
    }
    const fetched = await fetch(arguments[0]).then(() => "ok", () => "error");
    return [seen, fetched];
    """
    with page(browser, portal, "evil.test") as tab:
        assert tab.run(tries, f"{own.daemon.url}/") == ["nothing", "error"]
        assert "cardctl" not in str(tab.frame().run("return document.documentElement.innerText"))


def test_after_a_restart_neither_a_pass_of_before_serves_nor_what_another_program_left_in_the_browser(
    browser: Browser, own: Workstation
) -> None:
    plant = """
    await navigator.serviceWorker.register("/worker.js");
    await navigator.serviceWorker.ready;
    for (let at = 0; at < 100; at++) document.cookie = `a${at}=${"x".repeat(1000)}; max-age=60`;
    """
    with browser.tab(own.status_page()) as before:
        eventually_here(partial(reads, before, "e-CPS"))
        own.daemon.stop()
        with squatter(own.daemon.port), browser.tab(f"{own.daemon.url}/") as tab:
            tab.run(plant)
        own.daemon.start()
        with browser.tab(own.status_page()) as tab:
            eventually_here(partial(reads, tab, "e-CPS"))
            tab.open(tab.address)
            eventually_here(partial(reads, tab, "e-CPS"))
        eventually_here(partial(reads, before, "cardctl open"))
        assert before.run("return sessionStorage.pass ?? null") is None
        assert before.run("return document.getElementById('said').textContent") == ""


@contextmanager
def squatter(port: int) -> Iterator[None]:
    """A program that has cardd's port while cardd is down."""
    with ThreadingHTTPServer(("127.0.0.1", port), _Squatter) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield
        server.shutdown()


class _Squatter(BaseHTTPRequestHandler):
    WORKER = """
    addEventListener("install", () => skipWaiting());
    addEventListener("fetch", event => event.respondWith(new Response("another's page")));
    """

    def do_GET(self) -> None:
        """Answer with a worker by its name, else with a page."""
        is_worker = self.path == "/worker.js"
        content = (self.WORKER if is_worker else "<!doctype html><title>SIMULATION</title>").encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/javascript" if is_worker else "text/html")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
