"""The sentences that people read, in French and English.

A catalogue is a module ``TEXTS: dict[str, str]`` for one domain, ``cardd/i18n/fr/errors.py`` beside
``cardd/i18n/en/errors.py``; only the domains that are used are imported. ``{name}`` stands for a parameter: it is
replaced once, and never read as a format of its own, so that a program called ``{x}`` does no harm.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from types import ModuleType

LANGUAGES = ("fr", "en")
DEFAULT = "fr"
DOMAINS = {
    "dialog": "dialogs",
    "cli": "cli",
    "doctor": "doctor",
    "reason": "reasons",
    "ended": "reasons",
    "psc": "psc",
    "advice": "advice",
    "stamp": "stamp",
    "verdict": "verdicts",
}
ERRORS = "errors"
WORDS = {"why": "reason", "reason": "ended"}

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_RANGE = re.compile(r"\s*([a-zA-Z]{1,8})[^,;]*(?:;\s*q=([0-9.]+))?")


def text(key: str, language: str, /, **params: str | int) -> str:
    """The sentence ``key`` in ``fr`` or ``en``; a parameter that was not given leaves its place empty.

    Raises KeyError for a key that no catalogue has.
    """
    return fill(template(key, language), **params)


def fill(sentence: str, /, **params: str | int) -> str:
    """Put the parameters in their places."""
    return _PLACEHOLDER.sub(lambda found: str(params.get(found[1], "")), sentence)


def in_words(params: Mapping[str, str | int], language: str) -> dict[str, str | int]:
    """The same, but ``why`` and ``reason`` in words where they are of the texts ``reason.…`` and ``ended.…``."""
    known = catalogue("reasons", language)
    texts = {name: known.get(f"{kind}.{params.get(name)}") for name, kind in WORDS.items()}
    return {**params, **{name: fill(text, **params) for name, text in texts.items() if text}}


def template(key: str, language: str) -> str:
    """The sentence with its places still open. Raises KeyError."""
    domain = DOMAINS.get(key.partition(".")[0], ERRORS)
    return catalogue(domain, language)[key]


def catalogue(domain: str, language: str) -> dict[str, str]:
    """All texts of one domain, by key."""
    texts: dict[str, str] = _module(domain, language).TEXTS
    return texts


def language_of(wanted: str | None) -> str:
    """``fr`` or ``en``, from a locale (``en_GB.UTF-8``) or an Accept-Language header; French where it does not tell."""
    best, weight = DEFAULT, 0.0
    for part in (wanted or "").split(",")[:16]:
        found = _RANGE.match(part)
        if found and found[1].lower() in LANGUAGES:
            quality = _quality(found[2])
            if quality > weight:
                best, weight = found[1].lower(), quality
    return best


def _quality(number: str | None) -> float:
    try:
        return float(number) if number else 1.0
    except ValueError:
        return 0.0


@cache
def _module(domain: str, language: str) -> ModuleType:
    return import_module(f"cardd.i18n.{language}.{domain}")
