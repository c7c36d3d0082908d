"""The sentences that people read, in French and English, by Python's gettext.

The English sentence stands in the code where it is used. Its French is in ``locale/fr/LC_MESSAGES``, one .po file for
each domain; `make texts` brings those files to the code, `make check` refuses what is left untranslated::

    _ = Domain("cli")

    _("Service {name}", language, name=name)
    _.plural("{number} card", "{number} cards", number, language)
    _.context("key on a terminal", "y", language)       # one English word that is two French ones
    TITLE = N_("Wrong PIN")                             # marked here, told later: _(TITLE, language)

The language is chosen at each call, never for the whole process: one daemon serves French and English callers. A
domain's French is loaded when its first sentence is told. ``{name}`` stands for a parameter: its place is filled once,
and never read as a format of its own, so that a program called ``{x}`` does no harm.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gettext import NullTranslations

LANGUAGES = ("fr", "en")
DEFAULT = "fr"
LOCALES = ("LC_ALL", "LC_MESSAGES", "LANG")
LOCALE = Path(__file__).with_name("locale")

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_RANGE = re.compile(r"\s*([a-zA-Z]{1,8})[^,;]*(?:;\s*q=([0-9.]+))?")


class Domain:
    """The sentences of one part of cardd, which one .po file translates; ``locale`` is where the translations are."""

    def __init__(self, name: str, locale: Path = LOCALE) -> None:
        self.name = name
        self._locale = locale

    def __call__(self, sentence: str, language: str, /, **params: str | int) -> str:
        """Return the sentence in ``fr`` or ``en``; a parameter that was not given leaves its place empty."""
        return fill(self._in(language).gettext(sentence), **params) if sentence else ""

    def plural(self, one: str, many: str, number: int, language: str, /, **params: str | int) -> str:
        """Return the sentence that the language has for this number; ``{number}`` is its place."""
        return fill(self._in(language).ngettext(one, many, number), number=number, **params)

    def context(self, context: str, sentence: str, language: str, /, **params: str | int) -> str:
        """Return the sentence as it is said in this context, where one English text has several French ones."""
        return fill(self._in(language).pgettext(context, sentence), **params)

    def _in(self, language: str) -> NullTranslations:
        try:
            return _translations(self.name, self._locale, language)
        except OSError:  # no file can be opened for now: the English sentence is better than none
            return _untranslated()


def N_(sentence: str) -> str:  # noqa: N802 - gettext's name for it
    """Return the sentence: marked for the translators here, told in a language later."""
    return sentence


def fill(sentence: str, /, **params: str | int) -> str:
    """Return the sentence with the parameters in their places."""
    return _PLACEHOLDER.sub(lambda found: str(params.get(found[1], "")), sentence)


def locale_of(environment: Mapping[str, str]) -> str:
    """Return the locale that an environment asks messages in; empty where it asks for none."""
    return next((environment[name] for name in LOCALES if environment.get(name)), "")


def language_of(wanted: str | None) -> str:
    """Return ``fr`` or ``en`` for a locale (``en_GB.UTF-8``) or an Accept-Language header; French by default."""
    best, weight = DEFAULT, 0.0
    for part in (wanted or "").split(",")[:16]:
        found = _RANGE.match(part)
        if found and found[1].lower() in LANGUAGES:
            quality = _quality(found[2])
            if quality > weight:
                best, weight = found[1].lower(), quality
    return best


def stated_language(wanted: str | None) -> str | None:
    """Return the language that an Accept-Language header states; None where it states neither ``fr`` nor ``en``."""
    codes = (found[1].lower() for part in (wanted or "").split(",")[:16] if (found := _RANGE.match(part)))
    return language_of(wanted) if any(code in LANGUAGES for code in codes) else None


def _quality(number: str | None) -> float:
    try:
        return float(number) if number else 1.0
    except ValueError:
        return 0.0


@cache
def _untranslated() -> NullTranslations:
    import gettext  # noqa: PLC0415 - not needed before the first text

    return gettext.NullTranslations()


@cache
def _translations(domain: str, locale: Path, language: str) -> NullTranslations:
    """Return the translations of a domain; none where English is wanted, or `make` has compiled nothing."""
    import gettext  # noqa: PLC0415 - not needed before the first text

    return gettext.translation(domain, locale, [language], fallback=True)
