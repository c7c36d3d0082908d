"""Things that go wrong on a workstation, each by the code that doctor's first line has to tell.

A breakage is made for real, on a practice where all else is well: what is stopped, held, taken, filled or misconfigured
here is put right at the end of the ``with``. What no machine of the tests has (USB devices, systemd, the kernel's log,
another day) is put where doctor looks for it.
"""

from __future__ import annotations

from tests.cli.breakages import desktop, machine, network, readers  # each keeps its own in BREAKAGES
from tests.cli.breakages.making import BREAKAGES, broken

__all__ = ["BREAKAGES", "broken", "desktop", "machine", "network", "readers"]
