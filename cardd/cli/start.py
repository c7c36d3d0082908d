"""The entry points of the installed commands: Ctrl-C while a command's modules are loaded ends it without a word.

Nothing but this is imported here: what comes with a command comes under its ``try``.
"""

from __future__ import annotations

INTERRUPTED = 130  # as ``cardd.cli.parser.Exit`` has it


def cardd() -> int:
    """Be ``cardd``."""
    try:
        from cardd.cli.cardd import main  # noqa: PLC0415 - see above

        return main()
    except KeyboardInterrupt:
        return INTERRUPTED


def cardctl() -> int:
    """Be ``cardctl``."""
    try:
        from cardd.cli.cardctl import main  # noqa: PLC0415 - see above

        return main()
    except KeyboardInterrupt:
        return INTERRUPTED


def agent() -> int:
    """Be ``cardd-agent``."""
    try:
        from cardd.cli.agent import main  # noqa: PLC0415 - see above

        return main()
    except KeyboardInterrupt:
        return INTERRUPTED
