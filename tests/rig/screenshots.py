"""The pictures of docs/images, taken of a simulated workstation in Chromium: `make screenshots`.

python -m tests.rig.screenshots FOLDER
"""

from __future__ import annotations

import base64
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.integration.workstation import Workstation
from tests.rig import nginx
from tests.rig.browsers import Tab, running
from tests.rig.simulator import simulated_card
from tests.rig.waiting import eventually_here
from tests.rig.webps import DOCTOR, PortalPage, WebPs, mobiles
from tests.webps.tokens import trust_cards

SIZES = {"": (820, 900), "-phone": (360, 720)}
CHOOSE = """
localStorage.setItem("language", arguments[0]);
if (document.documentElement.lang !== arguments[0]) document.getElementById("language").click();
"""


def take(tab: Tab, size: tuple[int, int]) -> bytes:
    """Return the page as a PNG, in a window of this size."""
    viewport = {"width": size[0], "height": size[1]}
    tab.browser.command("browsingContext.setViewport", context=tab.context, viewport=viewport)
    taken = tab.browser.command("browsingContext.captureScreenshot", context=tab.context, origin="document")
    return base64.b64decode(taken["data"])


def take_all(tab: Tab, name: Path, french: str, english: str, sizes: tuple[str, ...] = tuple(SIZES)) -> None:
    """Take the page in each language and size, once this stands on it."""
    for language, words in (("fr", french), ("en", english)):
        tab.run(CHOOSE, language)
        eventually_here(partial(_reads, tab, words))
        for size in sizes:
            name.with_name(f"{name.name}-{language}{size}.png").write_bytes(take(tab, SIZES[size]))


def _reads(tab: Tab, words: str) -> bool:
    return words in tab.run("return document.body.innerText")


def status_page(tab: Tab, folder: Path) -> None:
    """Take the status page."""
    take_all(tab, folder / "status", "Vos sessions", "Your sessions")


def portal_pages(page: PortalPage, portal: WebPs, folder: Path) -> None:
    """Take the portal's page while the mobile is asked, and when a document is signed."""
    page.reads("Se connecter par carte")
    page.ask_mobile(DOCTOR)
    take_all(page.tab, folder / "webps-login", "Il reste", "s left", ("",))
    page.press("cancel")
    page.tab.run(CHOOSE, "fr")
    page.log_in()
    page.sign()
    take_all(page.tab, folder / "webps-signed", "Documents signés", "Signed documents")


@contextmanager
def demo_portal(workstation: Workstation, portal: WebPs) -> Iterator[None]:
    """Serve the portal inside the ``with``, beside Pro Santé Connect."""
    psc = mobiles(portal.folder)
    try:
        portal.set_up([workstation.daemon.url], psc)
        with portal.running():
            yield
    finally:
        psc.stop()


def main(folder: Path) -> None:
    """Take all pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made:
        place = Path(made)
        trust_cards(place)
        pair = nginx.issued(place, nginx.authority(place), "portail", names="DNS:python.test")
        portal = WebPs("python", place, pair, "python.test")
        own = Workstation(place, extra=f'\n[portals.demo]\norigin = "{portal.origin}"\n')
        with running("chromium", [portal.port], place) as browser, own.running(), own.card(simulated_card()):
            own.log_in()
            with browser.tab(own.status_page()) as tab:
                status_page(tab, folder)
            browser.permit(portal.origin)
            with demo_portal(own, portal), browser.tab(portal.origin) as tab:
                portal_pages(PortalPage(tab), portal, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
