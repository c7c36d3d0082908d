"""``cardd`` for tests, where nobody has to read a dialog before they answer: it takes a yes or a PIN at once."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from cardd.cli.cardd import Load, main
from cardd.config import Config
from cardd.ports import ReaderSource


async def serve(
    config: Config, load: Load, sources: Sequence[ReaderSource] | None, authorities: Sequence[bytes]
) -> None:
    """Be the daemon, until it is told to end."""
    from cardd.daemon import run

    await run(config, load, sources, authorities, armed_after=0)


def unread() -> int:
    """Return the exit status of the command that was given."""
    return main(serve=serve)


if __name__ == "__main__":
    sys.exit(unread())
