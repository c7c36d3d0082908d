"""``cardctl doctor``: one small function a check, a sentence and a remedy for each of its findings in both languages.

To add a check: write its function beside its like, name it in ``CHECKS``, and put its title, its findings' sentences
and their remedies into the catalogue.
"""

from __future__ import annotations

from collections.abc import Mapping

from cardd.cli.doctor import cards, daemon, machine
from cardd.cli.doctor.check import Check

# in the order in which they are told: from the reader to the service
CHECKS: Mapping[str, Check] = {
    "pcscd": cards.pcscd,
    "reader": cards.reader,
    "card": cards.card,
    "pin": cards.pin,
    "certificates": cards.certificates,
    "config": daemon.config,
    "port": daemon.port,
    "socket": daemon.socket_rights,
    "pinentry": daemon.pinentry,
    "psc": daemon.psc,
    "support": daemon.support,
    "audit": daemon.audit,
    "clock": machine.clock,
    "memory": machine.memory,
}
