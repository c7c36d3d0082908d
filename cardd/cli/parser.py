"""The command line's grammar, with help and complaints in the user's language."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn

from cardd.cli.failures import Exit
from cardd.errors import InvalidRequest
from cardd.i18n import LANGUAGES, language_of, text

LOCALES = ("LC_ALL", "LC_MESSAGES", "LANG")

# argparse says these in English only
COMPLAINTS = (
    ("missing", re.compile(r"the following arguments are required: (?P<what>.*)")),
    ("unknown", re.compile(r"unrecognized arguments: (?P<what>.*)")),
    ("choice", re.compile(r"argument (?P<what>[^:]*): invalid choice: (?P<value>.*?) \(choose from (?P<choices>.*)\)")),
    ("value", re.compile(r"argument (?P<what>[^:]*): invalid \w+ value: (?P<value>.*)")),
    ("lacks", re.compile(r"argument (?P<what>[^:]*): expected .*argument.*")),
    ("together", re.compile(r"argument (?P<what>[^:]*): not allowed with argument (?P<value>.*)")),
)


class Parser(argparse.ArgumentParser):
    """A parser that speaks ``language``; ``words`` gives a text of the domain ``cli``."""

    def __init__(self, *, language: str, **settings: Any) -> None:
        self.language = language
        self.has_common = False
        super().__init__(formatter_class=_formatter(language), add_help=False, allow_abbrev=False, **settings)
        self._positionals.title = self.words("arguments")
        self._optionals.title = self.words("options")
        self.add_argument("-h", "--help", action="help", help=self.words("help"))

    def words(self, key: str, **params: str | int) -> str:
        """A text of the command line."""
        return text(f"cli.{key}", self.language, **params)

    def common(self, *, top: bool = False) -> None:
        """Add the options of every command; they may stand before or after its name."""
        self.has_common = True

        def otherwise(value: object) -> object:
            return value if top else argparse.SUPPRESS

        self.add_argument("--json", action="store_true", default=otherwise(False), help=self.words("json"))
        self.add_argument("--lang", choices=LANGUAGES, default=otherwise(None), help=self.words("lang"))
        where = self.add_mutually_exclusive_group()
        where.add_argument("--socket", metavar="PATH", default=otherwise(None), help=self.words("socket"))
        where.add_argument("--url", metavar="URL", default=otherwise(None), help=self.words("url"))

    def branches(self, dest: str, *, required: bool = True) -> Callable[[str, str], Parser]:
        """Begin a level of commands, kept in ``dest``; what is given makes one of a name and a summary.

        The options that are common to this level stand in the next one too.
        """
        level = self.add_subparsers(
            dest=dest, required=required, metavar=self.words("command"), title=self.words("commands")
        )

        def branch(name: str, summary: str) -> Parser:
            parser = level.add_parser(name, language=self.language, help=summary, description=summary)
            if self.has_common:
                parser.common()
            return parser

        return branch

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and how to see the help, and exit with the status for usage."""
        self.exit(Exit.USAGE, self.words("usage_error", why=self._complaint(message), command=self.prog) + "\n")

    def _complaint(self, message: str) -> str:
        for name, pattern in COMPLAINTS:
            if found := pattern.fullmatch(message):
                return self.words(f"usage_error.{name}", **found.groupdict())
        return message


def wanted_language(arguments: list[str]) -> str:
    """``--lang`` where it is given, else French for a French locale and English for all others."""
    first = argparse.ArgumentParser(add_help=False, exit_on_error=False, allow_abbrev=False)
    first.add_argument("--lang")
    try:
        asked = first.parse_known_args(arguments)[0].lang
    except argparse.ArgumentError:
        asked = None
    if asked in LANGUAGES:
        return str(asked)
    locale = next((os.environ[name] for name in LOCALES if os.environ.get(name)), "")
    return language_of(f"{locale.partition('_')[0].partition('.')[0]}, en;q=0.1")


def named_files(language: str, given: Iterable[str]) -> dict[str, Path]:
    """Return the documents of a DMP submission set by their XDS ``uniqueId``; each is given as ``OID=PATH``.

    Raises InvalidRequest for what is no ``OID=PATH``, or is there twice.
    """
    named: dict[str, Path] = {}
    for one in given:
        name, _, path = one.partition("=")
        if not name or not path:
            raise InvalidRequest(where=one, why=text("cli.set.named", language))
        if name in named:
            raise InvalidRequest(where=one, why="duplicate")
        named[name] = Path(path)
    return named


def _formatter(language: str) -> Callable[..., argparse.HelpFormatter]:
    class Formatter(argparse.HelpFormatter):
        def add_usage(self, usage: Any, actions: Any, groups: Any, prefix: str | None = None) -> None:
            super().add_usage(usage, actions, groups, text("cli.usage", language) if prefix is None else prefix)

    return Formatter
