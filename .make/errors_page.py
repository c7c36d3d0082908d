"""docs/errors.md, written from the classes in cardd/errors: every code with its cause and what people read of it.

errors_page.py update     write the page (`make texts`)
errors_page.py check      fail when the page is not what the classes say
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path

from cardd.errors.base import CarddError, every_error
from cardd.i18n import LANGUAGES, Domain

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/errors.md"
NAMES = {"fr": "French", "en": "English"}
HEAD = """# Every error, by its code

Written by `make texts` from `cardd/errors`; do not edit. The `code` and the status of an error are promised
([versioning.md](versioning.md)), its sentences are not: they are for people. The `type` of an answer ends with the
code: `urn:cardd:problem:pin.wrong` is [pin.wrong](#pin.wrong). `cardctl` prints the same sentences.

- **Cause**: what happened, for the program's maker and for support.
- **Again**: whether the same request may succeed later without anything else being changed (`retryable`).
- **The person reads**: title, what happened, and what to do, in French and English. `{name}` stands for a value
  that the answer fills in; the words that it may be are listed below the sentences.
"""


def page() -> str:
    """Return the page as it must be."""
    errors = sorted(every_error(), key=attrgetter("code"))
    subjects = sorted({_subject(error) for error in errors})
    index = "\n".join(
        f"- **{subject}**: " + ", ".join(f"[{one.code}](#{one.code})" for one in errors if _subject(one) == subject)
        for subject in subjects
    )
    return "\n".join([HEAD, index, *("\n".join(_entry(error)) for error in errors)]) + "\n"


def _subject(error: type[CarddError]) -> str:
    return error.code.partition(".")[0]


def _entry(error: type[CarddError]) -> Iterator[str]:
    yield f'\n## <a id="{error.code}"></a>`{error.code}`\n'
    yield f"Status {error.status}. Again: {'yes' if error.retryable else 'no'}. Cause: {_cause(error)}\n"
    for language in LANGUAGES:
        tell = Domain("errors")
        title, *rest = (_kept(tell, text, language) for text in (error.title, error.detail, error.remedy))
        yield f"- {NAMES[language]}: **{title}.** {' '.join(sentence for sentence in rest if sentence)}"
        for name, words in error.words.items():
            told = (f"“{_kept(tell, text, language)}”" for text in dict.fromkeys(words.values()) if text)
            yield f"  - `{{{name}}}`: {', '.join(told)}"


def _kept(tell: Domain, text: str, language: str) -> str:
    """Return the sentence in the language, with the places of its params as they are."""
    found = tell(text, language, **{name: f"{{{name}}}" for name in re.findall(r"\{(\w+)\}", text)})
    return found.replace("<", "&lt;").replace("\n", " ")


def _cause(error: type[CarddError]) -> str:
    return " ".join((error.__doc__ or "").split("\n\n")[0].split())


def update() -> list[str]:
    """Write the page."""
    PAGE.write_text(page())
    return []


def check() -> list[str]:
    """Return what is wrong."""
    return (
        []
        if PAGE.is_file() and PAGE.read_text() == page()
        else ["docs/errors.md is not what cardd/errors says: make texts"]
    )


if __name__ == "__main__":
    if wrong := {"update": update, "check": check}[sys.argv[1]]():
        sys.exit("\n".join(wrong))
