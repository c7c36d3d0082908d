"""``cardd-agent``: in each desktop session, shows the dialogs that the daemon asks for."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from cardd.agent.agent import PARTS, SOCKET, Agent, Desktop, serve
from cardd.agent.readers import Lend
from cardd.agent.tray import ICONS, OPEN
from cardd.cli.parser import PATH, Exit, Parser, wanted_language
from cardd.cli.terminal import open_in_browser
from cardd.i18n import N_
from cardd.system.browsers import holders
from cardd.system.host import harden
from cardd.system.notifications import DesktopNotifications
from cardd.system.session_bus import session_bus_address
from cardd.system.tray import DesktopTray

SOCKET_NAME = "PCSCLITE_CSOCK_NAME"  # where libpcsclite finds the PC/SC of a session


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    asked = command_line(wanted_language(given)).parse_args(given)
    harden()  # the PIN crosses this process
    parts = (asked.only,) if asked.only else PARTS
    asyncio.run(serve(Agent(asked.socket, asked.pinentry, holders, _desktop(), lend=_lending(), parts=parts)))
    return Exit.OK


def _desktop() -> Desktop | None:
    """Return what shows things on this session's desktop, None where it has no bus."""
    address = session_bus_address()
    return (
        Desktop(DesktopNotifications(address, open_in_browser), DesktopTray(address, ICONS, OPEN)) if address else None
    )


def _lending() -> Lend | None:
    """Return what lends this session's readers; None where it has none of its own."""
    if SOCKET_NAME not in os.environ:
        return None
    from cardd.pcsc.lending import has_own_readers, lend  # noqa: PLC0415 - only where a session has readers

    return lend if has_own_readers(os.environ) else None


def command_line(language: str) -> Parser:
    """Return the grammar of the command line."""
    parser = Parser(language=language, prog="cardd-agent")
    parser.description = N_("Shows cardd's dialogs on this desktop.")
    parser.add_argument("--socket", metavar=PATH, type=Path, default=Path(SOCKET), help=N_("the agents' socket"))
    parser.add_argument("--pinentry", metavar="PROGRAM", help=N_("the pinentry program to start"))
    parser.add_argument(
        "--only",
        choices=PARTS,
        help=N_(
            "do one part: show dialogs; or look at this desktop's programs, show notifications and the tray's item"
        ),
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
