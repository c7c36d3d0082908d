"""What the programs' command lines take, as data: man pages and completions are made of it.

The one source is the parsers that also say `--help`. Nothing of it is written here again.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from cardd.cli import agent, cardctl, cardd
from cardd.cli.parser import Parser
from cardd.i18n import Domain

_ = Domain("cli")

FILES = ("PATH", "FILE", "PROGRAM")  # what stands for a value that is a file's name, or has one in it


@dataclass(frozen=True)
class Option:
    """An option, or an argument, which has no flags; ``values`` are those that are known, each with what it means."""

    flags: tuple[str, ...]
    dest: str
    takes_value: bool
    is_file: bool
    values: tuple[tuple[str, str], ...]
    invocation: str
    summary: str


@dataclass(frozen=True)
class Command:
    """A program, or one of its commands; ``path`` begins with the program."""

    path: tuple[str, ...]
    summary: str
    usage: str
    groups: tuple[tuple[str, tuple[Option, ...]], ...]
    inner: tuple[Command, ...]

    @property
    def options(self) -> tuple[Option, ...]:
        """What has flags."""
        return tuple(one for _title, options in self.groups for one in options if one.flags)

    @property
    def arguments(self) -> tuple[Option, ...]:
        """What has none."""
        return tuple(one for _title, options in self.groups for one in options if not one.flags)

    def all(self) -> Iterator[Command]:
        """Yield this command and every one below it."""
        yield self
        for command in self.inner:
            yield from command.all()


def programs(language: str) -> list[Command]:
    """Return the three programs, told in ``fr`` or ``en``."""
    whole = cardctl.command_line(language, list(cardctl.COMMANDS))
    return [_command(line, language) for line in (cardd.command_line(language), whole, agent.command_line(language))]


def _command(parser: Parser, language: str) -> Command:
    """Return what a parser declares, in the order of its help."""
    formatter = parser.formatter_class(prog=parser.prog)
    groups = []
    for group in parser._action_groups:
        options = tuple(_option(formatter, one) for one in group._group_actions if not _is_level(one))
        if options:
            groups.append((_(group.title or "", language), options))
    return Command(
        path=tuple(parser.prog.split()),
        summary=_(parser.description or "", language),
        usage=" ".join(parser.format_usage().split()).partition(parser.prog)[2].strip(),
        groups=tuple(groups),
        inner=tuple(_command(command, language) for command in parser.inner),
    )


def _option(formatter: argparse.HelpFormatter, action: argparse.Action) -> Option:
    below = formatter._iter_indented_subactions(action)
    told = tuple((str(one.metavar), formatter._expand_help(one)) for one in below)
    name = action.metavar if isinstance(action.metavar, str) else ""
    return Option(
        flags=tuple(action.option_strings),
        dest=action.dest,
        takes_value=action.nargs != 0,
        is_file=any(word in FILES for word in name.split("=")),
        values=told or tuple((str(choice), "") for choice in cast("list[object]", action.choices or [])),
        invocation=formatter._format_action_invocation(action),
        summary=formatter._expand_help(action) if action.help else "",
    )


def _is_level(action: argparse.Action) -> bool:
    """Return whether an action is a level of commands, which a parser keeps in ``inner`` too."""
    return isinstance(action, argparse._SubParsersAction)
