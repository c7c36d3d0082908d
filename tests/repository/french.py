"""The spaces of printed French on our pages: a narrow one that no line breaks at, before ; : ! ? and inside « »."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

NARROW = "\N{NARROW NO-BREAK SPACE}"
MADE = Path("docs/fr/depannage.md")  # by make; quotes commands, which are copied with what stands around them
# what is typed as it stands: blocks and spans of code, addresses, and what a link leads to
AS_IT_STANDS = re.compile(
    r"^ *```.*?^ *```$|``.+?``|`[^`\n]+`|<https?:[^>\n]+>|\]\([^)\n]*\)|<!--.*?-->", re.DOTALL | re.MULTILINE
)
OTHER = "[ \N{NO-BREAK SPACE}]"
WRONG = re.compile(
    rf"{OTHER}(?=[;!?](?:[\s)»*_]|$)|:(?!-|:))"  # another space before a mark; ":-" and "::" are tables' and lists'
    rf"|(?<=[\w)»*_])(?=[;!?](?:[\s)»]|$))|(?<=[\w)»])(?=:[\s])"  # none
    rf"|(?<=«){OTHER}|(?<=«)(?=[^\s{NARROW}])|{OTHER}(?=»)|(?<=[^\s{NARROW}])(?=»)",
    re.MULTILINE,
)


def _blank(found: re.Match[str]) -> str:
    """Return a word in place of what stands as it is; its lines stay."""
    return re.sub(r"[^\n]", "x", found[0])


def wrong_spaces(text: str) -> list[tuple[int, int]]:
    """Return where a page has another space than it should, or none: where that begins and ends."""
    return [found.span() for found in WRONG.finditer(AS_IT_STANDS.sub(_blank, text))]


def typeset(text: str) -> str:
    """Return the page with the right spaces."""
    for begin, end in reversed(wrong_spaces(text)):
        text = f"{text[:begin]}{NARROW}{text[end:]}"
    return text


def french_pages_have_their_spaces(files: dict[Path, str]) -> Iterator[str]:
    """A French page has narrow spaces that no line breaks at, before its marks and inside its guillemets."""
    for path, text in files.items():
        if path.parent == Path("docs/fr") and path != MADE:
            for begin, _ in wrong_spaces(text):
                around = text[max(0, begin - 15) : begin + 10].replace("\n", " ")
                yield f"{path}:{text.count(chr(10), 0, begin) + 1}: no narrow space where it belongs: …{around}…"


# pages for browsers, whose French stands in the code
PAGES = re.compile(r"cardd/web/.*\.html|docs/examples/webps/pages/texts\.js|drivers/cardd_simulators/psc/pages\.py")
IN_A_TEXT = re.compile(rf"""["'>`][^"`<>\n]*[a-zéè»)}}]{OTHER}[;:!?](?=\s|["'<`)])[^"`<>\n]*["'<`]""")


def pages_for_browsers_have_their_spaces(files: dict[Path, str]) -> Iterator[str]:
    """The French of a page has narrow spaces that no line breaks at before its marks."""
    for path, text in files.items():
        if PAGES.fullmatch(path.as_posix()):
            for found in IN_A_TEXT.finditer(text):
                yield f"{path}:{text.count(chr(10), 0, found.start()) + 1}: no narrow space in {found[0]}"
