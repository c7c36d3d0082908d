"""A QR code in a terminal."""

from __future__ import annotations

import io

WHITE_ON_BLACK = "\x1b[38;5;231;48;5;16m"
PLAIN = "\x1b[0m"


def drawn(content: str, encoding: str) -> list[str]:
    """The code as lines, two modules a character, black on white whatever the terminal's own colours are.

    Empty where the terminal's encoding has no half blocks.
    """
    import segno  # noqa: PLC0415 - for one enrolment in the life of a workstation

    out = io.StringIO()
    segno.make(content, error="l", micro=False).terminal(out, compact=True)
    try:
        out.getvalue().encode(encoding)
    except UnicodeEncodeError:
        return []
    return [f"{WHITE_ON_BLACK}{line}{PLAIN}" for line in out.getvalue().splitlines()]
