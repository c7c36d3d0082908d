"""The portals of docs/examples/webps in real browsers: a professional's whole way, and what is refused."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import sleep
from typing import cast

import pytest

from tests.browsers.opening import browsing
from tests.integration.workstation import Workstation
from tests.rig import axe, nginx
from tests.rig.browsers import NAMES, Browser, Portal
from tests.rig.psc_simulator import PscSimulator
from tests.rig.simulator import issue, simulated_card
from tests.rig.webps import ALICE, DOCTOR, SERVERS, PortalPage, Server, WebPs, mobiles, wait_for
from tests.webps.test_portals import cades
from tests.webps.tokens import trust_cards

FORGET = """
localStorage.clear();
sessionStorage.clear();
await fetch("/card/logout", {method: "POST", headers: {"Content-Type": "application/json"}, body: "{}"});
"""


@pytest.fixture(scope="module")
def portals(tmp_path_factory: pytest.TempPathFactory) -> dict[Server, WebPs]:
    """One portal in each language, under names of their own; they do not run yet."""
    folder = tmp_path_factory.mktemp("portals")
    trust_cards(folder)
    hosts: dict[Server, str] = {server: f"{server}.test" for server in SERVERS}
    names = ",".join(f"DNS:{host}" for host in hosts.values())
    pair = nginx.issued(folder, nginx.authority(folder), "portail", names=names)
    return {server: WebPs(server, folder, pair, host) for server, host in hosts.items()}


@pytest.fixture(scope="module", params=NAMES)
def browser(
    request: pytest.FixtureRequest,
    portal: Portal,
    portals: dict[Server, WebPs],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Browser]:
    """A browser that takes the portals' servers for others than this machine's."""
    public = [one.port for one in portals.values()]
    with browsing(request.param, public, portal, tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture(scope="module")
def psc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PscSimulator]:
    """Pro Santé Connect, and the mobiles of the doctor and of ALICE."""
    simulator = mobiles(tmp_path_factory.mktemp("psc"))
    yield simulator
    simulator.stop()


@pytest.fixture(scope="module")
def workstation(portals: dict[Server, WebPs], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workstation]:
    """The doctor's workstation, which lets both portals in; its card is not inserted yet."""
    section = '\n[portals.{0.server}]\norigin = "{0.origin}"\nrights = ["authenticate", "sign"]\n'
    listed = "".join(section.format(portal) for portal in portals.values())
    with Workstation(tmp_path_factory.mktemp("workstation"), extra=listed).running() as workstation:
        yield workstation


@pytest.fixture(scope="module")
def running(portals: dict[Server, WebPs], workstation: Workstation, psc: PscSimulator) -> Iterator[None]:
    with ExitStack() as ends:
        for portal in portals.values():
            portal.set_up([workstation.daemon.url], psc)
            ends.enter_context(portal.running())
        yield


@pytest.fixture(params=SERVERS)
def site(request: pytest.FixtureRequest, portals: dict[Server, WebPs], running: None) -> WebPs:
    return portals[request.param]


@pytest.fixture
def either(browser: Browser, portals: dict[Server, WebPs], running: None) -> WebPs:
    """A portal for what is the pages' own: one for each browser, so that both have been seen."""
    return portals["python" if browser.name == "chromium" else "node"]


@pytest.fixture
def card(workstation: Workstation) -> Iterator[None]:
    """The doctor's card is in."""
    with workstation.card(simulated_card()):
        yield
    workstation.wait_for_cards(0)


@contextmanager
def page(browser: Browser, site: WebPs) -> Iterator[PortalPage]:
    """The portal's page in French, which the person lets reach this machine; nobody is logged in there."""
    browser.permit(site.origin)
    with browser.tab(site.origin) as tab:
        tab.run("localStorage.clear(); sessionStorage.clear();")
        tab.run(
            "await fetch('/card/logout', {method: 'POST', headers: {'Content-Type': 'application/json'}, body: '{}'})"
        )
        tab.open(site.origin)
        found = PortalPage(tab)
        found.reads("Se connecter par carte")
        yield found


def test_a_professional_logs_in_by_card_signs_what_they_see_and_logs_out(
    browser: Browser, site: WebPs, workstation: Workstation, card: None
) -> None:
    with page(browser, site) as mine:
        mine.log_in()
        assert (mine.field("name"), mine.field("number")) == ("CAMILLE SIMULATION-MEDECIN", DOCTOR)
        assert mine.field("profession") == "Médecin"
        assert f"n° {DOCTOR}" in mine.field("document")
        mine.sign()
        dialog = workstation.pinentry.shown()[-1]
        assert (dialog.kind, "compte-rendu-" in dialog.description) == ("confirm", True)
        mine.tab.open(site.origin)  # a reload: the portal's login stays, cardd's session is this page's
        mine.reads("Signature vérifiée par le serveur")
        digest = mine.field("digest")
        mine.sign()
        assert mine.tab.run("return document.querySelectorAll('#signed li').length") == 2
        assert digest[:8] in workstation.pinentry.shown()[-1].description.lower().replace(" ", "")
        mine.press("leave")
        mine.reads("Vous êtes déconnecté(e)")
        assert not any(told in mine.tab.run("return document.body.textContent") for told in (DOCTOR, digest, "tension"))
        mine.tab.open("about:blank")
        browser.command("browsingContext.traverseHistory", context=mine.tab.context, delta=-1)
        wait_for(lambda: mine.tab.address.startswith(site.origin))
        mine.reads("Se connecter par carte")
        assert DOCTOR not in mine.words()


def test_a_professional_logs_in_by_e_cps_and_signs_by_card(
    browser: Browser, site: WebPs, psc: PscSimulator, workstation: Workstation, card: None
) -> None:
    with page(browser, site) as mine:
        digits = mine.ask_mobile(DOCTOR)
        mine.tab.open(site.origin)  # a reload in the middle
        mine.reads("Il reste")
        assert mine.field("digits") == digits
        assert digits in psc.tell("approve").stdout
        mine.reads("confirmée au serveur par Pro Santé Connect")
        assert mine.field("number") == DOCTOR
        mine.sign()
        [session] = cast(list[dict[str, str]], workstation.local("/v1/sessions")["sessions"])
        workstation.tell(f"/v1/sessions/{session['id']}/lock")  # as by a locked screen
        mine.sign()
        assert [shown.kind for shown in workstation.pinentry.shown()[-2:]] == ["confirm", "pin"]
        mine.log_out()


def test_a_card_of_somebody_else_signs_nothing_for_who_is_logged_in(
    browser: Browser, either: WebPs, psc: PscSimulator, card: None
) -> None:
    with page(browser, either) as mine:
        mine.ask_mobile(ALICE)
        mine.press("cancel")
        mine.reads("Demande abandonnée")
        mine.ask_mobile(ALICE)
        psc.tell("approve")
        mine.reads("ALICE SIMULATION")
        mine.press("sign")
        mine.reads("la carte qui signe n’est pas celle de la personne connectée")
        assert "Aucun pour l’instant" in mine.words()
        mine.log_out()


# a hostile page: it sends another body to this path, or shows another text than the one that came from there
INSTEAD = """
const [path, given] = arguments;
window.real ??= window.fetch;
window.fetch = async (asked, sent) => {
  if (!asked.startsWith(path)) return real(asked, sent);
  if (given) return real(asked, {...sent, body: given});
  return new Response((await (await real(asked, sent)).text()).replace("stable", "haute"));
};
"""
NONCE = """
const headers = {"Content-Type": "application/json"};
return (await (await fetch("/card/challenge", {method: "POST", headers, body: "{}"})).json()).nonce;
"""
TOKEN = """
const {Cardd} = await import("/cardd.js");
const session = await new Cardd({bases: [arguments[0]]}).login();
const token = await session.authToken(arguments[1]);
await session.close();
return token;
"""
REFUSED = "Le portail a refusé cette connexion"
# the token waits on its way to the server
HELD = """
window.real ??= window.fetch;
window.fetch = async (path, sent) => {
  if (path === "/card/login") await new Promise(goOn => window.goOn = goOn);
  return real(path, sent);
};
"""


def test_a_token_of_before_or_of_another_site_logs_nobody_in(
    browser: Browser, either: WebPs, portals: dict[Server, WebPs], workstation: Workstation, card: None
) -> None:
    [other] = [portal for portal in portals.values() if portal is not either]
    base = workstation.daemon.url
    with page(browser, either) as mine, page(browser, other) as elsewhere:
        before = mine.tab.run(TOKEN, base, mine.tab.run(NONCE))
        mine.tab.run(INSTEAD, "/card/login", json.dumps(before))
        mine.press("card")
        mine.reads(REFUSED)
        nonce = mine.tab.run(NONCE)
        relayed = elsewhere.tab.run(TOKEN, base, nonce)
        mine.tab.run(INSTEAD, "/card/login", json.dumps(relayed))
        mine.press("card")
        mine.reads(REFUSED)
        assert workstation.local("/v1/sessions") == {"sessions": []}


def test_a_token_that_comes_after_five_minutes_logs_nobody_in(browser: Browser, either: WebPs, card: None) -> None:
    with page(browser, either) as mine:
        for seconds, told in ((301, REFUSED), (299, "Vous êtes connecté(e)")):
            mine.tab.run(HELD)
            mine.press("card")
            wait_for(lambda: bool(mine.tab.run("return Boolean(window.goOn)")))
            with either.later(seconds):
                mine.tab.run("window.goOn(); delete window.goOn")
                mine.reads(told)
        mine.log_out()


def test_a_changed_document_or_a_signature_of_another_is_refused_by_the_server(
    browser: Browser, either: WebPs, card: None, tmp_path: Path
) -> None:
    with page(browser, either) as mine:
        mine.log_in()
        name = mine.tab.run("return (await (await fetch('/me')).json()).documents.find(each => !each.signed).id")
        content = mine.field("document")
        others = cades(tmp_path, content.encode(), issue("pharmacien").signature)
        body = json.dumps({"id": name, "signature": base64.b64encode(others).decode()})
        mine.tab.run(INSTEAD, "/signatures", body)
        mine.press("sign")
        mine.reads("la carte qui signe n’est pas celle de la personne connectée")
        mine.log_out()
        mine.tab.run(INSTEAD, "/documents/", "")
        mine.log_in()
        mine.reads("tension haute")
        mine.press("sign")
        mine.reads("la signature n’est pas celle de ce document")
        assert "Aucun pour l’instant" in mine.words()
        mine.log_out()


def test_the_page_logs_out_when_the_card_is_pulled_and_says_what_cardd_says(
    browser: Browser, either: WebPs, workstation: Workstation
) -> None:
    with page(browser, either) as mine:
        mine.press("card")
        wait_for(lambda: "carte" in mine.field("problem"))
        with workstation.card(simulated_card()):
            workstation.pinentry.answer("pin:9999", "cancel")
            mine.press("card")
            wait_for(lambda: mine.field("problem") != "")
            assert "2" in mine.field("problem")  # tries left
            mine.log_in()
            workstation.pinentry.answer("hang")
            mine.press("sign")
            wait_for(lambda: "signature" in workstation.pinentry.shown()[-1].description)
        mine.reads("La carte a été retirée : vous êtes déconnecté(e).")
        with workstation.card(simulated_card()):
            mine.log_in()
            mine.tab.open(either.origin)  # a reload, after which the page has no session of cardd's
            mine.reads("Vous êtes connecté(e)")
            with workstation.card(simulated_card("pharmacien"), slot=1):
                mine.tab.open(either.origin)
                mine.reads("Vous êtes connecté(e)")
            sleep(0.3)
            assert mine.field("said") == ""  # another card may go
        mine.reads("La carte a été retirée : vous êtes déconnecté(e).")
        assert mine.tab.run("return (await (await fetch('/me')).json()).holder") is None


def test_the_page_logs_out_when_cardd_lets_its_site_in_no_more(
    browser: Browser, either: WebPs, workstation: Workstation, card: None
) -> None:
    with page(browser, either) as mine:
        for own_session in (True, False):
            mine.log_in()
            if not own_session:
                mine.tab.open(either.origin)
                mine.reads("Vous êtes connecté(e)")
            workstation.shut_out(either.origin)
            mine.reads("cardd a fermé la session de la carte")
            assert mine.tab.run("return (await (await fetch('/me')).json()).holder") is None


def test_two_tabs_have_one_login(browser: Browser, either: WebPs, workstation: Workstation, card: None) -> None:
    with page(browser, either) as mine, browser.tab(either.origin) as second:
        other = PortalPage(second)
        other.reads("Se connecter par carte")
        mine.log_in()
        other.reads("Vous êtes connecté(e)")
        other.press("sign")
        mine.reads("Signature vérifiée par le serveur")
        other.log_out()
        mine.reads("Se connecter par carte")
        wait_for(lambda: workstation.local("/v1/sessions") == {"sessions": []})


def test_a_portal_that_was_started_again_says_that_the_login_is_over(
    browser: Browser, either: WebPs, workstation: Workstation, card: None
) -> None:
    with page(browser, either) as mine:
        mine.log_in()
        either.stop()
        mine.press("sign")
        mine.reads("Le portail ne répond pas")
        either.start()
        mine.press("sign")
        mine.reads("Votre connexion au portail est terminée")
        mine.reads("Se connecter par carte")
        wait_for(lambda: workstation.local("/v1/sessions") == {"sessions": []})


FOUND = [
    {"state": "unasked"},
    {"state": "denied"},
    {"state": "blocked", "reason": "csp", "add": "connect-src x"},
    {"state": "blocked", "reason": "frame"},
    {"state": "blocked", "reason": "insecure"},
    {"state": "blocked", "reason": "storage"},
    {"state": "silent"},
    {"state": "refused", "code": "client.pairing_refused", "text": "Refusé."},
    {"state": "old", "version": "0.1.0"},
    {"state": "absent"},
]
PRETEND = """
const {Cardd} = await import("/cardd.js");
Cardd.prototype.find = async () => JSON.parse(arguments[0]);
"""


def test_the_page_says_what_to_do_for_each_word_of_find(browser: Browser, either: WebPs) -> None:
    said: list[str] = []
    with page(browser, either) as mine:
        for _ in ("fr", "en"):
            for found in FOUND:
                mine.tab.run(PRETEND, json.dumps(found))
                mine.press("card")
                wait_for(lambda: mine.field("problem") not in ("", *said))
                said.append(mine.field("problem"))
            mine.press("language")
    assert not [words for words in said if "undefined" in words or "{" in words]
    assert sum("Firefox" in words for words in said) == (2 if browser.name == "firefox" else 0)


def test_everybody_can_use_the_pages_in_both_languages_and_on_a_phone(
    browser: Browser, either: WebPs, workstation: Workstation, card: None
) -> None:
    with page(browser, either) as mine:

        def judge() -> None:
            for other in ("Français", "English"):
                mine.press("language")
                assert mine.field("language") == other
                assert axe.faults(mine.tab) == []
                assert not axe.is_too_wide_for_a_phone(mine.tab)

        mine.ask_mobile(ALICE)
        judge()
        mine.press("cancel")
        mine.tab.run(PRETEND, json.dumps(FOUND[1]))
        mine.press("card")
        wait_for(lambda: mine.field("problem") != "")
        judge()
        mine.tab.open(either.origin)
        mine.log_in()
        mine.sign()
        judge()
        mine.press("language")
        workstation.pinentry.answer("cancel")
        mine.press("sign")
        wait_for(lambda: mine.field("problem") != "")
        assert "nothing was signed" in mine.field("problem")
        mine.press("language")
        mine.log_out()
