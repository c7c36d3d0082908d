"""Firefox and Chromium load a page from a server that requires a client certificate, with the card's key."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from tests.p11.programs import MODULES, Desk, desk, needs
from tests.rig import browsers
from tests.rig.browsers import FIREFOX_PROFILE, NAMES, Name
from tests.rig.nginx import Nginx, authority, issued
from tests.rig.simulator import simulated_card, simulated_cps4, store

Card = Literal["cps3", "cps4"]
PROTOCOLS: dict[Card, str] = {"cps3": "TLSv1.2", "cps4": "TLSv1.3"}  # a CPS3's authentication key has no RSA-PSS
CARDS: dict[Name, Card] = {"firefox": "cps3", "chromium": "cps4"}
PAGE = """
        location = /page { default_type text/html; return 200 "<body>$ssl_client_s_dn|$ssl_protocol"; }
"""


@dataclass(frozen=True)
class Site:
    """A desk with a card, and a server for it."""

    desk: Desk
    nginx: Nginx


@contextmanager
def running(here: Path, card: Card) -> Iterator[Site]:
    """Run both."""
    here.mkdir()
    pair = issued(here, authority(here), "server", names="DNS:portal.test")
    nginx = Nginx(here / "nginx", store().chain, pair, protocols=PROTOCOLS[card], locations=PAGE)
    with desk(here, simulated_card() if card == "cps3" else simulated_cps4()) as made, nginx.running():
        yield Site(made, nginx)


def with_module(home: Path, name: Name, environment: dict[str, str]) -> None:
    """Put p11-kit's module into the browser's database, as a person would in its settings."""
    database = home / (FIREFOX_PROFILE if name == "firefox" else ".pki/nssdb")
    database.mkdir(parents=True)
    for command in (
        ["certutil", "-N", "--empty-password", "-d", f"sql:{database}"],
        ["modutil", "-force", "-dbdir", f"sql:{database}", "-add", "cardd", "-libfile", str(MODULES[0])],
    ):
        subprocess.run(command, env={**environment, "HOME": str(home)}, check=True, capture_output=True, timeout=30)


def choosing(directory: Path) -> Path:
    """Return what is to lie in /etc, for Chromium: the only certificate that fits is taken without a question."""
    folder = directory / "etc/chromium/policies/managed"
    folder.mkdir(parents=True)
    choice = json.dumps({"pattern": "https://portal.test", "filter": {}})
    (folder / "cards.json").write_text(json.dumps({"AutoSelectCertificateForUrls": [choice]}))
    return directory / "etc"


@pytest.mark.parametrize("name", NAMES)
def test_a_browser_logs_in_with_the_card_and_its_person_types_one_pin(
    name: Name, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs("modutil", "certutil")
    browsers.needs(name)
    monkeypatch.setitem(browsers.PREFERENCES, "security.default_personal_cert", "Select Automatically")
    with running(tmp_path / "site", CARDS[name]) as site:
        monkeypatch.setenv("P11_KIT_SERVER_ADDRESS", site.desk.environment["P11_KIT_SERVER_ADDRESS"])
        with_module(tmp_path / name, name, site.desk.environment)
        with (
            browsers.running(name, [site.nginx.port], tmp_path, choosing(tmp_path)) as browser,
            browser.tab(f"https://portal.test:{site.nginx.port}/page") as tab,
        ):
            if name == "chromium" and not browser.has_settings:
                pytest.skip("Chromium's policies can be set as root only")
            shown = tab.run("return document.body.innerText")
            tab.run("await Promise.all([...Array(12).keys()].map(each => fetch('/page?' + each)))")

        assert "CN=899000000010" in shown
        assert PROTOCOLS[CARDS[name]] in shown
        asked, pin = site.desk.station.pinentry.shown()
        assert [asked.kind, pin.kind] == ["confirm", "pin"]
        assert name in asked.description  # of its own processes, none that runs something else has the connection too
