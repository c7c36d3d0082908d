"""docs/troubleshooting.md and docs/fr/depannage.md, written from what doctor's checks may find.

doctor_pages.py update     write the pages (`make texts`)
doctor_pages.py check      fail when a page is not what the checks say
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import texts

from cardd.cli.doctor import CHECKS, MODULES, outcomes
from cardd.cli.doctor import check as shared
from cardd.cli.doctor.check import REASONS, Level, Outcome
from cardd.i18n import Domain

ROOT = Path(__file__).parents[1]
PAGES = {"en": ROOT / "docs/troubleshooting.md", "fr": ROOT / "docs/fr/depannage.md"}
ERRORS = {"en": "errors.md", "fr": "../errors.md"}
PLACE = re.compile(r"\{(\w+)\}")
_ = Domain("doctor")

HEADS = {
    "en": """# What is wrong, by the code that doctor tells

Written by `make texts` from `cardd/cli/doctor`; do not edit. [En français](fr/depannage.md).

The person types `cardctl doctor` and reads the first line aloud: what is most likely wrong, with its code in
brackets. Look the code up here; the remedy is what the second line says. Checks stand in the order of causes: what
comes first explains what comes after. `cardctl doctor NAME` looks at one thing again, with more time; `cardctl doctor
--fix` runs the commands that are named here, after a question. A code that is not on this page is one of
[errors.md](errors.md). `{name}` stands for a value that doctor fills in, in
a command as one word for a shell. Where nobody may use sudo: `su -`, then the command without that word. How often
the first line is right was tried: [ADR 0047](adr/0047-doctor-names-the-cause.md).
""",
    "fr": """# La panne, d'après le code que dit doctor

Écrit par `make texts` d'après `cardd/cli/doctor` ; ne pas modifier. [In English](../troubleshooting.md).

La personne tape `cardctl doctor` et lit la première ligne à voix haute : ce qui ne va pas, le plus probablement, avec
son code entre crochets. Cherchez ce code ici ; le remède est ce que dit la deuxième ligne. Les examens sont dans
l'ordre des causes : le premier explique ceux qui suivent. `cardctl doctor NOM` examine de nouveau un seul point, avec
plus de temps ; `cardctl doctor --fix` lance les commandes nommées ici, après une question. Un code qui n'est pas sur
cette page est dans [errors.md](../errors.md). `{nom}` tient lieu d'une valeur que doctor remplit,
dans une commande en un seul mot pour le shell. Là où nul ne peut utiliser sudo : `su -`, puis la commande sans ce mot.
Aider au téléphone : [assistance.md](assistance.md).
""",
}
WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "failure": "Failure",
        "warning": "Warning",
        "minor": "Warning, told first only where nothing else is found",
        "again": "look again",
        "good": "Good",
        "raised": "Other codes of this check are errors of cardd",
        "do": "What to do",
        "fix": "`--fix` runs",
        "root": "To root it says before",
        "skipped": "Why a check is skipped",
        "any": "Any check",
        "index": "Codes",
        "reads": "doctor says",
    },
    "fr": {
        "failure": "Échec",
        "warning": "Attention",
        "minor": "Attention, dit en premier seulement s'il n'y a rien d'autre",
        "again": "examiner de nouveau",
        "good": "Bon",
        "raised": "Les autres codes de cet examen sont des erreurs de cardd",
        "do": "Que faire",
        "fix": "`--fix` lance",
        "root": "À root, il dit d'abord",
        "skipped": "Pourquoi un examen est ignoré",
        "any": "Tout examen",
        "index": "Codes",
        "reads": "doctor dit",
    },
}
COLON, SEMICOLON = {"en": ":", "fr": " :"}, {"en": "; ", "fr": " ; "}
# checks that tell errors of cardd's in their own words, by the beginnings of their codes
RAISING = {
    "config": ("config.",),
    "psc": ("psc.",),
    "audit": ("audit.",),
    "certificates": ("card.",),
    "held": ("reader.",),
}


def page(language: str) -> str:
    """Return the page as it must be."""
    whole = "\n".join([HEADS[language], *_index(language), *_body(language)]) + "\n"
    return texts.BEFORE_MARK.sub(texts.NARROW, whole) if language == texts.LANGUAGE else whole


def _index(language: str) -> Iterator[str]:
    for name in CHECKS:
        wrong = [one for one in _found_by(name) if one.remedy]
        links = ", ".join(f"[{one.code}](#{one.code})" for one in wrong)
        yield f"- **{_(CHECKS[name].title, language)}** (`{name}`){COLON[language]} {links or '–'}"


def _body(language: str) -> Iterator[str]:
    words, colon = WORDS[language], COLON[language]
    for name, check in CHECKS.items():
        yield f"\n## {_(check.title, language)}\n"
        good = [f"`{one.code}` ({_kept(one.sentence, language)})" for one in _found_by(name) if not one.remedy]
        told = [f"{words['again'].capitalize()}{colon} `cardctl doctor {name}`."]
        told += [f"{words['good']}{colon} {SEMICOLON[language].join(good)}"] if good else []
        if name in RAISING:
            starts = ", ".join(f"`{start}…`" for start in RAISING[name])
            told.append(f"{words['raised']} ({starts}){colon} [errors.md]({ERRORS[language]}).")
        yield "\n".join(f"- {line}" for line in told)
        for one in _found_by(name):
            if one.remedy:
                yield from _entry(one, language)
    yield f"\n## {words['any']}"
    for one in outcomes(shared):
        yield from _entry(one, language)
    yield f"\n## {words['skipped']}\n"
    for reason, sentence in REASONS.items():
        yield f'- <a id="skipped.{reason}"></a>`skipped.{reason}`{colon} {_kept(sentence, language)}'


def _entry(one: Outcome, language: str) -> Iterator[str]:
    words, colon = WORDS[language], COLON[language]
    yield f'\n### <a id="{one.code}"></a>`{one.code}`\n'
    level = "minor" if one.is_minor and one.level is Level.WARNING else one.level.value
    yield f"{words[level]}. {words['reads']}{colon} {_kept(one.sentence, language)}\n"
    yield f"**{words['do']}{colon}** {_kept(one.remedy, language)}"
    if one.fix:
        told = f"\n{words['fix']}{colon} `{' '.join(one.fix)}`"
        yield f"{told}. {words['root']}{colon} {_(one.as_root, language)}" if one.as_root else told


def _found_by(name: str) -> list[Outcome]:
    return [one for module in MODULES for one in outcomes(module) if one.code.partition(".")[0] == name]


def _kept(text: str, language: str) -> str:
    """Return the sentence in the language, with the places of its params as they are."""
    told = _(text, language, **{name: f"{{{name}}}" for name in PLACE.findall(text)})
    return told.replace("<", "&lt;").replace("\n", " ")


def update() -> list[str]:
    """Write the pages."""
    for language, file in PAGES.items():
        file.write_text(page(language))
    return []


def check() -> list[str]:
    """Return what is wrong."""
    return [
        f"{file.relative_to(ROOT)} is not what cardd/cli/doctor says: make texts"
        for language, file in PAGES.items()
        if not file.is_file() or file.read_text() != page(language)
    ]


if __name__ == "__main__":
    if wrong := {"update": update, "check": check}[sys.argv[1]]():
        sys.exit("\n".join(wrong))
