"""The daemon's settings: what the TOML files may say, with defaults, limits and meanings.

``settings`` declares every key once; ``loading`` reads files into it, and ``reference`` tells people about it, so
that neither the checks nor the documents can drift from the keys. Imports nothing heavy: cardctl reads it too.
"""

from cardd.config.loading import load, parse
from cardd.config.reference import KeyInfo, explain, keys
from cardd.config.settings import Audit, Card, Config, Consent, Listen, Prompt, SessionRules, State, Web

__all__ = [
    "Audit",
    "Card",
    "Config",
    "Consent",
    "KeyInfo",
    "Listen",
    "Prompt",
    "SessionRules",
    "State",
    "Web",
    "explain",
    "keys",
    "load",
    "parse",
]
