"""``cardd`` for tests, where nobody has to read a dialog before they answer: it takes a yes or a PIN at once.

``PATIENCE_OF_TESTS`` is how many seconds it may take to stop, where that is another time than as installed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from cardd.cli.cardd import Load, main
from cardd.config import Config
from cardd.ports import ReaderSource


async def serve(
    config: Config, load: Load, sources: Sequence[ReaderSource] | None, authorities: Sequence[bytes]
) -> None:
    """Be the daemon, until it is told to end."""
    from cardd.core.lifecycle import PATIENCE
    from cardd.daemon import run

    patience = float(os.environ.get("PATIENCE_OF_TESTS", PATIENCE))
    await run(config, load, sources, authorities, armed_after=0, patience=patience)


def unread() -> int:
    """Return the exit status of the command that was given."""
    return main(serve=serve)


if __name__ == "__main__":
    sys.exit(unread())
