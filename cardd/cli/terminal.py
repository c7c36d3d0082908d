"""What is written where: answers to stdout, progress and failures to stderr, colour for people only."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from typing import TextIO

GAP = "  "
CODES = {"bold": "1", "red": "31", "green": "32", "yellow": "33", "dim": "2"}


class Terminal:
    """Standard output and error, with what each can show."""

    def __init__(self, out: TextIO | None = None, err: TextIO | None = None) -> None:
        self.out = out or sys.stdout
        self.err = err or sys.stderr

    def say(self, lines: Iterable[str]) -> None:
        """Write lines to standard output."""
        _write(self.out, lines)

    def tell(self, lines: Iterable[str]) -> None:
        """Write lines to standard error."""
        _write(self.err, lines)

    def rewrite(self, line: str) -> None:
        """Replace the last line of standard error, which is a terminal; an empty line clears it."""
        self.err.write(f"\r\x1b[K{line}")
        self.err.flush()

    @property
    def is_watched(self) -> bool:
        """Whether somebody sees standard error as it is written."""
        return self.err.isatty()

    def styled(self, text: str, style: str, *, err: bool = False) -> str:
        """The text in a style (``CODES``) where that is shown; NO_COLOR and TERM=dumb are heeded."""
        stream = self.err if err else self.out
        if not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
            return text
        return f"\x1b[{CODES[style]}m{text}\x1b[0m"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Aligned columns under their heads."""
    cells = [[shown(cell) for cell in row] for row in (heads, *rows)]
    widths = [max(width(row[column]) for row in cells) for column in range(len(heads))]
    return [GAP.join(pad(cell, size) for cell, size in zip(row, widths, strict=True)).rstrip() for row in cells]


def pairs(entries: Iterable[tuple[str, str]]) -> list[str]:
    """Names and values, aligned."""
    told = [(name, shown(value)) for name, value in entries]
    widest = max((width(name) for name, _ in told), default=0)
    return [f"{pad(name, widest)}{GAP}{value}".rstrip() for name, value in told]


def shown(text: str) -> str:
    """Text that came from elsewhere, without what could move the cursor or hide the rest."""
    return "".join(character if character.isprintable() else " " for character in text)


def pad(text: str, size: int) -> str:
    """The text, as wide as this."""
    return text + " " * (size - width(text))


def width(text: str) -> int:
    """How many columns the text takes."""
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _write(stream: TextIO, lines: Iterable[str]) -> None:
    for line in lines:
        try:
            print(line, file=stream)
        except UnicodeEncodeError:  # a C locale: better a question mark than no answer
            print(line.encode(stream.encoding, "replace").decode(stream.encoding), file=stream)
    stream.flush()
