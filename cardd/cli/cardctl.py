"""``cardctl``: the command line for users and support. Each command is a module, imported when it is called."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Protocol, cast

from cardd.cli.context import Context
from cardd.cli.exits import Exit, exit_of
from cardd.cli.parser import Parser, wanted_language
from cardd.errors import CarddError

PACKAGE = "cardd.cli.commands"
COMMANDS = (
    "status",
    "readers",
    "cards",
    "methods",
    "login",
    "logout",
    "sign",
    "verify",
    "vihf",
    "insi",
    "tunnel",
    "pin",
    "simulate",
    "clients",
    "sessions",
    "audit",
    "config",
    "support",
    "trace",
    "doctor",
)


class Command(Protocol):
    """What a module of a command has."""

    def arguments(self, parser: Parser) -> None:
        """Declare the command's own arguments."""
        ...

    async def run(self, context: Context) -> int:
        """Do it; gives the exit status. A failure is raised as a class of ``cardd.errors``."""
        ...


def main(arguments: list[str] | None = None) -> int:
    """The program's entry point; gives the exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    language = wanted_language(given)
    asked = _parser(language, given).parse_args(given)
    context = Context(asked, language)
    try:
        return _run(_module(asked.command), context)
    except CarddError as error:
        from cardd.cli.failures import tell  # noqa: PLC0415 - most runs end well

        tell(context, error)
        return exit_of(error)
    except BrokenPipeError:  # whoever read our answer has read enough
        sys.stderr.close()
        return Exit.FAILED
    except OSError as fault:
        from cardd.cli.failures import tell_file_fault  # noqa: PLC0415

        tell_file_fault(context, fault)
        return Exit.FAILED
    except KeyboardInterrupt:
        return Exit.INTERRUPTED


def _run(command: Command, context: Context) -> int:
    import asyncio  # noqa: PLC0415 - not for --help

    return asyncio.run(command.run(context))


def _module(name: str) -> Command:
    return cast(Command, import_module(f"{PACKAGE}.{name}"))


def _parser(language: str, given: list[str]) -> Parser:
    parser = Parser(language=language, prog="cardctl")
    parser.description = parser.words("description")
    parser.common(top=True)
    branch = parser.branches("command")
    for name in COMMANDS:
        command = branch(name, parser.words(f"{name}.summary"))
        if name in given:
            _module(name).arguments(command)
    return parser


if __name__ == "__main__":
    sys.exit(main())
