"""Faults of pcscd, and what other programs do to the card."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import ExitStack
from functools import partial

from tests.faults.injecting import stands_still
from tests.faults.site import Site
from tests.faults.table import GONE, Listed, add, fault
from tests.faults.watched import FETCH, PSO, Go, of
from tests.integration.workstation import wait_until
from tests.rig.other_program import ROOT, command, holding, reset
from tests.rig.pcscd import Pcscd

LINGER = 1.3  # seconds after which a card that no session needs is left to others
AWAY = 1.0


def end(pcscd: Pcscd, number: signal.Signals) -> None:
    """End pcscd."""
    os.kill(pcscd.pid, number)
    pcscd.stop()


def away(site: Site, number: signal.Signals, seconds: float) -> None:
    """End pcscd, and start it again."""
    end(site.station.pcscd, number)
    wait_until(lambda: not site.knows_cards())
    site.left.append(time.monotonic())
    time.sleep(seconds)
    site.station.pcscd.start()


def away_in_a_signature(site: Site, number: signal.Signals, kind: int) -> None:
    """End pcscd while the card works."""

    def ends(go: Go) -> bytes:
        os.kill(site.station.pcscd.pid, number)
        return go()

    site.meets(of(kind), ends)
    away(site, number, 0)


for told, number, seconds in (
    ("stopped, and started a second later", signal.SIGTERM, AWAY),
    ("killed, and started a second later", signal.SIGKILL, AWAY),
    ("restarted at once", signal.SIGTERM, 0),
):
    add(Listed.PCSCD, told, partial(away, number=number, seconds=seconds), within=6, thrown=1, says=GONE)
for name, number in (("stopped", signal.SIGTERM), ("killed", signal.SIGKILL)):
    for step, kind in (("the signature", PSO), ("GET RESPONSE", FETCH)):
        inject = partial(away_in_a_signature, number=number, kind=kind)
        told = f"{name} at {step}, and started again"
        add(Listed.PCSCD, told, inject, within=6, thrown=1, says=("reader.pcsc_unavailable", *GONE))


def hangs(site: Site, seconds: float) -> None:
    """Have pcscd do nothing."""
    stands_still(site.station.pcscd.pid, seconds)


add(Listed.PCSCD, "hung for 3 s", partial(hangs, seconds=3), within=4)
add(
    Listed.PCSCD,
    "hung for 14 s, longer than a card may take",
    partial(hangs, seconds=14),
    within=4,
    thrown=1,
    says=("card.timeout",),
)


@fault(Listed.OTHER_PROGRAM, "resets the card three times", within=2, thrown=3)
def resets(site: Site) -> None:
    """Reset it whenever it may."""
    for _ in range(3):
        reset(site.station.pcscd, reader(site))


@fault(Listed.OTHER_PROGRAM, "wants it exclusively while sessions are open, in vain", within=2)
def wants_it(site: Site) -> None:
    """Ask for it, and get it not."""
    around = {**os.environ, **site.station.pcscd.environment}
    asked = subprocess.run(command("exclusive", reader(site)), env=around, cwd=ROOT, capture_output=True, check=False)
    assert asked.returncode, "it was given the card"


@fault(Listed.OTHER_PROGRAM, "has it exclusively for 2 s", within=6, says=("reader.busy",))
def has_it(site: Site) -> None:
    """Get it once no session needs it."""
    with site.at_rest():
        site.log_out()
        time.sleep(LINGER)
        held = ExitStack()
        held.enter_context(holding(site.station.pcscd, reader(site), "exclusive"))
    with held:
        time.sleep(2)


def holds(site: Site, seconds: float, *, hangs: bool) -> None:
    """Begin a transaction, and end it late; or stand still in it, and be killed."""
    around = {**os.environ, **site.station.pcscd.environment}
    pipe = subprocess.PIPE
    with subprocess.Popen(command("hold", reader(site)), env=around, cwd=ROOT, stdin=pipe, stdout=pipe) as process:
        assert process.stdout
        assert process.stdout.readline() == b"held\n"
        if hangs:
            stands_still(process.pid, seconds, dies=True)
        else:
            time.sleep(seconds)


def reader(site: Site) -> str:
    """Return the name of the card's reader."""
    return site.station.pcscd.reader_names[0]


add(Listed.OTHER_PROGRAM, "holds it for 3 s", partial(holds, seconds=3, hangs=False), within=2)
add(
    Listed.OTHER_PROGRAM,
    "hangs while it holds it, and is killed after 14 s",
    partial(holds, seconds=14, hangs=True),
    within=4,
    says=("reader.busy",),
)
