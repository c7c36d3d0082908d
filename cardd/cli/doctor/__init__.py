"""``cardctl doctor``: one small function a check, and each of its findings declared with code and sentences.

A module has one subject, its findings and a table of its checks. To add a check: declare its findings beside their
like, write its function, name it in the module's ``CHECKS`` and below, and run ``make texts``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import ModuleType

from cardd.cli.doctor import browsers, cards, daemon, desktop, machine, neighbours, network, pcsc, remote, storage
from cardd.cli.doctor.check import Check, Outcome

MODULES = (daemon, storage, machine, pcsc, cards, neighbours, network, desktop, remote, browsers)
_BY_NAME = {name: check for module in MODULES for name, check in module.CHECKS.items()}

# from causes to their consequences: what comes first explains what comes after, and is told first
ORDER = (
    ("config", "disk", "state", "clock", "denials", "port", "service", "socket", "version", "audit"),
    (
        "remote",
        "pcscd_socket",
        "protocol",
        "pcscd",
        "polkit",
        "driver",
        "reader",
        "card",
        "held",
        "pin",
        "certificates",
    ),
    ("modules", "organisation", "stacks", "desktop_modules", "middleware"),
    ("keyring", "agent", "second_agent", "lending", "pinentry"),
    ("network", "proxy", "psc", "chain", "revocation"),
    ("https", "browsers", "browser_policy", "pkcs11", "sandboxes"),
    ("support", "memory", "sandbox", "desktop"),
)
CHECKS: Mapping[str, Check] = {name: _BY_NAME[name] for group in ORDER for name in group}


def outcomes(module: ModuleType) -> Iterator[Outcome]:
    """Yield what the checks of a module may find, in the order in which that is declared."""
    return (value for value in vars(module).values() if isinstance(value, Outcome))
