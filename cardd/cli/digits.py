"""Two digits, so large on a terminal that they are compared at a glance from where the mobile lies."""

from __future__ import annotations

from cardd.cli.terminal import GAP

ROWS = (
    "███   █ ███ ███ █ █ ███ ███ ███ ███ ███",
    "█ █   █   █   █ █ █ █   █     █ █ █ █ █",
    "█ █   █ ███ ███ ███ ███ ███   █ ███ ███",
    "█ █   █ █     █   █   █ █ █   █ █ █   █",
    "███   █ ███ ███   █ ███ ███   █ ███ ███",
)
WIDTH = 3  # and one between them


def large(digits: str, encoding: str) -> list[str]:
    """The digits as lines with an empty one above and below; none where the terminal's encoding has no blocks."""
    try:
        "█".encode(encoding)
    except UnicodeEncodeError:
        return []
    places = [int(digit) * (WIDTH + 1) for digit in digits]
    rows = ("   ".join(row[place : place + WIDTH] for place in places) for row in ROWS)
    return ["", *(GAP + "".join(2 * block for block in row).rstrip() for row in rows), ""]
