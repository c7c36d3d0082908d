"""``cardctl doctor``: one small function a check, a sentence and a remedy for each of its findings in both languages.

To add a check: write its function beside its like, with the sentences of its findings and their remedies, name it in
``CHECKS``, and run ``make texts``.
"""

from __future__ import annotations

from collections.abc import Mapping

from cardd.cli.doctor import cards, daemon, machine
from cardd.cli.doctor.check import Check
from cardd.i18n import N_

# in the order in which they are told: from the reader to the service
CHECKS: Mapping[str, Check] = {
    "pcscd": Check(N_("Reader service"), cards.pcscd),
    "reader": Check(N_("Reader"), cards.reader),
    "card": Check(N_("Card"), cards.card),
    "pin": Check(N_("PIN"), cards.pin),
    "certificates": Check(N_("Certificates"), cards.certificates),
    "config": Check(N_("Configuration"), daemon.config),
    "port": Check(N_("TCP port"), daemon.port),
    "socket": Check(N_("Unix socket"), daemon.socket_rights),
    "https": Check(N_("Certificate of https"), daemon.https),
    "pinentry": Check(N_("PIN dialog"), daemon.pinentry),
    "browsers": Check(N_("Browsers"), machine.browsers),
    "network": Check(N_("Network"), machine.network),
    "psc": Check(N_("Pro Santé Connect"), daemon.psc),
    "support": Check(N_("Codes of support"), daemon.support),
    "audit": Check(N_("Audit log"), daemon.audit),
    "clock": Check(N_("Clock"), machine.clock),
    "desktop": Check(N_("Desktop"), machine.desktop),
    "memory": Check(N_("Locked memory"), machine.memory),
    "sandbox": Check(N_("Sandbox"), machine.sandbox),
}
