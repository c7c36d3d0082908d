"""``cardctl``: the command line for users and support. A command's module is imported when the command is called."""

from __future__ import annotations

import sys
from importlib import import_module

from cardd.cli.command import Command, Context
from cardd.cli.failures import exit_of, tell, tell_file_fault
from cardd.cli.parser import Exit, Parser, wanted_language
from cardd.errors import CarddError
from cardd.i18n import N_

PACKAGE = "cardd.cli.commands"
# they last, or ask on the terminal: silence is no wait
OPEN_ENDED = ("bundle", "simulate", "support", "trace", "tunnel")
# each command in the order in which the help lists it: its module, and what it does
COMMANDS = {
    "status": ("status", N_("whether the service answers, and whether you are logged in")),
    "open": ("status", N_("open the status page in your browser")),
    "readers": ("cards", N_("list the readers")),
    "cards": ("cards", N_("list the inserted cards")),
    "methods": ("status", N_("list the ways to log in, and which suits a use")),
    "login": ("login", N_("open a session with your card, for the commands that follow")),
    "logout": ("login", N_("close that session")),
    "sign": ("sign", N_("sign files with your card")),
    "verify": ("verify", N_("verify a signature and say whose it is")),
    "vihf": ("assertions", N_("issue an assertion for the DMP (VIHF) in your session's name")),
    "insi": ("assertions", N_("issue an assertion for the INSi service in your session's name")),
    "tunnel": ("tunnel", N_("reach a configured server with your certificate, by plain HTTP on this machine")),
    "pin": ("cards", N_("the state of the card's PIN, changing it, unblocking it")),
    "simulate": ("simulate", N_("put a simulated card into a virtual reader, for tests")),
    "clients": ("support", N_("list, lock or remove paired programs and remembered sites")),
    "origins": ("origins", N_("list the sites whose pages may call, let one in or shut it out")),
    "programs": ("programs", N_("list the programs that use the card through PKCS#11, or shut one out")),
    "pkcs11": ("pkcs11", N_("have browsers, ssh and others find the card by PKCS#11, or no longer")),
    "browser-policy": ("origins", N_("let a site's pages reach this machine without the browser's question")),
    "https": ("https", N_("the API over https: its certificate, and the browsers that trust it")),
    "sessions": ("login", N_("list or close your open sessions, whichever program opened them")),
    "audit": ("audit", N_("read, verify or export the audit log")),
    "config": ("config", N_("check, show or explain the configuration")),
    "support": ("support", N_("the one-time codes that this workstation demands for what only support may do")),
    "trace": ("trace", N_("what happens, step by step: cards, dialogs, servers, and where the time goes; never a PIN")),
    "logs": ("logs", N_("the last lines of the service's log, or those of one request")),
    "bundle": ("bundle", N_("gather what support needs, without names and secrets, into one file")),
    "doctor": ("doctor", N_("what works on this workstation, what does not, and what to do")),
}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    language = wanted_language(given)
    asked = command_line(language, given).parse_args(given)
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

    if context.arguments.command in OPEN_ENDED:
        return asyncio.run(command.run(context))
    from cardd.cli.waiting import patiently  # noqa: PLC0415 - as above

    return asyncio.run(patiently(context, command.run(context)))


def _command(name: str) -> Command:
    commands: dict[str, Command] = import_module(f"{PACKAGE}.{COMMANDS[name][0]}").COMMANDS
    return commands[name]


def command_line(language: str, given: list[str]) -> Parser:
    """Return the grammar of the whole command line; only the commands that are ``given`` declare their arguments."""
    parser = Parser(language=language, prog="cardctl")
    parser.description = N_("Cards and signatures of health professionals, through the local service cardd.")
    parser.common(top=True)
    branch = parser.branches("command")
    for name, (_module, summary) in COMMANDS.items():
        command = branch(name, summary)
        if name in given:
            _command(name).arguments(command)
    return parser


if __name__ == "__main__":
    sys.exit(main())
