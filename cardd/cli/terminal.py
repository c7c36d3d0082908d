"""The terminal: answers to stdout, all else to stderr; colour, tables, large digits and QR codes for people.

Every line passes ``_clean``: names come from cards, providers and programs, and no terminal obeys them.
"""

from __future__ import annotations

import io
import os
import re
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from typing import TextIO

from cardd.model import shown

GAP = "  "
NARROW = "\N{NARROW NO-BREAK SPACE}"
COLUMNS = 80  # of a terminal that does not know its width
DIGITS = (
    "███   █ ███ ███ █ █ ███ ███ ███ ███ ███",
    "█ █   █   █   █ █ █ █   █     █ █ █ █ █",
    "█ █   █ ███ ███ ███ ███ ███   █ ███ ███",
    "█ █   █ █     █   █   █ █ █   █ █ █   █",
    "███   █ ███ ███   █ ███ ███   █ ███ ███",
)
DIGIT = 3  # columns, and one between two digits
BLACK_ON_WHITE, PLAIN = "\x1b[38;5;231;48;5;16m", "\x1b[0m"
CODES = {"bold": "1", "red": "31", "green": "32", "yellow": "33", "dim": "2"}
_OWN = frozenset({BLACK_ON_WHITE, PLAIN, *(f"\x1b[{code}m" for code in CODES.values())})
_STYLES = re.compile(f"({'|'.join(map(re.escape, _OWN))})")


class Terminal:
    """Standard output and error, with what each can show."""

    def __init__(self, out: TextIO | None = None, err: TextIO | None = None) -> None:
        self.out = out or sys.stdout
        self.err = err or sys.stderr
        self._rows = 0  # above the cursor, of the line that is written again
        self._passing = False
        self.has_spoken = False

    def say(self, lines: Iterable[str]) -> None:
        """Write lines to standard output."""
        self._clear()
        _write(self.out, lines)

    def tell(self, lines: Iterable[str]) -> None:
        """Write lines to standard error, on a terminal broken between words."""
        self._clear()
        columns = _columns_of(self.err)
        _write(self.err, (row for line in lines for row in wrapped(line, columns)) if columns else lines)

    def pairs(self, entries: Iterable[tuple[str, str]]) -> list[str]:
        """Return names and values, aligned; on a terminal a long value is broken between words, under its beginning."""
        told = [(name, shown(value)) for name, value in entries]
        widest = max((width(name) for name, _ in told), default=0) + len(GAP)
        columns = _columns_of(self.out)
        rows: list[str] = []
        for name, value in told:
            first, *more = wrapped(value, columns - widest) if columns else [value]
            rows += [f"{pad(name, widest)}{first}".rstrip(), *(" " * widest + row for row in more)]
        return rows

    def rewrite(self, line: str) -> None:
        """Replace the last line of standard error, which is a terminal; an empty line clears it.

        A line that is longer than the terminal is wide takes several of its rows: all of them are replaced.
        """
        self.has_spoken = True
        written = showable(_clean(line), self.err)
        columns = _columns_of(self.err) or COLUMNS
        up = f"\x1b[{self._rows}A" if self._rows else ""
        self.err.write(f"{up}\r\x1b[J{written}")
        self.err.flush()
        self._rows = max(0, width(written) - 1) // columns

    def pass_by(self, line: str) -> None:
        """Show a line to whoever watches, until something else is written."""
        self.rewrite(line)
        self._passing = True

    def _clear(self) -> None:
        if self._passing:
            self._passing = False
            self.rewrite("")
        self.has_spoken = True

    @property
    def is_watched(self) -> bool:
        """Whether somebody sees standard error as it is written."""
        return self.err.isatty()

    def styled(self, text: str, style: str, *, err: bool = False) -> str:
        """Return the text in a style (``CODES``) where that is shown; NO_COLOR and TERM=dumb are heeded."""
        stream = self.err if err else self.out
        if not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
            return text
        return f"\x1b[{CODES[style]}m{text}\x1b[0m"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return aligned columns under their heads."""
    cells = [[shown(cell) for cell in row] for row in (heads, *rows)]
    widths = [max(width(row[column]) for row in cells) for column in range(len(heads))]
    return [GAP.join(pad(cell, size) for cell, size in zip(row, widths, strict=True)).rstrip() for row in cells]


def wrapped(line: str, columns: int) -> list[str]:
    """Return the line broken between words, so that no row is wider; a word that is stays whole."""
    if width(_STYLES.sub("", line)) <= columns:
        return [line]
    rows = [""]
    for word in line.split(" "):
        longer = f"{rows[-1]} {word}" if rows[-1] else word
        if rows[-1] and width(_STYLES.sub("", longer)) > columns:
            rows.append(word)
        else:
            rows[-1] = longer
    return rows


def pad(text: str, size: int) -> str:
    """Return the text, made as wide as ``size``."""
    return text + " " * (size - width(text))


def width(text: str) -> int:
    """Return how many columns the text takes."""
    return sum(_columns(character) for character in text)


def large_digits(digits: str, encoding: str) -> list[str]:
    """Return digits that are compared at a glance from where the mobile lies, with an empty line above and below.

    Empty where the terminal's encoding has no blocks.
    """
    if not _can_write("█", encoding):
        return []
    places = [int(digit) * (DIGIT + 1) for digit in digits]
    rows = ("   ".join(row[place : place + DIGIT] for place in places) for row in DIGITS)
    return ["", *(GAP + "".join(2 * block for block in row).rstrip() for row in rows), ""]


def qr_code(content: str, encoding: str) -> list[str]:
    """Return a QR code, two modules a character, black on white whatever the terminal's own colours are.

    Empty where the terminal's encoding has no half blocks.
    """
    import segno  # noqa: PLC0415 - for one enrolment in the life of a workstation

    out = io.StringIO()
    segno.make(content, error="l", micro=False).terminal(out, compact=True)
    lines = out.getvalue().splitlines()
    return [f"{BLACK_ON_WHITE}{line}{PLAIN}" for line in lines] if _can_write("".join(lines), encoding) else []


def _columns_of(stream: TextIO) -> int:
    """Return how wide a terminal is; 0 for what is none, or has no width."""
    try:
        return os.get_terminal_size(stream.fileno()).columns if stream.isatty() else 0
    except OSError:
        return 0


def _can_write(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _clean(line: str) -> str:
    """Return the line as it may be shown, whatever names it has; our own styles stay."""
    return "".join(part if part in _OWN else shown(part) for part in _STYLES.split(line))


def showable(text: str, stream: TextIO) -> str:
    """Return the text with a plain space for the narrow one of French, where that cannot be shown.

    The console of Linux has no sign for it, and older encodings have no code.
    """
    is_console = os.environ.get("TERM") == "linux" and stream.isatty()
    has_none = is_console or not _can_write(NARROW, stream.encoding or "ascii")
    return text.replace(NARROW, " ") if has_none and NARROW in text else text


def _write(stream: TextIO, lines: Iterable[str]) -> None:
    for line in (showable(_clean(line), stream) for line in lines):
        try:
            print(line, file=stream)
        except UnicodeEncodeError:  # a C locale: better a question mark than no answer
            print(line.encode(stream.encoding, "replace").decode(stream.encoding), file=stream)
    stream.flush()


def open_in_browser(url: str) -> bool:
    """Open the address in the user's browser, where there is a desktop to show it on; return whether that was done."""
    if not any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")):
        return False
    import webbrowser  # noqa: PLC0415 - only here

    return webbrowser.open(url)
