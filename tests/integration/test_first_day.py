"""A maker's first day: docs/quick-start.md typed as it stands (``make first-day``, without clone and install).

So is the README: what it says of a daemon of one's own. The French page has the same commands, and shows our French.
"""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from cardd_simulators import texts
from tests.integration.workstation import ROOT
from tests.rig.simulator import STATE, issue
from tests.unit.test_french import CATALOGUES, sentences

SCRIPT = str(ROOT / ".make" / "first_day.py")
README = ROOT / "README.md"
ENGLISH, FRENCH = ROOT / "docs" / "quick-start.md", ROOT / "docs" / "fr" / "demarrage.md"
COMMANDS = re.compile(r"^```sh.*?^```$", re.MULTILINE | re.DOTALL)
STEPS = runpy.run_path(SCRIPT)["steps"]
VALUES = re.compile(r"…|https?://[\w./:-]+|\d[\d.]*|[(),]| {2,}")
SPACES = str.maketrans("\u00a0\u202f", "  ")
# the page's ports are a maker's own: here they are those of a machine apart, whose loopback has to be switched on
APART = """import fcntl, os, socket, struct, sys
with socket.socket() as any: fcntl.ioctl(any, 0x8914, struct.pack("16sH14x", b"lo", 1))
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"""


def first_day(*arguments: str) -> subprocess.CompletedProcess[str]:
    apart = ["unshare", "--net", sys.executable, "-c", APART] if os.geteuid() == 0 else [sys.executable]
    command = [*apart, SCRIPT, "--installed", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can have a network apart")
@pytest.mark.parametrize(
    ("page", "last"),
    [(ENGLISH, "cardctl logout"), (README, "cardctl doctor")],
    ids=["quick-start", "README"],
)
def test_who_types_the_page_gets_what_it_shows(page: Path, last: str) -> None:
    issue()
    ran = first_day("--page", str(page), "--keys", str(STATE))

    assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout
    assert re.search(rf"^ +\d+\.\d s  terminal \d: {last}", ran.stdout, re.MULTILINE)
    assert re.search(r"^ +\d+\.\d s  in all", ran.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("false", "false ended with 1"),
        ("echo something else", "“shown” did not come"),
        ("true  # leave it running", "“shown” did not come"),
        ("printf 'other digits 123456\\n[ar]? '; read -r answer; echo shown", "digits that no program told"),
    ],
)
def test_a_page_that_does_not_hold_is_told(tmp_path: Path, typed: str, told: str) -> None:
    page = tmp_path / "page.md"
    install = "```sh\n# terminal 1\ngit clone https://cardd.example/cardd.git\n```\n\n"
    terminal = "terminal 1, leave it running" if "running" in typed else "terminal 1"
    page.write_text(f"{install}```sh\n# {terminal}\n{typed}\n```\n\n```text\nshown\n```\n")
    ran = first_day("--page", str(page))

    assert ran.returncode == 1
    assert told in ran.stderr


def test_the_french_page_has_the_same_commands() -> None:
    assert COMMANDS.findall(FRENCH.read_text()) == COMMANDS.findall(ENGLISH.read_text())


def values(line: str) -> list[str]:
    return [value for value in VALUES.findall(line) if value.strip()]


def test_what_the_french_page_shows_is_what_the_english_one_does_in_our_words() -> None:
    told = [text for catalogue in CATALOGUES for text in sentences(catalogue)]
    told += [text for table in (texts.DMP, texts.PSC) for text in table["fr"].values()]
    told = [text.translate(SPACES) for text in told]
    english, french = (STEPS(page.read_text()) for page in (ENGLISH, FRENCH))
    for there, here in zip(english, french, strict=True):
        for line, ours in zip(there.shown, here.shown, strict=True):
            assert values(ours) == values(line)
            for words in filter(None, map(str.strip, VALUES.split(ours.translate(SPACES)))):
                assert words in line or any(words in text for text in told), words
