"""The man pages, in English and French (`make man`): of the programs, from their parsers, and of cardd.toml.

    man.py FOLDER     writes FOLDER/man1/cardctl.1, FOLDER/fr/man1/cardctl.1 and so on, and cardd.toml.5

A page has the date of SOURCE_DATE_EPOCH, so that it is built the same twice.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

from grammar import Command, Option, programs

from cardd import __version__
from cardd.cli.parser import Exit
from cardd.config.reference import KeyInfo, keys
from cardd.i18n import LANGUAGES

HEADINGS = {
    "en": ("NAME", "SYNOPSIS", "DESCRIPTION", "COMMANDS", "EXIT STATUS", "FILES", "SEE ALSO"),
    "fr": ("NOM", "SYNOPSIS", "DESCRIPTION", "COMMANDES", "CODE DE RETOUR", "FICHIERS", "VOIR AUSSI"),
}
EXITS = {
    Exit.OK: ("done", "fait"),
    Exit.FAILED: (
        "refused or failed: a signature that does not hold, a broken log, a failure that doctor found",
        "refus ou échec : une signature qui ne tient pas, un journal abîmé, une panne que doctor a trouvée",
    ),
    Exit.USAGE: ("the command line is wrong", "la ligne de commande est fausse"),
    Exit.UNREACHABLE: ("no daemon answers", "aucun service ne répond"),
    Exit.NO_SESSION: ("not paired, or no open session", "pas d'appairage, ou pas de session ouverte"),
    Exit.CARD: (
        "a reader or a card is missing, is another, or does not work",
        "un lecteur ou une carte manque, est un autre, ou ne marche pas",
    ),
    Exit.PERSON: (
        "the person said no, did not answer, could not be asked, or entered a wrong code",
        "la personne a refusé, n'a pas répondu, n'a pas pu être interrogée, ou a saisi un code faux",
    ),
    Exit.UNDETERMINED: (
        "the signature is intact, but whether it can be trusted is not known",
        "la signature est intacte, mais on ne sait pas s'il faut s'y fier",
    ),
    Exit.INTERRUPTED: ("Ctrl-C", "Ctrl-C"),
}
FILES = (
    ("/etc/cardd/cardd.toml", "the configuration: cardd.toml(5)", "la configuration : cardd.toml(5)"),
    ("/etc/cardd/cardd.toml.d/*.toml", "parts of it, read after it", "des parties de celle-ci, lues ensuite"),
    ("/var/lib/cardd", "the state of the service, and its audit log", "l'état du service, et son journal d'audit"),
    ("/run/cardd/cardd.sock", "the Unix socket of the API", "le socket Unix de l'API"),
)
CONFIGURATION = (
    ("the configuration of cardd", "la configuration de cardd"),
    (
        """TOML. Unknown keys are errors that name the nearest known one; “cardctl config check” tells them.
        The service reads the file when it starts; “systemctl reload cardd” takes what may change meanwhile. Each key is
        optional.""",
        """TOML. Une clé inconnue est une erreur, qui nomme la clé connue la plus proche ; « cardctl config check »
        les dit. Le service lit le fichier quand il démarre ; « systemctl reload cardd » prend ce qui peut changer
        entre-temps. Aucune clé n'est obligatoire.""",
    ),
)
DEFAULT = {"en": "By default: ", "fr": "Par défaut : "}
PAGES = (("cardd", 1), ("cardctl", 1), ("cardd-agent", 1), ("cardd.toml", 5))


def pages(language: str) -> Iterator[tuple[str, int, str]]:
    """Yield each page: its name, its section, and its text as troff reads it."""
    for program in programs(language):
        yield program.path[0], 1, "\n".join(_program(program, language)) + "\n"
    yield "cardd.toml", 5, "\n".join(_configuration(language)) + "\n"


def _program(program: Command, language: str) -> Iterator[str]:
    name, synopsis, description, commands, status, files, _also = HEADINGS[language]
    yield from _head(program.path[0], 1)
    summary = program.summary.rstrip(".")
    yield from (f".SH {name}", f"{_text(program.path[0])} \\- {_text(summary[:1].lower() + summary[1:])}")
    yield from (f".SH {synopsis}", f".B {_text(program.path[0])}", _text(program.usage))
    yield from (f".SH {description}", _text(program.summary))
    for title, options in program.groups:
        yield from (f".SH {_text(title.upper())}", *_options(options))
    if program.inner:
        yield f".SH {commands}"
        common = {option.dest for option in program.options}
        for command in program.all():
            if command is not program:
                yield from _inner(command, common)
    if program.path[0] == "cardctl":
        yield f".SH {status}"
        for code, told in EXITS.items():
            yield from (".TP", f".B {code.value}", _text(told[language == "fr"]))
    yield f".SH {files}"
    for path, *meaning in FILES:
        yield from (".TP", f".I {_text(path)}", _text(meaning[language == "fr"]))
    yield from _also_see((program.path[0], 1), language)


def _inner(command: Command, common: set[str]) -> Iterator[str]:
    """Yield a command: what it is, and its own options, without those that all commands have."""
    yield f".SS {_text(' '.join((*command.path, *(one.invocation for one in command.arguments))))}"
    yield _text(command.summary[:1].upper() + command.summary[1:] + ".")
    for title, options in command.groups:
        own = tuple(option for option in options if option.dest not in common)
        if own:
            yield from (".PP", f".I {_text(title)}", *_options(own))


def _options(options: tuple[Option, ...]) -> Iterator[str]:
    for option in options:
        yield from (".TP", f".B {_text(option.invocation)}", _text(option.summary))
        told = [(name, meaning) for name, meaning in option.values if meaning]
        if told:
            yield ".RS"
            for name, meaning in told:
                yield from (".TP", f".B {_text(name)}", _text(meaning))
            yield ".RE"


def _configuration(language: str) -> Iterator[str]:
    name, synopsis, description, _commands, _status, _files, _also = HEADINGS[language]
    summary, meaning = (told[language == "fr"] for told in CONFIGURATION)
    yield from _head("cardd.toml", 5)
    yield from (f".SH {name}", f"cardd.toml \\- {_text(summary)}")
    yield from (f".SH {synopsis}", ".I /etc/cardd/cardd.toml", ".br", ".I /etc/cardd/cardd.toml.d/*.toml")
    yield from (f".SH {description}", _text(meaning))
    for section, members in groupby(keys(), key=_section):
        yield f".SH [{_text(section)}]"
        for key in members:
            meaning, kind = (key.fr, key.kind_fr) if language == "fr" else (key.en, key.kind)
            yield from (".TP", f".B {_text(key.name.removeprefix(section + '.'))}", _text(f"{meaning} ({kind})"))
            if key.default:
                yield from (".br", _text(DEFAULT[language] + key.default))
    yield from _also_see(("cardd.toml", 5), language)


def _section(key: KeyInfo) -> str:
    return key.name.rpartition(".")[0]


def _head(name: str, section: int) -> Iterator[str]:
    day = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), UTC).date()
    yield '.\\" made by .make/man.py of what --help says too'
    yield f'.TH {_text(name.upper())} {section} {day} "cardd {__version__}" cardd'


def _also_see(own: tuple[str, int], language: str) -> Iterator[str]:
    yield f".SH {HEADINGS[language][-1]}"
    yield ",\n".join(f".BR {_text(name)} ({section})" for name, section in PAGES if (name, section) != own)


def _text(told: str) -> str:
    """Return one line for troff: nothing in it is a request, an escape or a hyphen that may be broken."""
    line = re.sub(r"\s*\n\s*", " ", told.strip()).replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{line}" if line[:1] in {".", "'"} else line


def main(folder: Path) -> None:
    """Write all pages."""
    for language in LANGUAGES:
        for name, section, text in pages(language):
            file = folder.joinpath(*[language] * (language != "en"), f"man{section}", f"{name}.{section}")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
