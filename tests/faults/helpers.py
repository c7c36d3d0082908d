"""Faults of the processes around the daemon: pinentry, agent, the PDF process, a PKCS#11 module's."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from pathlib import Path

from tests.faults.injecting import stands_still
from tests.faults.site import Site
from tests.faults.table import Listed, add, fault
from tests.integration.workstation import wait_until
from tests.rig.agent import agent_process, children
from tests.rig.pinentry import ScriptedPinentry
from tests.rig.softhsm import PIN

PDF, MODULE = "cardd.formats.pdf.host", "cardd_drivers.pkcs11.host"


def process_of(site: Site, module: str) -> int:
    """Return the process that runs this, as soon as there is one."""
    found: list[int] = []

    def is_there() -> bool:
        pid = site.child(module)
        found.extend([pid] if pid else [])
        return bool(found)

    wait_until(is_there)
    return found[0]


def dies(site: Site, module: str, times: int) -> None:
    """Kill the process whenever it is there."""
    for _ in range(times):
        os.kill(process_of(site, module), signal.SIGKILL)


def hangs(site: Site, module: str, seconds: float, *, killed: bool) -> None:
    """Have the process stand still."""
    stands_still(process_of(site, module), seconds, dies=killed)


says: tuple[str, ...]
for listed, module, says in ((Listed.PDF, PDF, ()), (Listed.MODULE, MODULE, ("module.failed",))):
    add(listed, "killed once", partial(dies, module=module, times=1), within=4, says=says)
    add(listed, "killed three times", partial(dies, module=module, times=3), within=6, says=says)
    add(listed, "hanging for 3 s", partial(hangs, module=module, seconds=3, killed=False), within=4)
    hanging = partial(hangs, module=module, seconds=6, killed=True)
    add(listed, "hanging, and killed after 6 s", hanging, within=6, says=says)


def answers(site: Site, orders: tuple[str, ...]) -> None:
    """Have the next dialogs end so: those of new sessions."""
    shown = len(site.station.pinentry.shown())
    site.station.pinentry.answer(*orders)
    site.log_out()
    wait_until(lambda: len(site.station.pinentry.shown()) >= shown + len(orders))


for name, orders in (
    ("crashing twice", ("crash", "crash")),
    ("hanging, until the dialog's time of 5 s is over", ("hang",)),
    ("answering twice", (f"twice:{PIN}",)),
    ("talking nonsense", ("garbage",)),
    ("sending one line without end", ("endless",)),
    ("sending lines without end", ("flood",)),
):
    add(Listed.PINENTRY, name, partial(answers, orders=orders), within=10)


@fault(Listed.PINENTRY, "killed while it is shown", within=4)
def killed_while_shown(site: Site) -> None:
    """Kill the dialog."""
    answers(site, ("hang",))
    [pid] = [pid for pid in children(site.pid) if "pinentry" in commanded(pid)]
    os.kill(pid, signal.SIGKILL)


def commanded(pid: int) -> str:
    """Return a process's command line."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def leaves(site: Site, number: signal.Signals) -> None:
    """Have the dialogs shown by an agent, which ends while one is open."""
    place = site.station.directory / f"desktop-{number}"
    place.mkdir()
    pinentry = ScriptedPinentry(place, pin=PIN, reads=0)
    pinentry.answer("hang")
    with agent_process(site.station.directory / "agent.sock", pinentry.path) as agent:
        while not pinentry.shown():  # until then the daemon shows them itself
            site.log_out()
            time.sleep(0.2)
        agent.send_signal(number)
        agent.wait(15)


add(Listed.AGENT, "killed while its dialog is open", partial(leaves, number=signal.SIGKILL), within=4)
add(Listed.AGENT, "ended by its desktop while its dialog is open", partial(leaves, number=signal.SIGTERM), within=4)
