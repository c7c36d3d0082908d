"""Faults of cards and readers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial

from tests.faults.site import Site
from tests.faults.table import GONE, Listed, add, fault
from tests.faults.watched import AUTHENTICATE, FETCH, MSE, PSO, READ, SELECT, VERIFY, Go, asks_for_tries, of

At = Callable[[bytes], bool]
SIGNING = (
    ("VERIFY", VERIFY),
    ("MSE SET", MSE),
    ("PSO COMPUTE DIGITAL SIGNATURE", PSO),
    ("GET RESPONSE", FETCH),
    ("INTERNAL AUTHENTICATE", AUTHENTICATE),
)
MOMENT = 0.001


def pulled(site: Site, kind: int) -> None:
    """Pull the card at a command, and put it in again."""
    site.meets(of(kind), partial(gone, site))
    site.pull()
    site.insert()


def gone(site: Site, _: Go) -> bytes:
    """Answer nothing: the card is out."""
    site.yank()
    return b""


def pulled_while_opened(site: Site, at: Callable[[], At]) -> None:
    """Pull the card while it is read after it was put in, and put it in again."""
    site.pull()
    met = site.card.meet(at(), partial(gone, site))
    site.insert_at_once()
    assert met.was.wait(20), "the card was never asked so"
    site.pull()
    site.insert()


for name, kind in SIGNING:
    add(Listed.PULLED, f"at {name}", partial(pulled, kind=kind), within=4, says=GONE)
for name, at in (
    ("SELECT", partial(of, SELECT)),
    ("READ BINARY", partial(of, READ)),
    ("the VERIFY that asks for the tries", lambda: asks_for_tries),
):
    inject = partial(pulled_while_opened, at=at)
    add(Listed.PULLED, f"at {name}, as it is opened", inject, within=4, thrown=1, says=GONE)


@fault(Listed.PULLED, "after the last byte of a signature", within=4, thrown=1, says=GONE)
def after_the_last_byte(site: Site) -> None:
    """Give the value, and leave."""

    def given(go: Go) -> bytes:
        threading.Timer(MOMENT, site.yank).start()
        return go()

    site.meets(of(FETCH), given)
    site.pull()
    site.insert()


@fault(Listed.PULLED, "and in again as soon as PC/SC tells", within=4, thrown=1, says=GONE)
def in_again(site: Site) -> None:
    """Lose no time."""
    site.pull()
    site.insert()


@fault(Listed.PULLED, "and in again before PC/SC looks", within=4, thrown=1)
def in_again_unseen(site: Site) -> None:
    """Be quicker than anybody looks."""
    site.pull_at_once()
    site.insert_unseen()


@fault(Listed.SWAPPED, "another person's card comes in, signs, and goes", within=4, thrown=2, says=GONE)
def swapped(site: Site) -> None:
    """Let the other card be used for a while."""
    site.pull()
    asked = site.pins_asked()
    site.insert("pharmacien")
    back(site, asked)


@fault(Listed.SWAPPED, "between two commands, before PC/SC looks", within=4, thrown=2, says=GONE)
def swapped_unseen(site: Site) -> None:
    """Be quicker than anybody looks."""
    asked = site.pins_asked()
    site.meets(of(MSE), partial(gone, site))
    site.pull_at_once()
    site.insert_at_once("pharmacien")
    back(site, asked)


def back(site: Site, asked: int) -> None:
    """Let the other card sign, and give the first one back: the other one got no PIN but what was typed for it."""
    site.meets(of(VERIFY), lambda go: go() if site.pins_asked() > asked else b"\x6f\x00")
    assert site.pins_asked() > asked, "a PIN was presented to a card that nobody was asked about"
    site.meets(of(PSO), lambda go: go())
    site.pull()
    site.insert()


def late(site: Site, seconds: float) -> None:
    """Answer one command late."""

    def slowly(go: Go) -> bytes:
        time.sleep(seconds)
        return go()

    site.meets(of(PSO), slowly)


def instead(site: Site, answer: bytes) -> None:
    """Answer one command so."""
    site.meets(of(PSO), lambda _: answer)


@fault(
    Listed.LATE_READER,
    "whose card signs something else",
    within=2,
    thrown=1,
    says=("signature.invalid", "DEVICE_ERROR", "upstream.tls"),
)
def lies(site: Site) -> None:
    """Give a value with one wrong byte."""
    site.meets(of(FETCH), lambda go: b"\x00" + go()[1:])


for told, inject, within, says in (
    ("by 2 s, within the limit", partial(late, seconds=2), 2, ()),
    ("by 13 s, beyond the limit of 11 s", partial(late, seconds=13), 4, ("card.timeout",)),
    ("and then with a status that means nothing", partial(instead, answer=b"\x93\x00"), 4, ("card.refused",)),
    ("and then with one byte", partial(instead, answer=b"\x90"), 4, ("card.garbled",)),
):
    add(Listed.LATE_READER, told, inject, within=within, thrown=1, says=says)
