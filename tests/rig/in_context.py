"""Every dialog, error and help that people read, whole and with what is filled in, for a reader's eye.

python -m tests.rig.in_context FOLDER      writes FOLDER/texts.fr.txt and FOLDER/texts.en.txt (`make texts`)
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path

from cardd.cli import agent, cardctl, cardd
from cardd.cli.parser import Parser
from cardd.errors.base import CarddError, every_error
from cardd.i18n import LANGUAGES, Domain
from tests.agent.dialogs import every_dialog


def in_context(language: str) -> Iterator[tuple[str, str]]:
    """Where each text stands, and the text."""
    for number, words in enumerate(dict.fromkeys(every_dialog(language)), 1):
        buttons = "  ".join(f"[{button}]" for button in (words.ok, words.not_ok, words.cancel) if button)
        parts = (words.title, words.description, words.error, words.prompt, buttons)
        yield f"dialog {number}", "\n".join(part for part in parts if part)
    for error in sorted(every_error(), key=attrgetter("code")):
        yield f"error {error.code}", "\n".join(_told(error, language))
    for parser in _parsers(language):
        yield f"help {parser.prog}", parser.format_help()


def _told(error: type[CarddError], language: str) -> Iterator[str]:
    tell = Domain("errors")
    for text in (error.title, error.detail, error.remedy):
        if text:
            yield tell(text, language, **{name: f"<{name}>" for name in error.fields})
    for name, words in error.words.items():
        for text in dict.fromkeys(words.values()):
            if text:
                yield f"    <{name}>: {tell(text, language, **dict.fromkeys(error.fields, '…'))}"


def _parsers(language: str) -> Iterator[Parser]:
    """Every command, and its own ones."""
    for top in (
        cardctl.command_line(language, [*cardctl.COMMANDS]),
        *(one.command_line(language) for one in (cardd, agent)),
    ):
        yield from _below(top)


def _below(parser: Parser) -> Iterator[Parser]:
    yield parser
    for inner in parser.inner:
        yield from _below(inner)


def main(folder: Path) -> None:
    """Write both files, and say where they are."""
    folder.mkdir(exist_ok=True)
    for language in LANGUAGES:
        told = [f"--- {where}\n\n{text.strip()}\n" for where, text in in_context(language)]
        file = folder / f"texts.{language}.txt"
        file.write_text("\n".join(told), encoding="utf-8")
        print(f"{file}: {len(told)} texts as people read them")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
