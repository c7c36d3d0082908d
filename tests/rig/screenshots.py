"""The pictures of docs/images, taken of a simulated workstation in Chromium: `make screenshots`.

python -m tests.rig.screenshots FOLDER
"""

from __future__ import annotations

import base64
import sys
import tempfile
from functools import partial
from pathlib import Path

from tests.integration.workstation import Workstation
from tests.rig.browsers import Portal, Tab, running
from tests.rig.simulator import simulated_card
from tests.rig.waiting import eventually_here

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


def _reads(tab: Tab, title: str) -> bool:
    return title in tab.run("return document.body.innerText")


def main(folder: Path) -> None:
    """Take the pictures of the status page: each language, for a desk and a phone."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made:
        place = Path(made)
        own = Workstation(place)
        with (
            Portal(place).running() as portal,
            running("chromium", [portal.port], place) as browser,
            own.running(),
            own.card(simulated_card()),
        ):
            own.log_in()
            with browser.tab(own.status_page()) as tab:
                for language, title in (("fr", "Vos sessions"), ("en", "Your sessions")):
                    tab.run(CHOOSE, language)
                    eventually_here(partial(_reads, tab, title))
                    for name, size in SIZES.items():
                        (folder / f"status-{language}{name}.png").write_bytes(take(tab, size))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
