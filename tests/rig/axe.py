"""axe-core (node), as a judge of pages: what people with a keyboard, a screen reader or weak eyes cannot use."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rig.browsers import Tab

SOURCE = Path(__file__).parent / "judges/node_modules/axe-core/axe.min.js"
RUN = """
;const {violations} = await axe.run(document, {resultTypes: ["violations"]});
return violations.filter(({impact}) => ["serious", "critical"].includes(impact))
  .map(({id, nodes}) => `${id}: ${nodes.map(({html}) => html).join(" ")}`);
"""
WIDE = "return document.documentElement.scrollWidth > innerWidth"


def faults(tab: Tab) -> list[str]:
    """Return what axe-core finds on a page that is serious, each rule with its elements."""
    if not SOURCE.exists():
        pytest.skip("no axe-core here: `make setup` installs it where there is npm")
    found: list[str] = tab.run(SOURCE.read_text() + RUN)
    return found


def is_too_wide_for_a_phone(tab: Tab) -> bool:
    """Return whether a person with a small window has to move the page sideways."""
    size = {"width": 360, "height": 640}
    tab.browser.command("browsingContext.setViewport", context=tab.context, viewport=size)
    too_wide: bool = tab.run(WIDE)
    tab.browser.command("browsingContext.setViewport", context=tab.context, viewport=None)
    return too_wide
