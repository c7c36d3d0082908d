"""The policies that ``cardctl browser-policy`` writes, loaded by real browsers: one site passes, and no other does."""

from __future__ import annotations

from pathlib import Path

import pytest

from cardd.cli.policies import Policies
from tests.browsers.test_pages import WITHOUT_PERMISSION, spying
from tests.rig.browsers import NAMES, Name, Portal, running
from tests.rig.waiting import eventually_here

ASK = """
const asked = fetch(arguments[0]).then(() => "ok", () => "error");
return await Promise.race([asked, new Promise(done => setTimeout(() => done("waiting"), 500))]);
"""


@pytest.mark.parametrize("name", NAMES)
def test_a_named_site_reaches_this_machine_without_a_question_and_no_other_does(
    name: Name, portal: Portal, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    Policies(root, (name,)).apply([portal.origin("portal.test")], everywhere=True)
    with spying() as (address, heard), running(name, portal, tmp_path, settings=root / "etc") as browser:
        with browser.tab(portal.origin("evil.test")) as tab:
            assert tab.run(ASK, address) == WITHOUT_PERMISSION[name]
            assert b"".join(heard) == b""
        with browser.tab(portal.origin("portal.test")) as tab:
            tab.run(ASK, address)
            eventually_here(lambda: f"Origin: {portal.origin()}".encode() in b"".join(heard))
