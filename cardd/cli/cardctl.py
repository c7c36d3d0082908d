"""``cardctl``: the command line for users and support. A command's module is imported when the command is called."""

from __future__ import annotations

import sys
from importlib import import_module

from cardd.cli.command import Command, Context
from cardd.cli.failures import Exit, exit_of, tell, tell_file_fault
from cardd.cli.parser import Parser, wanted_language
from cardd.errors import CarddError

PACKAGE = "cardd.cli.commands"
COMMANDS = {
    "status": "status",
    "readers": "cards",
    "cards": "cards",
    "methods": "status",
    "login": "login",
    "logout": "login",
    "sign": "sign",
    "verify": "verify",
    "vihf": "assertions",
    "insi": "assertions",
    "tunnel": "tunnel",
    "pin": "cards",
    "simulate": "simulate",
    "clients": "support",
    "sessions": "login",
    "audit": "audit",
    "config": "config",
    "support": "support",
    "trace": "support",
    "doctor": "doctor",
}
"""Each command, in the order in which the help lists it, and its module."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    language = wanted_language(given)
    asked = _parser(language, given).parse_args(given)
    context = Context(asked, language)
    try:
        return _run(_command(asked.command), context)
    except CarddError as error:
        tell(context, error)
        return exit_of(error)
    except BrokenPipeError:  # whoever read our answer has read enough
        sys.stderr.close()
        return Exit.FAILED
    except OSError as fault:
        tell_file_fault(context, fault)
        return Exit.FAILED
    except KeyboardInterrupt:
        return Exit.INTERRUPTED


def _run(command: Command, context: Context) -> int:
    import asyncio  # noqa: PLC0415 - not for --help

    return asyncio.run(command.run(context))


def _command(name: str) -> Command:
    commands: dict[str, Command] = import_module(f"{PACKAGE}.{COMMANDS[name]}").COMMANDS
    return commands[name]


def _parser(language: str, given: list[str]) -> Parser:
    parser = Parser(language=language, prog="cardctl")
    parser.description = parser.words("description")
    parser.common(top=True)
    branch = parser.branches("command")
    for name in COMMANDS:
        command = branch(name, parser.words(f"{name}.summary"))
        if name in given:
            _command(name).arguments(command)
    return parser


if __name__ == "__main__":
    sys.exit(main())
