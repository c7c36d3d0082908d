"""What a command line may say, with help and complaints in the user's language, and the statuses that it ends with."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterable
from enum import IntEnum
from pathlib import Path
from typing import Any, NoReturn

from cardd.cli.terminal import showable
from cardd.errors import InvalidRequest
from cardd.i18n import LANGUAGES, N_, Domain, language_of, locale_of

_ = Domain("cli")

PATH, TEXT = N_("PATH"), N_("TEXT")  # what stands for an option's value in the help

# what argparse says in English only, and what is said in its place; `error` fills the groups
COMPLAINTS = (
    (r"the following arguments are required: (?P<what>.*)", N_("missing: {what}")),
    (r"unrecognized arguments: (?P<what>.*)", N_("not understood: {what}")),
    (
        r"argument (?P<what>[^:]*): invalid choice: (?P<value>.*?) \(choose from (?P<choices>.*)\)",
        N_("{what} may not be {value}, but {choices}"),
    ),
    (r"argument (?P<what>[^:]*): invalid \w+ value: (?P<value>.*)", N_("{what} may not be {value}")),
    (r"argument (?P<what>[^:]*): expected .*argument.*", N_("{what} lacks its value")),
    (r"argument (?P<what>[^:]*): ignored explicit argument (?P<value>.*)", N_("{what} has no value")),
    (r"argument (?P<what>[^:]*): not allowed with argument (?P<value>.*)", N_("{what} and {value} exclude each other")),
)


class Exit(IntEnum):
    """What a script may tell apart without reading texts."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    NO_SESSION = 4
    CARD = 5
    PERSON = 6
    UNDETERMINED = 7
    INTERRUPTED = 130


class Parser(argparse.ArgumentParser):
    """A parser that speaks ``language``. What is declared in English (``N_``) is told in it where help is shown."""

    def __init__(self, *, language: str, **settings: Any) -> None:
        self.language = language
        self.has_common = False
        self.inner: list[Parser] = []  # its commands
        self.gives: dict[str, str] = {}  # a field of the request by the ``dest`` that gives it, where names differ
        super().__init__(formatter_class=_formatter(language), add_help=False, allow_abbrev=False, **settings)
        self._positionals.title = N_("arguments")
        self._optionals.title = N_("options")
        self.add_argument("-h", "--help", action="help", help=N_("show this help"))

    def common(self, *, top: bool = False) -> None:
        """Add the options of every command; they may stand before or after its name."""
        self.has_common = True

        def otherwise(value: object) -> object:
            return value if top else argparse.SUPPRESS

        self.add_argument(
            "--json", action="store_true", default=otherwise(False), help=N_("answer in JSON, for programs")
        )
        self.add_argument(
            "--lang",
            choices=LANGUAGES,
            default=otherwise(None),
            help=N_("language of what is said; by default that of the locale"),
        )
        where = self.add_mutually_exclusive_group()
        where.add_argument("--socket", metavar=PATH, default=otherwise(None), help=N_("the daemon's Unix socket"))
        where.add_argument(
            "--url", metavar="URL", default=otherwise(None), help=N_("the daemon's address, http://127.0.0.1:PORT")
        )

    def branches(self, dest: str, *, required: bool = True) -> Callable[[str, str], Parser]:
        """Begin a level of commands, kept in ``dest``; what is given makes one of a name and a summary.

        The options that are common to this level stand in the next one too.
        """
        level = self.add_subparsers(dest=dest, required=required, metavar=N_("COMMAND"), title=N_("commands"))

        def branch(name: str, summary: str) -> Parser:
            parser = level.add_parser(name, language=self.language, help=summary, description=summary)
            if self.has_common:
                parser.common()
            parser.set_defaults(parser=parser)
            self.inner.append(parser)
            return parser

        return branch

    def option_for(self, field: str) -> str | None:
        """Return the option or argument that gives a field of the request, or what it is in; None where none does.

        A field is told as the daemon tells it (``$.signatures[2].pades.visible.page``). Options have the names of their
        fields, or those of ``gives``.
        """
        actions = {action.dest: action for action in self._actions}
        parts = re.sub(r"\[\d+\]", "", field.removeprefix("$.")).removeprefix("signatures.").split(".")
        while parts:
            place = ".".join(parts)
            if action := actions.get(self.gives.get(place, place.replace(".", "_"))):
                return self._name(action)
            parts.pop()
        return None

    def _name(self, action: argparse.Action) -> str:
        names, placeholder = [name for name in action.option_strings if name.startswith("--")], str(action.metavar)
        return names[0] if names else _(placeholder, self.language)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and how to see the help, and exit with the status for usage."""
        why = self._complaint(message)
        sentence = _("Wrong command: {why}. See “{command} --help”.", self.language, why=why, command=self.prog)
        self.exit(Exit.USAGE, sentence + "\n")

    def _print_message(self, message: str, file: Any = None) -> None:
        super()._print_message(showable(message, file or sys.stderr) if message else message, file)

    def _complaint(self, message: str) -> str:
        for pattern, sentence in COMPLAINTS:
            if found := re.fullmatch(pattern, message):
                return _(sentence, self.language, **self._told(found.groupdict()))
        return message

    def _told(self, groups: dict[str, str]) -> dict[str, str]:
        """Return what argparse quotes, with the names of positional arguments in the language."""
        what = ", ".join(_(part, self.language) for part in groups.get("what", "").split(", "))
        return groups | ({"what": what} if "what" in groups else {})


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
    locale = locale_of(os.environ)
    return language_of(f"{locale.partition('_')[0].partition('.')[0]}, en;q=0.1")


def as_text(name: str) -> str:
    """Return a file's name as the daemon can be told it: older file systems have names that are no UTF-8."""
    return os.fsencode(name).decode(errors="replace")


def named_files(language: str, given: Iterable[str]) -> dict[str, Path]:
    """Return the documents of a DMP submission set by their XDS ``uniqueId``; each is given as ``OID=PATH``.

    Raises InvalidRequest for what is no ``OID=PATH``, or is there twice.
    """
    named: dict[str, Path] = {}
    for one in given:
        name, sign, path = one.partition("=")
        if not (name and sign and path):
            raise InvalidRequest(where=one, why=_("a document of a set is given as OID=PATH", language))
        if name in named:
            raise InvalidRequest(where=one, why="duplicate")
        named[name] = Path(path)
    return named


def _formatter(language: str) -> type[argparse.HelpFormatter]:
    """Return the help's formatter, which tells in the language what was declared in English."""

    class Formatter(argparse.HelpFormatter):
        def add_usage(self, usage: Any, actions: Any, groups: Any, prefix: str | None = None) -> None:
            super().add_usage(usage, actions, groups, _("usage: ", language) if prefix is None else prefix)

        def add_text(self, text: str | None) -> None:
            super().add_text(_(text, language) if text else text)

        def start_section(self, heading: str | None) -> None:
            # argparse puts the colon behind it
            super().start_section(_("{heading}", language, heading=_(heading, language)) if heading else heading)

        def _get_help_string(self, action: argparse.Action) -> str | None:
            return _(action.help, language) if action.help else action.help

        def _metavar_formatter(self, action: argparse.Action, default_metavar: str) -> Callable[[int], tuple[str, ...]]:
            told = super()._metavar_formatter(action, default_metavar)
            if action.metavar == action.dest:  # a command's name, or a variant's: typed as it stands
                return told
            return lambda size: tuple(_(name, language) for name in told(size))

    return Formatter
