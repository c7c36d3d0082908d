"""The daemon's settings: plain values, which every part above the base may take as they are.

``settings``, ``pages``, ``psc`` and ``services`` declare every key once. ``loading`` reads files into them, and
``reference`` tells people about them: only the programs, ``cardd`` and ``cardctl``, import those two.
"""

from cardd.config.pages import Portal, Web
from cardd.config.psc import Exchange, Psc
from cardd.config.services import Dmp, Network, Timestamp, Trust, Upstream
from cardd.config.settings import (
    P11,
    Access,
    Audit,
    Card,
    Config,
    Consent,
    Csa,
    Listen,
    Metrics,
    Prompt,
    SessionRules,
    State,
    Support,
)

__all__ = [
    "P11",
    "Access",
    "Audit",
    "Card",
    "Config",
    "Consent",
    "Csa",
    "Dmp",
    "Exchange",
    "Listen",
    "Metrics",
    "Network",
    "Portal",
    "Prompt",
    "Psc",
    "SessionRules",
    "State",
    "Support",
    "Timestamp",
    "Trust",
    "Upstream",
    "Web",
]
