"""All checks, in the order in which they are told: from the reader to the service."""

from __future__ import annotations

from collections.abc import Mapping

from cardd.cli.doctor import cards, daemon, pcsc, service, system
from cardd.cli.doctor.run import Check

CHECKS: Mapping[str, Check] = {
    "pcscd": pcsc.pcscd,
    "reader": pcsc.reader,
    "card": cards.card,
    "pin": cards.pin,
    "certificates": cards.certificates,
    "config": service.config,
    "port": service.port,
    "socket": service.socket_rights,
    "pinentry": service.pinentry,
    "psc": daemon.psc,
    "support": daemon.support,
    "audit": service.audit,
    "clock": system.clock,
    "memory": system.memory,
}
